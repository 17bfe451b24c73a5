"""What ego's front camera sees of the world: flat shapes in perspective, the far ones first."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from benchmarks.small_world.world import LANE_M, Car, Light, Moment, Obstacle, Standing

WIDTH, HEIGHT = 256, 128
FINER = 3  # drawn so many times larger, then averaged, so that a shape's edge tells its distance below a pixel
FOCAL, HORIZON = 300.0, 54.0  # pixels
CAMERA_M = 1.6  # above the road
NEAR_M, FAR_M = 3.0, 90.0
GRAIN = 3.0  # standard deviation of the pictures' noise, of 255
YELLOW_UNTIL_SEC = -0.15  # then the light turns red

ROAD, LINE, SHOULDER = (92, 94, 98), (222, 222, 214), (128, 124, 116)
BRAKE, TAIL = (255, 40, 36), (112, 26, 26)
RED, YELLOW, GREEN, DARK = (255, 36, 32), (255, 206, 40), (40, 236, 120), (34, 36, 38)
CONE, STRIPE = (255, 122, 24), (246, 246, 240)

Colour = tuple[int, int, int]
Shape = tuple[float, Callable[["_Canvas"], None]]  # how far ahead, and what draws it


@dataclass(frozen=True)
class _Canvas:
    """Draws shapes given in m: ahead of ego, to its left, above the road."""

    draw: ImageDraw.ImageDraw
    advance_m: float  # ego's place, behind (negative) that at t0
    aside_m: float

    def upright(self, ahead: float, left: float, right: float, low: float, high: float, colour: Colour) -> None:
        """A rectangle that faces ego."""
        (u0, v0), (u1, v1) = self._pixel(ahead, left, high), self._pixel(ahead, right, low)
        self.draw.rectangle((u0, v0, max(u1, u0), max(v1, v0)), fill=colour)

    def disc(self, ahead: float, aside: float, height: float, radius: float, colour: Colour) -> None:
        """A round lamp that faces ego."""
        (u, v), size = self._pixel(ahead, aside, height), radius * FOCAL * FINER / self._depth(ahead)
        self.draw.ellipse((u - size, v - size, u + size, v + size), fill=colour)

    def flat(self, near: float, far: float, left: float, right: float, colour: Colour) -> None:
        """A rectangle that lies on the road."""
        if far - self.advance_m > NEAR_M:
            corners = [(near, left), (near, right), (far, right), (far, left)]
            self.draw.polygon([self._pixel(ahead, aside, 0.0) for ahead, aside in corners], fill=colour)

    def _depth(self, ahead: float) -> float:
        return max(ahead - self.advance_m, NEAR_M)

    def _pixel(self, ahead: float, aside: float, height: float) -> tuple[float, float]:
        scale = FOCAL / self._depth(ahead)
        u, v = WIDTH / 2 - (aside - self.aside_m) * scale, HORIZON + (CAMERA_M - height) * scale
        return u * FINER, v * FINER


def frame(moment: Moment, t_sec: float, advance_m: float) -> NDArray[np.uint8]:
    """Return the picture (HEIGHT, WIDTH, 3) uint8 RGB at a time relative to t0, with ego ``advance_m`` from there."""
    scenery = moment.scenery
    image = Image.new("RGB", (WIDTH * FINER, HEIGHT * FINER), scenery.sky)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, HORIZON * FINER, WIDTH * FINER, HEIGHT * FINER), fill=scenery.ground)
    canvas = _Canvas(draw, advance_m, 0.0)
    _draw_road(canvas, moment.other_lane)
    for _, shape in sorted(_shapes(moment, t_sec, advance_m), key=lambda one: -one[0]):
        shape(canvas)
    pixels = np.asarray(image.resize((WIDTH, HEIGHT), Image.Resampling.BOX), dtype=np.float64)
    random = np.random.default_rng([scenery.seed, round((t_sec + 60.0) * 1000)])
    grain = random.normal(0.0, GRAIN, (HEIGHT, WIDTH, 1))
    return np.clip(pixels * scenery.brightness + grain, 0, 255).astype(np.uint8)


def _draw_road(canvas: _Canvas, other: int) -> None:
    low, high = sorted([-other * LANE_M / 2, other * 1.5 * LANE_M])
    canvas.flat(canvas.advance_m, FAR_M, high + 2.2, low - 2.2, SHOULDER)
    canvas.flat(canvas.advance_m, FAR_M, high, low, ROAD)
    for edge in (low, high):
        canvas.flat(canvas.advance_m, FAR_M, edge + 0.1, edge - 0.1, LINE)
    middle = other * LANE_M / 2
    for start in np.arange(-12.0, FAR_M, 6.0):
        canvas.flat(start, start + 3.0, middle + 0.1, middle - 0.1, LINE)


def _shapes(moment: Moment, t_sec: float, advance_m: float) -> Iterator[Shape]:
    for ahead, aside, height in moment.scenery.trees:
        yield ahead, _tree(ahead, aside, height)
    for light in moment.lights:
        yield light.ahead_m, _light(light, moment.other_lane, t_sec)
    for standing in moment.standing:
        yield standing.ahead_m, _standing(standing)
    for car in moment.cars:
        yield car.ahead_m, _car(car, car.ahead_m + advance_m)


def _tree(ahead: float, aside: float, height: float) -> Callable[[_Canvas], None]:
    def draw(canvas: _Canvas) -> None:
        canvas.upright(ahead, aside + 0.2, aside - 0.2, 0.0, height / 2, (84, 66, 48))
        canvas.disc(ahead, aside, height * 0.65, height * 0.35, (52, 92, 50))

    return draw


def _light(light: Light, other: int, t_sec: float) -> Callable[[_Canvas], None]:
    """A post at the edge of the road on ego's side, with three large lamps side by side, and the stop line."""
    lit = 2
    if light.red:
        lit = 1 if t_sec < YELLOW_UNTIL_SEC else 0

    def draw(canvas: _Canvas) -> None:
        at, aside = light.ahead_m + 1.0, -other * LANE_M
        low, high = sorted([-other * LANE_M / 2, other * 1.5 * LANE_M])
        canvas.flat(light.ahead_m, light.ahead_m + 0.8, high, low, LINE)
        canvas.upright(at, aside + 0.12, aside - 0.12, 0.0, 1.8, (70, 72, 74))
        canvas.upright(at, aside + 2.3, aside - 2.3, 1.7, 3.4, DARK)
        for lamp, colour in enumerate((RED, YELLOW, GREEN)):
            canvas.disc(at, aside + other * 1.5 * (1 - lamp), 2.55, 0.7, colour if lamp == lit else (64, 60, 56))

    return draw


