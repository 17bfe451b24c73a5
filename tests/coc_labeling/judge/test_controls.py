from dataclasses import replace

import numpy as np
import pytest

from builders.asked import CLIP, recorded_window
from builders.driving import drive
from builders.scenes import NO_BOXES, ahead_of, boxes, together
from coc_labeling.judge import controls
from coc_labeling.judge.controls import NOTICED_IN, Telling, control_of, known_of, twin_of
from coc_labeling.judge.stages import Stage
from coc_labeling.keyframes import Keyframe
from coc_labeling.planting import WORDINGS, Error, compose, plant
from coc_labeling.scene import scene_facts
from coc_labeling.schema import CoCLabel, Side
from coc_labeling.windows import Window
from driving_clips.obstacles import ObstacleTracks

VAN = {"id": "c1", "category": "critical_object", "relation": "parked", "side": "right", "description": "white van"}
LABEL = CoCLabel.model_validate(
    {
        "components": [VAN],
        "longitudinal": {"decision": "adapt_speed", "cause_ids": ["c1"]},
        "lateral": {"decision": "nudge_in_lane", "direction": "left", "cause_ids": ["c1"]},
        "trace": "A white van stands on the right.",
        "effect_on_ego_behavior": "Ease off and give the parked van on the right plenty of room.",
    }
)


def window(**changes) -> Window:
    return replace(recorded_window(drive()), **changes)


def tracks(start_sec: float) -> ObstacleTracks:
    """Return one car that comes towards ego beside its path, seen from a time on."""
    t_us = np.arange(round(start_sec * 10), 110, dtype=np.int64) * 100_000
    n = len(t_us)
    ahead = np.interp(6.0, np.arange(201) / 10, drive().x) + 70 - (t_us / 1e6 - 6.0) * 8.0
    center = np.stack([ahead, np.full(n, 3.5), np.zeros(n)], axis=1)
    size = np.tile([4.5, 1.9, 1.5], (n, 1))
    return ObstacleTracks(t_us, np.full(n, "7"), np.full(n, "automobile"), center, np.full(n, np.pi), size)


def test_each_error_is_noticed_somewhere_and_the_first_stage_is_asked_about_no_decision():
    assert set(NOTICED_IN) == set(Error)
    assert all(NOTICED_IN.values())
    blind = {Error.FLIPPED_DIRECTION, Error.WRONG_MANOEUVRE, Error.STOP_WHILE_MOVING, Error.MISSED_LANE_CHANGE}
    assert not any(Stage.EVIDENCE in NOTICED_IN[error] for error in blind)


def test_labels_get_different_errors_in_turn():
    known = known_of(LABEL, window())
    assert len({control_of(LABEL, known, turn, Stage.CAUSE).error for turn in range(len(Error))}) >= 3


@pytest.mark.parametrize("stage", Stage)
def test_only_errors_that_a_stage_can_see_are_planted(stage):
    for turn in range(len(Error)):
        assert stage in NOTICED_IN[control_of(LABEL, known_of(LABEL, window()), turn, stage).error]


@pytest.mark.parametrize("turn", range(len(Error)))
def test_a_twin_is_true_and_told_as_the_planted_label_is(turn):
    control = control_of(LABEL, known_of(LABEL, window()), turn, Stage.CAUSE)
    twin, planted = control.told(Telling.TWIN), control.told(Telling.PLANTED)
    assert (twin.longitudinal, twin.lateral, twin.components) == (LABEL.longitudinal, LABEL.lateral, LABEL.components)
    assert (twin.longitudinal, twin.lateral, twin.components) != (
        planted.longitudinal,
        planted.lateral,
        planted.components,
    )
    assert twin.trace is None
    assert planted.trace is None
    anew = compose(twin.longitudinal, twin.lateral, twin.components, 0)
    assert twin.effect_on_ego_behavior == (
        anew if planted.effect_on_ego_behavior == _anew(planted) else LABEL.effect_on_ego_behavior
    )


def _anew(label: CoCLabel) -> str:
    return compose(label.longitudinal, label.lateral, label.components, 0)


