"""What a review says of a label as it was generated: right, right but for its wording, wrong, or nobody is sure.

A rejected label is wrong, and so are all its decisions: a reason does not tell which of them was right. An edited label
is wrong in a channel where the edit changes the decision, its direction or its causes; where it changes nothing but
words (or components that cause nothing), the label is right but for its wording.
"""

from enum import StrEnum

from coc_labeling.agreement.decided import Channel
from coc_labeling.review.judgements import Verdict
from coc_labeling.review.results.outcomes import Outcome
from coc_labeling.schema import CoCLabel, Component, Lateral, Longitudinal


class Finding(StrEnum):
    """What people found a label, or its decision in one channel, to be."""

    RIGHT = "right"
    REWORDED = "reworded"  # right, said in other words
    WRONG = "wrong"
    UNSURE = "unsure"


def found_in(outcome: Outcome, channel: Channel | None = None) -> Finding:
    """Return what people found of a label, or of what it says in one channel (which may be no decision)."""
    match outcome.verdict:
        case Verdict.ACCEPT:
            return Finding.RIGHT
        case Verdict.REJECT:
            return Finding.WRONG
        case Verdict.UNSURE:
            return Finding.UNSURE
    result = outcome.result
    assert result is not None  # an edit leaves a label
    channels = Channel if channel is None else (channel,)
    wrong = any(differs(outcome.label, result, one) for one in channels)
    return Finding.WRONG if wrong else Finding.REWORDED


def differs(label: CoCLabel, edited: CoCLabel, channel: Channel) -> bool:
    """Say whether two labels differ in a channel's decision, direction or causes.

    Causes are the same where category, relation and side are; and the track, where both name one.

    Example:
        >>> left = Lateral(decision="turn", direction="left", cause_ids=("unobserved",))
        >>> labels = [CoCLabel(lateral=left, effect_on_ego_behavior=words) for words in ("Turn left.", "Go left.")]
        >>> differs(*labels, Channel.LATERAL)
        False
    """
    before, after = _said(label, channel), _said(edited, channel)
    if before is None or after is None:
        return before is not after
    if before.decision != after.decision or _direction(before) != _direction(after):
        return True
    causes = [_causes(one, said.cause_ids) for one, said in ((label, before), (edited, after))]
    kinds = [sorted(map(kind_of, one)) for one in causes]
    tracks = [{cause.track_id for cause in one if cause.track_id} for one in causes]
    return kinds[0] != kinds[1] or (all(tracks) and tracks[0] != tracks[1])


def kind_of(component: Component) -> tuple[str, str, str]:
    """Return what tells a component from others, whatever the words: category, relation, side ("" where not said)."""
    return component.category, component.relation or "", component.side or ""


def lacks(label: CoCLabel, held_critical: tuple[Component, ...]) -> bool:
    """Say whether a label lacks a component that people hold critical.

    A label has it where it has one of the same category and relation, on the same side if both name one.
    """
    return any(not any(_is_same(own, other) for own in label.components) for other in held_critical)


def _is_same(own: Component, other: Component) -> bool:
    sides = {own.side, other.side} - {None}
    return (own.category, own.relation) == (other.category, other.relation) and len(sides) < 2


def _said(label: CoCLabel, channel: Channel) -> Longitudinal | Lateral | None:
    return label.longitudinal if channel is Channel.LONGITUDINAL else label.lateral


def _direction(said: Longitudinal | Lateral) -> str | None:
    return said.direction if isinstance(said, Lateral) else None


def _causes(label: CoCLabel, ids: tuple[str, ...]) -> list[Component]:
    return [component for component in label.components if component.id in ids]
