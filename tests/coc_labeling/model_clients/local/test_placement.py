import pytest
from hypothesis import given
from hypothesis import strategies as st

from coc_labeling.model_clients.errors import ModelUnusable
from coc_labeling.model_clients.local.placement import GIB, KV_SHARE, Gpu, Placement, place, place_on_cpu


def gpus(count, gib=80):
    return [Gpu(str(index), "GPU", gib * GIB) for index in range(count)]


@pytest.mark.parametrize(
    ("count", "gib", "weights", "expected"),
    [
        (1, 141, 70, (1, 1)),
        (8, 141, 70, (1, 8)),
        (8, 80, 70, (2, 4)),  # it would fit one, with no room for a KV cache
        (8, 80, 65, (1, 8)),
        (8, 80, 125, (2, 4)),
        (1, 80, 70, (1, 1)),  # tight, but there is no other GPU
        (2, 80, 145, (2, 1)),
        (8, 80, 400, (8, 1)),
        (3, 80, 70, (2, 1)),  # the third has nobody to work with
        (6, 80, 70, (2, 3)),
    ],
)
def test_the_fewest_gpus_that_hold_it_and_replicas_on_the_others(count, gib, weights, expected):
    placement = place(gpus(count, gib), weights * GIB, 64, 0.95)
    assert (placement.tensor_parallel, placement.data_parallel) == expected


def test_groups_of_gpus():
    assert Placement(2, 3).groups(gpus(7)) == ["0,1", "2,3", "4,5"]


def test_settings_come_first():
    assert place(gpus(8), 70 * GIB, 64, 0.95, tensor_parallel=4) == Placement(4, 2)
    assert place(gpus(8), 70 * GIB, 64, 0.95, data_parallel=1) == Placement(2, 1)
    assert place_on_cpu(None, 2) == Placement(1, 2)


@pytest.mark.parametrize(
    ("weights", "settings", "words"),
    [
        (70, {"tensor_parallel": 16}, r"vllm\.tensor_parallel=16 needs 16 GPUs; there are 8"),
        (70, {"tensor_parallel": 4, "data_parallel": 3}, r"=4 x vllm\.data_parallel=3 needs 12 GPUs; there are 8"),
        (70, {"tensor_parallel": 3}, r"does not divide the model's 64 attention heads; expected one of: 1, 2, 4, 8"),
        (75, {"data_parallel": 8}, "8 replicas of 75 GiB of weights do not fit"),
        (200, {"tensor_parallel": 2}, r"raise vllm\.tensor_parallel"),
        (900, {}, r"900 GiB of weights do not fit.*on 8 GPUs of which 76 GiB"),
    ],
)
def test_what_cannot_be_says_what_there_is(weights, settings, words):
    with pytest.raises(ModelUnusable, match=words):
        place(gpus(8), weights * GIB, 64, 0.95, **settings)


@given(st.integers(1, 16), st.integers(1, 900), st.sampled_from([4, 12, 16, 28, 64]))
def test_a_placement_fits(count, weights, heads):
    try:
        placement = place(gpus(count), weights * GIB, heads, 0.9)
    except ModelUnusable:
        return
    size = placement.tensor_parallel
    assert heads % size == 0
    assert size * placement.data_parallel <= count < size * (placement.data_parallel + 1)
    roomy = weights / size <= (1 - KV_SHARE) * 72 * 1.0001
    assert roomy or 2 * size > count or heads % (2 * size)  # tight only where there are no more GPUs
