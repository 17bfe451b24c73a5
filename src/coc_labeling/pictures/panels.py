"""The panels beside the scene: which clip and moment, the meta-actions of now, and what the label says."""

from typing import TYPE_CHECKING

from coc_labeling.pictures.ink import Sketch, clean, elided, font, pen, wrapped
from coc_labeling.pictures.layout import Layout
from coc_labeling.pictures.story import LABEL_SEC, US, ClipStory, words
from coc_labeling.report.clips import Keyframe
from coc_labeling.report.palette import GRID, INK, LEAD, MUTED, PAPER, action_colour, ink_on, risk_colour
from driving_clips.ego_motion import TICK_SEC
from meta_action.names import AXES
from meta_action.timeline import Span

if TYPE_CHECKING:
    from PIL.Image import Image

CARD = "#f5f7f9"
_NOTHING = "—"


def draw_header(image: "Image", story: ClipStory, layout: Layout) -> None:
    """Write which clip it is."""
    box = layout.header
    large = font(layout.px(18), bold=True)
    text = elided(story.clip_id, large, box.width - layout.px(190))
    pen(image).text((box.left, (box.top + box.bottom) / 2), text, INK, font=large, anchor="lm")


def draw_time(image: "Image", story: ClipStory, layout: Layout, t_us: int) -> None:
    """Write which moment it is."""
    box, draw = layout.header, pen(image)
    large, small = font(layout.px(18), bold=True), font(layout.px(12))
    middle = (box.top + box.bottom) // 2 + layout.px(6)
    rest = f" of {story.end_sec:.1f} s"
    draw.text((box.right, middle), rest, MUTED, font=small, anchor="rs")
    draw.text((box.right - small.getlength(rest), middle), f"{t_us / US:.1f} s", INK, font=large, anchor="rs")


class NowPanel:
    """The meta-actions of the moment, a row for each axis."""

    def __init__(self, story: ClipStory, layout: Layout) -> None:
        self._story, self._layout = story, layout
        self._axes = {span.axis for span in story.timeline.spans}
        self._chips: dict[str, Image] = {}

    def draw_on(self, image: "Image", t_us: int) -> None:
        """Draw the rows."""
        spans = self._story.spans_at(t_us)
        for number, axis in enumerate(AXES):
            self._draw_row(image, number, axis, spans.get(axis), t_us)

    def _draw_row(self, image: "Image", number: int, axis: str, span: Span | None, t_us: int) -> None:
        layout, draw = self._layout, pen(image)
        box = layout.now
        height, left = box.height / len(AXES), box.left + layout.px(104)
        top = box.top + number * height
        middle = top + height / 2
        small = font(layout.px(13))
        draw.text((box.left, middle), axis, MUTED, font=small, anchor="lm")
        if span is None:
            said = _NOTHING if axis in self._axes else "no meta-action in this clip"
            draw.text((left, middle), said, MUTED, font=small, anchor="lm")
            return
        if span.name not in self._chips:
            self._chips[span.name] = self._chip(span.name)
        image.paste(self._chips[span.name], (left, round(middle - layout.px(15))))
        start, end = (tick * TICK_SEC for tick in (span.start, span.end))
        rest = f"{start:.1f} to {end:.1f} s"
        draw.text((box.right, middle), rest, MUTED, font=font(layout.px(12)), anchor="rm")

    def _chip(self, name: str) -> "Image":
        """Return a name on its colour."""
        layout, colour = self._layout, action_colour(name)
        sketch = Sketch(layout.px(230), layout.px(30), PAPER)
        sketch.card((0, 0, layout.px(230), layout.px(30)), colour, colour, layout.scale * 6)
        image = sketch.finished()
        bold = font(layout.px(15), bold=True)
        text = elided(clean(words(name)), bold, image.width - layout.px(16))
        pen(image).text((image.width / 2, image.height / 2), text, ink_on(colour), font=bold, anchor="mm")
        return image


