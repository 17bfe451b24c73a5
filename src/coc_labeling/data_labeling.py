"""Command ``python -m coc_labeling.data_labeling``: Step 3, from keyframes to CoC labels."""

import argparse
import sys
from collections.abc import Sequence

import yaml

from batch_runs.terminal import complain, run_command, say
from coc_labeling.config.loading import PRESETS, load_config
from coc_labeling.errors import CocLabelingError
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
    if idle := without_effect(arguments.overrides):
        complain(f"note: model_name={config.model_name} asks no model and reads no video; no effect: {', '.join(idle)}")
    folder, tally = label_run(config)
    say(*tally.lines("windows"), f"labels: {folder.path}", f"summary: {folder.table_path(SUMMARY)}")
    return tally.exit_code(strict=config.strict)


if __name__ == "__main__":
    sys.exit(main())
