"""Command ``python -m benchmarks.quality_of_reviews``: how many 95 % intervals of ``coc quality`` hold the truth.

Unlike ``quality_coverage``, which tries the formulas, this goes all the way: labels whose truth is known come into a
real file of reviews, the real planner makes the queue, simulated reviewers do both phases of some of the batches, and
``quality`` estimates what the labels are like that nobody has seen. 93 to 97 % of the intervals should hold the truth;
the simulation itself is off by 1 % (one standard error of 500 runs), which its verdict allows for twice over.
"""

import argparse
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from benchmarks.quality_coverage import ERRORS, REACH, SHARES
from coc_labeling.agreement.decided import Channel
from coc_labeling.review.batches.intake import LabelRow, add_labels
from coc_labeling.review.batches.planning import QueueSettings
from coc_labeling.review.batches.queue import Filters, enlarge, page
from coc_labeling.review.judgements import HistoryAnswer, Judgement, Reason, Verdict
from coc_labeling.review.results.quality import Left, quality
from coc_labeling.review.store import ReviewStore, Role
from coc_labeling.schema import Category, CoCLabel, Component, Longitudinal, Relation

LEAD = Component(id="c1", category=Category.CRITICAL_OBJECT, relation=Relation.LEAD, description="the car")
LIGHT = Component(id="c2", category=Category.TRAFFIC_LIGHT, description="the light")
LACKING = 0.2  # of the labels lack the light
ACCEPT = Judgement(verdict=Verdict.ACCEPT)
REJECT = Judgement(verdict=Verdict.REJECT, reason=Reason.HAZARD_MISSED)


@dataclass(frozen=True)
class Scene:
    """How many labels there are, and how many tasks of their own ann and bob judge, in the order of their queues."""

    labels: int
    tasks: tuple[int, int]
    error_factor: float = 2.0
    conservative: bool = False  # little is left, or wrong: intervals may hold the truth more often
    batch_size: int = 20
    random_share: float = 0.3


# Both through a third of their batches; bob far behind, in the middle of a batch; more labels; nearly all; few errors;
# a batch each; and the same with the default settings.
SCENES = (
    Scene(300, (60, 60)),
    Scene(300, (100, 27)),
    Scene(1000, (160, 147)),
    Scene(200, (75, 90), conservative=True),
    Scene(300, (60, 60), 0.7, conservative=True),
    Scene(300, (20, 20)),
    Scene(1000, (50, 50), batch_size=50, random_share=0.1),
)
NO_REPEATS = {"second_share": 0, "audit_share": 0, "planted_share": 0}


@dataclass
class World:
    """Labels and what is true of them, by clip."""

    rows: list[LabelRow] = field(default_factory=list)
    wrong: dict[str, bool] = field(default_factory=dict)
    lacking: dict[str, bool] = field(default_factory=dict)


def world(scene: Scene, random: np.random.Generator) -> World:
    """Invent labels; the risk knows something of errors."""
    made, names = World(), list(SHARES)
    for number, name in enumerate(random.choice(names, scene.labels, p=list(SHARES.values()))):
        clip = f"clip{number:05d}"
        made.wrong[clip] = bool(random.random() < ERRORS[name] * scene.error_factor)
        made.lacking[clip] = bool(random.random() < LACKING * (2 if made.wrong[clip] else 1))
        risk = min(float(random.beta(2, 5)) + 0.3 * made.wrong[clip], 1.0)
        speed = Longitudinal(decision=name, cause_ids=("c1",))
        label = CoCLabel(longitudinal=speed, components=(LEAD,), effect_on_ego_behavior="Drive on behind the car.")
        made.rows.append(LabelRow(clip, 5_000_000, label, risk=round(risk, 2), check_status="low"))
    return made


