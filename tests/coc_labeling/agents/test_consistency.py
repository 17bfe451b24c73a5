import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.asked import facts, mirrored_facts, mirrored_text, window
from builders.driving import drive
from builders.scenes import mirrored, random_drive, window_at
from coc_labeling.agents import RulesAgent
from coc_labeling.agents.consistency import DrivenFacts, contradictions, driven_facts
from coc_labeling.schema import CoCLabel, Lateral, Longitudinal
from meta_action.names import EGO_NAMES, META_ACTIONS
from meta_action.timeline import Span

# What ego did.
AHEAD = facts("go_straight", "maintain_speed")
LEFT = facts("steer_left")
RIGHT = facts("steer_right")
SHORT_LEFT = facts("steer_left", ticks=30)
SHORT_RIGHT = facts("steer_right", ticks=30)
SHARP_LEFT = facts("sharp_steer_left", "turn_left")
BOTH = facts("steer_left", "steer_right")
STOPPED = facts("go_straight", "strong_deceleration", speed=(0.0, 8.0))
STOOD = facts("stop", speed=(0.0, 0.0))
SLOWED = facts("go_straight", "gentle_deceleration", speed=(3.0, 8.0))
CUT = facts("go_straight", speed=(3.0, 8.0), complete=False)
CUT_STANDING = facts("stop", speed=(0.0, 0.0), complete=False)
CHANGED = facts("left_lane_change")
CHANGED_LATE = facts("left_lane_change", begin=31)
CHANGED_BEFORE = facts("left_lane_change", begin=-6)
SHIFTED = facts("slightly_shift_right")
BACKWARDS = facts("reverse", "reverse_left", speed=(0.0, 2.0))
NOTHING = facts()

# What contradicts, in short.
SAYS_LEFT, SAYS_RIGHT = "says left, but", "says right, but"
NO_TURN, NO_STOP, NO_MOVE = "ego turns, but", "ego stops, but", "drives on, but"
CHANGE, NUDGE = "ego makes a left lane change", "ego nudges to the right"

