"""From the world to scores: the project's own commands, in the order in which a user would run them."""

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from alpamayo_r1.infer.request import InferRequest, Moments, SamplingOptions
from alpamayo_r1.infer.run import infer
from batch_runs.outcomes import DONE
from benchmarks.measuring import script
from benchmarks.small_world.folder import CAMERA, T0_US, read_truth, write_folder
from benchmarks.small_world.scoring import Scored, scored
from benchmarks.small_world.world import moments

TRAIN_SEED, HELD_OUT_SEED = 1, 7
WITH_COT = ("image", "traj_history", "prompt", "cot", "traj_future")
WITHOUT_COT = ("image", "traj_history", "prompt", "traj_future")
WRITTEN = ("cot", "traj_future")  # what a loss can be on
MOST_WRITTEN = 48  # tokens of a sentence, and some
AT_ONCE = 20  # moments that are predicted together


@dataclass(frozen=True)
class Recipe:
    """How much of everything.

    Attributes:
        train, held_out: moments.
        steps: optimizer steps of stage 1 on everything.
        say_steps: of stage 1 after that, with the loss on sentences alone: beside ten times as many tokens of
            trajectories they are learnt late.
        expert_steps: of stage 2.
        batch: moments of a step.
        lr, say_lr, expert_lr: highest learning rates.
        samples: trajectories of each held-out moment.
        threads: of torch; also worker processes that write the world.
    """

    train: int = 1600
    held_out: int = 160
    steps: int = 80
    say_steps: int = 360
    expert_steps: int = 800
    batch: int = 32
    lr: float = 1e-3
    say_lr: float = 2e-3
    expert_lr: float = 4e-3
    samples: int = 6
    threads: int = 2


DEMO = Recipe()
QUICK = Recipe(train=32, held_out=8, steps=2, say_steps=2, expert_steps=2, batch=8, samples=2, threads=1)


@dataclass
class Timings:
    """Seconds of each part, in order."""

    seconds: dict[str, float] = field(default_factory=dict)

    def note(self, part: str, since: float) -> None:
        """Keep what a part took that began at ``since``, by the monotonic clock."""
        self.seconds[part] = time.monotonic() - since


@dataclass(frozen=True)
class World:
    """The two folders of the world."""

    train: Path
    held_out: Path


@dataclass(frozen=True)
class Run:
    """One training and its predictions on held-out moments.

    Attributes:
        folder: of everything that it wrote.
        recipe: how it was trained.
        components: of its sequences.
        seed: of weights, order and noise.
    """

    folder: Path
    recipe: Recipe
    components: tuple[str, ...] = WITH_COT
    seed: int = 0

    @property
    def says(self) -> bool:
        """Whether it writes why, before it drives."""
        return "cot" in self.components

    @property
    def predictions(self) -> Path:
        """The folder of ``coc infer``."""
        return self.folder / "predictions"


def build_world(folder: Path, recipe: Recipe) -> World:
    """Write the world's two folders, or take those that are there."""
    world = World(folder / "train", folder / "held_out")
    parts = ((world.train, recipe.train, TRAIN_SEED), (world.held_out, recipe.held_out, HELD_OUT_SEED))
    for part, count, seed in parts:
        done = part / f"whole_{count}"
        if not done.exists():
            write_folder(part, list(moments(count, seed, part.name)), recipe.threads)
            done.touch()
    return world


def train_and_predict(world: World, run: Run, timings: Timings, prepared: Path) -> list[Scored]:
    """Make a model, train both stages, predict the held-out moments and score them."""
    from benchmarks.small_world.model import write_untrained

    untrained = run.folder / "untrained"
    if not untrained.exists():
        write_untrained(untrained, run.seed)
    for name, arguments in (
        ("stage 1", stage1_arguments(world, run, prepared)),
        ("stage 1, sentences", saying_arguments(world, run, prepared)),
        ("stage 2", stage2_arguments(world, run, prepared)),
    ):
        since = time.monotonic()
        coc(arguments, run.recipe.threads)
        timings.note(name, since)
    since = time.monotonic()
    if run.says:
        coc(infer_arguments(world, run), run.recipe.threads)
        coc(["evaluate", str(run.predictions), "--out", str(run.folder / "evaluation")], run.recipe.threads)
    else:
        _predict_driving_only(world, run)
    timings.note("predicting", since)
    return scored(run.predictions, read_truth(world.held_out))


