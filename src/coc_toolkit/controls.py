"""``coc negative-control`` on the terminal."""

from collections.abc import Sequence
from typing import Any

import yaml

from batch_runs.outcomes import EXIT_FAILED
from batch_runs.terminal import say
from coc_labeling.data_labeling import exit_code, tell
from coc_labeling.errors import CocLabelingError
from coc_labeling.negative_control import negative_control


def run_control(run_dir: str, sample: int, changes: Sequence[str]) -> int:
    """Run a negative control and print what came of it; returns 1 where ``unobserved`` does not dominate.

    Raises:
        CocLabelingError, DatasetError, MetaActionError: it cannot be run.
    """
    control = negative_control(run_dir, sample, parse_changes(changes))
    say(*tell(control.result), f"control: {control.result.folder.path} (not for training)", *control.lines())
    code = exit_code(control.result, strict=False)
    return code or (0 if control.passed else EXIT_FAILED)


def parse_changes(texts: Sequence[str]) -> dict[str, Any]:
    """Read ``key=value`` texts, values as YAML; raises CocLabelingError for others."""
    return dict(_change(text) for text in texts)


def _change(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise CocLabelingError(f"expected key=value, found {text!r}.")
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise CocLabelingError(f"{key}: expected a value, found {value!r} ({error}).") from error