TABLE = [
    # directions
    ("Turn left at the intersection.", LEFT, []),
    ("Turn left at the intersection.", RIGHT, [SAYS_LEFT]),
    ("Turn right at the green light.", SHARP_LEFT, [SAYS_RIGHT]),
    ("Make a left turn to follow the route.", RIGHT, [SAYS_LEFT]),
    ("Take the right ramp.", SHORT_LEFT, [SAYS_RIGHT]),
    ("Slow down and turn right into the driveway.", LEFT, [SAYS_RIGHT]),
    ("Decelerate, then steer left for the curve.", RIGHT, [SAYS_LEFT]),
    ("Gently veer right to follow the bend.", LEFT, [SAYS_RIGHT]),
    ("Nudge left to keep clear of the parked truck on the right.", LEFT, []),
    ("Nudge left to keep clear of the parked truck on the right.", SHORT_RIGHT, [SAYS_LEFT]),
    ("Nudge to the left because of the cyclist.", SHORT_RIGHT, [SAYS_LEFT]),
    ("Shift slightly right within the lane for the oncoming bus.", SHORT_LEFT, [SAYS_RIGHT]),
    ("Merge left into the through lane.", SHORT_RIGHT, [SAYS_LEFT]),
    ("Pull over to the right for the ambulance.", SHORT_LEFT, [SAYS_RIGHT]),
    ("Change lane to the left to pass the slow truck.", CHANGED, []),
    ("Change lanes to the right to pass the slow truck.", SHORT_LEFT, [SAYS_RIGHT]),
    ("Turn left, then turn right into the lot.", BOTH, []),
    ("Stop for the vehicle turning left.", facts("steer_right", speed=(0.0, 8.0)), []),
    ("Yield to the oncoming vehicle turning left.", RIGHT, []),
    ("Keep clear of the parked truck on the right.", LEFT, []),
    ("Nudge around the parked truck on the right.", LEFT, []),
    ("Nudge right around the van on the left.", RIGHT, []),
    ("Yield to the pedestrian from the left.", RIGHT, []),
    ("Decelerate gently for the right curve.", LEFT, []),
    ("Move away from the truck on the left.", RIGHT, []),
    ("Stay in the left lane behind the bus.", RIGHT, []),
    ("Keep right to let the ambulance pass.", LEFT, []),
    ("Follow the lead vehicle as it merges left.", RIGHT, []),
    ("Keep distance to the vehicle in the right lane.", LEFT, []),
    ("Accelerate as the left lane is clear.", RIGHT, []),
    ("Nudge to avoid the vehicle parked on the left.", RIGHT, []),
    ("Shift to give room to the cyclist on ego's right.", LEFT, []),
    ("Turn left behind the truck in the right lane.", RIGHT, [SAYS_LEFT]),
    # turns that are none
    ("Turn left at the intersection.", AHEAD, [NO_TURN]),
    ("Make a U-turn at the median.", AHEAD, [NO_TURN]),
    ("Turn left at the intersection.", CUT, []),
    ("Turn left at the intersection.", NOTHING, []),
    ("Drive straight through the intersection.", AHEAD, []),
    ("Resume speed after the turn.", AHEAD, []),
    ("Steer left for the curve.", AHEAD, []),
    ("Slow down to turn left at the junction.", AHEAD, []),
    # stopping
    ("Stop behind the lead vehicle that waits at the red light.", STOPPED, []),
    ("Stop behind the lead vehicle that waits at the red light.", SLOWED, [NO_STOP]),
    ("Come to a stop at the stop sign.", SLOWED, [NO_STOP]),
    ("Slow down to a complete stop for the red light.", SLOWED, [NO_STOP]),
    ("Decelerate to a stop behind the queue.", SLOWED, [NO_STOP]),
    ("Brake to a halt for the pedestrian.", SLOWED, [NO_STOP]),
    ("Remain stopped for the red light.", SLOWED, [NO_STOP]),
    ("Wait for the pedestrian to cross.", SLOWED, [NO_STOP]),
    ("Slow down and stop for the red light.", SLOWED, [NO_STOP]),
    ("Gradually stop for the red light.", SLOWED, [NO_STOP]),
    ("Stop for the red light.", CUT, []),
    ("Stop for the red light.", STOOD, []),
    ("Slow down for the stopped vehicle ahead.", SLOWED, []),
    ("Slow down for the stop sign.", SLOWED, []),
    ("Slow down as the bus ahead stops.", SLOWED, []),
    ("Hold the speed on the free road.", SLOWED, []),
    ("Hold the lane behind the bus.", SLOWED, []),
    ("Yield to the waiting pedestrian.", SLOWED, []),
    # moving
    ("Accelerate after the light turns green.", STOOD, [NO_MOVE]),
    ("Resume speed.", STOOD, [NO_MOVE]),
    ("Overtake the slow truck.", STOOD, [NO_MOVE]),
    ("Accelerate after the light turns green.", CUT_STANDING, []),
    ("Remain stopped until it is safe to proceed.", STOOD, []),
    ("Yield to the crossing pedestrians.", STOOD, []),
    ("Keep distance to the lead vehicle.", STOOD, []),
    ("Wait, then proceed when the light turns green.", STOOD, []),
    ("Accelerate from the stop line.", STOPPED, []),
    # manoeuvres that go unmentioned
    ("Accelerate on the open road.", CHANGED, [CHANGE]),
    ("Make a left lane change to pass the truck.", CHANGED, []),
    ("Change lanes to the left for the route.", CHANGED, []),
    ("Move to the left lane behind the bus.", CHANGED, []),
    ("Merge into the traffic on the highway.", CHANGED, []),
    ("Begin changing lanes due to the closed lane.", CHANGED, []),
    ("Overtake the slow truck in the left lane.", CHANGED, [CHANGE]),
    ("Accelerate on the open road.", CHANGED_LATE, []),
    ("Accelerate on the open road.", CHANGED_BEFORE, []),
    ("Slow down for the speed bump.", SHIFTED, [NUDGE]),
    ("Nudge right for the oncoming truck.", SHIFTED, []),
    ("Steer around the parked van.", SHIFTED, []),
    ("Go around the double-parked car.", SHIFTED, []),
    ("Swerve right to avoid the debris.", SHIFTED, []),
    # backwards
    ("Reverse to the right into the parking space.", BACKWARDS, []),
    ("Reverse to a stop.", BACKWARDS, []),
    # nothing known, nothing said
    ("Turn left, stop, and change lanes.", facts(complete=False), []),
    ("Drive.", NOTHING, []),
    ("TURN LEFT AT THE LIGHT!", RIGHT, [SAYS_LEFT]),
]

