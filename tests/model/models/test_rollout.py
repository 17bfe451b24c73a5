"""Writing: as transformers' generate does, with one prefill, and with each row's end known."""

import numpy as np
import pytest
import torch
from transformers import LogitsProcessorList, StoppingCriteriaList

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.models.alpamayo_r1 import AlpamayoR1, ExpertLogitsProcessor
from alpamayo_r1.models.rollout import Sampling, Writer
from alpamayo_r1.models.token_utils import StopAfterEOS
from tiny_model import BASE, SceneSpec, counted, data_of, scripted, tiny_model, write_base

END = "<|traj_future_start|>"
TURN_END = "<|im_end|>"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(write_base(tmp_path_factory.mktemp("base") / BASE))


def written(model: AlpamayoR1, data, samples: int, sampling: Sampling):
    with torch.no_grad():
        prompt, _ = model._read_data(data)
        return prompt, model._write(prompt, samples, sampling)


def generated(model: AlpamayoR1, prompt, samples: int, sampling: Sampling) -> torch.Tensor:
    """What transformers writes, (R, L + n)."""
    token = model.config.traj_token_ids["future_start"]
    closed = ExpertLogitsProcessor(model.config.traj_token_start_idx, model.config.traj_vocab_size)
    return model.vlm.generate(
        input_ids=prompt.input_ids,
        attention_mask=prompt.attention_mask,
        mm_token_type_ids=(prompt.input_ids == model.vlm.config.image_token_id).int(),
        logits_processor=LogitsProcessorList([closed]),
        stopping_criteria=StoppingCriteriaList([StopAfterEOS(token)]),
        do_sample=True,
        num_return_sequences=samples,
        max_new_tokens=sampling.max_length,
        top_p=sampling.top_p,
        top_k=sampling.top_k or 0,
        temperature=sampling.temperature,
        **prompt.vision,
    )


class TestLikeGenerate:
    @pytest.mark.parametrize("top_k", [None, 5])
    @pytest.mark.parametrize("scenes", [1, 2])
    def test_same_tokens_from_the_same_seed(self, model, scenes, top_k):
        sampling = Sampling(0.9, top_k, 0.8, 24)
        data = data_of(model, *(SceneSpec(seed=i, frames=2 + i) for i in range(scenes)))
        torch.manual_seed(5)
        prompt, own = written(model, data, 3, sampling)
        torch.manual_seed(5)
        theirs = generated(model, prompt, 3, sampling)
        assert torch.equal(own.token_ids, theirs)
        assert len({tuple(row) for row in own.token_ids.tolist()}) == 3 * scenes

    def test_with_ends(self, model):
        data = data_of(model, SceneSpec())
        script = [["a", END, "b"], ["a", "b", "c", END], ["a", TURN_END]]
        sampling = Sampling(0.9, None, 0.8, 10)
        torch.manual_seed(5)
        with scripted(model, script) as calls:
            prompt, own = written(model, data, 3, sampling)
        assert calls == [1, 3, 3, 3, 3]
        torch.manual_seed(5)
        with scripted(model, script):
            theirs = generated(model, prompt, 3, sampling)
        kept = own.token_ids != model.tokenizer.pad_token_id
        assert own.token_ids.shape == theirs.shape
        assert torch.equal(own.token_ids[kept], theirs[kept])


class TestPrefillOnce:
    @pytest.mark.parametrize("samples", [1, 4])
    def test_rows_of_each_call(self, model, samples):
        data = data_of(model, SceneSpec(), SceneSpec(seed=1))
        with counted(model.vlm.model.visual) as vision, counted(model.vlm.model.language_model) as language:
            prompt, _ = written(model, data, samples, Sampling(1.0, None, 1.0, 6))
        assert len(vision) == 1
        assert language[0][:2] == (2, prompt.length)
        assert [shape[:2] for shape in language[1:]] == [(2 * samples, 1)] * 6


