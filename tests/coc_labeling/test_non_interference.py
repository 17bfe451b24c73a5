"""Stage 1 cannot know the future: clips that are the same up to the keyframe give the same requests to the byte."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from builders.asked import agent_of, recorded_window
from builders.driving import Drive, lively_drive
from builders.fake_openai import smallest_answer
from builders.model_runs import CAMERA, FPS, FRAMES, SIZE
from builders.pai import obstacle_columns, parquet
from builders.table import write_csv
from builders.videos import number_of, times_of, video_bytes, write_video
from coc_labeling.agents.base import ModelAgent
from coc_labeling.conversation import CameraFrames, Shot, messages
from coc_labeling.model_clients.bodies import to_bytes
from coc_labeling.model_clients.vlm_wrappers import create_model_wrapper
from coc_labeling.rehearsal import KnownFacts, asked_at_least
from driving_clips.datasets.base import VideoLocation
from driving_clips.errors import ClipRejectedError
from driving_clips.video.reading import VideoReader
from meta_action.names import EGO_NAMES
from meta_action.timeline import Span

AGENT = {"vlm_agent__agent_name": "TwoStageCoCAgent"}


@dataclass(frozen=True)
class Recording:
    """Everything that is known of a clip: ego motion, frames of a camera, spans of meta-actions, and its names."""

    ego: Drive
    shots: tuple[Shot, ...]
    spans: tuple[Span, ...]
    clip_id: str
    notes: tuple[str, ...] = ()


def noisy(d: Drive, rng: np.random.Generator) -> Drive:
    """Return a drive whose samples come when they like, and have noise on everything."""
    t_us = np.sort(d.t_us + rng.integers(-4_000, 4_000, len(d)))
    noise = {"x": 0.05, "y": 0.05, "yaw": 0.01, "vx": 0.3, "vy": 0.3}
    return replace(d, t_us=t_us, **{n: getattr(d, n) + rng.normal(0, sigma, len(d)) for n, sigma in noise.items()})


def spoilt(d: Drive, t0_us: int, rng: np.random.Generator) -> Drive:
    """Return a drive of which, after a time, samples are missing, repeated, out of order or no numbers."""
    after = np.flatnonzero(d.t_us > t0_us)
    if len(after) < 5 or rng.random() < 0.3:
        return d
    x = d.x.copy()
    x[rng.choice(after, len(after) // 10)] = np.nan
    rows = np.concatenate([np.arange(len(d)), rng.choice(after, 3)])
    return replace(d, x=x).rows(rng.permutation(rows) if rng.random() < 0.5 else rows)


def frames_around(t0_us: int, rng: np.random.Generator, file: str) -> tuple[Shot, ...]:
    """Return frames at about the times that are sampled; some are missing, some lie just after the keyframe."""
    steps = [n for n in range(-4, 12) if rng.random() > 0.1]
    times = [int(t0_us + 500_000 * n + rng.integers(-40_000, 40_000)) for n in steps]
    return tuple(Shot(file, t // 33_333, t, f"data:image/jpeg;base64,{rng.integers(1 << 60)}") for t in times)


def recording(seed: int, t0_us: int) -> Recording:
    """Return any clip."""
    rng = np.random.default_rng(seed)
    ego = noisy(lively_drive(int(rng.integers(100)), hz=int(rng.choice([10, 30, 100]))), rng)
    spans = []
    for _ in range(int(rng.integers(1, 8))):
        name, start = str(rng.choice(sorted(EGO_NAMES))), int(rng.integers(0, 190))
        spans.append(Span("longitudinal", name, start, start + int(rng.integers(1, 60))))
    clip_id = f"clip-{seed}"
    return Recording(ego, frames_around(t0_us, rng, f"{clip_id}.front.mp4"), tuple(spans), clip_id, (f"note {seed}",))


def with_future_of(own: Recording, other: Recording, t0_us: int, gap_us: int, length_us: int) -> Recording:
    """Return a clip that is ``own`` up to the keyframe and ``other`` from ``gap_us`` after it, for ``length_us``."""
    last = t0_us + max(length_us, gap_us + 50_000)
    before = np.flatnonzero(own.ego.t_us <= t0_us)
    after = np.flatnonzero((other.ego.t_us > t0_us + gap_us) & (other.ego.t_us <= last))
    joined = {}
    for name in ("t_us", "x", "y", "yaw", "vx", "vy"):
        ours, theirs = getattr(own.ego, name)[before], getattr(other.ego, name)[after]
        goes_on = name in ("x", "y", "yaw") and len(ours) and len(theirs)  # a car does not jump
        joined[name] = np.concatenate([ours, theirs + (ours[-1] - theirs[0]) if goes_on else theirs])
    shots = tuple(s for s in own.shots if s.t_us <= t0_us) + tuple(s for s in other.shots if s.t_us > t0_us)
    shots = tuple(replace(shot, file=f"{other.clip_id}.front.mp4") for shot in shots)
    rng = np.random.default_rng(length_us)
    return replace(other, ego=spoilt(Drive(**joined), t0_us, rng), shots=shots)


@cache
def the_agent(name: str) -> ModelAgent:
    return agent_of(vlm_agent__agent_name=name)


def first_request(own: Recording, t0_us: int, *, velocity: bool, agent: str = "TwoStageCoCAgent") -> bytes:
    """Return the body of the first request about a clip's window."""
    asking = the_agent(agent)
    window = recorded_window(own.ego, t0_us, spans=own.spans, clip_id=own.clip_id, velocity=velocity)
    prepared = asking.prepare(window, [CameraFrames("front", own.shots, 16 - len(own.shots), own.notes)])
    (asked, *_) = asked_at_least(asking, replace(prepared, facts=KnownFacts()))
    wrapper = create_model_wrapper("openai_compatible", init_model=False)
    said = wrapper.add_message_seq(messages(asked.parts))
    return to_bytes(wrapper.request(said, max_tokens=asked.max_tokens, json_schema=asked.form))[0]


