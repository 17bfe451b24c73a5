"""Command ``meta-action-autolabel``: Step 1, from ego motion to meta-actions."""

import argparse
import sys
from collections.abc import Sequence

from batch_runs.shards import WHOLE, Shard, parse_shard
from batch_runs.terminal import complain, run_command, say
from driving_clips.datasets import DATASETS, ENTRY_POINTS
from driving_clips.errors import DatasetError
from driving_clips.registry import names as registered
from meta_action.errors import MetaActionError
from meta_action.names import ALL_EGO, BY_NAME, parse_names
from meta_action.results import ResultsFolder
from meta_action.run import LabelRequest, label_dataset

DEFAULT_WORKERS = 32


def build_parser() -> argparse.ArgumentParser:
    """Return the command's arguments."""
    parser = argparse.ArgumentParser(
        prog="meta-action-autolabel",
        description="Step 1: label each clip's ego motion with meta-actions on a 10 Hz timeline.",
        epilog="Exit code: 0 all well (rejected clips are no error), 1 some clips failed, 2 nothing could be done.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--dataset_name", default="pai", help=f"one of {', '.join(registered(DATASETS, ENTRY_POINTS))} (default: pai)"
    )
    parser.add_argument(
        "--meta_action_names",
        nargs="+",
        default=["go_straight"],
        metavar="NAME",
        help=f"{ALL_EGO} (all that need no map), or any of: {', '.join(BY_NAME)} (default: go_straight)",
    )
    parser.add_argument("--data_dir", required=True, help="the dataset's root folder")
    parser.add_argument("--cache_dir", help="folder for resampled trajectories; may be deleted at any time")
    parser.add_argument("--save_dir", required=True, help="folder for the results")
    parser.add_argument("--scene_list", help="text file with one clip id per line: label only these")
    parser.add_argument(
        "--num_workers",
        type=int,
        default=DEFAULT_WORKERS,
        help="most processes to use (default: 32; never more than cores)",
    )
    parser.add_argument("--use_lane", action="store_true", help="lane actions too; needs a dataset with a map")
    parser.add_argument(
        "--shard", type=_shard, default=WHOLE, metavar="I/N", help="label the I-th of N parts; then 'coc merge'"
    )
    parser.add_argument("--strict", action="store_true", help="count rejected clips as failed in the exit code")
    return parser


def _shard(text: str) -> Shard:
    try:
        return parse_shard(text)
    except DatasetError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    return run_command(lambda: _label(arguments), DatasetError, MetaActionError)


def _label(arguments: argparse.Namespace) -> int:
    request = LabelRequest(
        dataset_name=arguments.dataset_name,
        data_dir=arguments.data_dir,
        save_dir=arguments.save_dir,
        names=parse_names(arguments.meta_action_names),
        cache_dir=arguments.cache_dir,
        scene_list=arguments.scene_list,
        num_workers=arguments.num_workers,
        shard=arguments.shard,
        use_lane=arguments.use_lane,
    )
    tally, notices = label_dataset(request)
    for notice in notices:
        complain(f"note: {notice}")
    folder = ResultsFolder(request.save_dir, request.names, request.shard)
    say(*tally.lines("clips"), f"labels: {folder.final_dir}", f"summary: {folder.table_path('run_summary.json')}")
    return tally.exit_code(strict=arguments.strict)


if __name__ == "__main__":
    sys.exit(main())
