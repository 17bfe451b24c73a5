"""``coc train`` on the terminal."""

from collections.abc import Sequence

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.training import extras
from alpamayo_r1.training.settings import Stage, keys_told, load_settings
from batch_runs.outcomes import EXIT_INTERRUPTED
from batch_runs.terminal import run_command, say
from coc_labeling.errors import CocLabelingError
from driving_clips.errors import DatasetError

_HELP = ("--help", "-h")


def main(stage: str, arguments: Sequence[str]) -> int:
    """Run ``coc train stage1`` or ``stage2`` with ``key=value`` arguments; returns the exit code."""
    return run_command(lambda: run_training(stage, arguments), DatasetError, CocLabelingError)


def run_training(stage: str, arguments: Sequence[str]) -> int:
    """Train and say what came of it; returns the exit code, 130 where it was interrupted and saved.

    Raises:
        DatasetError, CocLabelingError: nothing can be done as asked, or the loss is no number any more.
    """
    if any(argument in _HELP for argument in arguments):
        say(f"Usage: coc train {stage} key=value ...", "", keys_told(Stage(stage)).rstrip())
        return 0
    try:
        settings = load_settings(stage, arguments)
        extras.require()
        from alpamayo_r1.training.run import train

        result = train(settings)
    except AlpamayoError as error:
        raise CocLabelingError(str(error)) from error
    if result.leads:
        say(*result.lines())
    return EXIT_INTERRUPTED if result.interrupted else 0