@pytest.mark.parametrize("wording", range(WORDINGS))
def test_a_sentence_in_our_own_words_stays_in_them(wording):
    sentence = compose(LABEL.longitudinal, LABEL.lateral, LABEL.components, wording)
    label = LABEL.model_copy(update={"effect_on_ego_behavior": sentence})
    planted = plant(label, Error.STOP_WHILE_MOVING, known_of(label, window()))
    assert twin_of(label, planted).effect_on_ego_behavior == sentence


def test_without_tracks_no_vehicle_is_called_a_phantom():
    assert known_of(LABEL, window()).has_lead
    assert known_of(LABEL, window()).later is None


def test_a_vehicle_is_a_phantom_where_the_tracks_would_show_it():
    d = drive()
    far = boxes("far", d.x + 70.0, 12.0, d.t_us)  # others are measured, and far enough
    near = boxes("near", d.x + 20.0, 12.0, d.t_us)
    late = far.select(far.t_us > 6_000_000)
    assert not known_of(LABEL, window(obstacles=far)).has_lead
    assert known_of(LABEL, window(obstacles=together(far, ahead_of(d, 20.0)))).has_lead
    for nothing_known in (NO_BOXES, near, late):
        assert known_of(LABEL, window(obstacles=nothing_known)).has_lead


def test_where_tracks_cannot_be_relied_on_no_vehicle_is_called_a_phantom(monkeypatch):
    """As where their clock is off: then there are no roles, which is no sign of an empty road."""
    d = drive()
    shown = window(obstacles=boxes("far", d.x + 70.0, 12.0, d.t_us))
    facts = replace(scene_facts(shown.ego, None), problems=("the clock is off",))
    monkeypatch.setattr(controls, "scene_facts", lambda *_: facts)
    assert known_of(LABEL, shown).has_lead


@pytest.mark.parametrize(("sign", "side"), [(1, "left"), (-1, "right")])
def test_a_lane_change_is_known(sign, side):
    rate = 3.5 * 2 * np.pi / (15.0 * 16)
    ego = drive(speed=15.0, yaw_rate=lambda t: sign * rate * np.sin(np.pi * (t - 6) / 2) * ((t >= 6) & (t < 10)))
    assert known_of(LABEL, recorded_window(ego)).changes_lane == side
    assert known_of(LABEL, window()).changes_lane is None


def test_the_side_that_traffic_keeps_to_is_handed_on(monkeypatch):
    handed = []
    monkeypatch.setattr(controls, "scene_facts", lambda *given: handed.append(given[2]) or scene_facts(*given))
    known_of(LABEL, window(driving_side=Side.LEFT))
    assert handed == [Side.LEFT]


def test_whoever_is_seen_only_later_is_a_cause_of_the_future():
    d = drive()
    beside = boxes("9", d.x - 20.0, 12.0, d.t_us)  # others are measured at the keyframe
    known = known_of(LABEL, window(obstacles=together(beside, tracks(start_sec=6.0))))
    assert (known.later.relation, known.later.track_id, known.later.id) == ("oncoming", "7", "c2")
    assert "oncoming automobile" in known.later.description
    assert known_of(LABEL, window(obstacles=together(beside, tracks(start_sec=3.0)))).later is None
    assert known_of(LABEL, window(obstacles=tracks(start_sec=6.0))).later is None


def test_what_the_labeller_itself_calls_later_is_taken():
    later = {"category": "traffic_light", "description": "a light that turns red"}
    label = CoCLabel.model_validate(LABEL.model_dump() | {"emerged_after": later})
    assert known_of(label, window()).later.description == "a light that turns red"


def test_a_window_that_the_clip_cuts_off_is_taken_for_one_that_ends_standing():
    assert not known_of(LABEL, window()).stands
    cut = replace(recorded_window(drive(8.0)), keyframe=Keyframe(CLIP, 5_000_000))
    assert known_of(LABEL, cut).stands
    assert not known_of(LABEL, cut).path_known
