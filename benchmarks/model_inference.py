"""Where the reasoning model's time goes: vision, prefill, each written token, the expert; and the price of samples.

Needs the environment of ``make test-model``: ``.venv-model/bin/python -m benchmarks.model_inference``. On a CPU times
are those of one thread, its own and not the clock's, as machines are shared; on a GPU they are the clock's. With
``--size 8b --device cuda`` the layers have the sizes of Qwen3-VL-8B and random weights, in bfloat16.
"""

import argparse
import importlib.util
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measuring import FULL, QUICK, Row, Scale, spread, table

TESTS = Path(__file__).resolve().parent.parent / "tests" / "model"
TOKENS = (64, 256)  # written: a usual reasoning, and as many as the released example allows
SAMPLES = 16
BATCHES = (1, 2, 4, 8)
WAYPOINTS = 64
MS = 1e3

# Of the layers; what is not said here is the tiny model's of the tests.
TINY: dict[str, Any] = {
    "text": {"hidden_size": 128, "intermediate_size": 192, "num_hidden_layers": 4, "head_dim": 32},
    "rope": [6, 5, 5],
    "vision": {"out_hidden_size": 128, "deepstack_visual_indexes": [0, 1]},
    "expert": {"hidden_size": 64, "intermediate_size": 160},
    "projection": {"hidden_size": 64, "num_enc_layers": 4},
    "frames": {"frames": 4, "height": 64, "width": 128},
    "pixels": {"min_pixels": 4_096, "max_pixels": 8_192},
}
EIGHT_B: dict[str, Any] = {
    "text": {
        "hidden_size": 4_096,
        "intermediate_size": 12_288,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 155_697,
    },
    "rope": [24, 20, 20],
    "vision": {
        "depth": 27,
        "hidden_size": 1_152,
        "intermediate_size": 4_304,
        "num_heads": 16,
        "out_hidden_size": 4_096,
        "num_position_embeddings": 2_304,
        "deepstack_visual_indexes": [8, 16, 24],
    },
    "expert": {"hidden_size": 2_048, "intermediate_size": 8_192},
    "projection": {"hidden_size": 1_024, "num_enc_layers": 4},
    "frames": {"frames": 16, "height": 320, "width": 576},
    "pixels": {"min_pixels": 163_840, "max_pixels": 196_608},
}
SIZES = {"tiny": TINY, "8b": EIGHT_B}


@dataclass
class Parts:
    """Seconds of one call of the model, by part."""

    total: float = 0.0
    vision: float = 0.0
    prefill: float = 0.0
    decode: list[float] = field(default_factory=list)
    expert: list[float] = field(default_factory=list)
    prefills: int = 0


class Bench:
    """A model of one size, and scenes for it."""

    def __init__(self, size: dict[str, Any], device: str, *, keeps_writing: bool = True) -> None:
        """Build it on ``device``; one that keeps writing fills every row."""
        import torch

        import tiny_model

        self.torch = torch
        self.device = device
        self._tiny = tiny_model
        self._scene = tiny_model.SceneSpec(**size["frames"])
        self._clock = time.process_time if device == "cpu" else self._device_clock
        with tempfile.TemporaryDirectory() as folder:
            self.model = self._build(size, Path(folder) / tiny_model.BASE)
        if keeps_writing:
            self.model.vlm.lm_head.register_forward_hook(self._keep_writing(self.model))

    def _build(self, size: dict[str, Any], base: Path) -> Any:
        from alpamayo_r1.models.alpamayo_r1 import AlpamayoR1

        tiny, torch = self._tiny, self.torch
        tokenizer = tiny.base_tokenizer()
        config = tiny.base_config(tokenizer)
        config.text_config.update(size["text"] | {"max_position_embeddings": 65_536})
        config.text_config.rope_parameters["mrope_section"] = size["rope"]
        config.vision_config.update(size["vision"])
        config.save_pretrained(base)
        tokenizer.save_pretrained(base)
        action_space = tiny.ACTION_SPACE | {"n_waypoints": WAYPOINTS}
        parts = {
            "expert_cfg": size["expert"],
            "action_space_cfg": action_space,
            "traj_tokenizer_cfg": tiny.PARTS["traj_tokenizer_cfg"] | {"action_space_cfg": action_space},
            "tokens_per_future_traj": 2 * WAYPOINTS,
            "action_in_proj_cfg": tiny.PARTS["action_in_proj_cfg"] | size["projection"],
            "diffusion_cfg": tiny.PARTS["diffusion_cfg"] | {"num_inference_steps": 10},
        }
        vocabulary = size["text"].get("vocab_size")
        settings = tiny.tiny_config(base, **size["pixels"], **parts, vocab_size=vocabulary)
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float32 if self.device == "cpu" else torch.bfloat16)
        try:
            with torch.device(self.device):
                model = AlpamayoR1(settings).eval()
        finally:
            torch.set_default_dtype(before)
        return model.to(self.device)

    @staticmethod
    def _keep_writing(model: Any) -> Callable[..., Any]:
        """Close the tokens that end a row, so that every row writes as many tokens as it may."""
        closed = [model.config.traj_token_ids["future_start"], model.tokenizer.eos_token_id]

        def close(_: Any, __: Any, logits: Any) -> Any:
            logits[..., closed] = -1e9
            return logits

        return close

    def _device_clock(self) -> float:
        self.torch.cuda.synchronize()
        return time.perf_counter()

    @contextmanager
    def _timed(self, module: Any, into: Callable[[float, Any], None]) -> Iterator[None]:
        """Give ``into`` the seconds of each call of a module, and what it gave."""
        started = [0.0]

        def before(*_: Any) -> None:
            started[0] = self._clock()

        def after(_: Any, __: Any, output: Any) -> None:
            into(self._clock() - started[0], output)

        hooks = [module.register_forward_pre_hook(before), module.register_forward_hook(after)]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def run(self, scenes: int, samples: int, tokens: int) -> Parts:
        """Let the model reason about scenes and drive, once."""
        parts = Parts()
        data = self._data(scenes)

        def read(seconds: float, output: Any) -> None:
            if output.past_key_values.get_seq_length() == length:
                parts.prefill = seconds
                parts.prefills += 1
            else:
                parts.decode.append(seconds)

        def see(seconds: float, _: Any) -> None:
            parts.vision += seconds

        length = data["tokenized_data"]["input_ids"].shape[1]
        with ExitStack() as stack:
            stack.enter_context(self._timed(self.model.vlm.model.visual, see))
            stack.enter_context(self._timed(self.model.vlm, read))
            stack.enter_context(self._timed(self.model.expert, lambda seconds, _: parts.expert.append(seconds)))
            started = self._clock()
            self.model.sample_trajectories_from_data_with_vlm_rollout(
                data, num_traj_samples=samples, max_generation_length=tokens
            )
            parts.total = self._clock() - started
        parts.prefill -= parts.vision
        return parts

    def _data(self, scenes: int) -> Any:
        from alpamayo_r1 import helper

        data = self._tiny.data_of(self.model, *[self._scene] * scenes)
        return helper.to_device(data, self.device, None if self.device == "cpu" else self.torch.bfloat16)