# Wordings that are easily misread.
MISREAD = [
    ("Steer away from the truck to the left.", RIGHT, []),
    ("Decelerate because the lead vehicle comes to a stop.", SLOWED, []),
    ("Slow down to stop-and-go speed behind the queue.", SLOWED, []),
    ("Prepare to stop for the red light.", SLOWED, []),
    ("Decelerate for the lead vehicle that slows to a stop.", SLOWED, []),
    ("Switch lanes to the left to pass the bus.", CHANGED, []),
    ("Move one lane over to pass the bus.", CHANGED, []),
    ("Give the cyclist more room.", SHIFTED, []),
    ("Move right within the lane for the oncoming bus.", SHIFTED, []),
    ("Keep to the right side of the lane.", SHIFTED, []),
    ("Bypass the stopped bus on its right.", SHIFTED, []),
    ("Turn right while reversing into the space.", BACKWARDS, []),
    ("Wait for the pedestrian before turning left.", facts("go_straight", speed=(0.0, 2.0)), []),
    ("Adapt speed to prepare to stop at the stop sign.", SLOWED, []),
    ("Maintain lane and wait for a gap to the left to pass the slower vehicle.", SLOWED, []),
    ("Hold back for the merging truck.", SLOWED, []),
    ("Come to a crawl for the speed bump.", SLOWED, []),
    ("Stop accelerating as the lead vehicle brakes.", SLOWED, []),
    ("Keep distance since the vehicles ahead slow and stop.", SLOWED, []),
    ("Yield to the cars that brake and turn left.", RIGHT, []),
    ("Change to the left lane to pass the truck.", SHORT_RIGHT, [SAYS_LEFT]),
    ("Split to the right onto the slip road.", SHORT_LEFT, [SAYS_RIGHT]),
    ("Slow on the approach to stop sign.", SLOWED, []),
    ("Decelerate to stop line.", SLOWED, []),
    ("Make a gap for the car merging from left.", SHORT_RIGHT, []),
    ("Move over to give the left cyclist room", SHORT_RIGHT, []),
    ("Move over for the left turning truck.", SHORT_RIGHT, []),
    ("Nudge past the left parked van.", SHORT_RIGHT, []),
]

# A lane change steers there and back.
LEFT_CHANGE = facts("left_lane_change", "steer_left", "steer_right")
RIGHT_CHANGE = facts("right_lane_change", "steer_left", "steer_right", ticks=20)
LEFT_SHIFT = facts("slightly_shift_left", "steer_left", "steer_right", ticks=20)
AND_BACK = facts("slightly_shift_left", "slightly_shift_right", "steer_left", "steer_right", ticks=15)
SETTLING = facts("left_lane_change", "slightly_shift_right")
LATE_CHANGE = facts("left_lane_change", begin=31)
TURNED_LEFT = facts("turn_left")
LEFT_NUDGE, RIGHT_CHANGED = "ego nudges to the left", "ego makes a right lane change"

