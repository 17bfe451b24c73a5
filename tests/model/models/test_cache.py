"""The cache that grows in place holds what transformers' own would."""

import torch
from transformers import DynamicCache

from alpamayo_r1.models.cache import GrowingCache


def test_like_a_dynamic_cache():
    own, other = GrowingCache(layers=2, room=3), DynamicCache()
    torch.manual_seed(0)

    def add(rows, columns):
        for layer in range(2):
            keys, values = torch.randn(rows, 2, columns, 4), torch.randn(rows, 2, columns, 4)
            given = own.update(keys, values, layer)
            for mine, theirs in zip(given, other.update(keys, values, layer), strict=True):
                assert torch.equal(mine, theirs)

    add(2, 3)
    own.spread(3, room=6)
    other.batch_repeat_interleave(3)
    add(6, 1)
    add(6, 4)  # beyond the room
    own.cut(5)
    other.crop(-3)
    assert own.get_seq_length() == other.get_seq_length() == 5
    add(6, 2)
    own.spread(1, room=40)
    add(6, 1)


def test_room_is_made_once():
    cache = GrowingCache(layers=1, room=4)
    cache.update(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2), 0)
    place = cache.layers[0].keys.data_ptr()
    for _ in range(3):
        keys, _ = cache.update(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2), 0)
        assert keys.data_ptr() == place
        cache.cut(2)
