"""Who made the labels of an experiment: a model must not judge its own."""

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from coc_labeling.errors import RecordError
from coc_labeling.model_clients.vlm_wrappers.cloud import COMPATIBLE
from coc_labeling.results import KEY, ExperimentFolder, read_record
from coc_labeling.schema import Provenance


@dataclass(frozen=True)
class Model:
    """A model: the name that users know, and the provider's; empty where that is not known."""

    name: str
    model_id: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.model_id})" if self.model_id and self.model_id != self.name else self.name

    def is_same(self, other: "Model") -> bool:
        """Say whether two are one model, as far as their names tell.

        Servers name a model with or without its owner. ``openai_compatible`` is any model; where it is not known which,
        two of them may be the same.

        Example:
            >>> Model("qwen3.5_35b", "Qwen/Qwen3.5-35B-A3B").is_same(Model("openai_compatible", "qwen3.5-35b-a3b"))
            True
        """
        own, others = _bare(self.model_id), _bare(other.model_id)
        if own and own == others:
            return True
        if self.name != other.name:
            return False
        return self.name != COMPATIBLE or not (own and others)


def _bare(model_id: str) -> str:
    return model_id.rsplit("/", 1)[-1].lower()


def labellers(run_dir: str, labels: pa.Table) -> list[Model]:
    """Return the models of an experiment's labels; the provider's name is that of the first record of each.

    Record files without a table are taken to be made by the model of the first one, if that names one.
    """
    names = sorted(filter(None, pc.unique(labels.column("model")).to_pylist()))
    found = []
    for name in names:
        made_by = _made_by(run_dir, labels, pc.index(labels.column("model"), name).as_py())
        found.append(Model(name, made_by.model_id if made_by else ""))
    if not names and (made_by := _made_by(run_dir, labels, 0)) and made_by.model:
        found.append(Model(made_by.model, made_by.model_id))
    return found


def _made_by(run_dir: str, labels: pa.Table, row: int) -> Provenance | None:
    """Return who made a label, None where its record does not tell."""
    clip_id, t_us = (labels.column(name)[row].as_py() for name in KEY)
    try:
        return read_record(ExperimentFolder(run_dir).record_path(clip_id, t_us), (clip_id, t_us)).provenance
    except RecordError:
        return None


def own_judge(judge: Model, models: Iterable[Model]) -> Model | None:
    """Return the labeller that a judge is itself, or None."""
    return next((model for model in models if judge.is_same(model)), None)
