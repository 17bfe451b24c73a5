import numpy as np
import pytest

from builders.driving import drive
from builders.scenes import boxes, motion_of, together
from coc_labeling.scene import scene_facts, traffic_lines
from coc_labeling.scene.traffic import stray_m

EGO = drive(speed=15.0)
T = EGO.t_us / 1e6


def lines_of(*tracks):
    return traffic_lines(scene_facts(motion_of(EGO), together(*tracks)))


def beside(track_id, d_m, first=0, last=None):
    """Somebody who drives beside ego, seen between two ticks."""
    rows = slice(first, last)
    return boxes(track_id, EGO.x[rows] + 10.0, np.broadcast_to(d_m, len(T))[rows], EGO.t_us[rows])


def offsets(lines, first, rows, least=1):
    return lines.ego_offset(float(lines.ego_s[first]), lines.ego_s[rows], least)


def test_ego_keeps_its_place_among_those_who_keep_theirs():
    lines = lines_of(beside("1", 3.5), beside("2", -3.5))
    assert offsets(lines, 20, np.arange(30, 120, 10), least=2) == pytest.approx(0.0, abs=0.05)


def test_what_most_lines_tell_counts():
    """Two keep beside ego, one moves over to its lane."""
    moving = 7.0 - 3.5 * np.clip((T - 8.0) / 3.0, 0.0, 1.0)
    lines = lines_of(beside("1", 3.5), beside("2", -3.5), beside("3", moving))
    assert offsets(lines, 40, np.array([140]), least=2) == pytest.approx(0.0, abs=0.05)


def test_where_lines_run_out_those_of_others_go_on():
    """Each is seen for a part of the way, and both for a short one."""
    lines = lines_of(beside("1", 3.5, 0, 90), beside("2", -3.5, 70, 160))
    assert offsets(lines, 20, np.arange(30, 150, 2)) == pytest.approx(0.0, abs=0.1)


def test_nothing_is_told_across_a_stretch_that_nobody_drove():
    lines = lines_of(beside("1", 3.5, 0, 60), beside("2", -3.5, 110, 200))
    assert np.isnan(offsets(lines, 20, np.arange(120, 160, 10))).all()


@pytest.mark.parametrize("least", [1, 2])
def test_too_few_lines_tell_nothing(least):
    told = offsets(lines_of(beside("1", 3.5)), 20, np.array([60]), least)
    assert np.isfinite(told).all() == (least == 1)


@pytest.mark.parametrize(
    "track",
    [
        boxes("1", 80.0, 3.5, EGO.t_us),
        boxes("1", EGO.x + 10.0, 30.0, EGO.t_us),
        boxes("1", 60.0, 5.0 * (T - 10.0), EGO.t_us),
        boxes("1", EGO.x + 10.0, 3.5, EGO.t_us, label="person"),
    ],
    ids=["stands", "another-road", "crosses", "on-foot"],
)
def test_who_does_not_drive_along_the_road_leaves_no_line(track):
    assert lines_of(track) is None


def test_a_line_strays_by_what_it_is_off_an_even_bend():
    lines = lines_of(beside("1", 3.5 - 3.5 * np.clip((T - 8.0) / 3.0, 0.0, 1.0)))
    assert lines.stray_m(60.0, 220.0) > 0.4
    assert lines_of(beside("1", 3.5)).stray_m(60.0, 220.0) == pytest.approx(0.0, abs=0.05)
    assert lines.stray_m(290.0, 299.0) == np.inf or lines.stray_m(290.0, 299.0) < 0.1


def test_an_even_bend_does_not_stray():
    along = np.linspace(0.0, 50.0, 20)
    assert stray_m(along, 0.004 * along**2) == pytest.approx(0.0, abs=1e-9)
    assert stray_m(along, 1.75 * (1.0 - np.cos(np.pi * along / 50.0))) > 0.3
