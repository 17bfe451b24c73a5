from dataclasses import replace

import numpy as np
import pytest

from builders.driving import drive
from builders.scenes import NO_BOXES, ahead_of, boxes, motion_of, together
from coc_labeling.scene import Kind, scene_facts

CRUISE = drive(speed=10.0)
T = CRUISE.t_us / 1e6
LEAD = ahead_of(CRUISE, 20.0)


def facts_of(tracks, d=CRUISE):
    return scene_facts(motion_of(d), tracks)


def test_boxes_without_a_place_are_left_out_and_said():
    tracks = ahead_of(CRUISE, 20.0)
    center = tracks.center.copy()
    center[50:60] = np.nan
    facts = facts_of(replace(tracks, center=center))
    assert "10 of 201 boxes have no place" in facts.problems[0]
    assert facts.lead_at(40).distance_m == pytest.approx(20.0)


def test_boxes_where_ego_is_are_left_out_and_said():
    own = boxes("ego", CRUISE.x + 1.4, 0.0, CRUISE.t_us)
    facts = facts_of(together(own, ahead_of(CRUISE, 20.0)))
    assert "201 boxes stand where ego is (track ego)" in facts.problems[0]
    assert facts.lead_at(100).track_id == "7"


def test_boxes_that_the_dataset_could_not_place_are_said():
    facts = facts_of(replace(LEAD, lost_us=CRUISE.t_us[:30]))
    assert facts.problems == ("30 of 231 boxes have no place (NaN) and were left out",)
    assert facts.has_tracks


@pytest.mark.parametrize(
    ("tracks", "said"),
    [
        (NO_BOXES, "there is no box in the time of this clip"),
        (replace(NO_BOXES, lost_us=CRUISE.t_us), "only 0 of 201 boxes can be placed"),
        (replace(LEAD, center=LEAD.center * np.nan), "only 0 of 201 boxes can be placed"),
        (replace(LEAD.select(T < 5), lost_us=CRUISE.t_us[50:]), "only 50 of 201 boxes can be placed"),
        (replace(LEAD, t_us=LEAD.t_us + 10**12), "from 1000000.0 to 1000020.0 s, ego motion from 0.0 to 20.0 s"),
        (replace(NO_BOXES, lost_us=CRUISE.t_us + 10**12), "from 1000000.0 to 1000020.0 s"),
        (ahead_of(CRUISE, 400.0), "no box of others comes within 150 m of ego"),
        (boxes("ego", CRUISE.x + 1.4, 0.0, CRUISE.t_us), "no box of others comes within 150 m of ego"),
        (replace(LEAD, label_class=np.full(len(LEAD), "Car")), "is not known (Car); known are animal, automobile, bus"),
    ],
)
def test_where_nothing_usable_is_there_nothing_is_observable(tracks, said):
    facts = facts_of(tracks)
    assert (facts.has_tracks, facts.range_m, facts.roles, facts.users) == (False, 0.0, (), None)
    assert said in " ".join(facts.problems)
    assert "Nothing is claimed about others" in facts.problems[-1]
    assert not facts.observed_at(100)


def test_a_few_boxes_outside_ego_s_time_are_no_problem():
    facts = facts_of(replace(LEAD, lost_us=np.arange(21, 40) * 1_000_000))
    assert (facts.has_tracks, facts.problems) == (True, ())


def test_a_few_unknown_classes_count_as_vehicles():
    van = ahead_of(CRUISE, 30.0, track_id="van", label="Van\x1b" * 30).select(T < 3)
    facts = facts_of(together(LEAD.select(T > 3), van))
    assert facts.has_tracks
    assert "30 of 200 boxes have a label_class that is not known" in facts.problems[0]
    assert "They count as other_vehicle" in facts.problems[0]
    assert len(facts.problems[0]) < 400
    assert "\x1b" not in facts.problems[0]
    assert (facts.lead_at(10).track_id, facts.lead_at(10).label_class) == ("van", "other_vehicle")


@pytest.mark.parametrize("size", [np.inf, -4.5, 0.0, np.nan])
def test_a_size_that_is_none_is_unknown(size):
    tracks = facts_of(ahead_of(CRUISE, 20.0, size=(size, size, 1.6)))
    (role,) = [role for role in tracks.roles if role.kind == Kind.LEAD]
    assert role.distance_m == pytest.approx(22.25)
    assert tracks.lead_at(100).distance_m == pytest.approx(22.25)


def test_a_tick_is_observed_where_any_box_is_near_it():
    facts = facts_of(LEAD.select((T < 8) | (T > 12)))
    assert [facts.observed_at(tick) for tick in (0, 79, 84, 85, 100, 115, 116, 200, 206)] == [
        *(True, True, True, False),
        *(False, False, True, True, False),
    ]
    far = facts_of(together(LEAD.select(T < 8), ahead_of(CRUISE, 400.0, track_id="far")))
    assert far.observed_at(100)


def test_a_track_that_never_comes_near_is_known_by_its_name():
    facts = facts_of(together(LEAD, ahead_of(CRUISE, 400.0, track_id="far")))
    assert (facts.track("far").first_tick, facts.track("far").last_tick) == (0, 200)
    assert facts.track("nobody") is None
