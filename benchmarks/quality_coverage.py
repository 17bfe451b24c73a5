"""Command ``python -m benchmarks.quality_coverage``: how many 95 % intervals of an error rate hold the truth.

Each run invents labels whose truth is known, looks at the riskiest of them and at a uniform sample of the rest, and
estimates. Nothing is fitted to the answer: 93 to 97 % of the intervals should hold the truth. The simulation itself is
off by 1 % (one standard error of 500 runs), which its verdict allows for twice over.
"""

import argparse
import sys
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from coc_labeling.agreement.estimates import Estimate, by_decision, proportion

SHARES = {"track_speed": 0.40, "follow_lead": 0.27, "stop": 0.15, "yield": 0.10, "adapt_speed": 0.08}
ERRORS = {"track_speed": 0.04, "follow_lead": 0.08, "stop": 0.12, "yield": 0.25, "adapt_speed": 0.15}
REACH = (0.93, 0.97)


@dataclass(frozen=True)
class Scene:
    """How many labels there are, how many of the riskiest are looked at, and how many of the rest."""

    labels: int
    riskiest: int
    drawn: int
    error_factor: float = 1.0


SCENES = (
    Scene(20_000, 300, 400),
    Scene(20_000, 0, 400),
    Scene(2_000, 300, 400),
    Scene(20_000, 1_000, 200),
    Scene(20_000, 300, 400, error_factor=0.2),
)


def one_run(scene: Scene, random: np.random.Generator) -> list[tuple[str, Estimate, float]]:
    """Return (what was estimated, the estimate, the truth) of one run."""
    names = np.array(list(SHARES))
    said = random.choice(names, scene.labels, p=list(SHARES.values()))
    wrong = random.random(scene.labels) < np.array([ERRORS[name] * scene.error_factor for name in said])
    true = np.where(wrong, random.choice(names, scene.labels), said)
    wrong = true != said
    risk = random.beta(2, 5, scene.labels) + 0.3 * wrong  # risk knows something of errors
    order = np.argsort(-risk)
    rest = order[scene.riskiest :]
    looked = np.concatenate([order[: scene.riskiest], random.choice(rest, scene.drawn, replace=False)])
    stratum = np.repeat([0, 1], [scene.riskiest, scene.drawn])
    sizes = [scene.riskiest, len(rest)]
    both = {name: [int(np.sum(part == name)) for part in (said[order[: scene.riskiest]], said[rest])] for name in names}
    precise = by_decision(~wrong[looked], stratum, said[looked], both)
    omitted = by_decision(wrong[looked], stratum, true[looked], sizes)
    found = [("precision", proportion(~wrong[looked], stratum, sizes), float(np.mean(~wrong)))]
    for name in names:
        found.append((f"precision, {name}", precise[name], float(np.mean(~wrong[said == name]))))
        if name in omitted:
            found.append((f"omitted, {name}", omitted[name], float(np.mean(wrong[true == name]))))
    return found


def main() -> int:
    """Print a table of coverage; exit code 1 where one is out of reach by more than two standard errors."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality_coverage", description=__doc__)
    parser.add_argument("--runs", type=int, default=500, help="runs of each scene")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    failed = False
    print("| labels, riskiest, drawn, errors | estimate | runs with one | hold the truth | mean length | bias |")
    print("|---|---|---|---|---|---|")
    for scene in SCENES:
        random = np.random.default_rng(arguments.seed)
        held, length, error = defaultdict(list), defaultdict(list), defaultdict(list)
        for _ in range(arguments.runs):
            for what, estimate, truth in one_run(scene, random):
                if estimate.value is not None:
                    for name in (what, "all together"):
                        held[name].append(estimate.low <= truth <= estimate.high)
                        length[name].append(estimate.high - estimate.low)
                        error[name].append(estimate.value - truth)
        settings = f"{scene.labels:,}, {scene.riskiest:,}, {scene.drawn:,}, x {scene.error_factor:g}"
        for what, hits in held.items():
            share, mean_length, bias = (float(np.mean(x)) for x in (hits, length[what], error[what]))
            noise = 2 * (0.05 * 0.95 / arguments.runs) ** 0.5
            failed |= not REACH[0] - noise <= share <= REACH[1] + noise
            print(f"| {settings} | {what} | {len(hits):,} | {share:.1%} | {mean_length:.3f} | {bias:+.4f} |")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
