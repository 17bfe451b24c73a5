"""Command ``python -m coc_labeling.data_labeling``: Step 3, from keyframes to CoC labels."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import yaml

from batch_runs.outcomes import EXIT_INTERRUPTED, EXIT_NOTHING
from batch_runs.terminal import complain, run_command, say
from coc_labeling.agents import create_agent
from coc_labeling.agents.base import ModelAgent
from coc_labeling.config.loading import PRESETS, load_config
from coc_labeling.config.schema import RunConfig
from coc_labeling.dry_run import dry_run
from coc_labeling.errors import CocLabelingError
from coc_labeling.inputs import RunResult
from coc_labeling.job_split import split_jobs
from coc_labeling.results import SUMMARY
from coc_labeling.run import label_run, without_effect
from driving_clips.errors import DatasetError
from meta_action.errors import MetaActionError


def build_parser() -> argparse.ArgumentParser:
    """Return the command's arguments; everything else is a Hydra override."""
    parser = argparse.ArgumentParser(
        prog="python -m coc_labeling.data_labeling",
        description="Step 3: label keyframes with Chain-of-Causation.",
        epilog="Exit code: 0 all well (abstentions are no error), 1 some windows failed, 2 nothing could be done.",
        allow_abbrev=False,
    )
    parser.add_argument("--config-name", default=PRESETS[1], help=f"{' or '.join(PRESETS)} (default: {PRESETS[1]})")
    parser.add_argument("--config-dir", help="folder with presets of your own")
    parser.add_argument("--cfg", choices=["job"], help="print the composed configuration and stop")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="say how many windows, pictures and bytes would go where, and about what they cost; send nothing",
    )
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="overrides, for example model_name=rules")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    arguments = build_parser().parse_intermixed_args(argv)
    return run_command(lambda: _run(arguments), CocLabelingError, DatasetError, MetaActionError)


def _run(arguments: argparse.Namespace) -> int:
    config = load_config(arguments.config_name, arguments.overrides, arguments.config_dir)
    if arguments.cfg:
        say(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False).rstrip())
        return 0
    if arguments.dry_run or config.dry_run:
        for job in split_jobs(config):
            say(*dry_run(job))
        return 0
    asks_model = isinstance(create_agent(config), ModelAgent)
    if idle := without_effect(arguments.overrides, asks_model=asks_model):
        why = "accepted, but without meaning here" if asks_model else "asks no model and reads no video"
        complain(f"note: model_name={config.model_name}: {why}; no effect: {', '.join(idle)}")
    return max(_codes(split_jobs(config)))


def _codes(jobs: Sequence[RunConfig]) -> Iterator[int]:
    """Label one group after another; one that cannot be labelled at all does not take the others along."""
    spent = Spent()
    for job in jobs:
        if job.job_split_id is not None:
            say(f"group {job.job_split_id}:")
        try:
            code = label_and_tell(spent.left_for(job), spent)
        except (CocLabelingError, DatasetError, MetaActionError) as error:
            if job.job_split_id is None:
                raise
            complain(f"error: group {job.job_split_id}: {error}")
            code = EXIT_NOTHING
        yield code
        if code == EXIT_INTERRUPTED:
            return


@dataclass
class Spent:
    """What the groups of a command have cost: its limits are for all of them together."""

    tokens: int = 0
    cost_usd: float = 0.0

    def left_for(self, job: RunConfig) -> RunConfig:
        """Return the configuration of the next group, its limits lowered by what others have cost."""
        limits: dict[str, int | float] = {}
        if job.max_total_tokens is not None:
            limits["max_total_tokens"] = max(job.max_total_tokens - self.tokens, 1)
        if job.max_cost_usd is not None:
            limits["max_cost_usd"] = max(job.max_cost_usd - self.cost_usd, 1e-9)
        return job.model_copy(update=limits)

    def add(self, result: RunResult) -> None:
        """Count a group."""
        experiment = result.extra.get("experiment", {})
        self.tokens += experiment.get("prompt_tokens", 0) + experiment.get("response_tokens", 0)
        self.cost_usd += result.extra.get("cost_usd") or 0.0


def label_and_tell(config: RunConfig, spent: Spent) -> int:
    """Label, say what came of it, and return the exit code."""
    result = label_run(config)
    spent.add(result)
    folder = result.folder
    say(*tell(result), f"labels: {folder.path}", f"summary: {folder.table_path(SUMMARY)}")
    return exit_code(result, strict=config.strict)


def tell(result: RunResult) -> list[str]:
    """Return what is said of a run when it has ended."""
    lines = [f"note: {notice}" for notice in result.notices]
    lines += result.tally.lines("windows")
    lines += result.spent_lines()
    if result.stopped is not None:
        lines.append(f"stopped early: {result.stopped}")
        lines.append(f"go on with: resume_exp_dir={result.folder.path}")
    return lines


def exit_code(result: RunResult, *, strict: bool) -> int:
    """Return the exit code of a run: 130 after Ctrl-C, else by its outcomes; 2 where it stopped before any label."""
    if result.interrupted:
        return EXIT_INTERRUPTED
    code = result.tally.exit_code(strict=strict)
    return EXIT_NOTHING if result.stopped and not result.tally.count("done") else code


if __name__ == "__main__":
    sys.exit(main())