def judge(store: ReviewStore, reviewer: str, most: int, made: World) -> set[str]:
    """Do the first tasks of a reviewer, both phases; return their clips."""
    tasks = page(store, Filters(reviewer=reviewer), limit=most).tasks
    for task in tasks:
        revision = store.open(task.task, reviewer, 0)
        view = store.view(task.task, reviewer)
        added = (LIGHT,) if made.lacking[task.clip_id] else ()
        answer = HistoryAnswer(added=(LEAD, *added)) if view.blank else HistoryAnswer(confirmed=("c1",), added=added)
        revision = store.finish_history(task.task, reviewer, revision, answer)
        store.judge(task.task, reviewer, revision, REJECT if made.wrong[task.clip_id] else ACCEPT)
    return {task.clip_id for task in tasks}


def one_run(scene: Scene, random: np.random.Generator) -> Iterator[tuple[str, Left, float]]:
    """Yield (what was estimated of the labels that nobody saw, the estimate, the truth) of one run."""
    made = world(scene, random)
    with tempfile.TemporaryDirectory() as folder:
        store = ReviewStore.of_run(folder)
        for name in ("ann", "bob"):
            store.add_person(name, Role.REVIEWER)
        add_labels(store, made.rows)
        seed = int(random.integers(2**31))
        enlarge(store, QueueSettings(scene.batch_size, scene.random_share, **NO_REPEATS, blank_share=0.5, seed=seed))
        seen = judge(store, "ann", scene.tasks[0], made) | judge(store, "bob", scene.tasks[1], made)
        found = quality(store)
        store.close()
    left = [row for row in made.rows if row.clip_id not in seen]
    yield "right", found.whole.right.unreviewed, _right(left, made)
    yield "lacking", found.whole.omitted.unreviewed, float(np.mean([made.lacking[row.clip_id] for row in left]))
    for name, one in found.by_decision[Channel.LONGITUDINAL].items():
        own = [row for row in left if row.label.longitudinal and row.label.longitudinal.decision == name]
        if own:
            yield f"right, {name}", one.right.unreviewed, _right(own, made)
            if one.right.unreviewed.collapsed:
                yield "right, by decision, strata collapsed", one.right.unreviewed, _right(own, made)


def _right(rows: list[LabelRow], made: World) -> float:
    return 1 - float(np.mean([made.wrong[row.clip_id] for row in rows]))


def main() -> int:
    """Print a table of coverage; exit code 1 where one is out of reach by more than two standard errors."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality_of_reviews", description=__doc__)
    parser.add_argument("--runs", type=int, default=500, help="runs of each scene")
    parser.add_argument("--scenes", default="0,1,2,3,4,5,6", help="which of them")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    failed = False
    print("| labels, judged by ann and bob, errors | estimate | runs with one | hold the truth | mean length | bias |")
    print("|---|---|---|---|---|---|")
    for scene in (SCENES[int(number)] for number in arguments.scenes.split(",")):
        random = np.random.default_rng(arguments.seed)
        held, length, error = defaultdict(list), defaultdict(list), defaultdict(list)
        for _ in range(arguments.runs):
            for what, left, truth in one_run(scene, random):
                if left.value is None:
                    continue
                held[what].append(left.low - 1e-9 <= truth <= left.high + 1e-9)
                length[what].append(left.high - left.low)
                error[what].append(left.value - truth)
        settings = f"{scene.labels}, {scene.tasks[0]} + {scene.tasks[1]}, x {scene.error_factor:g}"
        noise = 2 * (0.05 * 0.95 / arguments.runs) ** 0.5
        for what, hits in held.items():
            share, mean_length, bias = (float(np.mean(x)) for x in (hits, length[what], error[what]))
            most = 1.0 if scene.conservative else REACH[1] + noise
            failed |= what in ("right", "lacking") and not REACH[0] - noise <= share <= most
            print(
                f"| {settings} | {what} | {len(hits):,} | {share:.1%} | {mean_length:.3f} | {bias:+.4f} |", flush=True
            )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
