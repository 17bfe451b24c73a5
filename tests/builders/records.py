"""Label records: one that is written out, and any that the schema allows."""

from hypothesis import strategies as st

from coc_labeling.schema import (
    NEED_DIRECTION,
    NO_DIRECTION,
    UNOBSERVED,
    Abstention,
    Category,
    CoCLabel,
    Component,
    EmergedAfter,
    FactSource,
    Lateral,
    LateralDecision,
    Longitudinal,
    LongitudinalDecision,
    MetaActionSpan,
    ModelCall,
    PromptMessage,
    Provenance,
    Record,
    Relation,
    Repair,
    Side,
    Usage,
    WindowInfo,
    is_empty_answer,
    released_content,
)

HOSTILE = [
    "a: b",
    "# no comment",
    "yes",
    "~",
    "0x1F",
    "1e3",
    "2026-11-21",
    "'single' and \"double\"",
    "- not a list",
    "{not: a map}",
    "[1, 2]",
    "& anchor *alias !tag",
    "!!python/object/apply:os.system ['true']",
    "two\nlines",
    "two\r\nlines\n",
    "carriage\rreturns\r",
    "lines end in blanks  \nand in tabs\t\n",
    "  the first line is indented\nthe second is not",
    "\n\nblank lines before\n\nbetween\n\n\nand after\n\n\n",
    "\tfirst a tab\n\tand again\n",
    "# heading\n- item: one\n---\n...\n%TAG\n",
    "\n",
    " \n ",
    "Füßgänger\n歩行者 🚗\n\u2028and\x85others\n",
    "a line of " + "many words " * 30 + "\nand another",
    "one with a bell \a\nand a zero \0",
    "  spaces around  ",
    "tab\tand bell\a and zero\0",
    "%TAG",
    "---",
    "| block",
    "back\\slash",
    "Füßgänger quert, 歩行者, пешеход, مشاة",
    "emoji 🚗💨 and family 👨‍👩‍👧",
    "next\x85line \u2028 and \u2029",
    "\ufeffbyte order mark",
    "long " * 60 + "line",
    "<script>alert(1)</script>",
    "null and void",
]

texts = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40))
words = texts.filter(lambda text: bool(text.strip()))
sentences = texts.filter(lambda text: not is_empty_answer(text))


@st.composite
def labels(draw) -> CoCLabel:
    """Any valid label or abstention."""
    if draw(st.booleans()) and draw(st.booleans()):
        return CoCLabel(abstention=Abstention(reason=draw(st.sampled_from(["no_decision", "x1"])), detail=draw(words)))
    components = tuple(draw(_component(number)) for number in range(1, draw(st.integers(0, 4)) + 1))
    causes = _causes([component.id for component in components])
    longitudinal = st.builds(Longitudinal, decision=st.sampled_from(LongitudinalDecision), cause_ids=causes)
    return CoCLabel(
        longitudinal=draw(st.none() | longitudinal),
        lateral=draw(st.none() | _lateral(causes)),
        components=components,
        emerged_after=draw(st.none() | _emerged),
        trace=draw(st.none() | texts),
        effect_on_ego_behavior=draw(sentences),
    )


_emerged = st.builds(
    EmergedAfter,
    relation=st.none() | st.sampled_from(Relation),
    side=st.none() | st.sampled_from(Side),
    description=words,
)


_messages = st.builds(PromptMessage, role=words, m_type=words, content=texts, stage=st.none() | st.integers(1, 2))


def _component(number: int) -> st.SearchStrategy[Component]:
    return st.builds(
        Component,
        id=st.just(f"c{number}"),
        category=st.sampled_from(Category),
        relation=st.none() | st.sampled_from(Relation),
        side=st.none() | st.sampled_from(Side),
        description=words,
        track_id=st.none() | texts,
    )


def _causes(ids: list[str]) -> st.SearchStrategy[tuple[str, ...]]:
    unobserved = st.just((UNOBSERVED,))
    return unobserved | st.lists(st.sampled_from(ids), min_size=1, unique=True).map(tuple) if ids else unobserved


