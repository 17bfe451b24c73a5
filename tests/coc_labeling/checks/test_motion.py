import pytest

from builders.checked import checked, contradictions, said, speed, verdicts
from builders.driving import drive
from builders.scenes import braking

STOPPING = braking(to_mps=0.0)
SLOWING = braking(to_mps=5.0)
FASTER = drive(speed=lambda t: 5.0 + 1.5 * (t - 8).clip(0, 5))
STEADY = drive(speed=10.0)
STANDING = drive(speed=0.0)
BACKWARDS = drive(speed=-2.0)

CASES = [
    ("Stop for the red light.", STOPPING, "stop", "supported"),
    ("Stop for the red light.", SLOWING, "stop", "contradicted"),
    ("Remain stopped for the red light.", STANDING, "stop", "supported"),
    ("Slow down for the red light.", SLOWING, "speed", "supported"),
    ("Slow down for the red light.", FASTER, "speed", "contradicted"),
    ("Slow down for the red light.", STEADY, "speed", "contradicted"),
    ("Accelerate on the open road.", FASTER, "speed", "supported"),
    ("Accelerate on the open road.", SLOWING, "speed", "contradicted"),
    ("Accelerate on the open road.", STANDING, "speed", "contradicted"),
    ("Keep the speed.", STEADY, "speed", "supported"),
    ("Keep the speed.", SLOWING, "speed", "contradicted"),
    ("Yield to the bus.", SLOWING, "speed", "supported"),
    ("Yield to the bus.", FASTER, "speed", "contradicted"),
    ("Yield to the bus.", STANDING, "speed", "not_observable"),
    ("Reverse into the space.", BACKWARDS, "speed", "supported"),
    ("Reverse into the space.", STEADY, "speed", "contradicted"),
]


@pytest.mark.parametrize(("sentence", "d", "check", "verdict"), CASES)
def test_claims_on_speed(sentence, d, check, verdict):
    assert verdicts(checked(said(sentence), d, 80), check)[:1] == [verdict]


@pytest.mark.parametrize(
    ("decision", "d", "verdict"),
    [
        ("track_speed", STEADY, "supported"),
        ("track_speed", STOPPING, "contradicted"),
        ("adapt_speed", SLOWING, "supported"),
        ("adapt_speed", FASTER, "contradicted"),
        ("yield", FASTER, "contradicted"),
        ("overtake", FASTER, "supported"),
        ("overtake", STOPPING, "contradicted"),
    ],
)
def test_decisions_of_the_structure_are_compared_without_any_words(decision, d, verdict):
    assert verdict in verdicts(checked(said("See the road.", longitudinal=speed(decision)), d, 80), "speed")


@pytest.mark.parametrize("decision", ["follow_lead", "search_gap"])
@pytest.mark.parametrize("d", [STOPPING, FASTER, STEADY, STANDING])
def test_whoever_follows_or_searches_may_do_anything_with_its_speed(decision, d):
    assert verdicts(checked(said("See the road.", longitudinal=speed(decision)), d, 80), "speed") == []


def test_a_stop_that_the_clip_cuts_is_not_observable():
    assert verdicts(checked(said("Stop for the light."), STEADY, 190), "stop") == ["not_observable"]


def test_a_crawl_weighs_less_than_driving_on():
    crawl, fast = (checked(said("Stop for the light."), braking(to_mps=v), 80) for v in (0.8, 5.0))
    assert crawl.risk.value < 0.6 < fast.risk.value


def test_what_is_said_to_follow_may_follow_later():
    d = drive(speed=lambda t: (8 - 2 * (t - 8).clip(0, 4)) + 2 * (t - 12).clip(0, 3))
    assert contradictions(checked(said("Stop for the stop sign, then accelerate."), d, 80)) == []


def test_who_still_waits_at_the_window_s_end_may_go_on_later():
    label = said("Wait at the red light, then proceed when it turns green.")
    assert contradictions(checked(label, STANDING, 80)) == []
    assert "contradicted" in verdicts(checked(said("Accelerate on the open road."), STANDING, 80), "speed")


def test_numbers_bear_their_units():
    for finding in checked(said("Slow down for the curve and stop."), SLOWING, 80).findings:
        assert all(
            name.rpartition("_")[2] in ("mps", "sec", "rad", "m", "mps2", "words", "causes", "parts")
            or name in ("causes", "parts", "clips", "share")
            for name in finding.numbers
        ), finding
