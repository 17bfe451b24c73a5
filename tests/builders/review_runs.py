"""A small run to review, as the pipeline makes it: drives, front-camera videos, road users, labels, checks.

``PYTHONPATH=tests python -m builders.review_runs FOLDER`` makes one to look at by hand.
"""

import shutil
import sys
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
from PIL import Image, ImageDraw, ImageFont

from builders.commands import autolabel
from builders.driving import Drive, drive
from builders.pai import obstacle_columns, parquet, static_box_seen_from
from builders.reviews import PLAIN
from builders.runs import Inputs, only_run, write_keyframes
from builders.table import write_csv
from builders.videos import times_of, write_video
from coc_labeling.checks.run import check_run
from coc_labeling.records import from_yaml
from coc_labeling.results import LABELS_SCHEMA, ExperimentFolder, load_labels
from coc_labeling.review.batches.intake import add_run
from coc_labeling.review.batches.planning import QueueSettings
from coc_labeling.review.batches.queue import enlarge
from coc_labeling.review.store import ReviewStore, Role
from coc_labeling.schema import Category, CoCLabel, Component, Lateral, Longitudinal, Relation, released_content

CAMERA = "camera_front_wide_120fov"
FPS, SECONDS, SIZE = 10, 20, (320, 192)
CLIPS = 6
FAR = 100.0  # m
# Windows at 3 s and 12.5 s of a clip do not overlap; those of the last clip do.
FRAMES = (30, 125)
OVERLAPPING = (30, 45, 60, 125)

# What no rule would say of these moments, for checks to find.
WRONG = {
    ("drive_0", 125): CoCLabel(
        lateral=Lateral(decision="change_lane", direction="left", cause_ids=("c1",)),
        components=(
            Component(
                id="c1", category=Category.CRITICAL_OBJECT, relation=Relation.CUT_IN, description="the white van"
            ),
        ),
        effect_on_ego_behavior="Change lanes to the left because the white van cuts in.",
    ),
    ("drive_3", 30): CoCLabel(
        longitudinal=Longitudinal(decision="stop", cause_ids=("c1",)),
        components=(Component(id="c1", category=Category.TRAFFIC_LIGHT, description="the red traffic light"),),
        effect_on_ego_behavior="Stop for the red traffic light ahead.",
    ),
}

Columns = dict[str, object]


@dataclass(frozen=True)
class RoadUser:
    """Somebody beside ego, as obstacle rows in ego's frame; ``colour`` is that of their picture."""

    columns: Columns
    colour: tuple[int, int, int]


def review_run(root: Path, clips: int = CLIPS) -> Path:
    """Write data, meta-actions, labels of the rules and their checks below a folder; return the run's folder."""
    inputs = Inputs(root)
    for number in range(clips):
        _write_clip(inputs.data_dir, number)
    assert autolabel(inputs.data_dir, root / "meta_actions") == 0
    moments = [(clip_name(n), frame) for n in range(clips) for frame in (OVERLAPPING if n == CLIPS - 1 else FRAMES)]
    inputs.keyframes.parent.mkdir()
    write_keyframes(inputs.keyframes, {"gentle_deceleration": moments})
    assert inputs.label(root / "experiments") == 0
    run = only_run(root / "experiments")
    for (clip_id, frame), label in WRONG.items():
        rewrite(run, clip_id, frame, label)
    check_run(str(run), num_workers=1)
    return run


def copy_of(run: Path, folder: Path) -> Path:
    """Return a run of its own to review, on the same data."""
    return Path(shutil.copytree(run, folder / "run"))


def fill_queue(run: Path, reviewers: str, settings: QueueSettings = PLAIN) -> None:
    """Put the labels of a run into batches of reviewers named in a text; aud audits, adm looks after all."""
    store = ReviewStore.of_run(str(run))
    people = [(name, Role.REVIEWER) for name in reviewers.split()] + [("aud", Role.AUDITOR), ("adm", Role.ADMIN)]
    for name, role in people:
        store.add_person(name, role)
    add_run(store, str(run))
    enlarge(store, settings)
    store.close()


