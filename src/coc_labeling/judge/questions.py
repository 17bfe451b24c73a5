"""What a judge is asked about a window: a question per stage and label. Made in worker processes."""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from batch_runs.outcomes import FAILED, REJECTED
from coc_labeling.agents.base import PreparedWindow
from coc_labeling.config.schema import RunConfig
from coc_labeling.conversation import CameraFrames, Part, Shot
from coc_labeling.history import seen_frames
from coc_labeling.judge.claims import channels, claim_text, factors
from coc_labeling.judge.controls import Telling, control_of, known_of
from coc_labeling.judge.stages import Channels, Stage, answer_form
from coc_labeling.keyframes import Keyframe
from coc_labeling.prompts import Prompts, judge, text_hash
from coc_labeling.prompts.window_text import MotionText, cut_after, cut_before, frame_parts, missing_text
from coc_labeling.rehearsal import KnownFacts
from coc_labeling.schema import CoCLabel, WindowInfo
from coc_labeling.windows import Sampling, Window
from driving_clips import files
from driving_clips.video.locating import VideoFinder

log = logging.getLogger(__name__)

NO_FACTOR, NO_FRAMES = "no_factor_cited", "no_frames"
NOTHING_PLANTED = "nothing_to_plant"
SKIPPED = {
    NO_FACTOR: "the label cites no factor of the scene",
    NOTHING_PLANTED: "no error could be planted that this stage can see and that is known to be one",
}


@dataclass(frozen=True)
class Due:
    """A question that is to be asked about a label: a stage of it, as it is or as a control."""

    stage: Stage
    telling: Telling = Telling.LABEL


@dataclass(frozen=True, kw_only=True)
class Pending(Keyframe):
    """A labelled moment that is to be judged, without its label.

    Attributes:
        number: of the label in its experiment.
        due: the questions about it.
        turn: which planted error is tried first.
    """

    number: int
    due: tuple[Due, ...] = ()
    turn: int = 0


@dataclass(frozen=True, kw_only=True)
class Judged(Pending):
    """The same with its label."""

    label: CoCLabel


@dataclass(frozen=True)
class Unasked:
    """Why a question is not put, and how that is counted: with ``error`` it may be another time, else never."""

    reason: str
    detail: str
    error: bool = False
    outcome: str = REJECTED


@dataclass(frozen=True, kw_only=True)
class JudgeQuestion(PreparedWindow):
    """One question to a judge.

    Attributes:
        stage: what is judged.
        telling: whether it is about the label as it is, or about a control; ``planted`` names the error in that.
        claim: the sentence of the label that is judged.
        channels: those that the label decides about.
        sources: the videos that the frames come from.
        segment: the window's own video, if the run saved one.
        unasked: why it is not put, or None.
    """

    stage: Stage
    telling: Telling = Telling.LABEL
    planted: str | None = None
    claim: str = ""
    channels: Channels = frozenset()
    sources: str | None = None
    segment: str | None = None
    unasked: Unasked | None = None

    @classmethod
    def blank(cls, moment: Judged, due: Due) -> Self:
        """Return a question with nothing to ask yet."""
        return cls(
            keyframe=moment,
            info=WindowInfo(history_sec=0, future_sec=0),
            starting=(),
            parts=(),
            facts=KnownFacts(),
            stage=due.stage,
            telling=due.telling,
            claim=(moment.label.effect_on_ego_behavior or "") if due.telling is Telling.LABEL else "",
        )


