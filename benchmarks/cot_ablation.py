"""Command ``python -m benchmarks.cot_ablation``: whether reasoning helps driving in the small built world.

Two trainings for each seed, with and without ``cot`` among the components, on the same moments, for as many steps, from
the same random numbers. What is there already is kept: after an interruption the same command goes on.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.small_world.recipe import (
    DEMO,
    QUICK,
    WITH_COT,
    WITHOUT_COT,
    Recipe,
    Run,
    Timings,
    World,
    build_world,
    train_and_predict,
)
from benchmarks.small_world.world import Cause
from driving_clips.geometry import Floats

ARMS = {"with": WITH_COT, "without": WITHOUT_COT}
MEASURES = {"min_ade_m": "minADE (m)", "ade_m": "ADE (m)", "off_path": "off path", "right": "right cause"}
RESAMPLES = 10_000


@dataclass(frozen=True)
class Compared:
    """A measure of the two arms.

    Attributes:
        with_cot, without_cot: means over seeds and moments; None where an arm does not have the measure.
        low, high: 95 % interval of the difference, with minus without; None likewise.
    """

    with_cot: float | None
    without_cot: float | None
    low: float | None
    high: float | None


def main() -> int:
    """Train what is missing, compare, and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cot_ablation", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("cot_ablation_out"), help="a folder of its own")
    parser.add_argument("--seeds", type=int, default=5, help="how many, from 0 on")
    parser.add_argument("--quick", action="store_true", help="does everything run? (nothing is learnt)")
    arguments = parser.parse_args()
    recipe = QUICK if arguments.quick else DEMO
    world = build_world(arguments.out / "world", recipe)
    results = {arm: [] for arm in ARMS}  # type: dict[str, list[list[dict[str, Any]]]]
    for seed in range(arguments.seeds):
        for arm in ARMS:
            results[arm].append(_result(arguments.out, world, recipe, arm, seed))
    text = report(results, recipe)
    (arguments.out / "cot_ablation.md").write_text(text, "utf-8")
    print(text)
    return 0


def _result(out: Path, world: World, recipe: Recipe, arm: str, seed: int) -> list[dict[str, Any]]:
    """Return the scores of one training, from its file where it has ended before."""
    folder = out / f"{arm}_cot" / f"seed_{seed}"
    kept = folder / "scores.json"
    if kept.exists():
        content = json.loads(kept.read_text("utf-8"))
        if content["recipe"] != _identity(recipe):
            raise SystemExit(f"{kept}: made by another recipe. Choose another --out, or delete it.")
        scores: list[dict[str, Any]] = content["scores"]
        return scores
    timings, begun = Timings(), time.monotonic()
    run = Run(folder, recipe, ARMS[arm], seed)
    found = [vars(one) for one in train_and_predict(world, run, timings, out / "prepared")]
    timings.note("in all", begun)
    partial = kept.with_suffix(".partial")
    partial.write_text(json.dumps({"recipe": _identity(recipe), "seconds": timings.seconds, "scores": found}), "utf-8")
    partial.replace(kept)
    return found


def _identity(recipe: Recipe) -> dict[str, Any]:
    """Return what results of a recipe depend on."""
    return {name: value for name, value in vars(recipe).items() if name != "threads"}


def report(results: dict[str, list[list[dict[str, Any]]]], recipe: Recipe) -> str:
    """Return the comparison as Markdown.

    Args:
        results: of each arm, of each seed, the scores of all held-out moments.
        recipe: that they were trained by.
    """
    seeds, moments = len(results["with"]), len(results["with"][0])
    lines = [
        "| held-out moments | measure | with CoC | without | difference (95 %) |",
        "|---|---|---|---|---|",
    ]
    for name in ("all", *Cause):
        for measure, told in MEASURES.items():
            lines.append(f"| {name} | {told} | {_told(compare(results, measure, None if name == 'all' else name))} |")
    steps = recipe.say_steps + recipe.steps
    return "\n".join(
        [
            f"{seeds} seeds, {moments} held-out moments, {recipe.train} to learn from, {steps} steps of stage 1 and "
            f"{recipe.expert_steps} of stage 2 in both arms, {recipe.samples} samples of each moment. Intervals: "
            "paired bootstrap, seeds and moments drawn with replacement.",
            "",
            *lines,
            "",
            "This world is built: in it the cause decides the future, and the sentence names what is visible. That "
            "says whether the parts fit together; it is no evidence about roads.",
            "",
        ]
    )


def _told(found: Compared) -> str:
    parts = ["-" if value is None else f"{value:.3f}" for value in (found.with_cot, found.without_cot)]
    if found.with_cot is None or found.without_cot is None:
        return " | ".join([*parts, "-"])
    difference = found.with_cot - found.without_cot
    return " | ".join([*parts, f"{difference:+.3f} ({found.low:+.3f} to {found.high:+.3f})"])


def compare(results: dict[str, list[list[dict[str, Any]]]], measure: str, cause: str | None) -> Compared:
    """Return a measure of both arms, over all causes or one. Who writes no sentence names no cause."""
    ours, theirs = (_table(results[arm], measure, cause) for arm in ARMS)
    if measure == "right":
        return Compared(float(ours.mean()), None, None, None)
    low, high = paired_interval(ours - theirs, np.random.default_rng(0))
    return Compared(float(ours.mean()), float(theirs.mean()), low, high)


def paired_interval(differences: Floats, random: np.random.Generator) -> tuple[float, float]:
    """Return the 95 % percentile interval of the mean of (seeds, moments), both drawn with replacement."""
    seeds, moments = differences.shape
    of_seeds = random.multinomial(seeds, np.full(seeds, 1 / seeds), RESAMPLES) / seeds
    of_moments = random.multinomial(moments, np.full(moments, 1 / moments), RESAMPLES) / moments
    drawn = np.einsum("rs,sm,rm->r", of_seeds, differences, of_moments, optimize=True)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def _table(scores: Sequence[Sequence[dict[str, Any]]], measure: str, cause: str | None) -> Floats:
    """Return a measure as (seeds, moments), moments in the order of their names."""
    rows = [sorted(own, key=lambda one: str(one["clip_id"])) for own in scores]
    return np.array([[one[measure] for one in own if cause in (None, one["cause"])] for own in rows], np.float64)


if __name__ == "__main__":
    sys.exit(main())