@settings(max_examples=200, deadline=None)
@given(
    t0_ms=st.integers(100, 15_000),
    seed=st.integers(0, 2**32),
    other_seed=st.integers(0, 2**32),
    gap_ms=st.integers(0, 400),
    length_ms=st.integers(50, 20_000),
    velocity=st.booleans(),
)
def test_whatever_the_future_is_the_first_request_is_the_same(t0_ms, seed, other_seed, gap_ms, length_ms, velocity):
    t0_us = 1000 * t0_ms
    length_ms = max(length_ms, 1_200 - t0_ms)  # shorter clips are not asked about
    own, another = recording(seed, t0_us), recording(other_seed, t0_us)
    other = with_future_of(own, another, t0_us, 1000 * gap_ms, 1000 * length_ms)
    try:
        first, second = (first_request(one, t0_us, velocity=velocity) for one in (own, other))
    except ClipRejectedError as error:  # too short: nothing is asked about such a clip
        event(error.reason)
        return
    event("asked")
    assert first == second


def test_a_single_pass_knows_it_so_the_test_can_fail():
    differ = 0
    for seed in range(10):
        own = recording(seed, 5_000_000)
        other = with_future_of(own, recording(seed + 100, 5_000_000), 5_000_000, 0, 15_000_000)
        first, second = (first_request(one, 5_000_000, velocity=True, agent="VLMCoCAgent") for one in (own, other))
        differ += first != second
    assert differ == 10


def clip_files(folder, clip_id: str, ego: Drive, numbers: tuple[int, ...], box_left_m: float) -> None:
    """Write a clip of the dataset ``table``: ego motion, boxes, and a video of which every frame stands alone."""
    write_csv(folder, clip_id, ego)
    columns = obstacle_columns(ego.t_us, [(12.0, box_left_m, 0.8)] * len(ego), [0.0] * len(ego), track="41")
    (folder / f"{clip_id}.obstacles.parquet").write_bytes(parquet(columns))
    video = video_bytes(FRAMES, fps=FPS, gop=1, size=SIZE, numbers=numbers)
    write_video(folder, video, times_of(FRAMES, float(FPS)), f"{clip_id}.{CAMERA}.mp4")


@pytest.mark.parametrize("frame", [60, 95])
def test_at_the_wire_two_clips_that_differ_only_after_the_keyframe_ask_the_same_first(model, server, tmp_path, frame):
    data, t0_us = tmp_path / "data", frame * 100_000
    own, other = lively_drive(1, hz=100), lively_drive(4, hz=100)
    offset = np.flatnonzero(own.t_us == t0_us)[0]
    joined = {}
    for name in ("x", "y", "yaw", "vx", "vy"):
        ours, theirs = getattr(own, name), getattr(other, name)
        jump = ours[offset] - theirs[offset] if name in ("x", "y", "yaw") else 0.0
        joined[name] = np.where(own.t_us <= t0_us, ours, theirs + jump)
    clip_files(data, "one", own, tuple(range(FRAMES)), 0.0)
    clip_files(
        data, "two", Drive(own.t_us, **joined), tuple(n if n <= frame else 3000 - n for n in range(FRAMES)), -3.0
    )
    assert shown_until(data, "one", frame) == shown_until(data, "two", frame)  # else the encoder knew the future

    server.answer = smallest_answer
    moments = [("one", frame), ("two", frame)]
    assert model(moments, data__data_dir=str(data), response_cache="false", max_in_flight=1, **AGENT) == 0
    listing = [r for r in server.requests if r.json["response_format"]["json_schema"]["name"] == "HistoryAnswer"]
    deciding = [r for r in server.requests if r not in listing]
    assert (len(listing), len(deciding)) == (2, 2)
    assert listing[0].body == listing[1].body
    assert listing[0].headers == listing[1].headers
    assert deciding[0].body != deciding[1].body
    for first, second in zip(listing, deciding, strict=True):
        said = first.json["messages"]
        assert second.json["messages"][: len(said)] == said


def shown_until(data, clip_id: str, frame: int) -> list[bytes]:
    """Return the pictures of a video up to a frame; the next one is another in each clip."""
    with VideoReader(VideoLocation(CAMERA, str(data / f"{clip_id}.{CAMERA}.mp4"))) as video:
        assert number_of(next(video.frames([frame]))[1]) == frame
        return [picture.jpeg for picture in video.pictures(range(frame + 1))]
