"""A key-value cache that grows in place.

transformers' dynamic cache copies itself for every token: at sixteen samples of a long prompt that costs more than the
token. Here room is made once, tokens are written into it, and what is cropped is written over. What samples
of a scene have in common, their prompt, can stand there once for all of them.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer


class GrowingLayer(DynamicLayer):
    """Keys and values (R, heads, columns, size) of one layer, views of buffers with room for more columns."""

    def __init__(self, room: int) -> None:
        """Make room for ``room`` columns when the first ones come."""
        super().__init__()
        self._room = room
        self._buffers: tuple[Tensor, Tensor] | None = None
        self._repeats = 1
        self.common: tuple[Tensor, Tensor] | None = None

    def get_seq_length(self) -> int:
        """Return the columns that are cached, with those that rows have in common."""
        own = int(super().get_seq_length())
        return own if self.common is None else own + int(self.common[0].shape[-2])

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Append columns (R, heads, n, size), and return all of them but what rows have in common."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        read = super().get_seq_length()
        length = read + key_states.shape[-2]
        if self._buffers is None or length > self._buffers[0].shape[-2]:
            self._move(1, max(length, self._room), key_states, value_states)
        assert self._buffers is not None
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[..., read:length, :] = states
        self.keys, self.values = (buffer[..., :length, :] for buffer in self._buffers)
        return self.keys, self.values

    def share(self, repeats: int, room: int) -> None:
        """Keep what is cached once as what ``repeats`` rows have in common, with room for ``room`` columns in all."""
        self.common, self._repeats = (self.keys, self.values), repeats
        self._room, self._buffers = room - self.keys.shape[-2], None
        self.keys, self.values = (states[:, :, :0] for states in self.common)

    def spread(self, repeats: int, room: int) -> None:
        """Repeat each row, the copies one after another, and make room for ``room`` columns in all."""
        self._room = room
        self._move(repeats, room, self.keys, self.values)

    def part(self, room: int) -> None:
        """Give each row its own copy of what they have in common, with room for ``room`` columns in all."""
        assert self.common is not None
        own = (self.keys, self.values)
        (self.keys, self.values), self.common = self.common, None
        self.spread(self._repeats, room)
        if own[0].shape[-2]:
            self.update(*own)

    def _move(self, repeats: int, room: int, *like: Tensor) -> None:
        """Copy what is cached into new buffers, shaped as ``like`` with more rows and columns."""
        length = super().get_seq_length()
        rows = len(like[0]) * repeats
        buffers = tuple(states.new_empty(rows, states.shape[1], room, states.shape[-1]) for states in like)
        for buffer, states in zip(buffers, (self.keys, self.values), strict=True):
            if length:
                by_row = buffer.unflatten(0, (-1, repeats))
                by_row[..., :length, :] = states[:, None]
        self._buffers = (buffers[0], buffers[1])
        if length:
            self.keys, self.values = (buffer[..., :length, :] for buffer in buffers)


class GrowingCache(Cache):
    """The cache of a decoder's layers."""

    def __init__(self, layers: int, room: int) -> None:
        """Make room for ``room`` columns."""
        super().__init__(layers=[GrowingLayer(room) for _ in range(layers)])

    def spread(self, repeats: int, room: int) -> None:
        """Repeat each row ``repeats`` times, the copies one after another, with room for ``room`` columns in all."""
        for layer in self.layers:
            layer.spread(repeats, room)

    def share(self, repeats: int, room: int) -> None:
        """Let ``repeats`` rows go on from each row, which stands there once; for ``attention.sharing``."""
        for layer in self.layers:
            layer.share(repeats, room)

    def part(self, room: int) -> None:
        """End sharing: each row gets a copy of its own, with room for ``room`` columns in all."""
        for layer in self.layers:
            layer.part(room)

    def cut(self, length: int) -> None:
        """Keep the first ``length`` columns, exactly."""
        surplus = self.get_seq_length() - length
        assert surplus >= 0, f"the cache has {self.get_seq_length()} columns, fewer than {length}"
        if surplus:
            self.crop(-surplus)  # a negative number is how many to remove; a positive one is deprecated
        assert {layer.get_seq_length() for layer in self.layers} == {length}, f"expected {length} columns in each layer"


class FrozenLayer(DynamicLayer):
    """Keys and values (R, heads, columns, size) of one layer that are read and never written.

    So one cache serves many steps, and a layer can be computed again for its gradient.
    """

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self.lazy_initialization(keys, values)
        self.keys, self.values = keys, values

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Return the cached columns with further ones (R, heads, n, size) after them, in the cache's type."""
        keys = torch.cat([self.keys, key_states.to(self.keys.dtype)], dim=-2)
        return keys, torch.cat([self.values, value_states.to(self.values.dtype)], dim=-2)


class FrozenCache(Cache):
    """A cache of a decoder's layers that is read and never written."""

    def __init__(self, layers: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Keep keys and values (R, heads, columns, size) of each layer."""
        super().__init__(layers=[FrozenLayer(keys, values) for keys, values in layers])
