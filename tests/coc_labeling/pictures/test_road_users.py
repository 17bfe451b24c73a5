import numpy as np

from builders.driving import drive
from builders.scenes import boxes, standing_at, together
from coc_labeling.pictures.road_users import Kind, RoadUsers

D = drive(5.0)


def test_tracks_are_interpolated_and_end_when_they_are_seen_no_more():
    track = boxes("7", [0.0, 10.0], 0.0, [1_000_000, 1_500_000])
    users = RoadUsers.of(track, np.array([0, 750_000, 1_250_000, 1_750_000, 2_000_000]))
    assert users.seen.tolist() == [[False, True, True, True, False]]
    assert users.xy[0, 2].tolist() == [5.0, 0.0]


def test_the_nearest_is_drawn_last_and_far_ones_are_left_out():
    users = RoadUsers.of(
        together(standing_at(D, 10.0, track_id="near"), standing_at(D, 40.0), standing_at(D, 900.0, track_id="far")),
        D.t_us,
    )
    assert [users.track_ids[row] for row in users.near(0, np.zeros(2), 100.0)] == ["7", "near"]


def test_kinds():
    labels = ("bus", "person", "traffic_cone")
    tracks = together(*(standing_at(D, 5.0, track_id=label, label=label) for label in labels))
    users = RoadUsers.of(tracks, D.t_us)
    assert dict(zip(users.track_ids, users.kinds, strict=True)) == {
        "bus": Kind.VEHICLE,
        "person": Kind.VULNERABLE,
        "traffic_cone": Kind.OTHER,
    }


def test_no_tracks():
    users = RoadUsers.of(None, D.t_us)
    assert users.near(0, np.zeros(2), 50.0) == []
