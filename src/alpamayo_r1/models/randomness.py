"""Where the random numbers of a call come from: one stream for all scenes, or one for each."""

from collections.abc import Sequence

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
