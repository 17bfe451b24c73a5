"""The reference cases of the reasoning model, from the folder that COC_GOLDEN_MODEL names."""

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

GOLDEN = Path(os.environ.get("COC_GOLDEN_MODEL", Path(__file__).parents[3] / "shared" / "golden" / "model"))
needs_golden = pytest.mark.skipif(
    not (GOLDEN / "cases").is_dir(), reason=f"no reference cases in {GOLDEN}; COC_GOLDEN_MODEL names their folder"
)


@cache
def case(name: str) -> dict[str, Tensor]:
    """Return the arrays of one case, as "2_action_space"."""
    with np.load(GOLDEN / "cases" / f"{name}.npz") as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays.files}


def differ(found: Tensor, wanted: Tensor) -> float:
    """Return the largest difference, of tensors of one shape."""
    assert found.shape == wanted.shape
    return float((found.double() - wanted.double()).abs().max())
