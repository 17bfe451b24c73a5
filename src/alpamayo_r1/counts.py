"""Whole numbers that users give."""

from typing import Any, TypeGuard

import numpy as np


def is_count(value: Any, least: int = 1) -> TypeGuard[int]:
    """Say whether a value is a whole number of at least ``least``: Python's or numpy's, but no bool."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= least)
