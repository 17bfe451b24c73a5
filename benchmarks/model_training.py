"""What training costs: preparing pictures, making batches, a step of each stage, with and without kept caches.

Needs the environment of ``make test-model``: ``.venv-model/bin/python -m benchmarks.model_training``. On a CPU times of
steps are those of one thread, its own and not the clock's; on a GPU they are the clock's. With ``--size 8b --device
cuda`` the layers have the sizes of Qwen3-VL-8B and random weights.
"""

import argparse
import importlib.util
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.frames import USUAL, write_video
from benchmarks.measuring import FULL, MB, QUICK, Row, Scale, table

TESTS = Path(__file__).resolve().parent.parent / "tests"
BATCH = 8
MOMENTS_US = (3_000_000, 6_000_000, 9_000_000, 12_000_000)
GB = 2**30
GIGA = 1e9
SAID = "Decelerate to keep a safe distance to the lead vehicle that brakes ahead."


def measure(scale: Scale, folder: Path) -> list[Row]:
    """Measure preparing, and the tiny model on the CPU."""
    if importlib.util.find_spec("torch") is None:
        return [Row("training the reasoning model", "", "not measured: see benchmarks/model_training.py", "")]
    sys.path[:0] = [str(TESTS), str(TESTS / "model")]
    return [_preparing(folder, 2 if scale is QUICK else 6), *rows_of("tiny", "cpu", scale.repeats)]


def _preparing(folder: Path, clips: int) -> Row:
    """Prepare moments of clips whose four cameras have videos of 1080p."""
    from alpamayo_r1.scenes import MODEL_CAMERAS
    from alpamayo_r1.training.prepared import PrepareRequest, prepare
    from builders.prepared import write_labels
    from builders.reasoning_scenes import pai_with_cameras

    names = [f"00000000-0000-0000-0000-{number:012d}" for number in range(clips)]
    data = pai_with_cameras(folder / "pai", names)
    video = write_video(folder / "video", "superfast", USUAL)
    for name in names:
        for camera in MODEL_CAMERAS:
            _replace(data / "camera" / camera / f"{name}.{camera}.mp4", video)
    write_labels(data, {name: dict.fromkeys(MOMENTS_US, SAID) for name in names})
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.monotonic()
    request = PrepareRequest(str(data), str(folder / "prepared"), "pai", str(data), num_workers=2)
    scenes = prepare(request, lambda _: None)
    wall = time.monotonic() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    size = sum(path.stat().st_size for path in Path(scenes.folder).iterdir()) / len(scenes)
    measured = f"{len(scenes) / wall:.2f} scenes/s; {cpu / len(scenes):.2f} s of CPU and {size / MB:.2f} MB a scene"
    how = f"{len(scenes)} moments of {clips} clips, 4 cameras of 1080p H.264, 4 frames each, 2 workers, load {_load()}"
    return Row("pictures prepared for training", "", measured, how)


