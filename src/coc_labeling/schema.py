"""What a label is: decisions, critical components, a trace and a sentence; or an abstention with its reason.

The taxonomy is version 1 of ours; the names of the paper (arXiv 2511.00088) and of the released tool map onto it.
"""

import re
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from driving_clips.ego_motion import TICK_US

SCHEMA_VERSION = 3
UNOBSERVED = "unobserved"

# What is written where there is nothing to write: words alone, in small letters. "Stop." is a whole sentence, so
# one word is not too few; "dummy", which the stand-in model answers, is none of these.
_EMPTY_ANSWERS = frozenset(
    """
    null|none|nil|nan|n a|na|unknown|undefined|unspecified|undetermined|unobserved|unavailable|unclear|void|empty|blank
    nothing|no|yes|ok|true|false|error|invalid|missing|tbd|tba|todo|to be determined|to be decided|to be defined|string
    str|text|sentence|label|answer|output|response|value|placeholder|example|test|lorem ipsum|your sentence|your answer
    sentence here|your sentence here|text here|your text here|insert sentence here|one sentence|one imperative sentence
    effect on ego behavior|effect on ego behaviour|not available|not applicable|not specified|not provided|not given
    not known|not determined|not defined|not sure|not clear|not observed|not visible|none observed|none available
    none given|none identified|none detected|none visible|none found|nothing observed|nothing visible|nothing to report
    nothing to label|no label|no sentence|no answer|no output|no response|no data|no information|no value|no text
    no comment|no decision|no driving decision|no description|no effect|no observation|null value|empty string
    """.strip()
    .replace("\n    ", "|")
    .split("|")
)


class LongitudinalDecision(StrEnum):
    """What ego does with its speed."""

    TRACK_SPEED = "track_speed"
    FOLLOW_LEAD = "follow_lead"
    ADAPT_SPEED = "adapt_speed"
    SEARCH_GAP = "search_gap"
    OVERTAKE = "overtake"
    YIELD = "yield"
    STOP = "stop"


class LateralDecision(StrEnum):
    """Where ego goes within or across lanes."""

    KEEP_LANE = "keep_lane"
    MERGE = "merge"
    SPLIT = "split"
    NUDGE_OUT_OF_LANE = "nudge_out_of_lane"
    NUDGE_IN_LANE = "nudge_in_lane"
    CHANGE_LANE = "change_lane"
    PULL_OVER = "pull_over"
    TURN = "turn"
    ABORT_MANOEUVRE = "abort_manoeuvre"


# Decisions that say nothing without a direction, and the one that has none.
NEED_DIRECTION = frozenset(
    {
        LateralDecision.NUDGE_IN_LANE,
        LateralDecision.NUDGE_OUT_OF_LANE,
        LateralDecision.CHANGE_LANE,
        LateralDecision.TURN,
    }
)
NO_DIRECTION = frozenset({LateralDecision.KEEP_LANE})


class Side(StrEnum):
    """Left or right as ego's driver sees it."""

    LEFT = "left"
    RIGHT = "right"


class Category(StrEnum):
    """The seven categories of critical components."""

    CRITICAL_OBJECT = "critical_object"
    TRAFFIC_LIGHT = "traffic_light"
    TRAFFIC_CONTROL = "traffic_control"
    ROAD_EVENT = "road_event"
    LANE = "lane"
    ROUTING_INTENT = "routing_intent"
    ODD_CONSTRAINT = "odd_constraint"


class Relation(StrEnum):
    """How a critical object stands to ego."""

    LEAD = "lead"
    CUT_IN = "cut_in"
    CROSSING = "crossing"
    ONCOMING = "oncoming"
    ADJACENT = "adjacent"
    PARKED = "parked"


class FactSource(StrEnum):
    """What a statement about a scene is measured by."""

    EGO_MOTION = "ego_motion"
    TIMELINE = "timeline"  # meta-actions, which are made of ego motion
    TRACKS = "tracks"


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
# Bounded, and by being bounded also checked: pydantic then refuses text that UTF-8 cannot hold.
Unicode = Annotated[str, StringConstraints(max_length=100_000)]
ComponentId = Annotated[str, StringConstraints(pattern=r"^c[1-9][0-9]*$")]


