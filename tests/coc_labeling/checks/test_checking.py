from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.checked import (
    checked,
    clip_of,
    contradictions,
    lane,
    mirrored_finding,
    mirrored_label,
    mirrored_scene,
    road_user,
    said,
    speed,
    verdicts,
)
from builders.driving import drive, lively_drive
from builders.records import labels
from builders.scenes import ahead_of, braking, label_at, onset, random_boxes, random_drive, standing_at, together
from coc_labeling.checks import CHECKS, ENTRY_POINTS, all_checks
from coc_labeling.checks.base import Check, Verdict
from coc_labeling.checks.checking import Checker, LabelToCheck
from coc_labeling.schema import FactSource
from driving_clips import registry
from driving_clips.errors import ClipRejectedError

SENTENCES = [
    "Turn left at the junction.",
    "Change lane to the right to pass the slow truck.",
    "Nudge left around the parked car on the right.",
    "Stop behind the lead vehicle for the pedestrian crossing from the left.",
    "Slow down for the right curve and yield to the car cutting in from the right.",
    "Keep the lane and the speed as the road ahead is clear.",
    "Follow the left lead vehicle, then turn right.",
]


@settings(max_examples=60, deadline=None)
@given(labels(), st.integers(0, 10**6), st.integers(0, 200), st.booleans())
def test_no_label_is_too_odd_to_be_checked(label, seed, frame, with_tracks):
    d = random_drive(seed)
    found = checked(label, d, frame, random_boxes(seed, d) if with_tracks else None)
    assert 0.0 <= found.risk.value <= 1.0
    assert (found.risk.status == "abstained") == (label.abstention is not None)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(SENTENCES), st.integers(0, 10**6), st.integers(0, 200))
def test_the_mirrored_label_of_the_mirrored_scene_has_the_mirrored_findings(sentence, seed, frame):
    d = random_drive(seed)
    obstacles = random_boxes(seed, d)
    label = said(sentence.lower())
    own = checked(label, d, frame, obstacles)
    other = checked(mirrored_label(label), *_shown(mirrored_scene(d, obstacles), frame))
    assert own.risk.value == pytest.approx(other.risk.value, abs=1e-3)
    summaries = [sorted((f.check, str(f.verdict)) for f in found.findings) for found in (own, other)]
    assert summaries[0] == summaries[1]
    assert {mirrored_finding(f).about for f in own.findings} == {f.about for f in other.findings}


def _shown(scene, frame):
    d, obstacles = scene
    return d, frame, obstacles


SCENES = [
    (braking(), "strong_deceleration", None),
    (braking(to_mps=0.0, by=3.5), "strong_deceleration", lambda d: standing_at(d, 135.0)),
    (braking(), "strong_deceleration", lambda d: ahead_of(d, 18.0)),
    (drive(speed=lambda t: 4.0 + 1.2 * (t - 8).clip(0, 6)), "gentle_acceleration", None),
    *((lively_drive(seed), "strong_deceleration", None) for seed in (0, 1, 3)),
]


@pytest.mark.parametrize(("d", "action", "others"), SCENES)
def test_what_rules_say_of_what_they_see_is_not_contradicted(d, action, others):
    obstacles = None if others is None else others(d)
    frame = onset(d, action)
    found = checked(label_at(d, frame, obstacles), d, frame, obstacles)
    assert contradictions(found) == []
    assert found.risk.status == "low"


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 140))
def test_rules_are_seldom_found_wrong_on_any_drive(seed, frame):
    d = random_drive(seed)
    found = checked(label_at(d, frame), d, frame)
    told = [check for check in contradictions(found) if check not in ("lane", "unmentioned", "speed", "timing")]
    assert told == []  # the rules look for lane changes less closely, and keep names of meta-actions that are averages


def test_what_the_labeller_was_told_is_no_independent_evidence():
    label = said("Slow down for the lead vehicle.")
    found = checked(label, braking(), 80, ahead_of(braking(), 15.0), told=frozenset({FactSource.EGO_MOTION}))
    shares = {finding.check: finding.shares_facts(found.told) for finding in found.findings}
    assert (shares["speed"], shares["lead"], shares["readable"]) == (True, False, False)


