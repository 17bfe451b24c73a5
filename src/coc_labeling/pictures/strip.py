"""The clip over time: curves of speed and heading, the spans of each axis, keyframes; and the moment's place in it."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from coc_labeling.pictures.ink import Sketch, clean, font, pen
from coc_labeling.pictures.layout import Box, Layout
from coc_labeling.pictures.story import US, ClipStory, EgoStates, words
from coc_labeling.report.clips import Keyframe
from coc_labeling.report.palette import (
    GRID,
    INK,
    LEAD,
    LEFT_SOFT,
    MUTED,
    PAPER,
    REVERSE,
    RIGHT_SOFT,
    action_colour,
    ink_on,
)
from coc_labeling.report.svg import nice_ticks, tick_text
from driving_clips.ego_motion import TICK_SEC
from driving_clips.geometry import Floats
from meta_action.names import AXES
from meta_action.timeline import Span

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

LEAST_SPEED_MPS, LEAST_TURN_DEG = 3.0, 10.0  # what a curve's scale reaches at least
NEAR_SEC = 0.45  # keyframes nearer than this have no room for their numbers beside each other
EMPTY_LANE, FORWARDS, BACKWARDS = "#f1f4f6", "#dbe3ea", REVERSE
_SHORT = {"acceleration": "acc.", "deceleration": "dec.", "maintain": "keep", "reverse": "rev."}


@dataclass(frozen=True)
class _Curve:
    """One signal: its panel, name, unit, values at the ticks, and colours above and below zero."""

    box: Box
    name: str
    unit: str
    t_sec: Floats
    values: Floats
    low: float
    high: float
    above: str
    below: str

    def y(self, values: Floats | float) -> Floats:
        """Return heights in pixels."""
        share = (self.high - np.asarray(values, float)) / (self.high - self.low)
        heights: Floats = self.box.top + self.box.height * share
        return heights

    def at(self, t_sec: float) -> float:
        """Return the value at a time."""
        return float(np.interp(t_sec, self.t_sec, self.values))


class TimeStrip:
    """Draws the strip once, and then only the moment in it."""

    def __init__(self, story: ClipStory, layout: Layout) -> None:
        self._story, self._layout = story, layout
        self._box = layout.speed
        seconds = max(story.end_sec - story.start_sec, TICK_SEC)
        self._px_per_sec = self._box.width / seconds
        heading = np.degrees(np.unwrap(story.ego.heading))
        self._curves = (
            self._curve("speed", "m/s", story.ego.longitudinal_speed, LEAST_SPEED_MPS, (FORWARDS, BACKWARDS)),
            self._curve("heading", "deg", heading - heading[0], LEAST_TURN_DEG, (LEFT_SOFT, RIGHT_SOFT)),
        )

    def draw_on(self, image: "Image") -> None:
        """Draw what stays the same."""
        sketch = Sketch(image.width, image.height - self._top, PAPER)
        shift = np.array([0.0, -self._top])
        seconds = self._seconds
        ends = [[[x, self._box.top], [x, self._layout.time_axis.top]] for x in self._x(seconds)]
        sketch.lines(np.array(ends) + shift, GRID)
        for curve in self._curves:
            self._draw_curve(sketch, curve, shift)
        self._draw_lanes(sketch, shift)
        self._draw_keyframes(sketch, shift)
        image.paste(sketch.finished(), (0, self._top))
        self._write(image, seconds)

    def mark(self, image: "Image", t_us: int, states: EgoStates, frame: int) -> None:
        """Draw the moment: a line through all panels, a point on each curve, and its values."""
        t_sec, draw, layout = t_us / US, pen(image), self._layout
        x = float(self._x(t_sec))
        half = max(1, layout.px(1.0))
        draw.rectangle([round(x) - half, self._box.top - layout.px(2), round(x) + half - 1, layout.time_axis.top], LEAD)
        left = self._box.right + layout.px(12)
        values = (states.speed[frame], self._curves[1].at(t_sec))
        for curve, value in zip(self._curves, values, strict=True):
            image.paste(LEAD, self._dot_corner(x, float(curve.y(curve.at(t_sec)))), self._dot)
            text = f"{round(float(value), 1) + 0.0:.1f}".replace("-", "−")
            big, small = font(layout.px(19), bold=True), font(layout.px(11))
            middle = (curve.box.top + curve.box.bottom) // 2
            draw.text((left, middle), text, INK, font=big, anchor="ls")
            draw.text((left + big.getlength(text) + layout.px(4), middle), curve.unit, MUTED, font=small, anchor="ls")
            draw.text((left, middle + layout.px(16)), self._remark(curve, float(value)), MUTED, font=small, anchor="ls")

    def _remark(self, curve: _Curve, value: float) -> str:
        """Return what helps to read a value."""
        if curve.unit == "m/s":
            return f"{tick_text(round(value * 3.6) + 0)} km/h"
        if abs(value) < 0.05:
            return "as at the start"
        return "left of the start" if value > 0 else "right of the start"

    @cached_property
    def _dot(self) -> "Image":
        """A disc as a mask."""
        radius = self._layout.scale * 5.0
        size = 2 * round(radius) + 1
        sketch = Sketch(size, size, "#000000")
        sketch.disc(size / 2, size / 2, radius, "#ffffff")
        return sketch.finished().convert("L")

    def _dot_corner(self, x: float, y: float) -> tuple[int, int]:
        half = self._dot.width // 2
        return round(x) - half, round(y) - half

    @property
    def _top(self) -> int:
        return self._layout.marks.top

    @property
    def _seconds(self) -> Floats:
        """Round times that are written below."""
        ticks: Floats = nice_ticks(self._story.start_sec, self._story.end_sec, 10)
        return ticks

    def _x(self, t_sec: Floats | float) -> Floats:
        across: Floats = self._box.left + (np.asarray(t_sec, float) - self._story.start_sec) * self._px_per_sec
        return across

    def _curve(self, name: str, unit: str, values: Floats, least: float, colours: tuple[str, str]) -> _Curve:
        """Return a curve with a scale that its values fill, zero among them."""
        low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
        spare = max(least - (high - low), 0.0)
        low, high = (low, high + spare) if name == "speed" else (low - spare / 2, high + spare / 2)
        room = (high - low) * 0.08
        box = self._layout.speed if name == "speed" else self._layout.heading
        return _Curve(box, name, unit, self._story.ego.t_sec, values, low - room * (low < 0), high + room, *colours)

    def _draw_curve(self, sketch: Sketch, curve: _Curve, shift: Floats) -> None:
        box, x = curve.box, self._x(curve.t_sec)
        ends = [[[box.left, y], [box.right, y]] for y in curve.y(self._marks(curve))]
        sketch.lines(np.array(ends) + shift, GRID)
        zero = float(curve.y(0.0))
        for part, colour in ((np.maximum(curve.values, 0), curve.above), (np.minimum(curve.values, 0), curve.below)):
            if part.any():
                outline = np.column_stack([x, curve.y(part)])
                feet = np.array([[x[-1], zero], [x[0], zero]])
                sketch.polygon(np.concatenate([outline, feet]) + shift, colour)
        sketch.line(np.array([[box.left, zero], [box.right, zero]]) + shift, MUTED, 0.75)
        sketch.line(np.column_stack([x, curve.y(curve.values)]) + shift, INK, self._layout.scale * 1.8)

    def _marks(self, curve: _Curve) -> Floats:
        """Return round values for a curve's scale."""
        marks: Floats = nice_ticks(curve.low, curve.high, 3)
        return marks

    def _draw_lanes(self, sketch: Sketch, shift: Floats) -> None:
        for number in range(len(AXES)):
            box = self._layout.lane(number)
            top, bottom = box.top + shift[1], box.bottom + shift[1]
            sketch.card((box.left, top, box.right, bottom), EMPTY_LANE)
        for span in self._spans:
            left, top, right, bottom = self._span_box(span)
            corners = (left, top + shift[1], right, bottom + shift[1])
            sketch.card(corners, action_colour(span.name), PAPER, self._layout.scale * 3)

    @property
    def _spans(self) -> list[Span]:
        """Return the spans on known axes that overlap what is shown."""
        start, end = (round(t / TICK_SEC) for t in (self._story.start_sec, self._story.end_sec))
        return [
            span for span in self._story.timeline.spans if span.axis in AXES and start <= span.end and span.start <= end
        ]

    def _span_box(self, span: Span) -> tuple[float, float, float, float]:
        box = self._layout.lane(AXES.index(span.axis))
        left, right = np.clip(self._x(np.array([span.start, span.end]) * TICK_SEC), box.left, box.right)
        return float(left), box.top, max(float(right), float(left) + 1.0), box.bottom

    @cached_property
    def _numbered(self) -> list[tuple[Keyframe, bool]]:
        """The keyframes, and whether there is room for the number of each: of several that lie close, the first."""
        chosen, last = [], -np.inf
        for keyframe in self._story.keyframes or ():
            has_room = keyframe.t_sec - last >= NEAR_SEC
            last = keyframe.t_sec if has_room else last
            chosen.append((keyframe, has_room))
        return chosen

    def _draw_keyframes(self, sketch: Sketch, shift: Floats) -> None:
        y = self._layout.marks.top + self._layout.marks.height / 2
        for keyframe, has_room in reversed(self._numbered):
            x, radius = float(self._x(keyframe.t_sec)), self._layout.scale * (9.0 if has_room else 4.0)
            sketch.line(np.array([[x, y], [x, self._layout.heading.bottom]]) + shift, INK, self._layout.scale)
            sketch.disc(x, y + shift[1], radius, PAPER if keyframe.is_abstention else INK, INK, self._layout.scale)

    def _write(self, image: "Image", seconds: Floats) -> None:
        layout, draw = self._layout, pen(image)
        small, tiny = font(layout.px(11)), font(layout.px(10))
        for curve in self._curves:
            middle = (curve.box.top + curve.box.bottom) / 2
            draw.text((layout.px(16), middle - layout.px(7)), curve.name, MUTED, font=small, anchor="lm")
            draw.text((layout.px(16), middle + layout.px(7)), f"({curve.unit})", MUTED, font=tiny, anchor="lm")
            marks = self._marks(curve)
            for value, y in zip(marks, curve.y(marks), strict=True):
                place = (curve.box.left - layout.px(6), float(y))
                draw.text(place, tick_text(value), MUTED, font=tiny, anchor="rm")
        for number, axis in enumerate(AXES):
            box = layout.lane(number)
            draw.text((layout.px(16), (box.top + box.bottom) / 2), axis, MUTED, font=small, anchor="lm")
        for span in self._spans:
            left, top, right, bottom = self._span_box(span)
            text = fitting(span.name, tiny, right - left - layout.px(6))
            colour = ink_on(action_colour(span.name))
            draw.text(((left + right) / 2, (top + bottom) / 2), text, colour, font=tiny, anchor="mm")
        for value, x in zip(seconds, self._x(seconds), strict=True):
            draw.text(
                (float(x), layout.time_axis.top + layout.px(4)), f"{tick_text(value)} s", MUTED, font=tiny, anchor="ma"
            )
        self._write_numbers(image)

    def _write_numbers(self, image: "Image") -> None:
        y = self._layout.marks.top + self._layout.marks.height / 2
        for keyframe, has_room in self._numbered:
            if has_room:
                look = {"font": font(self._layout.px(10), bold=True), "anchor": "mm"}
                colour = INK if keyframe.is_abstention else PAPER
                pen(image).text((float(self._x(keyframe.t_sec)), y), f"{keyframe.number}", colour, **look)


def fitting(name: str, letters: "FreeTypeFont", width: float) -> str:
    """Return the fullest form of a meta-action's name that fits a width in pixels; empty where none does."""
    full = clean(words(name))
    short = " ".join(_SHORT.get(word, word) for word in full.split())
    last = short.split()[-1] if short else ""
    return next((form for form in (full, short, last) if letters.getlength(form) <= width), "")