MOVING_OVER = [
    # the lane axis tells the side, the lateral axis does not
    ("Change lanes to the left to pass the slow truck.", LEFT_CHANGE, []),
    ("Change lanes to the right to pass the slow truck.", LEFT_CHANGE, [SAYS_RIGHT, CHANGE]),
    ("Make a right lane change.", LEFT_CHANGE, [SAYS_RIGHT, CHANGE]),
    ("Move to the left lane behind the bus.", RIGHT_CHANGE, [SAYS_LEFT, RIGHT_CHANGED]),
    ("Nudge right around the parked van.", LEFT_SHIFT, [SAYS_RIGHT, LEFT_NUDGE]),
    ("Shift to the right for the oncoming bus.", LEFT_SHIFT, [SAYS_RIGHT, LEFT_NUDGE]),
    ("Steer right around the parked van.", LEFT_SHIFT, [SAYS_RIGHT, LEFT_NUDGE]),
    ("Nudge left around the parked van on the right.", LEFT_SHIFT, []),
    ("Nudge right around the parked van.", TURNED_LEFT, [SAYS_RIGHT]),
    ("Nudge left around the parked van.", AND_BACK, []),
    ("Change lanes to the left.", SETTLING, []),
    ("Change lanes to the right.", LATE_CHANGE, []),
    # turning is steering
    ("Turn right at the light.", LEFT_CHANGE, [CHANGE]),
    ("Steer right to follow the curve.", SHORT_LEFT, [SAYS_RIGHT]),
    ("Make a right turn around the median.", LEFT, [SAYS_RIGHT]),
    # without it short steering tells, a long curve does not
    ("Nudge left around the parked van.", SHORT_RIGHT, [SAYS_LEFT]),
    ("Nudge left around the parked van.", facts("steer_right", ticks=31), []),
    ("Change lanes to the left.", RIGHT, []),
    ("Steer left around the parked van.", RIGHT, []),
    # what others do, and what ego does to the other side, is no mention
    ("Slow for the merging truck.", LEFT_CHANGE, [CHANGE]),
    ("Slow down for the truck merging ahead.", LEFT_CHANGE, [CHANGE]),
    ("Keep distance to the lead vehicle changing lanes.", LEFT_CHANGE, [CHANGE]),
    ("Slow down since the van ahead makes a lane change.", LEFT_CHANGE, [CHANGE]),
    ("Make a gap for the car to merge.", LEFT_CHANGE, [CHANGE]),
    ("Decelerate to let the bus merge.", LEFT_CHANGE, [CHANGE]),
    ("Slow down for the swerving cyclist.", LEFT_SHIFT, [LEFT_NUDGE]),
    ("Slow down for the van shifting to the right.", LEFT_SHIFT, [LEFT_NUDGE]),
    ("Slow down since ego changes lanes to the left.", LEFT_CHANGE, []),
    ("Slow for the merging truck, then change lanes to the left.", LEFT_CHANGE, []),
    ("Slow down as the ego vehicle changes lanes.", LEFT_CHANGE, []),
    ("The car merges into the lane to its left.", LEFT_CHANGE, []),
    ("Accelerate to merge onto the highway.", LEFT_CHANGE, []),
    ("Prepare for a left lane change.", LEFT_CHANGE, []),
    ("Search for a gap to merge behind the truck.", LEFT_CHANGE, []),
    ("Change lanes to pass the truck in the right lane.", LEFT_CHANGE, []),
]


def label(sentence: str, **fields) -> CoCLabel:
    return CoCLabel(effect_on_ego_behavior=sentence, **fields)


def found(sentence: str, own, **fields) -> list[str]:
    return contradictions(label(sentence, **fields), own)


@pytest.mark.parametrize(
    ("sentence", "own", "expected"),
    [*TABLE, *MISREAD, *MOVING_OVER],
    ids=[f"{i}-{row[0]}" for i, row in enumerate([*TABLE, *MISREAD, *MOVING_OVER])],
)
def test_a_sentence_against_what_ego_did(sentence, own, expected):
    reasons = found(sentence, own)
    assert len(reasons) == len(expected), reasons
    assert all(part in reason for part, reason in zip(expected, reasons, strict=True)), reasons


@pytest.mark.parametrize(("sentence", "own", "expected"), [*TABLE, *MOVING_OVER])
def test_the_mirrored_sentence_contradicts_the_mirrored_drive_alike(sentence, own, expected):
    reasons = found(sentence.lower(), own)
    assert sorted(map(mirrored_text, reasons)) == sorted(found(mirrored_text(sentence.lower()), mirrored_facts(own)))


@given(st.lists(st.sampled_from([row[0] for row in TABLE]), min_size=1, max_size=3), st.sampled_from(TABLE))
def test_whatever_is_said_of_whatever_is_driven_the_mirror_says_the_same(sentences, row):
    sentence, own = " ".join(sentences).lower(), row[1]
    reasons = found(sentence, own)
    assert sorted(map(mirrored_text, reasons)) == sorted(found(mirrored_text(sentence), mirrored_facts(own)))


