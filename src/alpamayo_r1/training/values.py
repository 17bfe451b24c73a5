"""Values of a configuration, checked one by one: each wrong one is named with what was expected and found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from alpamayo_r1.errors import AlpamayoError

Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True)
class Section:
    """A part of a configuration.

    Attributes:
        name: its key, "" for the whole.
        content: what it holds.
    """

    name: str
    content: Mapping[str, Any]

    def section(self, key: str) -> "Section":
        """Return a part of this one."""
        value = self.content.get(key)
        if not isinstance(value, Mapping):
            raise self._wrong(key, "a section with keys of its own", value)
        return Section(self._full(key), value)

    def text(self, key: str) -> str:
        """Return a text that must be given."""
        value = self.content.get(key)
        if not isinstance(value, str) or not value:
            raise self._wrong(key, f"a text. Give it: {self._full(key)}=...", value)
        return value

    def optional_text(self, key: str) -> str | None:
        """Return a text, or None."""
        return None if self.content.get(key) is None else self.text(key)

    def names(self, key: str) -> tuple[str, ...]:
        """Return a list of names, or of names joined by commas."""
        value = self.content.get(key)
        given = value.split(",") if isinstance(value, str) else value
        if (
            not isinstance(given, Sequence)
            or not given
            or not all(isinstance(name, str) and name.strip() for name in given)
        ):
            raise self._wrong(key, "a list of names, such as [a,b]", value)
        return tuple(name.strip() for name in given)

    def count(self, key: str, least: int = 0, most: int = 2**63 - 1) -> int:
        """Return a whole number."""
        value = self.content.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            limits = f"of at least {least}" if most == 2**63 - 1 else f"from {least} to {most}"
            raise self._wrong(key, f"a whole number {limits}", value)
        return value

    def optional_count(self, key: str, least: int = 0) -> int | None:
        """Return a whole number, or None."""
        return None if self.content.get(key) is None else self.count(key, least)

    def number(self, key: str, low: float = 0.0, high: float = 1e9, *, above: bool = False) -> float:
        """Return a number from ``low``, or above it, to ``high``."""
        value = self.content.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:  # NaN is nowhere
            found = float(value)
            if found > low or not above:
                return found
        raise self._wrong(key, f"a number {'above' if above else 'from'} {low:g} up to {high:g}", value)

    def flag(self, key: str) -> bool:
        """Return true or false."""
        value = self.content.get(key)
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false", value)
        return value

    def choice(self, key: str, choices: type[Choice]) -> Choice:
        """Return one of an enumeration's values."""
        value = self.content.get(key)
        if value not in list(choices):
            raise self._wrong(key, f"one of {', '.join(choices)}", value)
        return choices(value)

    def _full(self, key: str) -> str:
        return f"{self.name}.{key}" if self.name else key

    def _wrong(self, key: str, expected: str, found: Any) -> AlpamayoError:
        shown = "null" if found is None else repr(found)[:100]
        return AlpamayoError(f"{self._full(key)}={shown}: expected {expected}.")
