"""A key-value cache that grows in place.

transformers' dynamic cache copies itself for every token: at sixteen samples of a long prompt that costs more than the
token. Here room is made once, tokens are written into it, and what is cropped is written over.
"""

from typing import Any

from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer


class GrowingLayer(DynamicLayer):
    """Keys and values (R, heads, columns, size) of one layer, views of buffers with room for more columns."""

    def __init__(self, room: int) -> None:
        """Make room for ``room`` columns when the first ones come."""
        super().__init__()
        self._room = room
        self._buffers: tuple[Tensor, Tensor] | None = None

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Append columns (R, heads, n, size), and return all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        read = self.get_seq_length()
        length = read + key_states.shape[-2]
        if self._buffers is None or length > self._buffers[0].shape[-2]:
            self._move(1, max(length, self._room), key_states, value_states)
        assert self._buffers is not None
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[..., read:length, :] = states
        self.keys, self.values = (buffer[..., :length, :] for buffer in self._buffers)
        return self.keys, self.values

    def spread(self, repeats: int, room: int) -> None:
        """Repeat each row, the copies one after another, and make room for ``room`` columns in all."""
        self._room = room
        self._move(repeats, room, self.keys, self.values)

    def _move(self, repeats: int, room: int, *like: Tensor) -> None:
        """Copy what is cached into new buffers, shaped as ``like`` with more rows and columns."""
        length = self.get_seq_length()
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

    def cut(self, length: int) -> None:
        """Keep the first ``length`` columns, exactly."""
        surplus = self.get_seq_length() - length
        assert surplus >= 0, f"the cache has {self.get_seq_length()} columns, fewer than {length}"
        if surplus:
            self.crop(-surplus)  # a negative number is how many to remove; a positive one is deprecated
        assert {layer.get_seq_length() for layer in self.layers} == {length}, f"expected {length} columns in each layer"
