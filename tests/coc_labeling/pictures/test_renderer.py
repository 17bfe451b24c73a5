from dataclasses import replace

import numpy as np
import pytest

from builders.driving import drive
from builders.records import plain_record
from builders.scenes import ahead_of, boxes, motion_of, standing_at
from coc_labeling.pictures.ink import blank, font
from coc_labeling.pictures.layout import Layout
from coc_labeling.pictures.renderer import ClipRenderer
from coc_labeling.pictures.road_users import Kind
from coc_labeling.pictures.scene_view import EDGES, FACES
from coc_labeling.pictures.story import ClipStory
from coc_labeling.pictures.strip import fitting
from coc_labeling.report.clips import Keyframe
from coc_labeling.report.label_risk import LabelRisk
from coc_labeling.report.palette import LEAD_SOFT, action_colour, risk_colour
from coc_labeling.results import as_row
from driving_clips.files import FileStamp
from meta_action.timeline import Span, Timeline

D = drive(20.0)
SPANS = (
    Span("longitudinal", "strong_deceleration", 0, 100),
    Span("longitudinal", "strong_acceleration", 100, 200),
    Span("lateral", "sharp_steer_left", 0, 200),
)
LAYOUT = Layout(360)


def keyframe(t_sec: float, number: int = 1) -> Keyframe:
    record = plain_record()
    return Keyframe(number, t_sec, as_row(record, FileStamp(1, 1)), record)


def renderer(obstacles=None, keyframes=(), d=D, spans=SPANS) -> ClipRenderer:
    story = ClipStory("a", motion_of(d), Timeline("a", tuple(spans)), obstacles, keyframes)
    return ClipRenderer(story, story.times_us(1.0), LAYOUT)


def pixels(image, box) -> np.ndarray:
    return np.asarray(image.crop(box)).astype(int)


def where(image, box, colour: str) -> np.ndarray:
    """Return the places (N, 2) x, y in a box that have a colour."""
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    rows, columns = np.nonzero(np.abs(pixels(image, box) - rgb).max(axis=-1) <= 2)
    return np.stack([columns, rows], axis=1)


@pytest.mark.parametrize(("x", "y", "side"), [(20.0, 0.0, "ahead"), (2.0, 6.0, "left"), (2.0, -6.0, "right")])
def test_a_car_is_drawn_where_it_stands(x, y, side):
    image = renderer(standing_at(D, x, y)).draw(0)
    found = where(image, LAYOUT.scene, FACES[Kind.VEHICLE]).mean(axis=0)
    centre = LAYOUT.scene.width / 2
    if side == "ahead":
        assert found[0] == pytest.approx(centre, abs=2)
        assert found[1] < 0.6 * LAYOUT.scene.height
    else:
        assert found[0] < centre - 5 if side == "left" else found[0] > centre + 5


def test_the_scene_turns_with_ego():
    d = drive(20.0, yaw_rate=np.pi / 2 / 10)  # after 10 s it heads left of where it began
    target = standing_at(d, float(d.x[100]) - 2.25, float(d.y[100]) + 20.0)
    found = where(renderer(target, d=d).draw(10), LAYOUT.scene, FACES[Kind.VEHICLE]).mean(axis=0)
    assert found[0] == pytest.approx(LAYOUT.scene.width / 2, abs=3)
    assert found[1] < 0.6 * LAYOUT.scene.height


def test_what_the_label_cites_stands_out_while_the_label_speaks():
    drawn = renderer(ahead_of(D, 12.0, track_id="41"), (keyframe(5.0),))
    assert len(where(drawn.draw(4), LAYOUT.scene, LEAD_SOFT)) == 0
    assert len(where(drawn.draw(5), LAYOUT.scene, LEAD_SOFT)) > 10
    assert len(where(drawn.draw(12), LAYOUT.scene, LEAD_SOFT)) == 0


def test_what_has_no_known_box_is_drawn_all_the_same():
    unknown = replace(standing_at(D, 20.0), size=np.full((len(D), 3), np.nan), yaw=np.full(len(D), np.nan))
    assert len(where(renderer(unknown).draw(0), LAYOUT.scene, EDGES[Kind.VEHICLE])) > 0


