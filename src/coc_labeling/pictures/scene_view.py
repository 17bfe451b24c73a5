"""The scene from above at one moment: ego heads up, the road it drives under it, other road users around."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from coc_labeling.pictures.ink import QUICK, Sketch, clean, elided, font, pen
from coc_labeling.pictures.layout import Layout
from coc_labeling.pictures.road_users import Kind, RoadUsers
from coc_labeling.pictures.story import US, ClipStory, EgoStates, cited_by
from coc_labeling.report.clips import Keyframe
from coc_labeling.report.ego_outline import EGO_WIDTH_M, ego_outline
from coc_labeling.report.palette import INK, LEAD, LEAD_SOFT, MUTED, PAPER, STEADY, action_colour
from driving_clips.ego_motion import TICK_SEC, EgoMotion
from driving_clips.geometry import Floats
from meta_action.names import LONGITUDINAL
from meta_action.timeline import Timeline

if TYPE_CHECKING:
    from PIL.Image import Image

GROUND, GRID, DRIVEN = "#f5f7f9", "#e4e9ee", "#aab4be"
FACES = {Kind.VEHICLE: "#c3ced8", Kind.VULNERABLE: "#f2c53d", Kind.OTHER: "#e9edf0"}
EDGES = {Kind.VEHICLE: "#74828f", Kind.VULNERABLE: "#8a6a00", Kind.OTHER: "#9aa5b0"}
EGO_AT = 0.72  # of the height, from the top
GRID_M = 10.0
AHEAD_SEC = 3.5  # how far ahead is shown, at the clip's highest speed
LEAST_AHEAD_M, MOST_AHEAD_M = 45.0, 110.0
SCALE_BARS_M = (5.0, 10.0, 20.0, 50.0)
_SMALLEST_PX = 3.0  # a road user's box is drawn no smaller


class _Note(NamedTuple):
    """A text that is written once the shapes are drawn."""

    x: float
    y: float
    text: str
    colour: str


@dataclass(frozen=True)
class _Eye:
    """From the clip's frame to the picture: ego at ``at`` px, heading up."""

    xy: Floats
    heading: float
    at: Floats
    scale: float

    def pixels(self, points: Floats) -> Floats:
        """Return points (..., 2) in m as pixels."""
        moved = points - self.xy
        cos, sin = np.cos(self.heading), np.sin(self.heading)
        right = moved[..., 0] * sin - moved[..., 1] * cos
        ahead = moved[..., 0] * cos + moved[..., 1] * sin
        placed: Floats = np.stack([self.at[0] + right * self.scale, self.at[1] - ahead * self.scale], axis=-1)
        return placed