class TestEnds:
    def ends(self, model, script, length=6):
        data = data_of(model, SceneSpec(), SceneSpec(seed=1, frames=3))
        with scripted(model, script):
            return written(model, data, len(script) // 2, Sampling(1.0, 1, 1.0, length))

    def test_columns_and_positions(self, model):
        prompt, own = self.ends(
            model, [["a", END], ["a", "b", END], ["a", TURN_END], ["a", "b", "c", "d", "e", "f"]], length=6
        )
        length = prompt.length
        assert own.stopped.tolist() == [True, True, False, False]
        assert own.cache.get_seq_length() == length + 6
        padding = (1 - prompt.attention_mask).sum(dim=1).repeat_interleave(2)
        assert padding[0] > 0
        read = torch.tensor([2, 3, 2, 6])
        assert torch.equal(own.open_columns.sum(dim=1), length - padding + read)
        assert torch.equal(own.next_position, prompt.next_position.repeat_interleave(2) + read)
        for row in range(4):
            own_columns = own.open_columns[row].nonzero()[:, 0].tolist()
            assert own_columns == list(range(int(padding[row]), length + int(read[row])))

    def test_padding_after_the_end(self, model):
        prompt, own = self.ends(model, [[END, "x", "y"], ["a", "b", "c", END, "x"]])
        pad, vocabulary = model.tokenizer.pad_token_id, model.tokenizer.get_vocab()
        tail = own.token_ids[:, prompt.length :].tolist()
        assert tail[0] == [vocabulary[END], pad, pad, pad, pad]
        assert tail[1] == [*(vocabulary[t] for t in "abc"), vocabulary[END], pad]

    def test_end_token_at_the_very_last(self, model):
        prompt, own = self.ends(model, [["a", END], ["a", "b"]], length=2)
        assert own.stopped.tolist() == [True, False]
        assert own.cache.get_seq_length() == prompt.length + 2
        assert own.open_columns[:, -1].all(), "what was written last is read, be it the end or not"

    def test_prompt_that_ends_with_the_end_token(self, model):
        data = data_of(model, SceneSpec())
        ids = data["tokenized_data"]["input_ids"]
        ids[0, -1] = model.config.traj_token_ids["future_start"]
        prompt, own = written(model, data, 1, Sampling(1.0, 1, 1.0, 4))
        assert own.token_ids.shape[1] == prompt.length + 1
        assert own.stopped.tolist() == [True]
        assert own.open_columns.shape[1] == prompt.length
        ids[0, -2:] = ids[0, -2:].flip(0)
        _, other = written(model, data, 1, Sampling(1.0, 1, 1.0, 4))
        assert not other.stopped.any()

    def test_trajectory_tokens_are_never_written(self, model):
        data = data_of(model, SceneSpec())
        first = model.config.traj_token_start_idx
        bias = torch.zeros(model.config.vocab_size)
        bias[first : first + model.config.traj_vocab_size] = 50
        handle = model.vlm.lm_head.register_forward_hook(lambda _, __, logits: logits + bias)
        try:
            prompt, own = written(model, data, 8, Sampling(1.0, None, 1.0, 8))
        finally:
            handle.remove()
        drawn = own.token_ids[:, prompt.length :]
        assert not ((drawn >= first) & (drawn < first + model.config.traj_vocab_size)).any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"top_p": 0.0}, "top_p: .*found 0.0"),
        ({"top_p": 1.5}, "top_p: .*found 1.5"),
        ({"top_p": float("nan")}, "top_p: .*found nan"),
        ({"top_k": 0}, "top_k: .*found 0"),
        ({"top_k": 2.5}, "top_k: .*found 2.5"),
        ({"temperature": 0.0}, "temperature: .*found 0.0"),
        ({"temperature": float("inf")}, "temperature: .*found inf"),
        ({"max_length": 1}, "max_generation_length: expected at least 2.*found 1"),
        ({"max_length": 3.0}, "max_generation_length: .*found 3.0"),
    ],
)
def test_sampling_that_cannot_be(changes, message):
    with pytest.raises(AlpamayoError, match=message):
        Sampling(**({"top_p": 0.98, "top_k": None, "temperature": 0.6, "max_length": 256} | changes))


def test_a_model_that_gives_no_numbers_is_said(model):
    handle = model.vlm.lm_head.register_forward_hook(lambda _, __, logits: logits * float("nan"))
    try:
        with pytest.raises(AlpamayoError, match="the language model gives NaN for token 1"):
            written(model, data_of(model, SceneSpec()), 1, Sampling(0.98, None, 0.6, 8))
    finally:
        handle.remove()


def test_counts_of_numpy_will_do():
    assert Sampling(0.98, np.int64(3), 0.6, np.int64(8)).processors()


def test_writer_leaves_the_generation_configuration(model):
    before = model.vlm.generation_config.to_dict()
    written(model, data_of(model, SceneSpec()), 2, Sampling(0.5, 3, 0.7, 4))
    assert model.vlm.generation_config.to_dict() == before
    assert isinstance(Writer(model.vlm, 1, (), 0), Writer)