@dataclass(frozen=True)
class Views:
    """What the stages are shown.

    Attributes:
        stages: those that are asked.
        window: the whole window: history and future around the keyframe.
        full_window: the second stage sees all of it, else what follows the keyframe.
        motion: what the second stage is told of ego's measured motion, None for nothing.
    """

    stages: tuple[Stage, ...]
    window: Sampling
    full_window: bool = False
    motion: MotionText | None = None

    @property
    def sampling(self) -> Sampling:
        """When frames are taken: no more than a stage needs."""
        history = self.full_window or self.stages != (Stage.BEHAVIOUR,)
        future = self.stages != (Stage.EVIDENCE,)
        whole = self.window
        # The keyframe's own frame is the first one of the future, and the last one of the history.
        return Sampling(
            whole.history_sec if history else 0.0,
            whole.future_sec if future else whole.interval_sec,
            whole.interval_sec,
        )

    def frames(self, stage: Stage, cameras: Sequence[CameraFrames], t0_us: int) -> list[CameraFrames]:
        """Return what a stage is shown of the frames; the first stage's end at the keyframe."""
        offsets = self.window.offsets_us
        if stage is Stage.EVIDENCE:
            return [seen_frames(camera, t0_us, sum(offset <= 0 for offset in offsets)) for camera in cameras]
        if stage is Stage.CAUSE or self.full_window:
            return [_those(camera, camera.shots, len(offsets)) for camera in cameras]
        begin = t0_us - round(self.window.interval_sec * 5e5)  # a frame stands for the sampled time nearest to it
        asked = sum(offset >= 0 for offset in offsets)
        return [_those(c, [shot for shot in c.shots if shot.t_us > begin], asked) for c in cameras]

    def cut(self, stage: Stage, info: WindowInfo) -> list[str]:
        """Return what a stage is told of the clip's ends."""
        before = [] if stage is Stage.BEHAVIOUR and not self.full_window else cut_before(info)
        return [*before, *([] if stage is Stage.EVIDENCE else cut_after(info))]

    def told_motion(self, stage: Stage, window: Window) -> str:
        """Return what a stage is told of ego's motion: nothing but to the second, where that is wished for."""
        if self.motion is None or stage is not Stage.BEHAVIOUR:
            return ""
        return self.motion.whole(window) if self.full_window else self.motion.future(window)


def _those(camera: CameraFrames, shots: Sequence[Shot], asked: int) -> CameraFrames:
    return CameraFrames(camera.camera, tuple(shots), asked - len(shots))


