import numpy as np
import pytest

from builders.checked import case, checked, road_user, said, speed, verdicts
from builders.driving import drive
from builders.scenes import NO_BOXES, ahead_of, boxes, standing_at, together
from coc_labeling.checks.watching import others_unknown, said_m

D = drive(speed=10.0)
FRAME = 80
LABEL = said("Keep distance to the lead vehicle and yield to the pedestrian crossing from the left.")
BOTH = ("lead", "road_user")


def found(obstacles, label=LABEL):
    own = checked(label, D, FRAME, obstacles)
    return {verdict for check in BOTH for verdict in verdicts(own, check)}


def until(obstacles, sec):
    return obstacles.select(obstacles.t_us < sec * 1e6)


def since(obstacles, sec):
    return obstacles.select(obstacles.t_us > sec * 1e6)


AHEAD = ahead_of(D, 15.0)
NAN = ahead_of(D, np.nan)


@pytest.mark.parametrize("obstacles", [None, NO_BOXES, NAN, until(AHEAD, 6.0), since(AHEAD, 10.0)])
def test_where_nobody_measured_nothing_of_others_is_observable(obstacles):
    assert found(obstacles) == {"not_observable"}
    assert checked(LABEL, D, FRAME, obstacles).risk.value == 0.5


def test_history_says_nothing_where_nobody_measured_at_the_keyframe():
    assert verdicts(checked(LABEL, D, FRAME, since(AHEAD, 10.0)), "history") == []


def test_an_empty_road_is_one_that_others_left_at_the_edge_of_what_is_seen():
    oncoming = boxes("8", 160.0 - 12.0 * D.t_us / 1e6, 3.5, D.t_us)
    gap = np.abs(oncoming.center[:, 0] - D.x)
    left = oncoming.select((gap < 98.0) & ((oncoming.center[:, 0] > D.x) | (gap < 90.0)))
    assert others_unknown(case(LABEL, D, 170, left)) is None
    assert others_unknown(case(LABEL, D, 170, until(left, 8.0))) is not None


def test_a_lead_further_away_than_anybody_is_seen():
    aside = ahead_of(D, 45.0, left=8.0)
    near, far = (said(f"Keep distance to the lead vehicle {m} m ahead.") for m in (20, 60))
    assert verdicts(checked(near, D, FRAME, aside), "lead") == ["contradicted"]
    assert verdicts(checked(far, D, FRAME, aside), "lead") == ["not_observable"]


@pytest.mark.parametrize(("seen_m", "severity"), [(80.0, 0.8), (45.0, 0.55)])
def test_a_lead_that_is_missing_weighs_less_where_others_are_seen_near_ego_only(seen_m, severity):
    own = checked(said("Follow the lead vehicle."), D, FRAME, ahead_of(D, seen_m, left=8.0))
    assert [f.severity for f in own.findings if f.check == "lead"] == [severity]


def test_where_others_are_seen_very_near_only_a_missing_lead_tells_nothing():
    assert verdicts(checked(said("Follow the lead vehicle."), D, FRAME, boxes("9", D.x - 8, 3.5, D.t_us)), "lead") == [
        "not_observable"
    ]


@pytest.mark.parametrize(
    ("words", "metres"),
    [
        ("Keep distance to the lead vehicle 60 m ahead.", 60.0),
        ("Keep distance to the lead vehicle, 25 metres ahead.", 25.0),
        ("Keep 13 m/s behind the lead vehicle.", 0.0),
        ("Follow the lead vehicle.", 0.0),
    ],
)
def test_distances_in_words(words, metres):
    own = case(said(words), D, FRAME)
    assert said_m(own.claims.causes[0], own) == metres


def test_a_track_far_away_is_a_track_all_the_same():
    far = together(AHEAD, standing_at(D, 400.0, track_id="8"))
    label = said("Go.", longitudinal=speed("follow_lead", "c1"), components=[road_user("car", "lead", track_id="8")])
    unknown = label.model_copy(update={"components": (label.components[0].model_copy(update={"track_id": "x"}),)})
    reasons = [
        next(f.reason for f in checked(own, D, FRAME, far).findings if f.check == "lead") for own in (label, unknown)
    ]
    assert "track 8 is not the lead" in reasons[0]
    assert "'x', which has no place in this clip" in reasons[1]