def rewrite(run: Path, clip_id: str, frame: int, label: CoCLabel) -> None:
    """Let a run say something else of a moment, as if its agent had."""
    folder = ExperimentFolder(str(run))
    path = run / clip_id / f"cot_{frame * 100_000}.yaml"
    record = from_yaml(path.read_text(), str(path), clip_id)
    row = folder.write(record.model_copy(update={"label": label, "final_content": released_content(label)}))
    rows = load_labels(str(run)).to_pylist()
    kept = [one for one in rows if (one["clip_id"], one["event_start_frame"]) != (clip_id, frame)]
    table = pa.Table.from_pylist([*kept, row], LABELS_SCHEMA)
    folder.write_table([table.sort_by([("clip_id", "ascending"), ("event_start_timestamp", "ascending")])])


def clip_name(number: int) -> str:
    """Return the id of a clip."""
    return f"drive_{number}"


def _write_clip(folder: Path, number: int) -> None:
    d = _drive(number)
    users = _road_users(d, number)
    write_csv(folder, clip_name(number), d)
    rows = {name: np.concatenate([np.asarray(u.columns[name]) for u in users]) for name in users[0].columns}
    (folder / f"{clip_name(number)}.obstacles.parquet").write_bytes(parquet(rows))
    times = times_of(FPS * SECONDS, float(FPS))
    write_video(folder, _video(d, users), times, f"{clip_name(number)}.{CAMERA}.mp4")


def _drive(number: int) -> Drive:
    """Speed up, brake and take a bend, each clip at its own time."""
    begins = 2.0 + 0.7 * (number % CLIPS)
    side = 1 if number % 2 else -1

    def speed(t):
        return 9.0 - 4.0 / (1 + np.exp(-1.5 * (t - begins - 1.5))) + 3.5 / (1 + np.exp(-(t - begins - 9)))

    def yaw_rate(t):
        return side * 0.22 * np.exp(-(((t - begins - 11.5) / 1.4) ** 2))

    return drive(SECONDS, hz=FPS, speed=speed, yaw_rate=yaw_rate)


def _road_users(d: Drive, number: int) -> list[RoadUser]:
    """A car ahead, an oncoming one, parked ones, and somebody on foot who crosses."""
    t = d.t_us / 1e6
    begins = 2.0 + 0.7 * (number % CLIPS)
    gap = 26.0 - 9.0 / (1 + np.exp(-1.2 * (t - begins))) + 3.0 * np.sin(0.3 * t)
    lead = _along_the_road(d, gap, 0.0, 0.0, track="lead")
    there = slice(round(FPS * begins), round(FPS * (begins + 4)))
    ahead = 45 - 16.0 * (t - begins)
    oncoming = _rows(_along_the_road(d, ahead, 3.6, np.pi, track="oncoming"), there)
    found = [RoadUser(lead, (70, 90, 160)), RoadUser(oncoming, (150, 60, 60))]
    for place, ahead_m in enumerate((30.0, 62.0, 95.0)):
        parked = static_box_seen_from(d, ahead_m, -3.4, 0.0) | {"track_id": [f"parked{place}"] * len(d)}
        found.append(RoadUser(parked, (110, 110, 110)))
    if number % 2:
        found.append(RoadUser(_walker(d, begins), (190, 120, 40)))
    return found


def _along_the_road(d: Drive, ahead: np.ndarray, left: float, turned: float, *, track: str) -> Columns:
    """Return somebody so many metres further along ego's own way, which goes straight on at its ends."""
    s = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(d.x), np.diff(d.y)))])
    known = np.concatenate([[s[0] - FAR], s, [s[-1] + FAR]])
    first, last = (
        (d.x[at] + along * np.cos(d.yaw[at]), d.y[at] + along * np.sin(d.yaw[at]))
        for at, along in ((0, -FAR), (-1, FAR))
    )
    place = s + ahead
    x = np.interp(place, known, [first[0], *d.x, last[0]])
    y = np.interp(place, known, [first[1], *d.y, last[1]])
    yaw = np.interp(place, known, [d.yaw[0], *d.yaw, d.yaw[-1]])
    dx, dy = x - left * np.sin(yaw) - d.x, y + left * np.cos(yaw) - d.y
    cos, sin = np.cos(d.yaw), np.sin(d.yaw)
    center = np.stack([cos * dx + sin * dy, -sin * dx + cos * dy, np.full(len(d), 0.8)], axis=1)
    return obstacle_columns(d.t_us, center, yaw - d.yaw + turned, track=track)


def _rows(columns: Columns, chosen: slice) -> Columns:
    return {name: np.asarray(values)[chosen] for name, values in columns.items()}