@pytest.mark.parametrize("told", [FactSource.EGO_MOTION, FactSource.TIMELINE])
def test_ego_s_path_among_others_is_ego_s_path_all_the_same(told):
    label = said("Change lane to the left.", lateral=lane("change_lane", "left"))
    road = drive(speed=12.0)
    others = together(*(ahead_of(road, 15.0 * n, left=3.6 * (n % 2), track_id=str(n)) for n in range(-1, 3)))
    d = drive(speed=12.0, yaw_rate=lambda t: 0.0875 * (((t > 8) & (t < 10)) * 1.0 - ((t > 10) & (t < 12)) * 1.0))
    for obstacles in (None, others):
        found = checked(label, d, 78, obstacles, told=frozenset({told}))
        own = [finding for finding in found.findings if finding.check in ("lane", "direction", "timing")]
        assert [finding.check for finding in own] == ["direction", "lane", "timing"]
        assert all(finding.shares_facts(found.told) for finding in own)


def test_who_was_told_tracks_only_was_not_told_ego_s_motion():
    found = checked(said("Slow down for the lead vehicle."), braking(), 80, told=frozenset({FactSource.TRACKS}))
    assert not any(finding.shares_facts(found.told) for finding in found.findings)


def test_a_cause_whose_state_is_wrong_makes_its_decision_s_causes_wrong():
    label = said("Slow down for the stopped lead vehicle.")
    found = checked(label, braking(to_mps=4.0), 80, ahead_of(braking(to_mps=4.0), 15.0))
    assert verdicts(found, "object_state") == verdicts(found, "correctness") == ["contradicted"]


def test_two_causes_in_the_same_words_are_two():
    twins = [road_user("a car", "lead") | {"id": name} for name in ("c1", "c2")]
    twins[1] |= {"relation": "crossing"}
    label = said("Yield.", longitudinal=speed("yield", "c1", "c2"), components=twins)
    d = braking(to_mps=4.0)
    far = standing_at(d, 160.0, 30.0, track_id="9")
    (finding,) = (
        f for f in checked(label, d, 80, together(ahead_of(d, 15.0), far)).findings if f.check == "correctness"
    )
    assert (finding.verdict, finding.reason) == ("contradicted", "1 of 2 causes are contradicted")


def test_a_keyframe_outside_the_clip_is_refused():
    clip = clip_of(braking(), 80)
    with pytest.raises(ClipRejectedError, match="outside"):
        Checker().check(clip, LabelToCheck(30_000_000, said("Stop.")))


def test_the_structure_and_the_sentence_make_one_claim():
    label = said(
        "Nudge left around the parked van on the right.",
        lateral=lane("nudge_in_lane", "left", "c1"),
        longitudinal=speed("track_speed"),
        components=[road_user("white van", "parked", "right")],
    )
    found = checked(label, drive(speed=10.0), 80)
    assert [f.about for f in found.findings if f.check == "road_user"] == ["white van"]


class PickyCheck(Check):
    """Finds fault with everything that others found."""

    name = "picky"

    def find(self, case, earlier):
        if earlier:
            yield self.contradicted("all", f"{len(earlier)} findings are too many", 0.9)


def test_checks_of_others_see_what_came_before(monkeypatch):
    monkeypatch.setitem(CHECKS, "picky", PickyCheck)
    found = checked(said("Slow down."), braking(), 80)
    assert found.findings[-1].reason == f"{len(found.findings) - 1} findings are too many"
    assert found.count(Verdict.CONTRADICTED) >= 1


def test_all_checks_are_registered_under_their_names():
    assert [check.name for check in all_checks()] == registry.names(CHECKS, ENTRY_POINTS)


@pytest.mark.parametrize("spoil", ["nan", "gaps", "swapped", "late", "many"])
def test_no_tracks_are_too_odd_to_be_checked_with(spoil):
    d = lively_drive(2)
    own = together(ahead_of(d, 15.0), standing_at(d, 60.0, -3.0, track_id="8"), ahead_of(d, 30.0, track_id="9"))
    rows = np.arange(len(own))
    if spoil == "nan":
        own = replace(own, center=np.where((rows % 3 == 0)[:, None], np.nan, own.center), yaw=own.yaw * np.nan)
    elif spoil == "gaps":
        own = own.select((own.t_us // 1_000_000) % 3 != 0)
    elif spoil == "swapped":
        ids = np.where(own.t_us > 8_000_000, np.where(own.track_id == "7", "9", "7"), own.track_id)
        own = replace(own, track_id=ids)
    elif spoil == "late":
        own = replace(own, t_us=own.t_us + 500_000)
    else:
        own = together(*(ahead_of(d, 15.0 + n / 10, left=n % 40 - 20, track_id=str(n)) for n in range(1500)))
    found = checked(said("Stop behind the lead vehicle for the pedestrian crossing from the left."), d, 80, own)
    assert 0.0 <= found.risk.value <= 1.0