class Strict(BaseModel):
    """Base of the schema: unknown fields are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Component(Strict):
    """One critical component of the scene."""

    id: ComponentId
    category: Category
    relation: Relation | None = None
    side: Side | None = None
    description: Text
    track_id: str | None = None


class EmergedAfter(Strict):
    """A cause that came into sight only after the keyframe: worth knowing, and never a cause of the label."""

    category: Category
    relation: Relation | None = None
    side: Side | None = None
    description: Text


class Longitudinal(Strict):
    """The decision on speed, with the ids of its causes or ``unobserved``."""

    decision: LongitudinalDecision
    cause_ids: tuple[Text, ...] = Field(min_length=1)


class Lateral(Strict):
    """The decision on the lane, with its direction and the ids of its causes or ``unobserved``."""

    decision: LateralDecision
    direction: Side | None = None
    cause_ids: tuple[Text, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _direction_fits(self) -> Self:
        if self.decision in NEED_DIRECTION and self.direction is None:
            raise ValueError(f"{self.decision} needs a direction, left or right")
        if self.decision in NO_DIRECTION and self.direction is not None:
            raise ValueError(f"{self.decision} has no direction")
        return self


class Abstention(Strict):
    """Why there is no label: a short key to count by, and what happened."""

    reason: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
    detail: Text


class CoCLabel(Strict):
    """A Chain-of-Causation label, or an abstention; never both, never neither.

    Raises (as pydantic's ValidationError): a cause that is no component, an empty or "null" sentence, a decision
    without a cause, an abstention with a label's fields.
    """

    schema_version: Literal[3] = 3
    taxonomy_version: Literal[1] = 1
    longitudinal: Longitudinal | None = None
    lateral: Lateral | None = None
    components: tuple[Component, ...] = ()
    emerged_after: EmergedAfter | None = None
    trace: Unicode | None = None
    effect_on_ego_behavior: Unicode | None = None
    abstention: Abstention | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.abstention is not None:
            if any(value for name, value in self if name not in ("schema_version", "taxonomy_version", "abstention")):
                raise ValueError("an abstention carries no decision, component, trace or sentence")
            return self
        if is_empty_answer(self.effect_on_ego_behavior):
            raise ValueError(f"effect_on_ego_behavior is {self.effect_on_ego_behavior!r}: write an abstention instead")
        ids = [component.id for component in self.components]
        if len(set(ids)) != len(ids):
            raise ValueError(f"component ids repeat: {', '.join(ids)}")
        for channel in (self.longitudinal, self.lateral):
            if channel is not None:
                _check_causes(channel.cause_ids, ids)
        return self


def _check_causes(cause_ids: tuple[str, ...], component_ids: list[str]) -> None:
    if len(set(cause_ids)) != len(cause_ids):
        raise ValueError(f"cause_ids repeat: {', '.join(cause_ids)}")
    if UNOBSERVED in cause_ids and len(cause_ids) > 1:
        raise ValueError(f"cause_ids are either components or {UNOBSERVED}, not both")
    unknown = [cause for cause in cause_ids if cause != UNOBSERVED and cause not in component_ids]
    if unknown:
        raise ValueError(
            f"cause_ids {', '.join(unknown)} are no components; there are: {', '.join(component_ids) or 'none'}"
        )


def is_empty_answer(text: object) -> bool:
    """Say whether a text says nothing: no letter in it, or only words for nothing such as "null" or "<sentence>"."""
    if not isinstance(text, str):
        return True
    words = re.findall(r"[^\W\d_]+", text.lower())
    return all(word in _EMPTY_ANSWERS for word in words) or " ".join(words) in _EMPTY_ANSWERS


def abstain(reason: str, detail: str) -> CoCLabel:
    """Return an abstention.

    Example:
        >>> abstain("no_decision", "reverse has no decision in taxonomy 1").abstention.reason
        'no_decision'
    """
    storable = detail.encode(errors="replace").decode()  # it may quote a model: halves of characters fit into no file
    return CoCLabel(abstention=Abstention(reason=reason, detail=storable))


class MetaActionSpan(Strict):
    """A meta-action that starts at the keyframe; ticks of 0.1 s, end exclusive."""

    axis: str
    name: str
    start_tick: int
    end_tick: int


class WindowInfo(Strict):
    """How much of the window the clip could give: s of ego motion, frames, and what was wrong with its video."""

    history_sec: float
    future_sec: float
    missing_history_sec: float = 0.0
    missing_future_sec: float = 0.0
    frames: int = 0
    missing_frames: int = 0
    notes: tuple[str, ...] = ()


class Provenance(Strict):
    """What made the label. Empty texts where an agent has no such thing (rules have no prompt).

    ``model`` is the name that users know (``model_name``), ``model_id`` the provider's, ``model_revision`` what the
    provider said of its version. ``request_hash`` is that of the first request; the record's ``calls`` have all.
    ``told_facts`` are the measured facts that the labeller was told: what agrees with them is no independent evidence.
    """

    agent: str
    model: str
    model_id: str = ""
    model_revision: str = ""
    prompt_version: str = ""
    prompt_hash: str = ""
    request_hash: str = ""
    sampling: dict[str, float | int | str | None] = {}
    images: dict[str, int | None] = {}
    code_version: str = ""
    dataset: str = ""
    told_facts: tuple[FactSource, ...] = ()


class Usage(Strict):
    """Tokens that a label cost, all calls together; cached ones are part of the prompt, reasoning of the response."""

    prompt_tokens: int = 0
    response_tokens: int = 0
    reasoning_tokens: int = 0
    cached_tokens: int = 0


class ModelCall(Strict):
    """One question to a model and its answer, as text.

    Attributes:
        purpose: components (of two stages the first), label, more_tokens, again or repair.
        request_hash: SHA-256 of the request's body as it was sent.
        finish_reason: as the provider said it.
        answer: the model's text, cut where it is very long.
        from_cache: it was answered earlier and not sent again.
    """

    purpose: str
    request_hash: str
    max_tokens: int
    finish_reason: str = ""
    answer: Unicode = ""
    from_cache: bool = False
    usage: Usage = Usage()


class Repair(Strict):
    """What became of a label that contradicted ego's measured motion; both wordings are kept.

    Attributes:
        outcome: repaired, or failed where no usable repair was given (the label is then an abstention).
        reasons: what contradicted, in words.
        before: the sentence as first given.
        after: the sentence of the repair, None where there was none.
    """

    outcome: Literal["repaired", "failed"]
    reasons: tuple[str, ...]
    before: Unicode
    after: Unicode | None = None


class PromptMessage(Strict):
    """One part of the model's input; frames are references, never pixels.

    ``stage`` is the question that it was first said in, of agents that ask in steps: what a label's causes were chosen
    from is in stage 1.
    """

    role: str
    m_type: str
    content: str
    stage: int | None = None


class Record(Strict):
    """One labelled moment of a clip: the content of ``cot_<event_start_timestamp>.yaml`` below ``results``."""

    schema_version: Literal[3] = 3
    clip_id: Text
    event_start_frame: int = Field(ge=0)
    event_start_timestamp: int = Field(ge=0)
    final_content: dict[str, Any]
    label: CoCLabel
    meta_actions: tuple[MetaActionSpan, ...] = ()
    window: WindowInfo | None = None
    provenance: Provenance | None = None
    usage: Usage = Usage()
    calls: tuple[ModelCall, ...] = ()
    repair: Repair | None = None
    prompt: tuple[PromptMessage, ...] = ()

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        sentence = released_sentence(self.final_content)
        if sentence != self.label.effect_on_ego_behavior:
            raise ValueError(
                f"final_content says {sentence!r}, the label says {self.label.effect_on_ego_behavior!r}; "
                "they must agree"
            )
        if self.event_start_frame != self.event_start_timestamp // TICK_US:
            raise ValueError(
                f"event_start_frame {self.event_start_frame} is not event_start_timestamp "
                f"{self.event_start_timestamp} us in ticks of 0.1 s"
            )
        return self


def released_content(label: CoCLabel) -> dict[str, Any]:
    """Return a label in the released form of ``final_content``; an abstention has none."""
    if label.abstention is not None:
        return {}
    return {"ego_behavior_schema": {"effect_on_ego_behavior": label.effect_on_ego_behavior}}


def released_sentence(final_content: object) -> str | None:
    """Return the sentence of a released ``final_content``, or None where it has none."""
    schema = final_content.get("ego_behavior_schema") if isinstance(final_content, dict) else None
    sentence = schema.get("effect_on_ego_behavior") if isinstance(schema, dict) else None
    return sentence if isinstance(sentence, str) else None
