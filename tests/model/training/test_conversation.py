import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.training.batches import Collator
from alpamayo_r1.training.conversation import AnswerTokens, Parts, mask_of
from builders.prepared import COTS, scene

BOUNDS = AnswerTokens({"cot": 10, "traj_future": 20}, {"cot": 11, "traj_future": 21}, turn_start=1, turn_end=2)
PAD = 0


def masked(*rows, loss=("cot", "traj_future")):
    length = max(map(len, rows))
    ids = torch.tensor([[PAD] * (length - len(row)) + list(row) for row in rows])
    mask, problems = mask_of(ids, (ids != PAD).long(), BOUNDS, loss)
    return [ids[row][mask[row]].tolist() for row in range(len(rows))], problems


def test_a_loss_is_taken_from_start_to_end_token_and_on_the_end_of_the_turn():
    found, problems = masked([1, 5, 2, 1, 6, 10, 7, 8, 11, 20, 9, 9, 21, 2, 3])
    assert found == [[10, 7, 8, 11, 20, 9, 9, 21, 2]]
    assert problems == []


def test_only_chosen_answers_count():
    assert masked([1, 10, 7, 11, 20, 9, 21, 2], loss=("cot",))[0] == [[10, 7, 11, 2]]
    assert masked([1, 10, 7, 11, 20, 9, 21, 2], loss=("traj_future",))[0] == [[20, 9, 21, 2]]
    assert masked([1, 10, 7, 11, 20, 9, 21, 2], loss=())[0] == [[]]


def test_a_missing_end_harms_its_own_row_alone():
    whole = [1, 10, 7, 11, 20, 9, 21, 2]
    found, problems = masked(whole, [1, 10, 7, 8, 8, 20, 9, 21, 2], whole)
    assert found == [[10, 7, 11, 20, 9, 21, 2], [20, 9, 21], [10, 7, 11, 20, 9, 21, 2]]
    assert problems == ["row 1: no loss on cot, whose end token is missing."]


def test_an_end_of_the_next_row_is_not_taken():
    assert masked([1, 10, 7, 7], [11, 1, 10, 11], loss=("cot",))[0] == [[], [10, 11]]


def test_an_answer_that_begins_twice_has_a_loss_where_it_ends():
    found, problems = masked([1, 10, 7, 10, 8, 11, 2], loss=("cot",))
    assert found == [[10, 8, 11]]
    assert len(problems) == 1


def test_what_stands_in_an_earlier_turn_or_before_a_start_is_no_answer():
    assert masked([1, 10, 7, 11, 2, 1, 11, 5, 2])[0] == [[]]
    assert masked([1, 10, 7, 11, 2, 1, 10, 8, 11, 2])[0] == [[10, 8, 11, 2]]


def test_padding_is_never_masked_even_where_it_is_a_bound():
    ids = torch.tensor([[10, 7, 11, 1, 10, 8, 11, 2]])
    attention = torch.tensor([[0, 0, 0, 1, 1, 1, 1, 1]])
    assert mask_of(ids, attention, BOUNDS, ("cot",))[0].tolist() == [[False] * 4 + [True] * 4]


@pytest.mark.parametrize("loss", [("cot",), ("traj_future",), ("cot", "traj_future"), ("meta_action", "cot")])
def test_masks_of_batches_token_by_token(tiny, loss):
    config, tokenizer = tiny
    components = ("image", "traj_history", "prompt", "cot", "meta_action", "traj_future")
    scenes = [scene(cot, number=n, meta_action="lateral: go straight") for n, cot in enumerate(COTS)]
    batch = Collator(tokenizer, config, components, loss)(scenes)
    ids, mask = batch["tokenized_data"]["input_ids"], batch["loss_mask"]
    assert batch["problems"] == []
    for row, own in enumerate(scenes):
        parts = {
            "cot": f"<|cot_start|>{own.cot}<|cot_end|>",
            "meta_action": "<|meta_action_start|>lateral: go straight<|meta_action_end|>",
            "traj_future": f"<|traj_future_start|>{'<|traj_future|>' * 16}<|traj_future_end|>",
        }
        wanted = "".join(text for name, text in parts.items() if name in loss) + "<|im_end|>"
        assert tokenizer.decode(ids[row][mask[row]]) == wanted
        whole = tokenizer.decode(ids[row])
        assert whole.endswith("".join(parts.values()) + "<|im_end|>")
        assert int(ids[row][-1]) == tokenizer.convert_tokens_to_ids("<|im_end|>")


