"""The picture of a prediction: a camera's frame with the paths on the road, the paths from above, and the reasoning."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from alpamayo_r1.infer.projection import NOMINAL_CAMERAS
from alpamayo_r1.infer.results import Prediction
from alpamayo_r1.scenes import Scene
from coc_labeling.pictures.ink import QUICK, Sketch, elided, font, pen, pillow, wrapped
from coc_labeling.report.ego_outline import ego_outline
from coc_labeling.report.palette import GRID, INK, LEFT, LEFT_SOFT, MUTED, PAPER, RIGHT
from driving_clips import files
from driving_clips.geometry import Floats

if TYPE_CHECKING:
    from PIL.Image import Image

FRAME_WIDTH, ABOVE_WIDTH, HEIGHT = 800, 480, 450  # a frame of 16:9
MARGIN, LINE_PX, TEXT_PX = 16, 24, 16
MOST_LINES, MOST_REASONINGS = 2, 3
LEAST_AHEAD_M, MOST_AHEAD_M, ABOVE_BEHIND_SHARE = 30.0, 300.0, 0.2  # what goes farther leaves the picture
GRID_M = 10.0
_EMPTY = {True: "(no words)", False: "(not written to its end)"}  # by whether the model ended by itself
SAMPLE, BEST, DRIVEN = LEFT_SOFT, LEFT, RIGHT


def draw(scene: Scene, prediction: Prediction, path: str, *, on_frame: bool = True) -> None:
    """Write the picture of a scene as PNG; see ``picture_of``.

    Raises:
        DatasetError: Pillow is not installed.
        OSError: it cannot be written.
    """
    image = picture_of(scene, prediction, on_frame=on_frame)
    files.make_parents(path)
    with files.atomic_path(path) as temporary:
        image.save(temporary, "PNG")


def picture_of(scene: Scene, prediction: Prediction, *, on_frame: bool = True) -> "Image":
    """Return the picture: what the front camera saw on the left, the scene from above on the right, words below.

    Args:
        scene: what the model was shown.
        prediction: what it said.
        on_frame: whether cameras have the lens that their names promise, so that paths can be drawn on the frame.
    """
    best, off_m = best_sample(scene.path.future_xyz, prediction.xyz)
    reasonings = _reasonings(prediction, best, "of the first" if off_m is None else "of the best")
    lines = [line for text in reasonings for line in wrapped(text, font(TEXT_PX), _room(), MOST_LINES)]
    image: Image = pillow().Image.new(
        "RGB", (FRAME_WIDTH + ABOVE_WIDTH, HEIGHT + 2 * MARGIN + LINE_PX * (1 + len(lines))), PAPER
    )
    image.paste(_frame(scene, prediction, best, on_frame), (0, 0))
    image.paste(_above(scene, prediction, best), (FRAME_WIDTH, 0))
    words, top = pen(image), HEIGHT + MARGIN
    head = f"{scene.clip_id} at {scene.t0_us / 1e6:.2f} s · {prediction.xyz.shape[0] * prediction.xyz.shape[1]} samples"
    if off_m is not None:
        head += f" · the best one is {off_m:.2f} m off on average"
    words.text((MARGIN, top), elided(head, font(TEXT_PX, bold=True), _room()), INK, font=font(TEXT_PX, bold=True))
    for number, line in enumerate(lines, start=1):
        words.text((MARGIN, top + LINE_PX * number), line, INK, font=font(TEXT_PX))
    return image


def best_sample(driven: Floats, predicted: Floats) -> tuple[tuple[int, int], float | None]:
    """Return set and sample that come closest to what was driven, and their mean distance in the ground plane in m.

    Args:
        driven: (F, 3) m; of length 0 where it is not known: then the first sample is returned, without a distance.
        predicted: (sets, samples, T, 3) m.
    """
    steps = min(len(driven), predicted.shape[2])
    if not steps:
        return (0, 0), None
    off = np.linalg.norm(predicted[:, :, :steps, :2] - driven[:steps, :2], axis=-1).mean(axis=-1)
    place = np.unravel_index(int(np.argmin(off)), off.shape)
    return (int(place[0]), int(place[1])), float(off[place])


def _room() -> int:
    return FRAME_WIDTH + ABOVE_WIDTH - 2 * MARGIN


def _reasonings(prediction: Prediction, best: tuple[int, int], name: str) -> list[str]:
    """Return the reasoning of the best sample, which is called ``name``, then others that differ."""
    words = [
        [text.strip() or _EMPTY[ended] for text, ended in zip(*row, strict=True)]
        for row in zip(prediction.cot, prediction.stopped, strict=True)
    ]
    first = words[best[0]][best[1]]
    others = dict.fromkeys(text for row in words for text in row if text != first)
    said = [f"{name}: {first}", *(f"of another: {text}" for text in others)]
    left = len(said) - MOST_REASONINGS
    return [*said[:MOST_REASONINGS], *([f"... and {left} more"] if left > 0 else [])]


def _paths(scene: Scene, prediction: Prediction, best: tuple[int, int]) -> list[tuple[Floats, str, float]]:
    """Return the paths (N, 3) from ego on with colour and width: samples, then the best, then what was driven."""
    start = np.zeros((1, 3))
    samples = [path for row in prediction.xyz for path in row]
    drawn = [(np.concatenate([start, path]), SAMPLE, 2.0) for path in samples]
    drawn.append((np.concatenate([start, prediction.xyz[best]]), BEST, 3.5))
    if len(scene.path.future_xyz):
        drawn.append((np.concatenate([start, scene.path.future_xyz]), DRIVEN, 2.5))
    return drawn


def _frame(scene: Scene, prediction: Prediction, best: tuple[int, int], on_frame: bool) -> "Image":
    """Return the last frame of the front camera, the paths on it where its lens is known."""
    place = next((n for n, camera in enumerate(scene.cameras) if camera in NOMINAL_CAMERAS), 0)
    camera, pixels = scene.cameras[place], scene.frames[place][-1].transpose(1, 2, 0)
    image = pillow().Image.fromarray(np.ascontiguousarray(pixels))
    scale = min(FRAME_WIDTH / image.width, HEIGHT / image.height)
    width, height = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    sheet: Image = pillow().Image.new("RGB", (FRAME_WIDTH, HEIGHT), PAPER)
    image, note = image.resize((QUICK * width, QUICK * height)), camera
    if on_frame and camera in NOMINAL_CAMERAS:
        note = f"{camera}, paths drawn with a nominal lens"
        for path, colour, line_px in _paths(scene, prediction, best):
            seen = NOMINAL_CAMERAS[camera].pixels(path, QUICK * width, QUICK * height)
            for piece in _pieces(seen):
                pen(image).line([(x, y) for x, y in piece.tolist()], colour, round(QUICK * line_px), joint="curve")
    sheet.paste(image.reduce(QUICK), (0, 0))
    pen(sheet).text(
        (MARGIN, height - MARGIN), note, PAPER, font=font(TEXT_PX), anchor="ls", stroke_width=2, stroke_fill=INK
    )
    return sheet


def _pieces(points: Floats) -> Sequence[Floats]:
    """Return the stretches of a line that are in view."""
    shown = np.concatenate([[False], np.isfinite(points).all(axis=1), [False]])
    runs = np.flatnonzero(np.diff(shown)).reshape(-1, 2).tolist()
    return [points[start:end] for start, end in runs if end - start > 1]


def _above(scene: Scene, prediction: Prediction, best: tuple[int, int]) -> "Image":
    """Return the paths from above, ego heading up."""
    drawn = _paths(scene, prediction, best)
    furthest = max(float(np.abs(path[:, :2]).max()) for path, _, _ in drawn)
    at = np.array([ABOVE_WIDTH / 2, HEIGHT * (1 - ABOVE_BEHIND_SHARE)])
    scale = min(at[1] - MARGIN, ABOVE_WIDTH / 2 - MARGIN) / np.clip(furthest, LEAST_AHEAD_M, MOST_AHEAD_M)

    def pixels(xy: Floats) -> Floats:
        placed: Floats = np.stack([at[0] - xy[:, 1] * scale, at[1] - xy[:, 0] * scale], axis=1)
        return placed

    sketch = Sketch(ABOVE_WIDTH, HEIGHT, "#f5f7f9")
    reach = np.ceil(HEIGHT / scale / GRID_M) * GRID_M
    for metres in np.arange(-reach, reach + GRID_M, GRID_M):
        sketch.line(pixels(np.array([[metres, -reach], [metres, reach]])), GRID)
        sketch.line(pixels(np.array([[-reach, metres], [reach, metres]])), GRID)
    sketch.line(pixels(scene.path.history_xyz), MUTED, 2.0)
    for path, colour, line_px in drawn:
        sketch.line(pixels(path), colour, line_px)
    sketch.polygon(at + ego_outline() * np.array([scale, -scale]), INK)
    image = sketch.finished()
    _write_key(image, bool(len(scene.path.future_xyz)))
    return image


def _write_key(image: "Image", driven: bool) -> None:
    entries = [
        ("samples", SAMPLE),
        ("the best" if driven else "the first", BEST),
        *([("driven", DRIVEN)] if driven else []),
    ]
    words = pen(image)
    for number, (text, colour) in enumerate(entries):
        top = MARGIN + number * LINE_PX
        words.line([(MARGIN, top + LINE_PX / 2), (MARGIN + 24, top + LINE_PX / 2)], colour, 4)
        words.text((MARGIN + 32, top + LINE_PX / 2), text, INK, font=font(TEXT_PX), anchor="lm")
    words.text((MARGIN, HEIGHT - MARGIN), f"grid {GRID_M:.0f} m", MUTED, font=font(TEXT_PX), anchor="ls")