def stage1_arguments(world: World, run: Run, prepared: Path) -> list[str]:
    """Return the arguments of ``coc`` for stage 1 with the loss on all that is written."""
    own = [f"train.steps={run.recipe.steps}", f"train.lr={run.recipe.lr}", "train.warmup_steps=20"]
    written = [name for name in run.components if name in WRITTEN]
    return _stage1(world, run, prepared, ("untrained", "stage1"), written, own)


def saying_arguments(world: World, run: Run, prepared: Path) -> list[str]:
    """Return the arguments of ``coc`` for stage 1 on sentences; without ``cot``, on trajectories as before."""
    own = [f"train.steps={run.recipe.say_steps}", f"train.lr={run.recipe.say_lr}", "train.warmup_steps=50"]
    return _stage1(world, run, prepared, ("stage1/model", "saying"), ["cot" if run.says else "traj_future"], own)


def stage2_arguments(world: World, run: Run, prepared: Path) -> list[str]:
    """Return the arguments of ``coc`` for stage 2, which goes on from what stage 1 has left."""
    own = [
        *_places(run, "saying/model", "stage2"),
        f"train.steps={run.recipe.expert_steps}",
        f"train.lr={run.recipe.expert_lr}",
        "train.warmup_steps=50",
        "vlm_cache_gb=2",
    ]
    return ["train", "stage2", *own, *_shared(world, run, prepared)]


def _stage1(
    world: World, run: Run, prepared: Path, places: tuple[str, str], losses: Sequence[str], own: Sequence[str]
) -> list[str]:
    loss = f"data.loss_components=[{','.join(losses)}]"
    return ["train", "stage1", *_places(run, *places), loss, *own, *_shared(world, run, prepared)]


def _places(run: Run, start: str, out: str) -> list[str]:
    return [f"model.path={run.folder / start}", f"out={run.folder / out}"]


def _shared(world: World, run: Run, prepared: Path) -> list[str]:
    return [
        f"data.labels={world.train}",
        f"data.data_dir={world.train}",
        f"data.cameras={CAMERA}",
        f"data.prepared={prepared}",
        f"data.components=[{','.join(run.components)}]",
        "data.num_workers=1",
        f"train.batch_size={run.recipe.batch}",
        "train.accumulate=1",
        "train.precision=float32",
        "train.gradient_checkpointing=false",
        f"train.seed={run.seed}",
    ]


def infer_arguments(world: World, run: Run) -> list[str]:
    """Return the arguments of ``coc`` for predicting the held-out moments."""
    return [
        "infer",
        *("--checkpoint", str(run.folder / "stage2" / "model")),
        *("--data_dir", str(world.held_out)),
        *("--out", str(run.predictions)),
        *("--t0_us", str(T0_US)),
        *("--cameras", CAMERA),
        *("--num_traj_samples", str(run.recipe.samples)),
        *("--max_generation_length", str(MOST_WRITTEN)),
        *("--batch_size", str(AT_ONCE)),
        *("--pictures", "0"),
    ]


def _predict_driving_only(world: World, run: Run) -> None:
    """Do what ``coc infer`` does, with a prompt that asks for the trajectory alone."""
    import torch

    from benchmarks.small_world.driving_only import open_driving_only

    torch.set_num_threads(run.recipe.threads)
    request = InferRequest(
        checkpoint=str(run.folder / "stage2" / "model"),
        dataset="pai",
        data_dir=str(world.held_out),
        out=str(run.predictions),
        moments=Moments(t0s_us=(T0_US,)),
        sampling=SamplingOptions(num_traj_samples=run.recipe.samples, max_generation_length=MOST_WRITTEN),
        cameras=(CAMERA,),
        batch_size=AT_ONCE,
        pictures=0,
    )
    found = infer(request, open_driving_only)
    if found.stopped is not None or found.tally.count(DONE) < run.recipe.held_out:
        raise RuntimeError(f"{run.predictions}: not all held-out moments were predicted: {found.tally.lines('scenes')}")


def coc(arguments: Sequence[str], threads: int) -> None:
    """Run a command of the project and show what it says; raises RuntimeError where it fails."""
    print(f"$ coc {' '.join(arguments)}", flush=True)
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([script("coc"), *arguments], env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"coc {arguments[0]} ended with {done.returncode}; what it says stands above")
