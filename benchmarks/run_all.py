"""Command ``python -m benchmarks.run_all``: measure everything and print one table."""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks import (
    action_space_bias,
    checks,
    exports,
    frames,
    growing_runs,
    keyframes,
    meta_actions_from_zips,
    meta_actions_in_memory,
    model_inference,
    model_runs,
    model_training,
    review_page,
    review_queue,
    vllm_runs,
)
from benchmarks.measuring import FULL, QUICK, Row, table

MODULES = {
    module.__name__.rsplit(".", 1)[-1]: module
    for module in (
        meta_actions_in_memory,
        meta_actions_from_zips,
        growing_runs,
        keyframes,
        frames,
        model_runs,
        checks,
        model_inference,
        action_space_bias,
        model_training,
        exports,
        review_queue,
        review_page,
        vllm_runs,
    )
}


def main() -> int:
    """Run the chosen benchmarks one after another, each in its own folder; delete all at the end."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run_all", description="Print the benchmark table.")
    parser.add_argument("--quick", action="store_true", help="small sizes: does everything run? (under a minute)")
    parser.add_argument("--only", nargs="+", choices=MODULES, default=list(MODULES), help="measure only these")
    parser.add_argument("--work_dir", help="folder for temporary data, about 5 GB (default: the system's)")
    arguments = parser.parse_args()
    rows: list[Row] = []
    work = Path(tempfile.mkdtemp(prefix="coc-benchmark-", dir=arguments.work_dir))
    try:
        for name in arguments.only:
            load, cores = os.getloadavg()[0], os.cpu_count()  # what else runs here makes the numbers worse
            print(f"measuring {name}, load {load:.1f} on {cores} cores ...", file=sys.stderr, flush=True)
            rows += MODULES[name].measure(QUICK if arguments.quick else FULL, work / name)
    finally:
        # Only now: for minutes after many files were deleted, some file systems are slow to create new ones.
        shutil.rmtree(work)
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
