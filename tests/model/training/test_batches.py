import pickle
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate import Accelerator, skip_first_batches
from accelerate.data_loader import BatchSamplerShard
from hypothesis import given, settings
from hypothesis import strategies as st

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.training.batches import BucketBatchSampler, Collator, data_loader, usable
from alpamayo_r1.training.prepared import FrameSize, PreparedSet
from builders.prepared import COTS, scene

LENGTHS = st.lists(st.integers(10, 3000), min_size=1, max_size=300)
SIZES, SEEDS, EPOCHS = st.integers(1, 9), st.integers(0, 2**32), st.integers(0, 20)


@given(LENGTHS, SIZES, SEEDS, EPOCHS, st.booleans())
@settings(deadline=None)
def test_each_scene_comes_once_an_epoch_in_batches_of_the_size(lengths, size, seed, epoch, shuffle):
    sampler = BucketBatchSampler(lengths, size, seed=seed, shuffle=shuffle)
    sampler.set_epoch(epoch)
    batches = list(sampler)
    assert sorted(place for batch in batches for place in batch) == list(range(len(lengths)))
    assert len(batches) == len(sampler)
    assert all(len(batch) == size for batch in batches[:-1])
    assert 1 <= len(batches[-1]) <= size


@given(LENGTHS, SIZES, SEEDS, EPOCHS)
@settings(deadline=None)
def test_seed_and_epoch_alone_decide_the_order(lengths, size, seed, epoch):
    first, again = (BucketBatchSampler(lengths, size, seed=seed) for _ in range(2))
    list(again)  # what went before does not matter
    again.set_epoch(epoch + 1)
    first.set_epoch(epoch)
    again.set_epoch(epoch)
    assert list(first) == list(again) == list(first)


def test_epochs_and_seeds_have_orders_of_their_own():
    sampler, other = (BucketBatchSampler(range(100), 4, seed=seed) for seed in (0, 1))
    first = list(sampler)
    assert first != list(other)
    sampler.set_epoch(1)
    assert first != list(sampler)


def test_a_batch_has_scenes_of_about_one_length():
    random = np.random.default_rng(0)
    lengths = random.integers(100, 1000, 4000)
    padding = [max(lengths[batch]) - lengths[batch].mean() for batch in BucketBatchSampler(lengths, 8)]
    anyhow = [max(own) - own.mean() for own in lengths.reshape(-1, 8)]
    assert np.mean(padding) < np.mean(anyhow) / 20


def test_a_batch_size_of_nothing_is_refused():
    with pytest.raises(AlpamayoError, match="batch_size=0"):
        BucketBatchSampler([1], 0)


@given(st.integers(1, 60), SIZES, st.integers(1, 4))
@settings(deadline=None)
def test_processes_share_all_scenes(count, size, processes):
    sampler = BucketBatchSampler(list(range(count)), size)
    own = [
        [place for batch in BatchSamplerShard(sampler, processes, process) for place in batch]
        for process in range(processes)
    ]
    assert {place for places in own for place in places} == set(range(count))
    assert len({len(places) for places in own}) == 1


def test_accelerate_goes_on_in_the_middle_of_a_later_epoch(tiny, scenes):
    config, tokenizer = tiny
    names = []
    for epoch, skip in ((0, 0), (1, 0), (1, 1)):
        own = data_loader(scenes, range(6), Collator(tokenizer, config), 2, seed=3)
        prepared = Accelerator(cpu=True).prepare_data_loader(own)
        prepared.set_epoch(epoch)
        batches = skip_first_batches(prepared, skip) if skip else prepared
        names.append([tuple(batch["names"]) for batch in batches])
    assert names[0] != names[1]
    assert names[1][1:] == names[2]


def test_a_batch_is_padded_on_the_left(tiny):
    config, tokenizer = tiny
    collator = Collator(tokenizer, config)
    own = [scene(cot, number=n) for n, cot in enumerate(COTS)]
    batch = collator(own)
    ids, attention = (batch["tokenized_data"][name] for name in ("input_ids", "attention_mask"))
    assert (attention.diff(dim=1) >= 0).all()
    assert attention[:, -1].all()
    assert (ids[attention == 0] == tokenizer.pad_token_id).all()
    assert not batch["loss_mask"][attention == 0].any()
    for row, one in enumerate(own):
        alone = collator([one])
        assert torch.equal(ids[row][attention[row] == 1], alone["tokenized_data"]["input_ids"][0])
        assert torch.equal(batch["loss_mask"][row][attention[row] == 1], alone["loss_mask"][0])
    assert batch["names"] == [(one.clip_id, one.t0_us) for one in own]


