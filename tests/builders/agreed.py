"""Runs and sides whose labels are written out, for comparing them."""

from pathlib import Path

import pyarrow as pa

from coc_labeling.agreement.decided import Decided, DecidedBuilder
from coc_labeling.results import LABELS_SCHEMA, ExperimentFolder
from coc_labeling.schema import CoCLabel, Component, Lateral, Longitudinal, Record, released_content

Moments = dict[tuple[str, int], CoCLabel | None]


def decision(
    longitudinal: str | None = None,
    lateral: str | None = None,
    direction: str | None = None,
    causes: tuple[str, ...] = (),
    sentence: str = "Stop for the light.",
) -> CoCLabel:
    """Return a label; causes are ``relation`` or ``relation@track`` and belong to all its decisions."""
    components = []
    for number, cause in enumerate(causes, 1):
        relation, _, track = cause.partition("@")
        components.append(
            Component(
                id=f"c{number}",
                category="critical_object",
                relation=relation,
                description="a vehicle",
                track_id=track or None,
            )
        )
    ids = tuple(component.id for component in components) or ("unobserved",)
    return CoCLabel(
        longitudinal=Longitudinal(decision=longitudinal, cause_ids=ids) if longitudinal else None,
        lateral=Lateral(decision=lateral, direction=direction, cause_ids=ids) if lateral else None,
        components=tuple(components),
        effect_on_ego_behavior=sentence,
    )


def write_run(folder: Path, moments: Moments) -> Path:
    """Write an experiment with these labels."""
    experiment = ExperimentFolder(str(folder))
    rows = []
    for (clip_id, t_us), label in moments.items():
        assert label is not None
        record = Record(
            clip_id=clip_id,
            event_start_frame=t_us // 100_000,
            event_start_timestamp=t_us,
            final_content=released_content(label),
            label=label,
        )
        rows.append(experiment.write(record))
    folder.mkdir(parents=True, exist_ok=True)
    experiment.write_table([pa.Table.from_pylist(rows, LABELS_SCHEMA)])
    return folder


def decided(moments: Moments) -> Decided:
    """Return these labels as columns; None is one that cannot be read."""
    builder = DecidedBuilder()
    for (clip_id, t_us), label in moments.items():
        builder.add(clip_id, t_us, label)
    return builder.build("side")


class People:
    """A side that is no run: decisions of people, in memory."""

    name = "people"

    def __init__(self, moments: Moments) -> None:
        self.moments = moments

    def about(self):
        """Return where it comes from."""
        return {"name": self.name, "reviews": "reviews.sqlite"}

    def decided(self):
        """Return all moments and no notices."""
        return decided(self.moments), []

    def sentences(self, moments):
        """Return what people wrote."""
        return {moment: self.moments[moment].effect_on_ego_behavior for moment in moments}