def measure(scale: Scale, folder: Path) -> list[Row]:
    """Measure the tiny model on the CPU."""
    if importlib.util.find_spec("torch") is None:
        return [Row("the reasoning model", "", "not measured: see benchmarks/model_inference.py", "")]
    return rows_of("tiny", "cpu", scale.repeats)


def rows_of(size: str, device: str, repeats: int) -> list[Row]:
    """Measure one size on one device."""
    sys.path.insert(0, str(TESTS))
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        bench = Bench(SIZES[size], device)
        return [_parts(bench, repeats), *_samples(bench, repeats), *_batches(bench, repeats)]
    finally:
        torch.set_num_threads(threads)


def _repeated(bench: Bench, repeats: int, *what: int) -> list[Parts]:
    bench.run(*what)
    return [bench.run(*what) for _ in range(repeats)]


def _ms(values: Sequence[float]) -> str:
    return spread([value * MS for value in values], "ms", 2)


def _parts(bench: Bench, repeats: int) -> Row:
    runs = _repeated(bench, repeats, 1, 1, TOKENS[0])
    told = {
        "vision": [run.vision for run in runs],
        "prefill": [run.prefill for run in runs],
        "a written token": [statistics.mean(run.decode) for run in runs],
        "expert, all steps": [sum(run.expert) for run in runs],
        "in all": [run.total for run in runs],
    }
    measured = "; ".join(f"{name} {_ms(values)}" for name, values in told.items())
    length = bench._data(1)["tokenized_data"]["input_ids"].shape[1]
    how = f"{bench.device}, one scene, {length} tokens of prompt, {TOKENS[0]} written, {len(runs[0].expert)} steps"
    return Row("time per part of the reasoning model", "", measured, how)


def _samples(bench: Bench, repeats: int) -> Iterator[Row]:
    for tokens in TOKENS:
        one, many = (_repeated(bench, repeats, 1, samples, tokens) for samples in (1, SAMPLES))
        ratio = statistics.median(run.total for run in many) / statistics.median(run.total for run in one)
        written, driven = (
            statistics.median(sum(getattr(run, part)) for run in many)
            / statistics.median(sum(getattr(run, part)) for run in one)
            for part in ("decode", "expert")
        )
        measured = f"{ratio:.2f} (tokens {written:.2f}, expert {driven:.2f})"
        how = f"{bench.device}, {tokens} tokens each, {many[0].prefills} prefill for all"
        yield Row(f"{SAMPLES} samples against one", "<= 3", measured, how)


def _batches(bench: Bench, repeats: int) -> Iterator[Row]:
    rates = {}
    for scenes in BATCHES:
        runs = _repeated(bench, repeats, scenes, 1, TOKENS[0])
        rates[scenes] = statistics.median(scenes / run.total for run in runs)
    measured = ", ".join(f"{scenes}: {rate:.2f}" for scenes, rate in rates.items())
    yield Row("scenes a second, by the size of the batch", "", measured, f"{bench.device}, {TOKENS[0]} tokens each")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.model_inference", description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    arguments = parser.parse_args()
    print(table(rows_of(arguments.size, arguments.device, (QUICK if arguments.quick else FULL).repeats)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
