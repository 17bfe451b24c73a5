from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builders.material import write_clip, write_run
from coc_labeling.review.material import Material


@pytest.fixture(scope="session")
def drives(tmp_path_factory) -> Path:
    """One clip with a car parked beside the road and a video; tests do not write there."""
    return write_clip(tmp_path_factory.mktemp("drives"))


@pytest.fixture
def opened(tmp_path) -> Iterator[Callable[..., Material]]:
    """Open the material of a run of some drives; it is closed again."""
    made: list[Material] = []

    def open_run(drives: Path, changes: dict | None = None, **options) -> Material:
        run = write_run(tmp_path / "run", drives, **(changes or {}))
        made.append(Material.of_run(run, **({"cache_dir": str(tmp_path / "cache")} | options)))
        return made[-1]

    yield open_run
    for material in made:
        material.close()


@pytest.fixture
def material(drives, opened) -> Material:
    """The material of a run of ``drives``."""
    return opened(drives)
