"""Noise that is known."""

import pytest
import torch
from torch import Tensor


@pytest.fixture
def noise(monkeypatch):
    """Make the noise of a row depend on the row alone; note the shapes that were asked for."""
    asked: list[tuple[int, ...]] = []
    rows: list[int] = []

    def drawn(*shape: int, device=None, **_) -> Tensor:
        asked.append(shape)
        order = rows or range(shape[0])
        return torch.stack(
            [torch.empty(shape[1:]).normal_(generator=torch.Generator().manual_seed(i)) for i in order]
        ).to(device)

    monkeypatch.setattr(torch, "randn", drawn)
    drawn.asked, drawn.rows = asked, rows
    return drawn
