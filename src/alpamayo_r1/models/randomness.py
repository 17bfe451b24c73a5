"""Where the random numbers of a call come from: one stream for all scenes, or one for each."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from alpamayo_r1.errors import AlpamayoError

_SEEDS = range(-(2**63), 2**64)  # what torch takes


class SharedStream:
    """Torch's own generator of the device: what ``torch.manual_seed`` sets."""

    def tokens(self, probabilities: Tensor) -> Tensor:
        """Draw a token (R,) int64 for each row of ``probabilities`` (R, V), as transformers' ``generate`` does."""
        return torch.multinomial(probabilities, num_samples=1)[:, 0]

    def noise(self, rows: int, dims: Sequence[int], device: torch.device) -> Tensor | None:
        """Return None: the diffusion draws its noise itself."""
        return None


class StreamPerScene:
    """A generator for each scene: what a scene draws does not depend on the others in its batch."""

    def __init__(self, seeds: Sequence[int], device: torch.device) -> None:
        """Seed one generator on ``device`` for each scene.

        Raises:
            AlpamayoError: a seed that torch cannot take.
        """
        wrong = [seed for seed in seeds if not isinstance(seed, int) or isinstance(seed, bool) or seed not in _SEEDS]
        if wrong:
            raise AlpamayoError(f"seeds: expected integers of at most 64 bits, found {wrong[0]!r}.")
        self._generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]

    def tokens(self, probabilities: Tensor) -> Tensor:
        """Draw a token (R,) int64 for each row of ``probabilities`` (R, V), the rows of one scene together."""
        scenes = probabilities.chunk(len(self._generators))
        drawn = [
            torch.multinomial(own, num_samples=1, generator=generator)
            for own, generator in zip(scenes, self._generators, strict=True)
        ]
        return torch.cat(drawn)[:, 0]

    def noise(self, rows: int, dims: Sequence[int], device: torch.device) -> Tensor | None:
        """Return the noise (rows, *dims) of all scenes.

        To be drawn before tokens: how many of those a scene draws depends on who else is in the batch.
        """
        each = rows // len(self._generators)
        return torch.cat([torch.randn(each, *dims, device=device, generator=own) for own in self._generators])


Randomness = SharedStream | StreamPerScene


def randomness_of(seeds: Sequence[int] | None, scenes: int, device: torch.device) -> Randomness:
    """Return where random numbers come from: with ``seeds``, one for each of the ``scenes``, or the shared stream.

    Raises:
        AlpamayoError: not one seed for each scene.
    """
    if seeds is None:
        return SharedStream()
    if len(seeds) != scenes:
        raise AlpamayoError(f"seeds: expected {scenes}, one for each scene, found {len(seeds)}.")
    return StreamPerScene(list(seeds), device)


def drawn_for(seeds: Sequence[int] | None, x: Tensor, draw: Callable[[Tensor], Any]) -> dict[str, Tensor]:
    """Return what ``draw`` gives for ``x`` (R, ..): with ``seeds`` for each row from a generator of its own.

    Then rows are drawn on the CPU, so that they get the same on every device, and in every batch; torch's generators
    are left as they are.

    Args:
        seeds: an integer for each row, or None to draw all rows at once from torch's generator.
        x: what to draw for.
        draw: gives tensors, by name, with as many rows as it is given.

    Raises:
        AlpamayoError: not one seed for each row.
    """
    if seeds is None:
        return dict(draw(x))
    if len(seeds) != len(x):
        raise AlpamayoError(f"seeds: expected {len(x)}, one for each row, found {len(seeds)}.")
    drawn = []
    with torch.random.fork_rng(devices=[]):
        for seed, row in zip(seeds, x.cpu().split(1), strict=True):
            torch.default_generator.manual_seed(seed)
            drawn.append(draw(row))
    return {name: torch.cat([own[name] for own in drawn]).to(x.device) for name in drawn[0]}
