"""Some disagreements, to look at: the commonest confusions first, each by a label drawn at random."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coc_labeling.agreement.decided import DECISIONS, LATERAL_WITH_DIRECTION, AgreementSide, Channel, Decided
from coc_labeling.agreement.pairing import Pairing


@dataclass(frozen=True)
class Example:
    """One pair that disagrees.

    Attributes:
        channel: where.
        said_a, said_b: the decisions, with the direction where there is one.
        times: how many pairs are confused so.
        clip_id: the clip.
        t_us_a, t_us_b: the keyframes of both sides, us on the clip clock.
        causes_a, causes_b: of the two decisions.
        sentence_a, sentence_b: empty where there is none.
    """

    channel: Channel
    said_a: str
    said_b: str
    times: int
    clip_id: str
    t_us_a: int
    t_us_b: int
    causes_a: tuple[str, ...]
    causes_b: tuple[str, ...]
    sentence_a: str
    sentence_b: str

    def as_dict(self) -> dict[str, Any]:
        """Return it for files."""
        return {
            "channel": str(self.channel),
            "confused_so": self.times,
            "clip_id": self.clip_id,
            **{
                side: {"event_start_timestamp": t_us, "decision": said, "causes": list(causes), "sentence": sentence}
                for side, t_us, said, causes, sentence in (
                    ("a", self.t_us_a, self.said_a, self.causes_a, self.sentence_a),
                    ("b", self.t_us_b, self.said_b, self.causes_b, self.sentence_b),
                )
            },
        }


@dataclass(frozen=True)
class _Found:
    channel: Channel
    said_a: str
    said_b: str
    times: int
    pair: int


def find_examples(
    side_a: AgreementSide,
    side_b: AgreementSide,
    a: Decided,
    b: Decided,
    pairing: Pairing,
    compared: NDArray[np.int64],
    most: int,
    seed: int,
) -> tuple[Example, ...]:
    """Return examples of the commonest confusions of both channels, one each, those of more pairs first."""
    found = [
        one for channel in Channel for one in _confusions(channel, a, b, pairing, compared, np.random.default_rng(seed))
    ]
    chosen = sorted(found, key=lambda one: -one.times)[:most]
    said_a = side_a.sentences({a.moment(int(pairing.a[one.pair])) for one in chosen})
    said_b = side_b.sentences({b.moment(int(pairing.b[one.pair])) for one in chosen})
    return tuple(_example(one, a, b, pairing, said_a, said_b) for one in chosen)


def _confusions(
    channel: Channel,
    a: Decided,
    b: Decided,
    pairing: Pairing,
    compared: NDArray[np.int64],
    random: np.random.Generator,
) -> list[_Found]:
    names = LATERAL_WITH_DIRECTION if channel is Channel.LATERAL else DECISIONS[channel]
    own, other = (_said(side, channel)[rows[compared]] for side, rows in ((a, pairing.a), (b, pairing.b)))
    differ = np.flatnonzero(own != other)
    cells, start, times = np.unique(own[differ] * len(names) + other[differ], return_inverse=True, return_counts=True)
    pairs = compared[differ]
    return [
        _Found(
            channel,
            names[cell // len(names)],
            names[cell % len(names)],
            int(times[number]),
            int(random.choice(pairs[start == number])),
        )
        for number, cell in enumerate(cells.tolist())
    ]


def _said(side: Decided, channel: Channel) -> NDArray[np.int64]:
    return side.lateral_with_direction() if channel is Channel.LATERAL else side.decision[channel].astype(np.int64)


def _example(
    one: _Found,
    a: Decided,
    b: Decided,
    pairing: Pairing,
    said_a: dict[tuple[str, int], str],
    said_b: dict[tuple[str, int], str],
) -> Example:
    row_a, row_b = int(pairing.a[one.pair]), int(pairing.b[one.pair])
    (clip_id, t_us_a), (_, t_us_b) = a.moment(row_a), b.moment(row_b)
    return Example(
        one.channel,
        one.said_a,
        one.said_b,
        one.times,
        clip_id,
        t_us_a,
        t_us_b,
        tuple(a.causes[one.channel].names(row_a)),
        tuple(b.causes[one.channel].names(row_b)),
        said_a.get((clip_id, t_us_a), ""),
        said_b.get((clip_id, t_us_b), ""),
    )
