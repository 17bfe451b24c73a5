"""Command ``python -m coc_labeling.keyframe_auto_select``: Step 2, from meta-actions to keyframes."""

import argparse
import sys
from collections.abc import Sequence

from batch_runs.terminal import run_command, say
from coc_labeling.errors import CocLabelingError
from coc_labeling.keyframes import TICKS_PER_SEC, KeyframeRules, select_keyframes, statistics, write_keyframes
from driving_clips import files
from driving_clips.errors import DatasetError
from meta_action.errors import MetaActionError
from meta_action.names import BY_NAME, parse_names
from meta_action.reading import read_spans

MAX_LEAD_SEC = 20.0


def build_parser() -> argparse.ArgumentParser:
    """Return the command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m coc_labeling.keyframe_auto_select",
        description="Step 2: choose keyframes, the moments where ego's meta-actions change.",
        allow_abbrev=False,
    )
    parser.add_argument("--meta_action_dir", required=True, help="the final_outputs folder of Step 1")
    parser.add_argument("--actions", nargs="+", metavar="NAME", help="meta-actions to take (default: all)")
    parser.add_argument("--min_duration", type=int, default=10, help="shortest span in frames of 0.1 s (default: 10)")
    parser.add_argument("--min_start_ts", type=int, default=20, help="earliest start frame (default: 20)")
    parser.add_argument("--max_start_ts", type=int, default=135, help="latest start frame (default: 135)")
    parser.add_argument(
        "--target_count", type=int, default=500_000, help="most keyframes per action, longest first (default: 500000)"
    )
    parser.add_argument("--output_dir", default="./experiments", help="folder for the two JSON files")
    parser.add_argument(
        "--lead_sec", type=float, default=0.0, help="set keyframes this much before the span (default: 0)"
    )
    parser.add_argument("--merge", action="store_true", help="keep one of a clip's keyframes closer than 0.5 s")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    return run_command(lambda: _select(arguments), CocLabelingError, MetaActionError, DatasetError)


def _select(arguments: argparse.Namespace) -> int:
    if not 0 <= arguments.lead_sec <= MAX_LEAD_SEC:
        raise CocLabelingError(f"--lead_sec {arguments.lead_sec}: expected 0 to {MAX_LEAD_SEC:.0f} s.")
    if arguments.target_count < 0:
        raise CocLabelingError(f"--target_count {arguments.target_count}: expected 0 or more.")
    if arguments.min_start_ts > arguments.max_start_ts:
        raise CocLabelingError(
            f"--min_start_ts {arguments.min_start_ts} is after --max_start_ts {arguments.max_start_ts}: no span fits."
        )
    rules = KeyframeRules(
        actions=parse_names(arguments.actions) if arguments.actions else tuple(BY_NAME),
        min_duration=arguments.min_duration,
        min_start_ts=arguments.min_start_ts,
        max_start_ts=arguments.max_start_ts,
        target_count=arguments.target_count,
        lead_ticks=round(arguments.lead_sec * TICKS_PER_SEC),
        merge=arguments.merge,
    )
    spans = read_spans(arguments.meta_action_dir)
    files.make_dir(arguments.output_dir)
    keyframes = select_keyframes(spans, rules)
    paths = write_keyframes(keyframes, rules.target_count, arguments.output_dir)
    total = sum(len(own) for own in keyframes)
    say(*statistics(keyframes), f"{total} keyframes", *(f"written: {path}" for path in paths))
    return 0


if __name__ == "__main__":
    sys.exit(main())
