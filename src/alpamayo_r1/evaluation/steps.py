"""At which step of its training a checkpoint was taken, as the folder of its predictions says."""

import re
from collections.abc import Sequence

_STEP = re.compile(r"(?:step|checkpoint)[_-]?([0-9]{1,12})")


def step_of(path: str) -> int | None:
    """Return the step that the last such folder of a path names; None without one.

    Example:
        >>> step_of("out/step_000500/predictions"), step_of("out/checkpoint-20"), step_of("out/a")
        (500, 20, None)
    """
    found = [match for part in path.split("/") if (match := _STEP.fullmatch(part)) is not None]
    return int(found[-1][1]) if found else None


def steps_of(names: Sequence[str]) -> list[int] | None:
    """Return the step of each of several checkpoints; None where one has none, or two have the same.

    Example:
        >>> steps_of(["step_000500", "step_001000"]), steps_of(["a/step_000500", "b/step_000500"])
        ([500, 1000], None)
    """
    steps = [step for name in names if (step := step_of(name)) is not None]
    return steps if len(names) > 1 and len(set(steps)) == len(names) else None
