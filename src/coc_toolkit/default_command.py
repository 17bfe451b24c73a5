"""A group of commands of which one needs no name. Contexts are click's, or those of the copy that typer carries."""

from typing import Any

import typer.core

DEFAULT = "serve"


class DefaultGroup(typer.core.TyperGroup):
    """Takes arguments that name none of its commands for those of its ``DEFAULT`` command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command's name before arguments that have none."""
        named = bool(args) and args[0] in self.commands and args[0] != DEFAULT
        return super().parse_args(ctx, args if named else [DEFAULT, *args])


class DefaultCommand(typer.core.TyperCommand):
    """A group's default command: help and errors call it by the group's name, as it was called."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Return the context of a call, in the place of the group's own."""
        if parent is not None:
            info_name, parent = parent.info_name, parent.parent
        return super().make_context(info_name, args, parent, **extra)
