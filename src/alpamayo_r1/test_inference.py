"""Command ``python -m alpamayo_r1.test_inference``: one scene through the model, as the model's users do it."""

import argparse
import sys
from collections.abc import Sequence

import numpy as np

from alpamayo_r1 import extras
from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.load_physical_aiavdataset import load_physical_aiavdataset
from alpamayo_r1.scenes import DEFAULT_T0_US, SceneReader
from batch_runs.terminal import run_command, say
from driving_clips.datasets.pai import PaiDataset
from driving_clips.errors import ClipError, DatasetError

CHECKPOINT = "nvidia/Alpamayo-R1-10B"
LENGTH = 256  # tokens of the reasoning and its special tokens


def build_parser() -> argparse.ArgumentParser:
    """Return the command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m alpamayo_r1.test_inference", description="Let the reasoning model drive through one scene."
    )
    parser.add_argument("--checkpoint", default=CHECKPOINT, help=f"folder, or name on the hub (default: {CHECKPOINT})")
    parser.add_argument("--clip_id", help="the clip (default: the first one in --data_dir)")
    parser.add_argument("--data_dir", help="folder of the Physical AI dataset (default: through the dataset's kit)")
    parser.add_argument("--t0_us", type=int, default=DEFAULT_T0_US, help=f"the moment (default: {DEFAULT_T0_US})")
    parser.add_argument("--num_traj_samples", type=int, default=1, help="trajectories (default: 1)")
    parser.add_argument("--seed", type=int, default=42, help="of all drawing (default: 42)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    return run_command(lambda: _run(arguments), AlpamayoError, DatasetError, ClipError)


def _run(arguments: argparse.Namespace) -> int:
    extras.require()
    import torch

    from alpamayo_r1 import helper
    from alpamayo_r1.models.alpamayo_r1 import AlpamayoR1

    clip_id = arguments.clip_id or _first_clip(arguments.data_dir)
    say(f"Loading clip {clip_id} ...")
    data = load_physical_aiavdataset(clip_id, t0_us=arguments.t0_us, avdi=arguments.data_dir)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    model = AlpamayoR1.from_pretrained(arguments.checkpoint, dtype=dtype).to(device)
    processor = helper.get_processor(model.tokenizer)
    messages = helper.create_message(
        data["image_frames"].flatten(0, 1), tokens_per_history_traj=model.config.tokens_per_history_traj
    )
    inputs = processor.apply_chat_template(
        messages,
        tokenize=True,
        add_generation_prompt=False,
        continue_final_message=True,
        return_dict=True,
        return_tensors="pt",
    )
    model_inputs = {
        "tokenized_data": inputs,
        "ego_history_xyz": data["ego_history_xyz"],
        "ego_history_rot": data["ego_history_rot"],
    }
    model_inputs = helper.to_device(model_inputs, device)
    torch.manual_seed(arguments.seed)
    with torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda"):
        pred_xyz, _, extra = model.sample_trajectories_from_data_with_vlm_rollout(
            data=model_inputs,
            top_p=0.98,
            temperature=0.6,
            num_traj_samples=arguments.num_traj_samples,
            max_generation_length=LENGTH,
            return_extra=True,
        )
    say("Chain-of-Causation (per trajectory):", str(extra["cot"][0]))
    if unfinished := int((~extra["stopped"]).sum()):
        say(f"note: {unfinished} of {extra['stopped'].size} reasonings were not at their end after {LENGTH} tokens")
    say(_told(pred_xyz.float().cpu().numpy()[0], data["ego_future_xyz"]))
    return 0


def _first_clip(data_dir: str | None) -> str:
    if data_dir is None:
        raise DatasetError("--clip_id is required where no --data_dir is given.")
    return next(iter(SceneReader(PaiDataset(data_dir)).sources))


def _told(predicted: np.ndarray, driven: object) -> str:
    """Return minADE in words: of the samples (sets, samples, T, 3) the smallest mean distance from what was driven."""
    if driven is None:
        return "minADE: not known, the clip ends before the predicted trajectory does"
    off = np.linalg.norm(predicted[..., :2] - np.asarray(driven)[0, 0, :, :2], axis=-1).mean(axis=-1)
    return f"minADE: {off.min():.3f} m"


if __name__ == "__main__":
    sys.exit(main())