@pytest.mark.parametrize("sentence", ["Keep the lane.", "Slow down.", "Yield to the bus."])
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_direction_of_the_decision_counts_like_one_of_the_sentence(sentence, side):
    turn = Lateral(decision="turn", direction=side, cause_ids=("unobserved",))
    (reason,) = found(sentence, facts(f"steer_{'right' if side == 'left' else 'left'}"), lateral=turn)
    assert f"it says {side}, but" in reason
    assert found(sentence, facts(f"steer_{side}"), lateral=turn) == []


def test_one_contradiction_is_told_once():
    turn = Lateral(decision="turn", direction="left", cause_ids=("unobserved",))
    assert len(found("Turn left, then turn left.", RIGHT, lateral=turn)) == 1


def test_a_decision_to_turn_needs_steering():
    turn = Lateral(decision="turn", direction="left", cause_ids=("unobserved",))
    assert NO_TURN in found("Go through the junction.", AHEAD, lateral=turn)[0]
    assert found("Go through the junction.", CUT, lateral=turn) == []


def test_a_decision_to_stop_needs_standing():
    stop = Longitudinal(decision="stop", cause_ids=("unobserved",))
    assert NO_STOP in found("Slow down for the light.", SLOWED, longitudinal=stop)[0]
    assert found("Slow down for the light.", STOPPED, longitudinal=stop) == []
    assert found("Slow down for the light.", CUT, longitudinal=stop) == []


@pytest.mark.parametrize("decision", ["follow_lead", "yield", "search_gap"])
def test_other_decisions_on_speed_contradict_nothing(decision):
    chosen = Longitudinal(decision=decision, cause_ids=("unobserved",))
    assert [found("See the road.", own, longitudinal=chosen) for own in (STOOD, SLOWED)] == [[], []]


@pytest.mark.parametrize("decision", ["track_speed", "overtake", "adapt_speed"])
def test_decisions_of_who_drives_need_driving(decision):
    chosen = Longitudinal(decision=decision, cause_ids=("unobserved",))
    assert NO_MOVE in found("Remain stopped.", STOOD, longitudinal=chosen)[0]
    assert [found("See.", own, longitudinal=chosen) for own in (STOPPED, SLOWED, CUT_STANDING)] == [[], [], []]


def test_keeping_the_lane_is_no_lane_change():
    keep = Lateral(decision="keep_lane", cause_ids=("unobserved",))
    (reason,) = found("Change lanes to the left.", CHANGED, lateral=keep)
    assert reason == f"it says that ego keeps its lane, but {CHANGE}"
    assert [found("Nudge.", own, lateral=keep) for own in (SHIFTED, CHANGED_LATE, LEFT)] == [[], [], []]


@pytest.mark.parametrize(
    ("decision", "reasons"),
    [("change_lane", 1), ("nudge_in_lane", 1), ("nudge_out_of_lane", 1), ("merge", 1), ("abort_manoeuvre", 0)],
)
def test_a_decision_to_move_over_is_compared_with_the_lane_axis(decision, reasons):
    def claims(side):
        return Lateral(decision=decision, direction=side, cause_ids=("unobserved",))

    assert len(found("Change lanes.", LEFT_CHANGE, lateral=claims("right"))) == reasons
    assert found("Change lanes.", LEFT_CHANGE, lateral=claims("left")) == []
    assert found("See.", RIGHT, lateral=claims("left")) == []
    assert len(found("See.", SHORT_RIGHT, lateral=claims("left"))) == reasons


@pytest.mark.parametrize(("gap", "moved"), [(0, set()), (1, {"left"})])
def test_steering_in_one_go_is_a_curve(gap, moved):
    spans = (Span("lateral", "steer_left", 50, 70), Span("lateral", "sharp_steer_left", 70 + gap, 90))
    assert DrivenFacts(50, spans, 5.0, 8.0, True).moving_over() == moved


@pytest.mark.parametrize(("speed", "claimed"), [(0.49, []), (0.5, []), (0.51, [NO_STOP])])
def test_half_a_metre_per_second_is_standing(speed, claimed):
    assert len(found("Stop for the light.", facts(speed=(speed, 9.0)))) == len(claimed)


