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


def test_what_rows_have_in_common():
    """Shared or copied, rows hold the same."""
    torch.manual_seed(0)
    common = torch.randn(2, 2, 2, 3, 4)
    own = torch.randn(2, 6, 2, 2, 4)
    shared, copied = GrowingCache(layers=1, room=3), GrowingCache(layers=1, room=3)
    for cache in (shared, copied):
        cache.update(*common, 0)
    shared.share(3, room=8)
    copied.spread(3, room=8)
    assert shared.get_seq_length() == 3
    given = shared.update(*own, 0)
    wanted = copied.update(*own, 0)
    assert all(torch.equal(mine, theirs[:, :, 3:]) for mine, theirs in zip(given, wanted, strict=True))
    assert shared.get_seq_length() == copied.get_seq_length() == 5
    for cache in (shared, copied):
        cache.cut(4)
    shared.part(room=8)
    layer, other = shared.layers[0], copied.layers[0]
    assert shared.get_seq_length() == 4
    assert torch.equal(layer.keys, other.keys)
    assert torch.equal(layer.values, other.values)
    assert layer.common is None


def test_parting_before_anything_is_written():
    cache = GrowingCache(layers=1, room=3)
    states = torch.randn(2, 1, 2, 3, 4)
    cache.update(*states, 0)
    cache.share(2, room=5)
    cache.part(room=5)
    assert torch.equal(cache.layers[0].keys, states[0].repeat_interleave(2, dim=0))