class SceneView:
    """Draws the scene from above; what does not change from moment to moment is worked out once."""

    def __init__(self, story: ClipStory, states: EgoStates, users: RoadUsers, layout: Layout) -> None:
        """``states`` and ``users`` are of the moments that are drawn."""
        self._story, self._states, self._users, self._layout = story, states, users, layout
        box = layout.scene
        self._size = np.array([box.width, box.height], float)
        self._at = self._size * [0.5, EGO_AT]
        ahead = float(np.clip(np.abs(states.speed).max() * AHEAD_SEC, LEAST_AHEAD_M, MOST_AHEAD_M))
        self._scale = float(self._at[1] / ahead)
        self._reach_m = float(np.hypot(*self._size)) / self._scale

    def draw(self, frame: int, t_us: int, keyframe: Keyframe | None, note: str) -> "Image":
        """Return the picture of a moment; ``note`` is said in its corner."""
        sketch = Sketch(int(self._size[0]), int(self._size[1]), GROUND, QUICK)
        eye = _Eye(self._states.xy[frame], float(self._states.heading[frame]), self._at, self._scale)
        cited = cited_by(keyframe)
        self._draw_grid(sketch, eye)
        self._draw_path(sketch, eye, t_us)
        places = self._draw_users(sketch, eye, frame, cited)
        self._draw_ego(sketch)
        numbers = self._draw_keyframes(sketch, eye)
        bar = self._draw_scale(sketch)
        image = sketch.finished()
        self._write_users(image, places)
        small = font(self._layout.px(12))
        for text in numbers:
            pen(image).text(text[:2], text.text, text.colour, font=font(self._layout.px(10), bold=True), anchor="mm")
        pen(image).text(bar[:2], bar.text, bar.colour, font=small, anchor="mb")
        margin = self._layout.px(10)
        room = self._size[0] - 2 * margin
        pen(image).text((margin, margin), elided(note, small, room), MUTED, anchor="la", font=small, **self._halo)
        return image

    @property
    def _halo(self) -> dict[str, Any]:
        return {"stroke_width": self._layout.px(2.5), "stroke_fill": GROUND}

    def _px(self, length: float) -> float:
        return length * self._layout.scale

    def _draw_grid(self, sketch: Sketch, eye: _Eye) -> None:
        """Draw lines that stay where they are in the world, so that one sees ego move."""
        first = np.floor((eye.xy - self._reach_m) / GRID_M) * GRID_M
        steps = np.arange(0.0, 2 * self._reach_m + GRID_M, GRID_M)
        zero, far = np.zeros_like(steps), np.full_like(steps, steps[-1])
        for low, high in (((steps, zero), (steps, far)), ((zero, steps), (far, steps))):
            ends = np.stack([np.stack(low, axis=1), np.stack(high, axis=1)], axis=1) + first
            sketch.lines(eye.pixels(ends), GRID, self._px(1.0))

    def _draw_path(self, sketch: Sketch, eye: _Eye, t_us: int) -> None:
        """Draw where ego was as a line, and where it will be as wide as itself, in the colours of its speed."""
        left, right = (eye.pixels(edge) for edge in self._edges)
        row = int(np.clip(np.searchsorted(self._story.ego.t_sec, t_us / US), 1, len(left) - 1))
        for start, end, colour in self._stretches:
            first = max(start, row - 1)
            if first < end:
                rows = slice(first, end + 1)
                sketch.polygon(np.concatenate([left[rows], right[rows][::-1]]), colour)
        ahead = slice(row - 1, None)
        for edge in (left, right):
            sketch.line(edge[ahead], PAPER, self._px(1.5))
        driven = np.concatenate([(left[:row] + right[:row]) / 2, self._at[None]])
        sketch.line(driven, DRIVEN, self._px(3.0))

    @cached_property
    def _edges(self) -> tuple[Floats, Floats]:
        """The left and right edge (T, 2) of what ego drives over, in m."""
        ego: EgoMotion = self._story.ego
        across = np.stack([-np.sin(ego.heading), np.cos(ego.heading)], axis=1) * EGO_WIDTH_M / 2
        return ego.xyz[:, :2] + across, ego.xyz[:, :2] - across

    @cached_property
    def _stretches(self) -> list[tuple[int, int, str]]:
        """The path in pieces of one colour: first and last row, and the colour."""
        colours = [_colour_at(self._story.timeline, self._story.ego.first_tick + row) for row in range(self._rows)]
        borders = [0, *(row for row in range(1, self._rows) if colours[row] != colours[row - 1]), self._rows]
        return [(a, min(b, self._rows - 1), colours[a]) for a, b in itertools.pairwise(borders)]

    @property
    def _rows(self) -> int:
        return len(self._story.ego)

    def _draw_users(self, sketch: Sketch, eye: _Eye, frame: int, cited: dict[str, str]) -> list[_Note]:
        """Draw the others, those that the label cites last; returns where what is to be written of them."""
        users, places = self._users, []
        rows = users.near(frame, eye.xy, self._reach_m)
        for row in sorted(rows, key=lambda row: users.track_ids[row] in cited):
            name = users.track_ids[row]
            kind, is_cited = users.kinds[row], name in cited
            face, edge = (LEAD_SOFT, LEAD) if is_cited else (FACES[kind], EDGES[kind])
            outline = self._outline(eye, row, frame)
            sketch.polygon(outline, face, edge, self._px(2.0 if is_cited else 1.2))
            if is_cited:
                gap = float(np.hypot(*(users.xy[row, frame] - eye.xy)))
                x, y = outline.max(axis=0)[0], outline.mean(axis=0)[1]
                places.append(_Note(float(x), float(y), f"{clean(cited[name])} · {gap:.0f} m", LEAD))
        return places

    def _outline(self, eye: _Eye, row: int, frame: int) -> Floats:
        """Return a road user's outline in pixels: a box with a pointed front, or a diamond where less is known."""
        users = self._users
        centre, yaw = users.xy[row, frame], users.yaw[row, frame]
        length, width = users.size[row, :2]
        if not np.isfinite([yaw, length, width]).all():
            radius = self._px(5.0)
            diamond: Floats = eye.pixels(centre) + np.array([[0, -radius], [radius, 0], [0, radius], [-radius, 0]])
            return diamond
        length, width = np.maximum([length, width], self._px(_SMALLEST_PX) / self._scale)
        ahead = np.array([np.cos(yaw), np.sin(yaw)])
        left = np.array([-ahead[1], ahead[0]]) * width / 2
        nose, shoulder = ahead * length / 2, ahead * (length / 2 - min(width * 0.45, length * 0.3))
        return eye.pixels(centre + np.stack([-nose - left, -nose + left, shoulder + left, nose, shoulder - left]))

    def _draw_ego(self, sketch: Sketch) -> None:
        outline = ego_outline() * np.array([self._scale, -self._scale])
        sketch.polygon(self._at + outline, INK, PAPER, self._px(1.5))

    def _draw_keyframes(self, sketch: Sketch, eye: _Eye) -> list[_Note]:
        """Draw discs for the keyframes beside the path; returns where their numbers go."""
        numbers, ego = [], self._story.ego
        for keyframe in self._story.keyframes or ():
            row = int(np.clip(round(keyframe.t_sec / TICK_SEC) - ego.first_tick, 0, len(ego) - 1))
            beside = self._edges[0][row] + (self._edges[0][row] - self._edges[1][row]) * 0.9
            x, y = (float(value) for value in eye.pixels(beside))
            if -20 < x < self._size[0] + 20 and -20 < y < self._size[1] + 20:
                face, ink = (PAPER, INK) if keyframe.is_abstention else (INK, PAPER)
                sketch.disc(x, y, self._px(8.0), face, INK, self._px(1.2))
                numbers.append(_Note(x, y, f"{keyframe.number}", ink))
        return numbers

    def _draw_scale(self, sketch: Sketch) -> _Note:
        """Draw a scale bar at the bottom right; returns where its length is written."""
        length = max((m for m in SCALE_BARS_M if m * self._scale <= self._px(120.0)), default=SCALE_BARS_M[0])
        right, bottom = self._size - self._px(18.0)
        left, tick = right - length * self._scale, self._px(5.0)
        sketch.line(
            np.array([[left, bottom - tick], [left, bottom], [right, bottom], [right, bottom - tick]]), INK, 1.5
        )
        return _Note((left + right) / 2, bottom - self._px(9.0), f"{length:g} m", INK)

    def _write_users(self, image: "Image", notes: Sequence[_Note]) -> None:
        """Write what is said of road users beside them, within the picture."""
        small = font(self._layout.px(12))
        for x, y, text, colour in notes:
            short = elided(text, small, self._px(220.0))
            left = min(x + self._px(6.0), self._size[0] - small.getlength(short) - self._px(6.0))
            pen(image).text((left, y), short, colour, anchor="lm", font=small, **self._halo)


def _colour_at(timeline: Timeline, tick: int) -> str:
    name = timeline.at(tick).get(LONGITUDINAL)
    return action_colour(name) if name else STEADY
