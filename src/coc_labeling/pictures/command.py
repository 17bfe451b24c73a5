"""Command ``scripts/vis_video_pai.py``: a video of each clip to look at, with meta-actions, curves and labels."""

import argparse
from collections.abc import Sequence

from batch_runs.terminal import complain, run_command, say
from coc_labeling.errors import CocLabelingError
from coc_labeling.pictures.plan import Shown
from coc_labeling.pictures.run import COMMAND, PictureRequest, render_clips
from driving_clips import files
from driving_clips.datasets import DATASETS
from driving_clips.errors import DatasetError
from meta_action.errors import MetaActionError


def build_parser() -> argparse.ArgumentParser:
    """Return the command's arguments."""
    parser = argparse.ArgumentParser(
        prog=COMMAND,
        description="Draw a video of each clip: camera or scene from above, meta-actions, speed, heading, labels.",
        epilog="Exit code: 0 all well, 1 some clips failed, 2 nothing could be done.",
        allow_abbrev=False,
    )
    parser.add_argument("--physical_ai_root", required=True, help="the dataset's root folder")
    parser.add_argument("--meta_action_dir", required=True, help="results of Step 1: its save_dir or final_outputs")
    parser.add_argument("--vis_dir", required=True, help="folder to write <clip_id>.mp4 to")
    parser.add_argument("--cache_dir", help="folder for resampled trajectories, as in Step 1 (default: none)")
    parser.add_argument("--work_root", default=".", help="folder that relative paths start from (default: here)")
    parser.add_argument("--num_workers", type=int, default=8, help="most processes to use (default: 8)")
    parser.add_argument("--clip_list_path", help="text file, one clip id per line (default: all with meta-actions)")
    parser.add_argument("--dataset", default="pai", help=f"{', '.join(DATASETS)} or an own one (default: pai)")
    parser.add_argument("--labels", metavar="RUN_DIR", help="experiment folder of Step 3 whose labels are shown")
    parser.add_argument("--fps", type=float, default=10.0, help="pictures a second (default: 10)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    return run_command(lambda: _run(arguments), CocLabelingError, MetaActionError, DatasetError)


def _run(arguments: argparse.Namespace) -> int:
    if not files.is_dir(arguments.work_root):
        raise DatasetError(f"--work_root {arguments.work_root}: no such folder.")

    def path(given: str | None) -> str | None:
        return None if given is None else files.join(arguments.work_root, given)

    shown = Shown(
        arguments.dataset,
        files.join(arguments.work_root, arguments.physical_ai_root),
        files.join(arguments.work_root, arguments.meta_action_dir),
        path(arguments.labels),
        path(arguments.clip_list_path),
    )
    vis_dir = files.join(arguments.work_root, arguments.vis_dir)
    result = render_clips(
        PictureRequest(shown, vis_dir, path(arguments.cache_dir), arguments.num_workers, arguments.fps)
    )
    for notice in result.notices:
        complain(f"note: {notice}")
    say(*result.tally.lines("clips"), f"videos: {vis_dir}", f"summary: {result.summary_path}")
    return result.tally.exit_code(strict=False)