@st.composite
def _lateral(draw, causes) -> Lateral:
    decision = draw(st.sampled_from(LateralDecision))
    side = st.sampled_from(Side)
    direction = side if decision in NEED_DIRECTION else st.none() if decision in NO_DIRECTION else st.none() | side
    return Lateral(decision=decision, direction=draw(direction), cause_ids=draw(causes))


@st.composite
def records(draw) -> Record:
    """Any valid record."""
    label = draw(labels())
    t_us = draw(st.integers(0, 20_000_000))
    return Record(
        clip_id=draw(st.sampled_from(["clip-20", "null", "1e3", "123", "a.b_c"])),
        event_start_frame=t_us // 100_000,
        event_start_timestamp=t_us,
        final_content=released_content(label),
        label=label,
        window=draw(st.none() | _windows),
        provenance=draw(st.none() | _provenances),
        usage=draw(_usages),
        calls=tuple(draw(st.lists(_calls, max_size=2))),
        repair=draw(st.none() | _repairs),
        prompt=tuple(draw(st.lists(_messages, max_size=2))),
    )


_counts = st.integers(0, 10**9)
_usages = st.builds(
    Usage, prompt_tokens=_counts, response_tokens=_counts, reasoning_tokens=_counts, cached_tokens=_counts
)
_windows = st.builds(
    WindowInfo,
    history_sec=st.floats(0, 20),
    future_sec=st.floats(0, 20),
    frames=st.integers(0, 500),
    missing_frames=st.integers(0, 500),
    notes=st.lists(texts, max_size=2).map(tuple),
)
_provenances = st.builds(
    Provenance,
    agent=texts,
    model=texts,
    model_id=texts,
    request_hash=texts,
    sampling=st.dictionaries(words, st.none() | st.integers(-9, 9) | st.floats(0, 2) | texts, max_size=2),
    images=st.dictionaries(words, st.none() | st.integers(0, 4000), max_size=2),
)
_calls = st.builds(
    ModelCall,
    purpose=st.sampled_from(["label", "more_tokens", "again", "repair"]),
    request_hash=texts,
    max_tokens=st.integers(1, 10**6),
    finish_reason=texts,
    answer=texts,
    from_cache=st.booleans(),
    usage=_usages,
)
_repairs = st.builds(
    Repair,
    outcome=st.sampled_from(["repaired", "failed"]),
    reasons=st.lists(texts, max_size=2).map(tuple),
    before=texts,
    after=st.none() | texts,
)


def full_record() -> Record:
    """Return the record that ``tests/data/records/v1.yaml`` holds: a model's label, repaired."""
    plain = plain_record()
    first = (
        '{"unreadable": false, "components": [...], "trace": "Ego drives 8.0 m/s. Observed: a lead vehicle.",\n'
        ' "effect_on_ego_behavior": "Stop: the lead vehicle, 12 m ahead, stands."}'
    )
    second = '{"effect_on_ego_behavior": "Decelerate: the lead vehicle, 12 m ahead, stands."}\n'
    return plain.model_copy(
        update={
            "window": plain.window.model_copy(
                update={
                    "frames": 15,
                    "missing_frames": 1,
                    "notes": ("a.front.mp4: there are no frame timestamps beside the video",),
                }
            ),
            "provenance": plain.provenance.model_copy(
                update={
                    "model_id": "provider/some-model-2026",
                    "sampling": {"temperature": 0.0, "seed": 42, "max_tokens": 4096},
                    "images": {"quality": 85, "max_side": 1280, "max_pixels": None},
                }
            ),
            "usage": Usage(prompt_tokens=900, response_tokens=31, reasoning_tokens=8, cached_tokens=512),
            "calls": (
                ModelCall(
                    purpose="label",
                    request_hash="1e",
                    max_tokens=4096,
                    finish_reason="stop",
                    answer=first,
                    usage=Usage(prompt_tokens=900, response_tokens=31, reasoning_tokens=8, cached_tokens=512),
                ),
                ModelCall(
                    purpose="repair",
                    request_hash="2f",
                    max_tokens=4096,
                    finish_reason="stop",
                    answer=second,
                    from_cache=True,
                ),
            ),
            "repair": Repair(
                outcome="repaired",
                reasons=("it says that ego stops, but ego keeps moving, never slower than 5.0 m/s",),
                before="Stop: the lead vehicle, 12 m ahead, stands.",
                after="Decelerate: the lead vehicle, 12 m ahead, stands.",
            ),
            "prompt": (
                PromptMessage(role="system", m_type="text", content="# Task\nYou label recorded driving.\n"),
                PromptMessage(
                    role="user",
                    m_type="text",
                    content="# Ego speed (m/s)\n(t=-2.0s) longitudinal 8.00, lateral 0.00\n"
                    "(t=-1.5s) longitudinal 8.00, lateral 0.00",
                ),
                PromptMessage(role="user", m_type="text", content="# Frames of front"),
                PromptMessage(
                    role="user",
                    m_type="video",
                    content="t=-1.98s [a.front.mp4, index=318, ts=10617000]\n"
                    "t=-1.48s [a.front.mp4, index=333, ts=11117000]",
                ),
            ),
        }
    )