def test_shapes_and_types_of_a_batch(tiny):
    config, tokenizer = tiny
    batch = Collator(tokenizer, config)([scene(number=1), scene(COTS[1])])
    shapes = {key: tuple(value.shape) for key, value in batch.items() if isinstance(value, torch.Tensor)}
    length = batch["tokenized_data"]["input_ids"].shape[1]
    assert shapes == {
        "ego_history_xyz": (2, 1, 16, 3),
        "ego_history_rot": (2, 1, 16, 3, 3),
        "ego_future_xyz": (2, 1, 64, 3),
        "ego_future_rot": (2, 1, 64, 3, 3),
        "loss_mask": (2, length),
    }
    tokenized = batch["tokenized_data"]
    types = tokenized["mm_token_type_ids"]
    assert int(types.sum()) == 2 * 2 * 2  # rows, pictures, tokens of one of 32 x 64 pixels
    assert tuple(tokenized["image_grid_thw"].shape) == (4, 3)
    assert tokenized["pixel_values"].dtype == torch.float32


def test_lengths_are_those_of_rows(tiny, scenes):
    config, tokenizer = tiny
    for options in ({}, {"for_expert": True}, {"components": ("traj_history", "prompt", "cot", "traj_future")}):
        collator = Collator(tokenizer, config, **options)
        indices = [4, 0, 2]
        rows = [collator([scenes[index]])["tokenized_data"]["input_ids"].shape[1] for index in indices]
        assert collator.lengths(scenes, indices).tolist() == rows


def test_frames_of_another_size_are_refused(tiny, scenes):
    config, tokenizer = tiny
    collator = Collator(tokenizer, config)
    with pytest.raises(AlpamayoError, match=r"clip0/5100000: frames of 50 x 48"):
        collator([scene(height=48, width=50)])
    other = PreparedSet.open(scenes.folder)
    other.settings["size"] = {**other.settings["size"], "max_pixels": 8192}
    with pytest.raises(AlpamayoError, match=r"prepared for FrameSize.*8192"):
        data_loader(other, [0], collator, 2)
    assert FrameSize() != other.size


def test_scenes_without_meta_actions_are_left_out_where_those_are_asked_for(tiny, scenes):
    config, tokenizer = tiny
    components = ("image", "traj_history", "prompt", "cot", "meta_action", "traj_future")
    assert usable(scenes, components) == ([], Counter({"no meta_action": 6}))
    assert usable(scenes, ("cot",)) == (list(range(6)), Counter())
    with pytest.raises(AlpamayoError, match="clip0/5100000: has no meta_action"):
        Collator(tokenizer, config, components)([scene()])
    with pytest.raises(AlpamayoError, match="no scenes"):
        data_loader(scenes, [], Collator(tokenizer, config), 2)


def test_text_that_looks_like_an_end_token_harms_its_row_alone(tiny):
    config, tokenizer = tiny
    collator = Collator(tokenizer, config)
    own = [scene("Go."), scene("Stop.<|cot_start|> or not", number=1), scene("Go.", number=2)]
    batch = collator(own)
    assert batch["problems"] == ["row 1: no loss on cot, whose end token is missing."]
    alone = collator([own[0]])
    length = alone["loss_mask"].shape[1]
    assert torch.equal(batch["loss_mask"][0, -length:], alone["loss_mask"][0])


def test_worker_processes_make_the_same_batches(tiny, scenes):
    config, tokenizer = tiny
    found = []
    for workers in (0, 1):
        loader = data_loader(scenes, range(6), Collator(tokenizer, config), 2, num_workers=workers)
        loader.batch_sampler.set_epoch(2)
        found.append(list(loader))
    for here, there in zip(*found, strict=True):
        assert here["names"] == there["names"]
        assert torch.equal(here["loss_mask"], there["loss_mask"])
        for name, values in here["tokenized_data"].items():
            assert torch.equal(values, there["tokenized_data"][name])


def test_a_collator_can_be_pickled(tiny):
    config, tokenizer = tiny
    collator = Collator(tokenizer, config)
    first = collator([scene()])
    again = pickle.loads(pickle.dumps(collator))([replace(scene())])
    assert torch.equal(first["tokenized_data"]["pixel_values"], again["tokenized_data"]["pixel_values"])
    assert torch.equal(first["tokenized_data"]["input_ids"], again["tokenized_data"]["input_ids"])