def _replace(path: Path, video: Path) -> None:
    """Put a video of 30 frames a second in the place of one of 10, and say when its frames were taken."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.unlink()
    os.link(video, path)
    times = path.with_name(path.name.removesuffix(".mp4") + ".timestamps.parquet")
    assert times.is_file(), times
    column = pq.read_schema(times).names
    table_of_times = pa.table({name: [round(k * 1e6 / 30) for k in range(600)] for name in column})
    pq.write_table(table_of_times, times)


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


class Bench:
    """A stage of training a model of one size on batches of the collator."""

    def __init__(self, size: dict[str, Any], device: str, stage: str, batch: int, cache_gb: float = 0) -> None:
        """Build the model, its optimizer and a batch."""
        import torch

        from alpamayo_r1.training.batches import Collator
        from alpamayo_r1.training.losses import Trainee
        from alpamayo_r1.training.settings import Precision, Stage
        from alpamayo_r1.training.vlm_caches import VlmCaches
        from benchmarks.model_inference import Bench as Inference
        from builders.prepared import scene

        inference = Inference(size, device, keeps_writing=False)
        self.torch, self.device, self.clock = torch, device, inference._clock
        model, frames = inference.model, size["frames"]
        made = [scene(SAID, number=number, **frames) for number in range(batch)]
        precision = Precision.FLOAT32 if device == "cpu" else Precision.BF16
        caches = VlmCaches(int(cache_gb * GB)) if cache_gb else None
        kind = Stage(stage)
        self.trainee = Trainee(model, kind, precision, gradient_checkpointing=device != "cpu", caches=caches)
        self.trainee.to(device)
        collator = Collator(model.tokenizer, model.config, for_expert=kind is Stage.EXPERT)
        begun = self.clock()
        self.batch = collator(made)
        self.collating = (self.clock() - begun) / batch
        self.tokens = int(self.batch["tokenized_data"]["attention_mask"].sum()) // batch
        self.optimizer = torch.optim.AdamW([own for _, own in self.trainee.trained()], lr=1e-5)

    def step(self) -> float:
        """Make one optimizer step; returns its seconds."""
        from alpamayo_r1.helper import to_device

        begun = self.clock()
        with self.torch.autocast(self.device, self.torch.bfloat16, enabled=self.device != "cpu"):
            output = self.trainee(**to_device(dict(self.batch), self.device))
        output.loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return float(self.clock() - begun)


def rows_of(size: str, device: str, repeats: int, batch: int = BATCH) -> list[Row]:
    """Measure one size on one device."""
    import torch

    from benchmarks.model_inference import SIZES

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        cases: list[tuple[str, Callable[[], Bench]]] = [
            ("stage 1", lambda: Bench(SIZES[size], device, "stage1", batch)),
            ("stage 2", lambda: Bench(SIZES[size], device, "stage2", batch)),
            ("stage 2, what is frozen kept", lambda: Bench(SIZES[size], device, "stage2", batch, cache_gb=64)),
        ]
        rows = [_steps(f"scenes a second, {name}", make(), repeats, batch) for name, make in cases]
        return [*rows, _limit(cases[0][1]())]
    finally:
        torch.set_num_threads(threads)


def _limit(bench: Bench) -> Row:
    """Measure what the device computes where nothing else is to be done."""
    torch = bench.torch
    side, dtype = (1024, torch.float32) if bench.device == "cpu" else (8192, torch.bfloat16)
    one = torch.randn(side, side, device=bench.device, dtype=dtype)
    seconds = []
    for _ in range(5):
        begun = bench.clock()
        one @ one
        seconds.append(bench.clock() - begun)
    best = 2 * side**3 / min(seconds) / GIGA
    return Row("the limit: a product of two matrices", "", f"{best:.0f} GFLOP/s", f"{bench.device}, {side} x {side}")


def _steps(what: str, bench: Bench, repeats: int, batch: int) -> Row:
    bench.step()  # what is frozen is read and kept
    flops = _flops_of(bench.step)
    if bench.device != "cpu":
        bench.torch.cuda.reset_peak_memory_stats()
    seconds = [bench.step() for _ in range(max(3, repeats))]
    computed = flops / statistics.median(seconds) / GIGA
    made = f"batches are made in {bench.collating * 1e3:.1f} ms a scene"
    measured = f"{_rates(seconds, batch)}, {computed:.0f} GFLOP/s; {made}"
    if bench.device != "cpu":
        measured += f"; {bench.torch.cuda.max_memory_allocated() / GB:.1f} GB at most"
    return Row(what, "", measured, f"{bench.device}, batches of {batch}, {bench.tokens} tokens a scene")


def _flops_of(step: Callable[[], object]) -> int:
    """Return the operations of matrix products in a step, with those of attention, which torch counts on GPUs only."""
    from torch import ops
    from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

    def forward(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
        return int(sdpa_flop_count(query, key, value))

    def backward(gradient: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
        return int(sdpa_backward_flop_count(gradient, query, key, value))

    attention = {
        ops.aten._scaled_dot_product_flash_attention_for_cpu: forward,
        ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: backward,
    }
    with FlopCounterMode(display=False, custom_mapping=attention) as counted:
        step()
    return int(counted.get_total_flops())


def _rates(seconds: Sequence[float], batch: int) -> str:
    rates = [batch / own for own in seconds]
    return f"{statistics.median(rates):.1f} ({min(rates):.1f}-{max(rates):.1f})"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.model_training", description=__doc__)
    parser.add_argument("--size", choices=("tiny", "8b"), default="tiny")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    arguments = parser.parse_args()
    sys.path[:0] = [str(TESTS), str(TESTS / "model")]
    repeats = (QUICK if arguments.quick else FULL).repeats
    print(table(rows_of(arguments.size, arguments.device, repeats, arguments.batch)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
