"""Numbers as bins: the tokens of a trajectory."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from alpamayo_r1.errors import AlpamayoError


@dataclass(frozen=True)
class Binning:
    """Bins 0 to ``count`` - 1 per channel: the first one is centred on ``low``, the last one on ``high``.

    Raises:
        AlpamayoError: bounds that are none, fewer than two bins.

    Example:
        >>> Binning((-4.0,), (4.0,), 5).widths
        (2.0,)
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    count: int

    def __post_init__(self) -> None:
        fits = len(self.low) == len(self.high) and all(a < b for a, b in zip(self.low, self.high, strict=True))
        if not fits:
            raise AlpamayoError(f"bins: expected lower bounds below upper bounds, found {self.low} and {self.high}.")
        if not isinstance(self.count, int) or self.count < 2:
            raise AlpamayoError(f"num_bins: expected at least 2, found {self.count!r}.")

    @property
    def widths(self) -> tuple[float, ...]:
        """The width of a bin of each channel."""
        return tuple((b - a) / (self.count - 1) for a, b in zip(self.low, self.high, strict=True))

    def encode(self, values: Tensor) -> Tensor:
        """Return the nearest bins (..., channels), int64, of values (..., channels): the end ones for those beyond."""
        low, high = values.new_tensor(self.low), values.new_tensor(self.high)
        places = (values - low) / (high - low) * (self.count - 1)
        return places.round().clamp(0, self.count - 1).long()

    def decode(self, bins: Tensor, like: Tensor) -> Tensor:
        """Return the centres (..., channels) of bins (..., channels), with type and device of ``like``.

        Raises:
            AlpamayoError: a bin that does not exist.
        """
        if bins.is_floating_point() or bins.is_complex():
            raise AlpamayoError(f"tokens: expected integers, found {bins.dtype}.")
        outside = (bins < 0) | (bins >= self.count)
        if outside.any():
            found = bins[outside][0].item()
            raise AlpamayoError(f"tokens: expected 0 to {self.count - 1}, found {found}.")
        low, high = like.new_tensor(self.low), like.new_tensor(self.high)
        return bins.to(like) / (self.count - 1) * (high - low) + low


def channels_of(tokens: Tensor, channels: int) -> Tensor:
    """Return flat tokens (..., steps * channels) as (..., steps, channels).

    Raises:
        AlpamayoError: their number is not a multiple of the channels.
    """
    if tokens.ndim < 1 or not tokens.shape[-1] or tokens.shape[-1] % channels:
        raise AlpamayoError(f"tokens: expected (..., a multiple of {channels}), found {tuple(tokens.shape)}.")
    return tokens.unflatten(-1, (-1, channels))


def floats(name: str, values: Sequence[float], size: int) -> tuple[float, ...]:
    """Return ``size`` numbers of a configuration.

    Raises:
        AlpamayoError: there are more or fewer.
    """
    if len(values) != size:
        raise AlpamayoError(f"{name}: expected {size} numbers, found {values!r}.")
    return tuple(float(value) for value in values)
