import numpy as np
import pytest

from builders.checked import checked, road_user, said, speed, verdicts
from builders.driving import drive
from builders.scenes import boxes, standing_at, together

D = drive(speed=10.0)
FRAME = 80
LISTED = said("Slow down for the bus.", longitudinal=speed("yield", "c1"), components=[road_user("a bus")])


@pytest.mark.parametrize(("unlisted", "verdict"), [({"c1"}, ["contradicted"]), (set(), ["supported"]), (None, [])])
def test_a_cause_that_the_first_stage_did_not_list(unlisted, verdict):
    known = None if unlisted is None else frozenset(unlisted)
    assert verdicts(checked(LISTED, D, FRAME, unlisted=known), "history") == verdict


@pytest.mark.parametrize(("seen_from", "verdict"), [(0, "supported"), (84, "supported"), (100, "contradicted")])
def test_a_cause_that_is_first_seen_after_the_keyframe(seen_from, verdict):
    parked = standing_at(D, 140.0, -2.8)
    late = together(parked.select(np.arange(len(parked)) >= seen_from), standing_at(D, 60.0, 30.0, track_id="99"))
    assert verdicts(checked(said("Slow down for the parked car on the right."), D, FRAME, late), "history") == [verdict]


@pytest.mark.parametrize(("from_sec", "verdict"), [(7.0, "supported"), (11.5, "contradicted")])
def test_a_cut_in_that_begins_after_the_keyframe(from_sec, verdict):
    y = np.interp(D.t_us / 1e6, [from_sec, from_sec + 2.0], [3.5, 0.0])
    cut_in = boxes("8", D.x + 17.0, y, D.t_us)
    found = checked(said("Slow down for the car cutting in from the left."), D, FRAME, cut_in)
    assert verdicts(found, "history") == [verdict]


def test_a_sentence_that_tells_what_emerged_later():
    emerged = {"category": "critical_object", "relation": "crossing", "description": "a child runs out"}
    found = checked(said("Stop for the crossing child.", emerged_after=emerged), D, FRAME)
    assert verdicts(found, "history") == ["contradicted"]
