"""From a clip's story to its pictures, one for each moment."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from coc_labeling.pictures.ink import blank, pillow
from coc_labeling.pictures.layout import Layout
from coc_labeling.pictures.panels import LabelPanel, NowPanel, draw_header, draw_time
from coc_labeling.pictures.road_users import RoadUsers
from coc_labeling.pictures.scene_view import SceneView
from coc_labeling.pictures.story import ClipStory, EgoStates
from coc_labeling.pictures.strip import TimeStrip
from coc_labeling.report.palette import INK, PAPER

if TYPE_CHECKING:
    from PIL.Image import Image

NO_VIDEO = "no video: the scene from above"
NO_FRAME = "no camera frame at this moment: the scene from above"


class ClipRenderer:
    """Draws the pictures of one clip; what stays the same is drawn once.

    Example:
        >>> renderer = ClipRenderer(story, story.times_us(10.0))  # doctest: +SKIP
        >>> renderer.draw(0).save("first.png")  # doctest: +SKIP
    """

    def __init__(self, story: ClipStory, t_us: NDArray[np.int64], layout: Layout | None = None) -> None:
        """``t_us`` (F,) are the moments, us on the clip clock."""
        self.layout = layout or Layout()
        self._story, self._t_us = story, t_us
        self._states = EgoStates.of(story.ego, t_us)
        self._scene = SceneView(story, self._states, RoadUsers.of(story.obstacles, t_us), self.layout)
        self._strip = TimeStrip(story, self.layout)
        self._now, self._label = NowPanel(story, self.layout), LabelPanel(story, self.layout)
        self._base = blank(self.layout.width, self.layout.height, PAPER)
        draw_header(self._base, story, self.layout)
        self._strip.draw_on(self._base)

    def draw(self, frame: int, picture: "Image | None" = None, note: str = NO_VIDEO) -> "Image":
        """Return the picture of a moment: with a camera's picture, or with the scene from above and a note why."""
        t_us, image = int(self._t_us[frame]), self._base.copy()
        if picture is None:
            scene = self._scene.draw(frame, t_us, self._story.label_at(t_us), note)
        else:
            scene = self._framed(picture)
        image.paste(scene, self.layout.scene[:2])
        draw_time(image, self._story, self.layout, t_us)
        self._now.draw_on(image, t_us)
        self._label.draw_on(image, t_us)
        self._strip.mark(image, t_us, self._states, frame)
        return image

    def draw_all(self, pictures: "Iterable[Image | None] | None") -> "Iterator[Image]":
        """Yield the pictures of all moments; ``pictures`` are the camera's, None for a clip without video."""
        if pictures is None:
            yield from (self.draw(frame) for frame in range(len(self._t_us)))
            return
        for frame, picture in zip(range(len(self._t_us)), pictures, strict=True):
            yield self.draw(frame, picture, NO_FRAME)

    def _framed(self, picture: "Image") -> "Image":
        """Return a camera's picture as large as its panel allows, on black where its shape is another."""
        box = self.layout.scene
        scale = min(box.width / picture.width, box.height / picture.height)
        size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
        if size != picture.size:
            picture = picture.resize(size, pillow().Image.Resampling.BILINEAR, reducing_gap=1.2)
        if size == (box.width, box.height):
            return picture
        framed = blank(box.width, box.height, INK)
        framed.paste(picture, ((box.width - size[0]) // 2, (box.height - size[1]) // 2))
        return framed