def _walker(d: Drive, begins: float) -> Columns:
    seen = d.rows(slice(round(FPS * (begins + 1)), round(FPS * (begins + 6))))
    walked = -6.0 + 1.4 * (seen.t_us - seen.t_us[0]) / 1e6
    middle = int(np.searchsorted(d.t_us, seen.t_us[-1]))
    x, y = d.x[middle] + 14, d.y[middle] + walked
    dx, dy = x - seen.x, y - seen.y
    cos, sin = np.cos(seen.yaw), np.sin(seen.yaw)
    center = np.stack([cos * dx + sin * dy, -sin * dx + cos * dy, np.full(len(seen), 0.9)], axis=1)
    yaw = np.pi / 2 - seen.yaw
    return obstacle_columns(seen.t_us, center, yaw, track="walker", label="person", size=(0.6, 0.6, 1.7))


def _video(d: Drive, users: list[RoadUser]) -> bytes:
    sink = BytesIO()
    with av.open(sink, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 90_000)
        stream.codec_context.thread_count = 1
        stream.options = {"preset": "ultrafast", "crf": "26", "g": str(FPS)}
        for index in range(FPS * SECONDS):
            frame = av.VideoFrame.from_image(_picture(d, users, index))
            frame.pts, frame.time_base = index * 90_000 // FPS, Fraction(1, 90_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return sink.getvalue()


FOCAL, CAMERA_HEIGHT, NEAREST = 210.0, 1.5, 3.0  # pixels, m, m


def _seen(ahead, left, up) -> tuple[float, float]:
    """Return where a point in ego's frame lies in the picture."""
    width, height = SIZE
    return width / 2 - FOCAL * left / ahead, height * 0.42 + FOCAL * (CAMERA_HEIGHT - up) / ahead


def _picture(d: Drive, users: list[RoadUser], index: int) -> Image.Image:
    width, height = SIZE
    picture = Image.new("RGB", SIZE, (168, 190, 208))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, round(height * 0.42), width, height), fill=(96, 120, 88))
    draw.polygon(
        [_seen(a, left, 0) for a, left in ((120, 5.4), (120, -5.4), (NEAREST, -5.4), (NEAREST, 5.4))], "#555a60"
    )
    travelled = float(np.hypot(np.diff(d.x[: index + 1]), np.diff(d.y[: index + 1])).sum())
    for dash in np.arange(9 - travelled % 9, 90, 9.0)[::-1]:
        ends = (dash + 3, dash) if dash > NEAREST else (dash + 3, NEAREST)
        if ends[0] > NEAREST:
            draw.line([_seen(end, 1.8, 0) for end in ends], fill="#f2f2f2", width=min(6, max(1, round(24 / dash))))
    for _, user, row in sorted(_there(users, d.t_us[index]), key=lambda one: -one[0]):
        _draw_user(draw, user, row)
    font = ImageFont.load_default(14)
    draw.text((8, 6), f"t = {index / FPS:.1f} s", fill="#10151a", font=font)
    return picture


def _there(users: list[RoadUser], t_us: int):
    for user in users:
        for row in np.flatnonzero(np.asarray(user.columns["timestamp_us"]) == t_us):
            ahead = float(np.asarray(user.columns["center_x"])[row])
            if ahead > NEAREST + 2:
                yield ahead, user, row


def _draw_user(draw: ImageDraw.ImageDraw, user: RoadUser, row: int) -> None:
    x, y, long, wide, tall = (
        float(np.asarray(user.columns[name])[row]) for name in ("center_x", "center_y", "size_x", "size_y", "size_z")
    )
    rear = x - long / 2
    (left, bottom), (right, top) = _seen(rear, y + wide / 2, 0), _seen(rear, y - wide / 2, tall)
    draw.rectangle((left, top, right, bottom), fill=user.colour, outline="#20242a")
    if tall < 1.7:  # a car: window and lamps
        draw.rectangle(
            (left + (right - left) * 0.15, top + 1, right - (right - left) * 0.15, (top * 3 + bottom * 2) / 5),
            "#c8d4de",
        )
        lamp = (right - left) * 0.16
        for start in (left, right - lamp):
            draw.rectangle((start, (top + bottom) / 2, start + lamp, (top + bottom * 2) / 3), "#c62828")


if __name__ == "__main__":
    print(review_run(Path(sys.argv[1]).resolve()))
