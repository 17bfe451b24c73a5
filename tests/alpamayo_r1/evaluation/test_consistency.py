import numpy as np
import pytest

from alpamayo_r1.evaluation.consistency import Fit, judge
from alpamayo_r1.evaluation.motions import motion_of
from alpamayo_r1.evaluation.scenarios import scenario_of
from builders.asked import mirrored_text
from builders.predicted import arc, real_scenes, straight_history

STRAIGHT, STOP, FASTER = {"speed": 10.0}, {"speed": 10.0, "accel": -2.5}, {"speed": 6.0, "accel": 1.0}
GENTLE_STOP = {"speed": 8.0, "accel": -1.4}
LEFT = {"speed": 6.0, "curvature": 0.07}
WIDE_LEFT = {"speed": 12.0, "curvature": 0.006}


def fit(sentence, drive):
    return judge(sentence, straight_history(drive["speed"]), *arc(**drive)).fit


@pytest.mark.parametrize(
    ("sentence", "drive", "expected"),
    [
        ("Turn left at the junction.", LEFT, Fit.CONSISTENT),
        ("Turn right at the junction.", LEFT, Fit.CONTRADICTED),
        ("Turn left at the junction.", STRAIGHT, Fit.CONTRADICTED),
        ("Change lane to the left.", STRAIGHT, Fit.CONTRADICTED),
        ("Adapt speed for the right curve.", WIDE_LEFT, Fit.CONTRADICTED),
        ("Stop for the red light.", STOP, Fit.CONSISTENT),
        ("Stop for the red light.", STRAIGHT, Fit.CONTRADICTED),
        ("Slow down for the lead vehicle.", FASTER, Fit.CONTRADICTED),
        ("Accelerate as the light turns green.", FASTER, Fit.CONSISTENT),
        ("Accelerate as the light turns green.", STOP, Fit.CONTRADICTED),
        ("", STRAIGHT, Fit.UNREADABLE),
        ("null", STRAIGHT, Fit.UNREADABLE),
        ("qwxz zzz <i12> <i7>", STRAIGHT, Fit.UNREADABLE),
    ],
)
def test_a_sentence_against_its_own_trajectory_and_its_mirror_image(sentence, drive, expected):
    assert fit(sentence, drive) is expected
    mirrored = drive | {"curvature": -drive.get("curvature", 0.0)}
    assert fit(mirrored_text(sentence), mirrored) is expected


def test_reasons_are_told_and_what_goes_unsaid():
    against = judge("Turn right at the junction.", straight_history(6.0), *arc(**LEFT))
    assert any("says right" in reason for reason in against.contradictions)
    assert against.severity >= 0.5
    t = np.arange(1, 65) * 0.1
    over = 1.75 * (1 - np.cos(np.clip((t - 0.5) / 3.5, 0, 1) * np.pi))  # 3.5 m to the left in 3.5 s
    yaw = np.arctan2(np.gradient(over, t), 14.0)
    unsaid = judge("Drive on at the set speed.", straight_history(14.0), np.stack([14.0 * t, over], axis=1), yaw)
    assert unsaid.unmentioned == ("ego makes a left lane change, which it does not mention",)


def test_hostile_and_endless_sentences_are_only_text():
    for text in ("<script>" * 50_000, "stop " * 100_000, "\x00\x1b[31m", "{{ 7 * 7 }}", "𝕊top " * 999):
        assert judge(text, straight_history(), *arc()).fit in set(Fit)


def test_ego_motion_of_a_real_drive_is_found_again():
    for dataset in ("boreas", "comma2k19"):
        for _, _, history, xy, yaw, speed in list(real_scenes(dataset))[:40]:
            ego = motion_of(history, xy, yaw)
            assert ego.longitudinal_speed[len(history) - 1] == pytest.approx(speed, abs=0.5)
            assert ego.heading[len(history) :] == pytest.approx((yaw + np.pi) % (2 * np.pi) - np.pi, abs=1e-9)
            told = motion_of(history, xy, None)
            if np.hypot(*np.diff(xy, axis=0).T).min() > 0.3:
                apart = (told.heading[len(history) :] - yaw + np.pi) % (2 * np.pi) - np.pi
                assert np.abs(apart).max() < 0.15


def test_who_reverses_keeps_its_heading():
    xy, yaw = arc(3.0)
    ego = motion_of(straight_history(3.0), -xy, yaw)
    assert ego.heading == pytest.approx(0.0, abs=1e-9)
    assert ego.longitudinal_speed[-1] == pytest.approx(-3.0)
    ego = motion_of(-straight_history(3.0), xy, None)
    assert ego.heading == pytest.approx(0.0, abs=1e-9)
    assert ego.longitudinal_speed[0] == pytest.approx(-3.0)


@pytest.mark.parametrize(
    ("drive", "classes"),
    [
        (STRAIGHT, {"scene": "not rare", "speed": "30 to 60 km/h", "course": "straight on", "pace": "keeps its speed"}),
        (GENTLE_STOP, {"scene": "not rare", "speed": "below 30 km/h", "course": "straight on", "pace": "stops"}),
        (LEFT, {"scene": "not rare", "speed": "below 30 km/h", "course": "left turn", "pace": "keeps its speed"}),
        (WIDE_LEFT, {"speed": "30 to 60 km/h", "course": "left bend"}),
        ({"speed": 0.0}, {"speed": "standing", "pace": "stands"}),
        ({"speed": 20.0, "accel": -4.5}, {"scene": "rare", "speed": "60 to 100 km/h", "pace": "stops"}),
        ({"speed": 30.0, "accel": 0.8}, {"speed": "over 100 km/h", "pace": "speeds up"}),
    ],
)
def test_classes_of_scenes(drive, classes):
    found = scenario_of("clip", straight_history(drive["speed"]), *arc(**drive))
    assert {kind: found[kind] for kind in classes} == classes


def test_of_little_driving_no_class_is_told():
    assert set(scenario_of("clip", straight_history(), None, None).values()) == {"unknown"}
    assert set(scenario_of("clip", straight_history(), arc()[0][:20], None).values()) == {"unknown"}