class LabelPanel:
    """What the label of the moment says; each label's card is drawn once."""

    def __init__(self, story: ClipStory, layout: Layout) -> None:
        self._story, self._layout = story, layout
        self._cards: dict[int | str, Image] = {}

    def draw_on(self, image: "Image", t_us: int) -> None:
        """Draw the card of the label that speaks of a time; nothing where no labels are to be shown."""
        if self._story.keyframes is None:
            return
        keyframe = self._story.label_at(t_us)
        shown = self._story.keyframes.index(keyframe) if keyframe else self._next(t_us)
        if shown not in self._cards:
            self._cards[shown] = self._empty(shown) if isinstance(shown, str) else self._card(shown)
        image.paste(self._cards[shown], self._layout.label[:2])

    def _next(self, t_us: int) -> str:
        """Return what is said where no label speaks."""
        later = [k for k in self._story.keyframes or () if round(k.t_sec * US) > t_us]
        if later:
            return f"no label here; keyframe {later[0].number} is at {later[0].t_sec:.1f} s"
        return "no label here" if self._story.keyframes else "no label in this clip"

    def _empty(self, text: str) -> "Image":
        image = self._blank(None)
        letters = font(self._layout.px(13))
        pen(image).text((image.width / 2, image.height / 2), text, MUTED, font=letters, anchor="mm")
        return image

    def _card(self, number: int) -> "Image":
        assert self._story.keyframes is not None
        keyframe = self._story.keyframes[number]
        page = _Page(self._blank(keyframe), self._layout)
        end = keyframe.t_sec + LABEL_SEC
        following = self._story.keyframes[number + 1 : number + 2]
        end = min(end, self._story.end_sec, *(after.t_sec for after in following))
        page.write(f"keyframe at {keyframe.t_sec:.1f} s, shown to {end:.1f} s", 12, MUTED, most=1, indent=30)
        page.skip(8)
        if keyframe.is_abstention:
            page.write(f"no label: {words(keyframe.row['abstention_reason'] or 'unknown')}", 17, INK, bold=True, most=2)
            page.skip(4)
            page.write(keyframe.detail or keyframe.row.get("abstention_detail") or "", 13, INK, most=8)
            return page.image
        _write_label(page, keyframe)
        return page.image

    def _blank(self, keyframe: Keyframe | None) -> "Image":
        """Return an empty card, with its keyframe's number where it has one."""
        layout, box = self._layout, self._layout.label
        sketch = Sketch(box.width, box.height, PAPER)
        sketch.card((0, 0, box.width, box.height), CARD, GRID, layout.scale * 8)
        if keyframe is None:
            return sketch.finished()
        x = y = layout.px(22)
        face, ink = (PAPER, INK) if keyframe.is_abstention else (INK, PAPER)
        sketch.disc(x, y, layout.scale * 10, face, INK, layout.scale)
        image = sketch.finished()
        number = font(layout.px(11), bold=True)
        pen(image).text((x, y), f"{keyframe.number}", ink, font=number, anchor="mm")
        return image


class _Page:
    """A card that is written from the top to the bottom; what does not fit is cut."""

    def __init__(self, image: "Image", layout: Layout) -> None:
        self.image, self._layout = image, layout
        self._left, self._y = layout.px(14), float(layout.px(14))

    def skip(self, height: float) -> None:
        """Leave some room."""
        self._y += self._layout.scale * height

    def write(
        self, text: str, size: int, colour: str, *, most: int, bold: bool = False, indent: int = 0, dot: str = ""
    ) -> None:
        """Write a text in at most so many lines, fewer where the card ends; ``dot`` is the colour of one before it."""
        layout = self._layout
        letters = font(layout.px(size), bold=bold)
        step = layout.scale * size * 1.32
        left = self._left + layout.px(indent)
        room = int((self.image.height - layout.px(10) - self._y) // step)
        lines = wrapped(text, letters, self.image.width - left - self._left, min(most, room))
        if dot and lines:
            middle, radius = self._y + step * 0.48, layout.scale * 3
            box = [left - layout.px(9) - radius, middle - radius, left - layout.px(9) + radius, middle + radius]
            pen(self.image).ellipse(box, dot)
        for line in lines:
            pen(self.image).text((left, self._y), line, colour, font=letters, anchor="la")
            self._y += step


def _write_label(page: _Page, keyframe: Keyframe) -> None:
    """Write decisions, sentence, risk, causes and trace, in the order of their weight."""
    row = keyframe.row
    lateral = words(row["lateral"] or _NOTHING) + (f", {row['direction']}" if row["direction"] else "")
    page.write(f"{words(row['longitudinal'] or _NOTHING)}  ·  {lateral}", 15, INK, bold=True, most=1)
    page.skip(6)
    page.write(row["sentence"] or "", 19, INK, most=5)
    page.skip(8)
    if keyframe.risk is not None:
        said = f"{keyframe.risk.text}: {keyframe.risk.reasons[0]}" if keyframe.risk.reasons else keyframe.risk.text
        page.write(said, 13, INK, most=2, indent=14, dot=risk_colour(keyframe.risk.status))
        page.skip(4)
    for axis, causes in keyframe.causes:
        for text, track_id in causes:
            page.write(text, 13, INK, most=2, indent=14, dot=LEAD if track_id else MUTED)
        if not causes:
            page.write(f"{axis}: cause unobserved", 13, MUTED, most=1, indent=14, dot=GRID)
    page.skip(6)
    page.write(clean(row.get("trace") or ""), 13, MUTED, most=6)
