"""Noisy actions and the time of flow matching as the expert's input tokens."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.precision import Float32Buffers

_RMS_EPS = 1e-5


class FourierEncoder(Float32Buffers):
    """sqrt(2) sin and sqrt(2) cos of 2 pi f x at log-spaced frequencies f: of unit variance over a period."""

    freqs: Tensor

    def __init__(self, dim: int, max_freq: float) -> None:
        """Give ``dim`` features, an even number, at frequencies from 1 to ``max_freq``."""
        super().__init__()
        if dim < 2 or dim % 2:
            raise AlpamayoError(f"num_fourier_feats: expected an even number from 2, found {dim!r}.")
        self.register_buffer("freqs", torch.logspace(0, math.log10(max_freq), dim // 2, dtype=torch.float32)[None])

    def forward(self, x: Tensor) -> Tensor:
        """Return features (..., dim), float32, of numbers (...): all sines, then all cosines."""
        phase = 2 * math.pi * x.float()[..., None] * self.freqs[0].float()  # 100 turns are beyond half precision
        return math.sqrt(2) * torch.cat([phase.sin(), phase.cos()], dim=-1)


class _Norm(nn.RMSNorm):
    """Computes in its weights' type: under autocast what comes in is of half precision, which torch warns of."""

    def forward(self, x: Tensor) -> Tensor:
        normed: Tensor = super().forward(x.to(self.weight.dtype))
        return normed


class _Encoder(nn.Module):
    """Layers of Linear, SiLU and RMSNorm, and a Linear at the end; named as in released checkpoints."""

    def __init__(self, in_dim: int, hidden_size: int, out_dim: int, num_layers: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(num_layers):
            layers += [
                nn.Linear(hidden_size if i else in_dim, hidden_size),
                nn.SiLU(),
                _Norm(hidden_size, eps=_RMS_EPS),
            ]
        self.trunk = nn.Sequential(*layers, nn.Linear(hidden_size if num_layers else in_dim, out_dim))

    def forward(self, x: Tensor) -> Tensor:
        encoded: Tensor = self.trunk(x)
        return encoded


class PerWaypointActionInProjV2(nn.Module):
    """One token per waypoint, from its noisy action and the time of flow matching.

    Parameters are named ``sinus.{channel}.freqs``, ``timestep_fourier_encoder.freqs``, ``encoder.trunk.{n}`` and
    ``norm``, as in released checkpoints.
    """

    def __init__(
        self,
        in_dims: Sequence[int],
        out_dim: int,
        num_enc_layers: int = 4,
        hidden_size: int = 1024,
        max_freq: float = 100.0,
        num_fourier_feats: int = 20,
    ) -> None:
        """Take actions of shape ``in_dims``, (waypoints, channels), to tokens of size ``out_dim``.

        Raises:
            AlpamayoError: ``num_fourier_feats`` is odd.
        """
        super().__init__()
        channels = in_dims[-1]
        self.in_dims = tuple(in_dims)
        self.sinus = nn.ModuleList(FourierEncoder(num_fourier_feats, max_freq) for _ in range(channels))
        self.timestep_fourier_encoder = FourierEncoder(num_fourier_feats, max_freq)
        self.encoder = _Encoder((channels + 1) * num_fourier_feats, hidden_size, out_dim, num_enc_layers)
        self.norm = nn.LayerNorm(out_dim)

    def forward(self, x: Tensor, timesteps: Tensor) -> Tensor:
        """Return tokens (B, waypoints, out_dim).

        Args:
            x: (B, waypoints, channels) normalised actions.
            timesteps: B times in [0, 1]; (B,) or with further axes of size 1.

        Raises:
            AlpamayoError: shapes that do not fit.
        """
        if x.ndim != 3 or x.shape[-1] != len(self.sinus):
            raise AlpamayoError(f"actions: expected (B, waypoints, {len(self.sinus)}), found {tuple(x.shape)}.")
        if timesteps.numel() != len(x):
            raise AlpamayoError(
                f"timesteps: expected {len(x)} of them, one per sample, found {tuple(timesteps.shape)}."
            )
        features = [encoder(x[..., i]) for i, encoder in enumerate(self.sinus)]
        of_time = self.timestep_fourier_encoder(timesteps.reshape(-1, 1))
        features.append(of_time.expand(*x.shape[:2], -1))
        tokens: Tensor = self.norm(self.encoder(torch.cat(features, dim=-1).to(self.norm.weight.dtype)))
        return tokens