def test_for_the_expert_rows_end_where_it_takes_over(tiny):
    config, tokenizer = tiny
    batch = Collator(tokenizer, config, for_expert=True)([scene(cot, number=n) for n, cot in enumerate(COTS)])
    ids = batch["tokenized_data"]["input_ids"]
    assert set(ids[:, -1].tolist()) == {tokenizer.convert_tokens_to_ids("<|traj_future_start|>")}
    assert not (ids == tokenizer.convert_tokens_to_ids("<|traj_future|>")).any()
    assert tokenizer.decode(ids[1][batch["loss_mask"][1]]) == f"<|cot_start|>{COTS[1]}<|cot_end|>"
    assert batch["problems"] == []


def test_without_reasoning_the_future_is_asked_for_alone(tiny):
    config, tokenizer = tiny
    components = ("image", "traj_history", "prompt", "traj_future")
    batch = Collator(tokenizer, config, components, ("traj_future",))([scene()])
    text = tokenizer.decode(batch["tokenized_data"]["input_ids"][0])
    assert "<|traj_history_end|>output the future trajectory.<|im_end|>" in text
    assert re.search(r"assistant\s*<\|traj_future_start\|><\|traj_future\|>", text)
    assert "cot" not in text


def test_without_pictures_there_are_no_pixels(tiny):
    config, tokenizer = tiny
    tokenized = Collator(tokenizer, config, ("traj_history", "prompt", "cot"), ("cot",))([scene()])["tokenized_data"]
    assert set(tokenized) == {"input_ids", "attention_mask", "mm_token_type_ids"}
    assert not tokenized["mm_token_type_ids"].any()


@pytest.mark.parametrize(
    ("components", "loss", "named"),
    [
        (("image", "prompt", "cot"), ("cot",), "traj_history"),
        (("image", "traj_history", "prompt"), (), "at least one of"),
        (("traj_history", "prompt", "cot", "route"), (), "route"),
        (("traj_history", "prompt", "cot"), ("traj_future",), "traj_future"),
    ],
)
def test_parts_that_do_not_fit_are_refused(components, loss, named):
    with pytest.raises(AlpamayoError, match=named):
        Parts(components, loss)
    with pytest.raises(AlpamayoError, match="expert"):
        Parts(("traj_history", "prompt", "cot"), ("cot",), for_expert=True)


def test_a_tokenizer_without_an_answers_tokens_is_refused():
    class Other:
        def get_vocab(self):
            return {"<|im_start|>": 0, "<|im_end|>": 1}

    with pytest.raises(AlpamayoError, match="add_special_tokens"):
        AnswerTokens.of(Other(), ("cot",))


ROWS = st.lists(st.lists(st.sampled_from([1, 2, 5, 10, 11, 20, 21]), min_size=1, max_size=25), min_size=1, max_size=4)


@given(ROWS)
@settings(deadline=None)
def test_a_rows_mask_is_its_own_and_holds_whole_answers_and_one_end_of_turn(rows):
    length = max(map(len, rows))
    ids = torch.tensor([[PAD] * (length - len(row)) + row for row in rows])
    mask, problems = mask_of(ids, (ids != PAD).long(), BOUNDS, ("cot",))
    for number, row in enumerate(rows):
        alone, told = mask_of(torch.tensor([row]), torch.ones(1, len(row)), BOUNDS, ("cot",))
        assert torch.equal(mask[number, -len(row) :], alone[0])
        assert not mask[number, : length - len(row)].any()
        assert len(told) == sum(problem.startswith(f"row {number}:") for problem in problems)
        turn = "".join(map(chr, row)).rpartition("\x01")[2]
        answers = re.findall("\x0a[^\x0a\x0b]*\x0b", turn)
        marked = "".join(chr(token) for token, own in zip(row, alone[0].tolist(), strict=True) if own)
        after = turn.rpartition(answers[-1])[2] if answers else ""
        whole = not told and "\x02" in after
        assert len(marked) == len("".join(answers)) + whole
