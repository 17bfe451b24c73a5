"""The quality of labels as a JSON file: all counts and shares, and what each of them means."""

import json
from importlib.metadata import version
from typing import Any

from coc_labeling.review.results.quality import Quality
from driving_clips import files

QUALITY_VERSION = 1
DEFINITIONS = {
    "population": "labels of the queue's waves of which a random label is judged; of a moment the last content alone",
    "unreviewed": "labels of the population that no review decided on; those judged unsure are among them",
    "wrong": "rejected, or edited so that a decision, its direction or its causes (category, relation, side) change; "
    "by decision: rejected, or edited so in this channel",
    "right": "accepted, or edited in its words alone",
    "verbatim": "accepted as it stands",
    "unsure": "left out of the shares; right_if_unsure_... count all of them as wrong or as right",
    "omitted": "the label lacks a component (category, relation; side where both name one) that a reviewer listed from "
    "a blank list, seeing the history alone",
    "interval": "95 %: Wilson's by stratum with finite population correction, put together by MOVER; for the "
    "unreviewed, what is known of reviewed labels is taken off",
    "strata_collapsed": "in some stratum none was looked at, so random labels alone are the sample, of each wave as a "
    "whole: the interval is fair, but wide, and the value leans towards risky labels",
    "weight": "how many labels one of the sample stands for: labels of its stratum / those of the sample in it",
    "by_risk_reviewed": "few: under half of a risk's labels by risk are reviewed, so random labels alone are its "
    "sample; some, all: those by risk are part of the sample",
}


def as_dict(found: Quality, run_dir: str) -> dict[str, Any]:
    """Return all that was measured, fit for JSON."""
    return {
        "quality_version": QUALITY_VERSION,
        "code_version": version("coc-toolkit"),
        "run_dir": run_dir,
        "seeds_by_wave": {str(wave): seed for wave, seed in found.seeds.items()},
        "findings": {str(name): count for name, count in found.findings.items()},
        "labels": found.whole.as_dict(),
        "by_decision": {
            str(channel): {name: one.as_dict() for name, one in own.items()}
            for channel, own in found.by_decision.items()
        },
        "strata": list(found.strata),
        "first_phase": {
            "lists_shown": found.shown_lists,
            "of_them_added_to": found.added_to_shown,
            "skipped": found.no_history,
        },
        "random_labels_left_in_begun_batches": found.begun_random,
        "notices": list(found.notices),
        "definitions": DEFINITIONS,
    }


def write_json(found: Quality, run_dir: str, path: str) -> None:
    """Write all that was measured."""
    files.make_parents(path)
    content = json.dumps(as_dict(found, run_dir), indent=2, ensure_ascii=False, allow_nan=False)
    files.write_atomic(path, content + "\n")