def test_an_abstention_contradicts_nothing():
    assert contradictions(CoCLabel.model_validate({"abstention": {"reason": "x", "detail": "y"}}), AHEAD) == []


@pytest.mark.parametrize("begin", [-5, 0, 30])
def test_a_lane_change_that_begins_around_the_keyframe_is_to_be_mentioned(begin):
    assert found("Accelerate.", facts("left_lane_change", begin=begin)) == [f"{CHANGE}, which it does not mention"]


@pytest.mark.parametrize("name", [action.name for action in META_ACTIONS])
def test_the_sides_that_ego_steers_to_are_those_of_its_meta_actions(name):
    others = ("reverse", "lane_change", "shift")
    expected = {side for side in ("left", "right") if side in name and not any(other in name for other in others)}
    assert facts(name).steering() == expected


def test_facts_are_those_from_the_keyframe_to_the_window_s_end():
    spans = [
        Span("lateral", "steer_left", 0, 50),  # over when it begins
        Span("lateral", "steer_right", 110, 201),  # begins after it
        Span("lateral", "sharp_steer_left", 46, 54),  # reaches in for four ticks only
        Span("longitudinal", "stop", 50, 53),  # short, and all within
        Span("longitudinal", "maintain_speed", 0, 60),
        Span("lateral", "go_straight", 106, 150),
    ]
    own = driven_facts(window(5_000_000, spans=spans))
    assert {span.name for span in own.spans} == {"stop", "maintain_speed", "go_straight"}
    assert (own.start_tick, own.complete) == (50, True)


def test_speeds_are_those_from_the_keyframe_to_the_window_s_end():
    own = driven_facts(window(5_000_000, d=drive(speed=lambda t: t)))
    assert (own.slowest_mps, own.fastest_mps) == (pytest.approx(5.0), pytest.approx(11.0))


def test_backwards_speed_is_speed():
    own = driven_facts(window(5_000_000, d=drive(speed=-3.0)))
    assert (own.slowest_mps, own.fastest_mps) == (pytest.approx(3.0), pytest.approx(3.0))


@pytest.mark.parametrize(("t0_us", "complete"), [(14_000_000, True), (14_100_000, False), (20_000_000, False)])
def test_a_window_cut_by_the_clip_s_end_is_not_complete(t0_us, complete):
    assert driven_facts(window(t0_us)).complete == complete


@pytest.mark.parametrize("sentence", ["Stop for the light.", "Turn left.", "Accelerate."])
def test_nothing_is_concluded_from_what_a_cut_window_does_not_show(sentence):
    d = drive(speed=0.0 if sentence == "Accelerate." else 8.0)
    assert found(sentence, driven_facts(window_at(d, 190))) == []


def test_a_stop_that_is_still_to_come_at_the_window_s_end_is_no_contradiction():
    d = drive(speed=lambda t: 13.0 - 1.5 * (t - 8).clip(0, 13 / 1.5))  # stands at 16.7 s, the window ends at 14.0 s
    assert found("Decelerate to a stop for the red light.", driven_facts(window_at(d, 80))) == []


@given(st.integers(0, 10**6), st.integers(0, 200))
def test_the_mirrored_drive_has_the_mirrored_facts(seed, frame):
    d = random_drive(seed)
    own, other = (driven_facts(window_at(one, frame)) for one in (d, mirrored(d)))
    assert sorted(mirrored_facts(own).spans) == sorted(other.spans)
    assert (own.complete, own.start_tick) == (other.complete, other.start_tick)
    assert own.slowest_mps == pytest.approx(other.slowest_mps)


@given(st.text(max_size=60), st.lists(st.sampled_from(EGO_NAMES), max_size=3), st.booleans())
def test_no_sentence_is_too_odd_to_be_read(text, names, complete):
    assert isinstance(found(f"{text} stop", facts(*names, complete=complete)), list)


@given(st.integers(0, 10**6), st.integers(0, 200))
def test_what_the_rules_say_of_measured_motion_never_contradicts_it(seed, frame):
    own = window_at(random_drive(seed), frame)
    assert contradictions(RulesAgent().label(own), driven_facts(own)) == []
