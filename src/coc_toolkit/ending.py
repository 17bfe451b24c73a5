"""How every subcommand ends: with the exit code of what it did, or with a message in words."""

from collections.abc import Callable
from typing import NoReturn

import typer


def end(command: Callable[[], int]) -> NoReturn:
    """Run a command and leave with its exit code."""
    from batch_runs.terminal import run_command
    from coc_labeling.errors import CocLabelingError
    from driving_clips.errors import DatasetError
    from meta_action.errors import MetaActionError

    raise typer.Exit(run_command(command, DatasetError, MetaActionError, CocLabelingError))
