"""The card of a dataset: a README with front matter as the Hugging Face hub reads it."""

import html
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any, Self

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from coc_labeling.checks.risk import Status
from coc_labeling.export.columns import Column, card_features
from coc_labeling.export.content import Component, Content, Need
from coc_labeling.export.counts import EXAMPLES, RISK_BINS, UNCHECKED, Counts, Maker
from coc_labeling.export.licences import card_licence, source_terms, teacher_terms
from coc_labeling.export.scene_reader import SceneReader
from coc_labeling.export.selection import Selection
from coc_labeling.export.sources import Only
from coc_labeling.export.splits import Splits
from coc_labeling.review.results.quality import Quality
from driving_clips.video.pictures import ImageSettings

# https://github.com/huggingface/hub-docs/blob/main/datasetcard.md, the values of size_categories
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_LARGEST = "1M<n<10M"
_STATUSES = (*map(str, Status), UNCHECKED)
_MARKDOWN = re.compile(r"([\\`*_\[\]|~#])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
MOST_CHARACTERS = 200


@dataclass(frozen=True)
class Taken:
    """What was taken of the recordings.

    Attributes:
        cameras: whose pictures; empty where there are none.
        times_sec: when, in s relative to the keyframe.
        images: how they are encoded.
        components: parts of the model's token sequence.
        has_path: whether ego's path is there.
    """

    cameras: tuple[str, ...]
    times_sec: tuple[float, ...]
    images: ImageSettings
    components: tuple[Component, ...]
    has_path: bool

    @classmethod
    def by(cls, reader: SceneReader, content: Content, needs: frozenset[Need]) -> Self:
        """Return what a reader took."""
        shows = Need.FRAMES in needs
        times = tuple(offset / 1e6 for offset in reader.offsets_us) if shows else ()
        cameras = reader.cameras if shows else ()
        return cls(cameras, times, reader.images, content.components, Need.TRAJECTORY in needs)


@dataclass(frozen=True)
class Facts:
    """All that a card tells.

    Attributes:
        dataset: the dataset's name.
        run: the name of the experiment folder.
        format: the format's name.
        only: which labels were taken, by what people said of them.
        selection: which of those.
        splits: how clips were shared out.
        window_sec: history and future that the labeller was given, s.
        drives_are_known: whether the dataset tells the drives of its clips.
        is_checked: whether there are checks of the run.
        is_calibrated: whether their risks were fitted to reviews.
        data_files: the file of each split.
        columns: of formats whose files do not tell the types of theirs.
        counts: what was counted.
        verdicts: labels of the run by what people said of them in the end; empty where nobody reviewed any.
        quality: what reviews say of the labels of the run; None where they do not suffice.
        most: of each split, how many labels a decision was cut to; None where it is not balanced.
        taken: what was taken of the recordings; None where nothing was.
    """

    dataset: str
    run: str
    format: str
    only: Only
    selection: Selection
    splits: Splits
    window_sec: tuple[float, float]
    drives_are_known: bool
    is_checked: bool
    is_calibrated: bool
    data_files: Mapping[str, str]
    columns: Sequence[Column]
    counts: Counts
    verdicts: Mapping[str, int]
    quality: Quality | None
    most: Mapping[str, int] | None
    taken: Taken | None

    @property
    def models(self) -> list[str]:
        """Who wrote the labels."""
        return sorted({maker.model for maker in self.counts.makers})

    @property
    def names(self) -> list[str]:
        """The splits, in the order that they were asked for."""
        return list(self.splits.shares)


def render_card(facts: Facts) -> str:
    """Return the card's text; the same facts give the same bytes."""
    counts = facts.counts
    return (
        _environment()
        .get_template("card.md")
        .render(
            front_matter=yaml.safe_dump(front_matter(facts), sort_keys=False, allow_unicode=True).rstrip(),
            facts=facts,
            counts=counts,
            version=version("coc-toolkit"),
            source=source_terms(facts.dataset),
            shares=_share_rows(facts),
            decisions={channel: _decision_rows(facts, channel) for channel in ("longitudinal", "lateral")},
            statuses=sorted(_rows_by_split(counts.statuses, facts.names), key=lambda row: _STATUSES.index(row[0])),
            risks=_rows_by_split(
                Counter({(_risk_name(b), s): n for (b, s), n in sorted(counts.risks.items())}), facts.names
            ),
            makers=_makers(counts.makers),
            teachers=[(model, teacher_terms(model)) for model in facts.models],
            leaking=sorted(counts.leakage.leaking)[:EXAMPLES],
            near=counts.leakage.neighbours.across() if counts.leakage.neighbours.total else None,
        )
    )


def front_matter(facts: Facts) -> dict[str, Any]:
    """Return what the hub reads of a card."""
    source = source_terms(facts.dataset)
    hub_ids = [source.hub_id] if source.hub_id else []
    features = {"dataset_info": {"features": card_features(facts.columns)}} if facts.columns else {}
    files = [{"split": split, "path": path} for split, path in _in_order(facts).items()]
    return {
        "pretty_name": f"Chain-of-Causation labels of {source.title}",
        "license": card_licence(facts.dataset, facts.models),
        "language": ["en"],
        "task_categories": ["robotics"],
        # Labels that people accepted or edited were generated first.
        "annotations_creators": [
            "machine-generated",
            *([] if set(facts.counts.origins) <= {"generated"} else ["expert-generated"]),
        ],
        "source_datasets": hub_ids or ["original"],
        "size_categories": [next((name for most, name in _SIZES if facts.counts.exported < most), _LARGEST)],
        "tags": ["autonomous-driving", "chain-of-causation", "reasoning"],
        **features,
        "configs": [{"config_name": "default", "data_files": files}],
    }


def _in_order(facts: Facts) -> dict[str, str]:
    known = {name: facts.data_files[name] for name in facts.names if name in facts.data_files}
    return known | {name: path for name, path in facts.data_files.items() if name not in known}


def _share_rows(facts: Facts) -> list[tuple[str, float, int, float, int]]:
    """Return each split's name, share asked for, clips, share of the clips, and labels."""
    clips, whole = facts.counts.clips, max(facts.counts.clips.total(), 1)
    shares = facts.splits.shares.items()
    return [(name, share, clips[name], clips[name] / whole, facts.counts.labels[name]) for name, share in shares]


def _decision_rows(facts: Facts, channel: str) -> list[tuple[str, list[int]]]:
    own = {(decision, split): n for (c, decision, split), n in facts.counts.decisions.items() if c == channel}
    rows = _rows_by_split(Counter(own), facts.names)
    return sorted(rows, key=lambda row: (-sum(row[1]), row[0]))


def _rows_by_split(counted: Counter[tuple[str, str]], splits: Sequence[str]) -> list[tuple[str, list[int]]]:
    names = dict.fromkeys(name for name, _ in counted)
    return [(name, [counted[name, split] for split in splits]) for name in names]


def _risk_name(number: int) -> str:
    return UNCHECKED if number < 0 else f"{number / RISK_BINS:.1f} to {(number + 1) / RISK_BINS:.1f}"


def _makers(makers: Counter[Maker]) -> list[tuple[Maker, int]]:
    return sorted(makers.items(), key=lambda item: (-item[1], item[0].agent, item[0].model, item[0].prompt_version))


def cell(text: object) -> str:
    r"""Return a text that comes from data as words in Markdown, without markup, HTML or line ends.

    Example:
        >>> cell("a|b <i>")
        'a\\\\|b &lt;i&gt;'
    """
    plain = _CONTROL.sub(" ", str(text))[:MOST_CHARACTERS]
    return _MARKDOWN.sub(r"\\\1", html.escape(plain, quote=False))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("coc_labeling.export"),
        autoescape=False,  # noqa: S701 - Markdown; what comes from data goes through ``cell``
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"cell": cell, "number": lambda n: f"{n:,}", "percent": lambda share: f"{share:.1%}"}
    return environment
