from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.asked import CLIP, frames_of, recorded_window
from builders.driving import drive
from builders.runs import config
from coc_labeling.conversation import CameraFrames
from coc_labeling.judge.questions import Due, Judged, JudgeQuestion, Views, WindowJudge, question_hash
from coc_labeling.judge.stages import Stage
from coc_labeling.prompts.window_text import MotionText
from coc_labeling.schema import CoCLabel
from coc_labeling.windows import Sampling, Window

USUAL = Sampling(2.0, 6.0, 0.5)
LABEL = CoCLabel.model_validate(
    {
        "components": [{"id": "c1", "category": "traffic_light", "description": "a red light"}],
        "longitudinal": {"decision": "stop", "cause_ids": ["c1"]},
        "effect_on_ego_behavior": "Stop for the red light.",
    }
)


def judged(window: Window, *stages: Stage) -> Window:
    moment = Judged(CLIP, window.t0_us, label=LABEL, number=0, due=tuple(Due(stage) for stage in stages))
    return replace(window, keyframe=moment)


def asked(window: Window, cameras: list[CameraFrames], *stages: Stage, **views) -> list[JudgeQuestion]:
    judge = WindowJudge(Views(stages, USUAL, **views), ("front",))
    return list(judge.prepared(judged(window, *stages), cameras))


def times(question: JudgeQuestion, t0_us: int = 5_000_000) -> list[float]:
    return [(shot.t_us - t0_us) / 1e6 for shot in question.shots]


def test_each_stage_is_shown_its_own_part_of_the_window():
    own = recorded_window(drive())
    first, second, third = asked(own, [frames_of(own)], *Stage)
    assert times(first) == [-2.0, -1.5, -1.0, -0.5, 0.0]
    assert times(second) == [0.5 * n for n in range(12)]
    assert times(third) == [0.5 * n for n in range(-4, 12)]


def test_the_second_stage_can_be_shown_all():
    own = recorded_window(drive())
    (question,) = asked(own, [frames_of(own)], Stage.BEHAVIOUR, full_window=True)
    assert len(question.shots) == 16


def test_no_more_frames_are_taken_than_are_shown():
    def offsets(*stages, **views):
        return [offset / 1e6 for offset in Views(stages, USUAL, **views).sampling.offsets_us]

    assert offsets(Stage.EVIDENCE) == [-2.0, -1.5, -1.0, -0.5, 0.0]
    assert offsets(Stage.BEHAVIOUR) == [0.5 * n for n in range(12)]
    assert len(offsets(Stage.BEHAVIOUR, full_window=True)) == len(offsets(Stage.EVIDENCE, Stage.BEHAVIOUR)) == 16


@given(
    late_us=st.integers(1, 240_000),
    speed=st.floats(0.0, 30.0),
    missing=st.integers(0, 12),
)
def test_the_first_stage_does_not_depend_on_what_came_later(late_us, speed, missing):
    """Two windows that are alike up to the keyframe are asked about in the same words and frames."""
    own, other = recorded_window(drive()), recorded_window(drive(speed=lambda t: speed))
    known = frames_of(own)
    past = [shot for shot in known.shots if shot.t_us <= own.t0_us]
    future = [replace(s, t_us=s.t_us + late_us, data_uri=f"data:x{late_us}") for s in known.shots if s.t_us > own.t0_us]
    later = replace(known, shots=tuple(past + future[missing:]), missing=missing, notes=("odd",))
    (one,) = asked(own, [known], Stage.EVIDENCE)
    (two,) = asked(other, [later], Stage.EVIDENCE)
    assert one.parts == two.parts


def test_the_label_comes_last_so_that_its_variants_share_the_rest():
    own = recorded_window(drive())
    (question,) = asked(own, [frames_of(own)], Stage.CAUSE)
    assert "red light" in question.parts[-1].text
    assert not any("red light" in part.text for part in question.parts[1:-1])
    assert question.parts[0].role == "system"


def test_the_part_that_has_no_frames_is_not_asked_about():
    own = recorded_window(drive())
    only_late = replace(frames_of(own), shots=tuple(s for s in frames_of(own).shots if s.t_us > own.t0_us))
    first, third = asked(own, [only_late], Stage.EVIDENCE, Stage.CAUSE)
    assert first.unasked is not None
    assert (first.unasked.reason, first.unasked.error) == ("no_frames", True)
    assert third.unasked is None


def test_frames_that_are_missing_are_told_to_the_stage_that_lacks_them():
    own = recorded_window(drive())
    first, second, _ = asked(own, [frames_of(own, missing=2)], *Stage)
    assert "2 of 5 frames of front do not exist." in first.parts[1].text
    assert "do not exist" not in "".join(part.text for part in second.parts[1:])


def test_a_clip_that_ends_early_tells_the_first_stage_nothing():
    own = recorded_window(drive(8.0))
    first, second, _ = asked(own, [frames_of(own)], *Stage)
    assert "ends" not in "".join(part.text for part in first.parts[1:])
    assert "The recording ends" in second.parts[1].text


@pytest.mark.parametrize(
    ("stage", "change", "same"),
    [
        (Stage.CAUSE, {"model_name": "gpt5"}, False),
        (Stage.CAUSE, {"data_loader__video__max_side": 512}, False),
        (Stage.CAUSE, {"vlm_agent__temperature": 0.5}, False),
        (Stage.CAUSE, {"openai_compatible__model": "another"}, False),
        (Stage.CAUSE, {"num_workers": 3}, True),
        (Stage.CAUSE, {"data__data_dir": "elsewhere"}, True),
        (Stage.CAUSE, {"openai_compatible__base_url": "http://127.0.0.1:9/v1"}, True),
    ],
)
def test_scores_are_comparable_where_judge_words_and_pictures_are_the_same(stage, change, same):
    views = Views(tuple(Stage), USUAL)
    hashes = [question_hash(config(**settings), views, stage) for settings in ({}, change)]
    assert (hashes[0] == hashes[1]) is same


def test_what_the_second_stage_is_shown_concerns_it_alone():
    plain, full = Views(tuple(Stage), USUAL), Views(tuple(Stage), USUAL, True, MotionText(USUAL, USUAL))
    differ = [stage for stage in Stage if question_hash(config(), plain, stage) != question_hash(config(), full, stage)]
    assert differ == [Stage.BEHAVIOUR]