def _standing(standing: Standing) -> Callable[[_Canvas], None]:
    at, aside = standing.ahead_m, standing.aside_m

    def cones(canvas: _Canvas) -> None:
        for shift in (-1.1, 0.0, 1.1):
            middle = aside + shift
            canvas.upright(at, middle + 0.4, middle - 0.4, 0.0, 0.3, CONE)
            canvas.upright(at, middle + 0.28, middle - 0.28, 0.3, 0.6, STRIPE)
            canvas.upright(at, middle + 0.18, middle - 0.18, 0.6, 1.1, CONE)

    def truck(canvas: _Canvas) -> None:
        canvas.upright(at, aside + 1.2, aside - 1.2, 0.35, 3.2, (214, 208, 196))
        canvas.upright(at, aside + 1.2, aside - 1.2, 0.35, 0.9, (70, 70, 72))
        for stripe in range(4):
            start = aside + 1.2 - 0.6 * stripe
            canvas.upright(at, start, start - 0.3, 0.9, 1.5, CONE)
        canvas.upright(at, aside + 1.2, aside - 1.2, 0.0, 0.35, DARK)

    return cones if standing.kind is Obstacle.CONES else truck


def _car(car: Car, at: float) -> Callable[[_Canvas], None]:
    aside = car.lane * LANE_M

    def draw(canvas: _Canvas) -> None:
        canvas.upright(at, aside + 0.95, aside - 0.95, 0.3, 1.0, car.colour)
        canvas.upright(at, aside + 0.75, aside - 0.75, 1.0, 1.5, car.colour)
        canvas.upright(at, aside + 0.65, aside - 0.65, 1.0, 1.4, (40, 48, 58))
        canvas.upright(at, aside + 0.9, aside - 0.9, 0.0, 0.3, DARK)
        lamp = BRAKE if car.brakes else TAIL
        for side in (0.9, -0.4):
            canvas.upright(at, aside + side, aside + side - 0.5, 0.6, 0.95, lamp)
        if car.brakes:
            canvas.upright(at, aside + 0.35, aside - 0.35, 1.38, 1.55, lamp)

    return draw