def test_the_panel_shows_the_meta_actions_of_the_moment():
    drawn = renderer()
    for frame, name in ((3, "strong_deceleration"), (13, "strong_acceleration")):
        image = drawn.draw(frame)
        assert len(where(image, LAYOUT.now, action_colour(name))) > 200
        assert len(where(image, LAYOUT.now, action_colour("sharp_steer_left"))) > 200


def test_the_card_shows_the_label_of_the_moment():
    drawn = renderer(keyframes=(keyframe(5.0), keyframe(8.0, 2)))
    cards = [pixels(drawn.draw(frame), LAYOUT.label) for frame in (3, 5, 6, 8, 15)]
    assert (cards[1] == cards[2]).all()
    assert all((one != other).any() for one, other in zip(cards, cards[2:], strict=False))


def test_the_card_shows_the_risk_where_the_label_has_been_checked():
    checked = replace(keyframe(5.0), risk=LabelRisk(0.84, "high", ("it says that ego stops, but ego drives on",)))
    found = [
        len(where(renderer(keyframes=(one,)).draw(5), LAYOUT.label, risk_colour("high")))
        for one in (keyframe(5.0), checked)
    ]
    assert found[0] == 0
    assert found[1] > 0


def test_without_labels_there_is_no_card():
    story = ClipStory("a", motion_of(D), Timeline("a", SPANS))
    image = ClipRenderer(story, story.times_us(1.0), LAYOUT).draw(0)
    assert (pixels(image, LAYOUT.label) == 255).all()


def test_the_cursor_moves_with_time():
    drawn = renderer()
    places = [where(drawn.draw(frame), LAYOUT.lane(2), "#b3003c")[:, 0].mean() for frame in (0, 10, 20)]
    width = LAYOUT.lane(2).width
    assert places == pytest.approx([0, width / 2, width], abs=2)


def test_a_camera_picture_takes_the_place_of_the_scene_and_keeps_its_shape():
    image = renderer().draw(0, blank(100, 100, "#00ff00"))
    green = where(image, LAYOUT.scene, "#00ff00")
    assert np.ptp(green, axis=0).tolist() == [LAYOUT.scene.height - 1, LAYOUT.scene.height - 1]


def test_moments_without_a_camera_picture_fall_back_to_the_scene():
    drawn = renderer()
    pictures = [blank(16, 9, "#00ff00") if frame % 2 else None for frame in range(21)]
    greens = [len(where(image, LAYOUT.scene, "#00ff00")) > 0 for image in drawn.draw_all(pictures)]
    assert greens == [frame % 2 == 1 for frame in range(21)]


def test_any_text_and_any_motion_can_be_drawn():
    record = plain_record()
    row = as_row(record, FileStamp(1, 1))
    odd = {"sentence": "\x1b[2J " + "w" * 5000 + "\ud800\n" * 9, "trace": "界 \u202e x " * 500, "direction": "left"}
    still = drive(1.0, speed=0.0)
    backwards = drive(20.0, speed=-3.0, yaw_rate=0.4)
    for d in (still, backwards):
        renderer(boxes("9", 0.0, 0.0, d.t_us), (Keyframe(1, 0.0, row | odd, None),), d, ()).draw(0)


def test_abstentions_are_drawn():
    row = as_row(plain_record(), FileStamp(1, 1)) | {"status": "abstention", "abstention_reason": "no_decision"}
    renderer(keyframes=(Keyframe(1, 0.0, row | {"abstention_detail": "reverse " * 300}, None),)).draw(0)


def test_names_are_shortened_to_what_fits():
    letters = font(10)
    assert fitting("gentle_acceleration", letters, 300) == "gentle acceleration"
    assert fitting("gentle_acceleration", letters, 60) == "gentle acc."
    assert fitting("gentle_acceleration", letters, 30) == "acc."
    assert fitting("gentle_acceleration", letters, 3) == ""