def two_stage_record() -> Record:
    """Return the record that ``tests/data/records/v2.yaml`` holds: a label of two stages."""
    full = full_record()
    stages = (1, 1, 2, 2)
    listed = ModelCall(
        purpose="components",
        request_hash="0d",
        max_tokens=4096,
        finish_reason="stop",
        answer='{"unreadable": false, "components": [...]}',
        usage=Usage(prompt_tokens=400, response_tokens=20),
    )
    label = full.label.model_copy(
        update={
            "emerged_after": EmergedAfter(
                category="critical_object", relation="crossing", side="right", description="a child runs out: fast"
            )
        }
    )
    return full.model_copy(
        update={
            "label": label,
            "provenance": full.provenance.model_copy(update={"agent": "TwoStageCoCAgent"}),
            "calls": (listed, *full.calls),
            "prompt": tuple(m.model_copy(update={"stage": s}) for m, s in zip(full.prompt, stages, strict=True)),
        }
    )


def plain_record() -> Record:
    """Return the record that ``tests/data/records/v1_without_calls.yaml`` holds: what Part 1 wrote."""
    label = CoCLabel(
        longitudinal=Longitudinal(decision="follow_lead", cause_ids=("c1", "c2")),
        lateral=Lateral(decision="nudge_in_lane", direction="left", cause_ids=("unobserved",)),
        components=(
            Component(
                id="c1",
                category="critical_object",
                relation="lead",
                description="stopped lead vehicle 12 m ahead",
                track_id="41",
            ),
            Component(id="c2", category="lane", side="right", description="right curve, radius 80 m"),
        ),
        trace="Ego drives 8.0 m/s. Observed: a lead vehicle.",
        effect_on_ego_behavior="Decelerate: the lead vehicle, 12 m ahead, stands.",
    )
    return Record(
        clip_id="b6700354-ab89-45ec-8b47-7d6dbfe16b1a",
        event_start_frame=126,
        event_start_timestamp=12_600_000,
        final_content=released_content(label),
        label=label,
        meta_actions=(MetaActionSpan(axis="longitudinal", name="gentle_deceleration", start_tick=126, end_tick=160),),
        window=WindowInfo(history_sec=2.0, future_sec=6.0, missing_future_sec=0.5),
        provenance=Provenance(
            agent="VLMCoCAgent",
            model="some-model",
            model_revision="abc123",
            prompt_version="single_pass_1",
            prompt_hash="0f",
            request_hash="1e",
            sampling={"temperature": 0.0, "seed": 42},
            code_version="0.1.0",
            dataset="pai",
            told_facts=(FactSource.EGO_MOTION, FactSource.TIMELINE),
        ),
        usage=Usage(prompt_tokens=900, response_tokens=31),
        prompt=(PromptMessage(role="user", m_type="text", content="What does ego do?"),),
    )
