"""``coc negative-control``: are causes cited for a reason? With another clip's components none should be.

Stage 2 of an experiment's windows is asked again, each with the components that were listed for another clip. Where
the model cites what fits, ``unobserved`` dominates then; where it cites whatever is on the list, it does not.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow.compute as pc

from coc_labeling.agents.negative_control import Donors, NegativeControlAgent
from coc_labeling.agents.two_stage import TwoStageCoCAgent
from coc_labeling.errors import CocLabelingError
from coc_labeling.inputs import RunResult
from coc_labeling.keyframes import Keyframe
from coc_labeling.records import from_yaml
from coc_labeling.results import LABEL, ExperimentFolder, load_labels
from coc_labeling.run import label_run
from coc_labeling.saved_config import saved_config
from coc_labeling.schema import UNOBSERVED, Component
from driving_clips import files

CONTROL = "negative_control.json"
DOMINATES = 0.5  # more of the decisions than this
SAMPLE = 200  # windows

Moment = tuple[str, int]  # clip id, keyframe in microseconds


@dataclass(frozen=True)
class Citations:
    """How decisions were explained.

    Attributes:
        windows: that got a label.
        decisions: in either channel.
        unobserved: decisions without an observed cause.
    """

    windows: int
    decisions: int
    unobserved: int

    @property
    def share(self) -> float:
        """The share of decisions without an observed cause."""
        return self.unobserved / self.decisions if self.decisions else 0.0

    def __str__(self) -> str:
        return f"{self.unobserved} of {self.decisions} decisions unobserved ({self.share:.0%}), {self.windows} labels"


@dataclass(frozen=True)
class Control:
    """What came of a negative control.

    Attributes:
        own: the same windows with their own components, as the experiment has them.
        other: with those of another clip.
        result: of the run that asked.
    """

    own: Citations
    other: Citations
    result: RunResult

    @property
    def passed(self) -> bool:
        """Whether ``unobserved`` dominates with another clip's components."""
        return self.other.share > DOMINATES

    def lines(self) -> list[str]:
        """Return the result in words."""
        verdict = "unobserved dominates: causes are cited for a reason"
        if not self.passed:
            verdict = f"unobserved does not dominate (expected: over {DOMINATES:.0%}): what is listed is cited anyway"
        return [f"own components: {self.own}", f"another clip's components: {self.other}", verdict]


def negative_control(run_dir: str, sample: int = SAMPLE, changes: Mapping[str, Any] | None = None) -> Control:
    """Ask stage 2 again with components of other clips; writes an experiment of its own, never to train on.

    Args:
        run_dir: the experiment of a ``TwoStageCoCAgent``.
        sample: most windows to ask about, spread evenly.
        changes: of the experiment's configuration, by dotted key, such as where its data lie now.

    Raises:
        CocLabelingError: no such experiment, or too few labels with components; and all that a run raises.
    """
    config = saved_config(run_dir, changes or {})
    if config.vlm_agent.agent_name != TwoStageCoCAgent.name:
        raise CocLabelingError(
            f"{run_dir}: expected an experiment of {TwoStageCoCAgent.name}, found one of "
            f"{config.vlm_agent.agent_name}: only there causes are chosen from a list."
        )
    if files.exists(files.join(run_dir, CONTROL)):
        raise CocLabelingError(f"{run_dir}: expected an experiment, found a negative control of one.")
    seen = _listed(run_dir, sample)
    donors = exchanged(seen, run_dir)
    keyframe = config.data_loader.keyframe.model_copy(
        update={"segment_filter_include": [f"{clip}_{Keyframe(clip, t).frame}" for clip, t in donors]}
    )
    video = config.data_loader.video.model_copy(update={"save_segment_videos": False})
    asked = config.model_copy(
        update={
            "exp_name": f"{config.exp_name}_negative_control",
            "resume_exp_dir": None,
            "shard": None,
            "data_loader": config.data_loader.model_copy(update={"keyframe": keyframe, "video": video}),
        }
    )
    result = label_run(asked, NegativeControlAgent.of(asked).with_donors(donors))
    control = Control(_citations(run_dir, donors), _citations(result.folder.path, donors), result)
    kept = {"experiment": run_dir, "own": asdict(control.own), "other": asdict(control.other), "passed": control.passed}
    files.write_atomic(result.folder.table_path(CONTROL), json.dumps(kept, indent=2) + "\n")
    return control


def exchanged(listed: Mapping[Moment, tuple[Component, ...]], run_dir: str) -> Donors:
    """Return for each moment the components of a moment of another clip, always the same one.

    Raises:
        CocLabelingError: all moments are of one clip.
    """
    moments = sorted(listed)
    if len({clip for clip, _ in moments}) < 2:
        raise CocLabelingError(
            f"{run_dir}: expected labels with components of two clips or more, found {len(moments)} of "
            f"{len({clip for clip, _ in moments})}. Label more clips first."
        )
    half = len(moments) // 2  # neighbours are of one clip more often than not
    donors = {}
    for n, own in enumerate(moments):
        others = (*moments[(n + half) % len(moments) :], *moments)
        donors[own] = listed[next(other for other in others if other[0] != own[0])]
    return donors


def _listed(run_dir: str, sample: int) -> dict[Moment, tuple[Component, ...]]:
    """Return the components of an experiment's labels, of evenly spread windows that have some."""
    labels = load_labels(run_dir).select(["clip_id", "event_start_timestamp", "status"])
    rows = labels.filter(pc.equal(labels.column("status"), LABEL)).sort_by("clip_id").to_pylist()
    folder = ExperimentFolder(run_dir)
    listed: dict[Moment, tuple[Component, ...]] = {}
    step = max(1, len(rows) // max(1, sample))
    for row in (*rows[::step], *(row for n, row in enumerate(rows) if n % step)):
        if len(listed) == sample:
            break
        moment = (row["clip_id"], row["event_start_timestamp"])
        components = _components(folder.record_path(*moment), moment[0])
        if components:
            listed[moment] = components
    return listed


def _components(path: str, clip_id: str) -> tuple[Component, ...]:
    try:
        return from_yaml(files.read_text(path), path, clip_id).label.components
    except (OSError, UnicodeDecodeError) as error:
        raise CocLabelingError(
            f"{path}: expected the record that labels.parquet names ({error}). Label again with "
            "resume_exp_dir to make it anew."
        ) from error


def _citations(run_dir: str, moments: Iterable[Moment]) -> Citations:
    """Return how the decisions of some moments are explained in an experiment."""
    wanted = set(moments)
    rows = [
        row
        for row in load_labels(run_dir).to_pylist()
        if row["status"] == LABEL and (row["clip_id"], row["event_start_timestamp"]) in wanted
    ]
    causes = [row[f"{channel}_causes"] for row in rows for channel in ("longitudinal", "lateral") if row[channel]]
    return Citations(len(rows), len(causes), sum(cited == [UNOBSERVED] for cited in causes))
