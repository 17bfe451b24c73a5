"""Command ``python -m benchmarks.small_world``: build the world, train a small model in it, predict, score, draw."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from alpamayo_r1.evaluation.predictions import PREDICTIONS, lines_of, parse
from benchmarks.small_world.folder import read_truth
from benchmarks.small_world.picture import Shown, chosen, draw, last_frames
from benchmarks.small_world.recipe import DEMO, QUICK, Run, Timings, World, build_world, train_and_predict
from benchmarks.small_world.scoring import Scored, summary
from benchmarks.small_world.world import Cause

LEAST_RIGHT, LEAST_TIMES_BETTER = 0.9, 2.0


def main() -> int:
    """Run the demo; the exit code is 1 where the model has not learnt what it should."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.small_world", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("small_world_out"), help="a folder of its own")
    parser.add_argument("--seed", type=int, default=0, help="of the model and its training, not of the world")
    parser.add_argument("--threads", type=int, help="of torch; 2 where the machine has nothing else to do")
    parser.add_argument("--quick", action="store_true", help="does everything run? (a minute; nothing is learnt)")
    arguments = parser.parse_args()
    recipe, timings, begun = QUICK if arguments.quick else DEMO, Timings(), time.monotonic()
    if arguments.threads is not None:
        recipe = replace(recipe, threads=arguments.threads)
    world = build_world(arguments.out / "world", recipe)
    timings.note("building the world", begun)
    run = Run(arguments.out / f"seed_{arguments.seed}", recipe, seed=arguments.seed)
    scores = train_and_predict(world, run, timings, arguments.out / "prepared")
    timings.note("in all", begun)
    picture = _draw(world, run, scores, timings)
    _write(run.folder / "scores.json", scores, timings)
    print(table(scores))
    print("; ".join(f"{part} {seconds:.0f} s" for part, seconds in timings.seconds.items()))
    print(f"picture: {picture}\nThis world is built: that a model learns it is no evidence about roads.")
    whole = summary(scores)
    reached = whole.right >= LEAST_RIGHT and whole.times_better >= LEAST_TIMES_BETTER
    if not reached:
        print(f"expected the right cause from {LEAST_RIGHT} and {LEAST_TIMES_BETTER} times better, see the table")
    return 0 if reached or arguments.quick else 1


def table(scores: Sequence[Scored]) -> str:
    """Return the scores by cause as a markdown table."""
    lines = [
        "| cause | moments | right cause | minADE (m) | ADE (m) | constant velocity (m) | times better | off path |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, own in [(str(c), [s for s in scores if s.cause is c]) for c in Cause] + [("all", list(scores))]:
        if own:
            of = summary(own)
            lines.append(
                f"| {name} | {of.scenes} | {of.right:.3f} | {of.min_ade_m:.2f} | {of.ade_m:.2f} | {of.constant_m:.2f} "
                f"| {of.times_better:.1f} | {of.off_path:.3f} |"
            )
    return "\n".join(lines)


def _draw(world: World, run: Run, scores: Sequence[Scored], timings: Timings) -> Path:
    scenes = {one.clip_id: one for one in map(parse, lines_of([str(run.predictions / PREDICTIONS)]))}
    truths, picked = read_truth(world.held_out), chosen(scores)
    frames = last_frames(world.held_out, [one.clip_id for one in picked])
    shown = [Shown(scenes[one.clip_id], one, frames[one.clip_id], truths[one.clip_id].other_lane) for one in picked]
    path = run.folder / "picture.png"
    draw(path, shown, scores, {part: f"{seconds:.0f} s" for part, seconds in timings.seconds.items()})
    return path


def _write(path: Path, scores: Sequence[Scored], timings: Timings) -> None:
    content = {"seconds": timings.seconds, "scores": [vars(one) for one in scores]}
    path.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
