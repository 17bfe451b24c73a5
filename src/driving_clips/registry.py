"""The one registry idea: a plain dict from name to class in the package, extended by entry points."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any


@cache
def _extensions(group: str) -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=group)}


def names(built_in: Mapping[str, Any], group: str) -> list[str]:
    """Return the names that can be looked up: the package's own, then those of entry points."""
    return [*built_in, *sorted(set(_extensions(group)) - set(built_in))]


def look_up(kind: str, name: str, built_in: Mapping[str, Any], group: str) -> Any:
    """Return the class registered under ``name``.

    Args:
        kind: what it is, for the message.
        name: what the user asked for.
        built_in: the package's own entries; they win over entry points of the same name.
        group: the entry-point group that extends them.

    Raises:
        KeyError: unknown name; its argument is a message that lists the legal ones.
    """
    if name in built_in:
        return built_in[name]
    if name in _extensions(group):
        return _extensions(group)[name].load()
    raise KeyError(f"unknown {kind} {name!r}; known: {', '.join(names(built_in, group))}")