@dataclass(frozen=True)
class WindowJudge:
    """Makes the questions about windows; travels to worker processes.

    Attributes:
        views: what the stages are shown.
        cameras: those that are shown; ``finder`` knows where their videos lie.
        segments: the folder of the windows' own videos, if the run saved some.
        needs_frames: whether a question without a frame is none.
        needs_tracks: whether errors are planted.
    """

    needs_history: ClassVar[bool] = False

    views: Views
    cameras: tuple[str, ...]
    finder: VideoFinder | None = None
    segments: str | None = None
    needs_frames: bool = True
    needs_tracks: bool = False

    @property
    def name(self) -> str:
        """Who asks, in messages."""
        return "judge"

    def prepared(self, window: Window, cameras: Sequence[CameraFrames]) -> Iterator[JudgeQuestion]:
        """Yield the questions about one labelled moment that are due; each has an answer or a reason for none."""
        moment = window.keyframe
        assert isinstance(moment, Judged)
        sources, segment = self._sources(moment.clip_id), self._segment(moment)
        blanks = [
            replace(JudgeQuestion.blank(moment, due), info=window.info, sources=sources, segment=segment)
            for due in moment.due
        ]
        controls = [blank for blank in blanks if blank.telling is not Telling.LABEL]
        yield from (self._question(b, moment.label, window, cameras) for b in blanks if b.telling is Telling.LABEL)
        if controls:
            yield from self._controls(controls, moment, window, cameras)

    def _controls(
        self, blanks: Sequence[JudgeQuestion], moment: Judged, window: Window, cameras: Sequence[CameraFrames]
    ) -> Iterator[JudgeQuestion]:
        try:
            known = known_of(moment.label, window)
            made = {b.stage: control_of(moment.label, known, moment.turn, b.stage) for b in blanks}
        except Exception as error:  # whatever it stumbles over costs this control only
            log.exception("%s: planting an error failed", moment.clip_id)
            yield from (replace(blank, unasked=_crashed(error)) for blank in blanks)
            return
        for blank in blanks:
            control = made[blank.stage]
            if control is None:
                yield replace(blank, unasked=_skipped(NOTHING_PLANTED))
                continue
            label, planted = control.told(blank.telling), blank.telling is Telling.PLANTED
            claim = label.effect_on_ego_behavior or ""
            question = replace(blank, planted=str(control.error) if planted else None, claim=claim)
            yield self._question(question, label, window, cameras)

    def _question(
        self, blank: JudgeQuestion, label: CoCLabel, window: Window, cameras: Sequence[CameraFrames]
    ) -> JudgeQuestion:
        try:
            return self._asked(blank, label, window, cameras)
        except Exception as error:  # whatever it stumbles over costs this question only
            log.exception("%s: making a question failed", blank.keyframe.clip_id)
            return replace(blank, unasked=_crashed(error))

    def _asked(
        self, blank: JudgeQuestion, label: CoCLabel, window: Window, cameras: Sequence[CameraFrames]
    ) -> JudgeQuestion:
        stage = blank.stage
        if stage is Stage.EVIDENCE and not factors(label):
            return replace(blank, unasked=_skipped(NO_FACTOR))
        frames = self.views.frames(stage, cameras, window.t0_us)
        if self.needs_frames and not any(camera.shots for camera in frames):
            return replace(
                blank, unasked=Unasked(NO_FRAMES, "there is no frame in the part that is judged", error=True)
            )
        said = channels(label) if stage is Stage.BEHAVIOUR else frozenset()
        return replace(blank, channels=said, parts=self._parts(stage, label, window, frames))

    def _parts(self, stage: Stage, label: CoCLabel, window: Window, frames: Sequence[CameraFrames]) -> tuple[Part, ...]:
        """Return static text first, then the window, and the label last: its variants share what comes before."""
        known = [*self.views.cut(stage, window.info), *missing_text(frames)]
        motion = self.views.told_motion(stage, window)
        about = "\n".join(["# Window", *known] if known else [])
        told = [Part("user", text) for text in (about, motion) if text]
        claim = Part("user", f"{claim_text(label, stage)}\n\nJudge it as JSON.")
        return (Part("system", prompts_of(stage).system), *told, *frame_parts(frames, window.t0_us), claim)

    def _sources(self, clip_id: str) -> str | None:
        if self.finder is None:
            return None
        found = (self.finder.find(clip_id, camera) for camera in self.cameras)
        return "; ".join(str(location) for location in found if location is not None) or None

    def _segment(self, moment: Keyframe) -> str | None:
        if self.segments is None:
            return None
        path = files.join(self.segments, moment.clip_id, f"{moment.clip_id}_{moment.t_us}.mp4")
        return path if files.is_file(path) else None


def _skipped(reason: str) -> Unasked:
    return Unasked(reason, SKIPPED[reason])


def _crashed(error: Exception) -> Unasked:
    return Unasked("crashed", f"making the question: {type(error).__name__}: {error}", error=True, outcome=FAILED)


def prompts_of(stage: Stage) -> Prompts:
    """Return the texts of a stage."""
    return judge(stage.title)


def question_hash(config: RunConfig, views: Views, stage: Stage) -> str:
    """Return a short hash of all that a stage's scores depend on besides the label: judge, words, and what is shown.

    Scores of the same hash can be compared and need not be asked for again.
    """
    video, compatible = config.data_loader.video, config.openai_compatible
    channels_asked = [frozenset(c) for c in ((), ("longitudinal",), ("lateral",), ("longitudinal", "lateral"))]
    forms = [answer_form(stage, said).model_json_schema() for said in channels_asked]
    own: dict[str, Any] = {}
    if stage is Stage.BEHAVIOUR:
        own = {"full_window": views.full_window, "motion": None if views.motion is None else str(views.motion)}
    kept = {
        "texts": prompts_of(stage).hash_with(*forms),
        "model": [config.model_name, config.model_path, compatible.model_dump(exclude={"base_url", "api_key_env"})],
        "agent": config.vlm_agent.model_dump(
            include={"temperature", "top_p", "repetition_penalty", "seed", "max_tokens"}
        ),
        "window": str(views.window),
        "video": video.model_dump(include={"cameras", "jpeg_quality", "max_side", "max_pixels"}),
        "redactor": config.egress.redactor,
        **own,
    }
    return text_hash(json.dumps(kept, sort_keys=True))
