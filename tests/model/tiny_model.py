"""A reasoning model of random numbers, built in a second, and what it is given."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor
from transformers import PreTrainedTokenizerFast, Qwen3VLConfig

from alpamayo_r1 import helper
from alpamayo_r1.config import AlpamayoR1Config
from alpamayo_r1.geometry import rot_of_yaw
from alpamayo_r1.models.alpamayo_r1 import AlpamayoR1

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>")
SPECIAL += ("<|video_pad|>",)
TEMPLATE = (
    "{%- for message in messages -%}<|im_start|>{{ message.role }}\n{%- for part in message.content -%}"
    "{%- if part.type == 'image' -%}<|vision_start|><|image_pad|><|vision_end|>"
    "{%- else -%}{{ part.text }}{%- endif -%}{%- endfor -%}<|im_end|>\n{%- endfor -%}"
)
BASE = "tiny_base"
HISTORY = 16
TOKENS_PER_HISTORY = 3 * HISTORY
ACTION_SPACE = {
    "_target_": "alpamayo_r1.action_space.UnicycleAccelCurvatureActionSpace",
    "accel_std": 0.8,
    "curvature_std": 0.03,
    "n_waypoints": 8,
}
PARTS: dict[str, Any] = {
    "diffusion_cfg": {"_target_": "alpamayo_r1.diffusion.flow_matching.FlowMatching", "num_inference_steps": 4},
    "action_space_cfg": ACTION_SPACE,
    "action_in_proj_cfg": {
        "_target_": "alpamayo_r1.models.action_in_proj.PerWaypointActionInProjV2",
        "hidden_size": 16,
        "num_enc_layers": 2,
    },
    "action_out_proj_cfg": {"_target_": "torch.nn.Linear"},
    "expert_cfg": {"hidden_size": 32, "intermediate_size": 48},
    "traj_tokenizer_cfg": {
        "_target_": "alpamayo_r1.action_space.discrete_action_space.DiscreteTrajectoryTokenizer",
        "_recursive_": False,
        "action_space_cfg": ACTION_SPACE,
        "dims_min": [-8.0, -6.0],
        "dims_max": [8.0, 6.0],
        "num_bins": 32,
    },
    "hist_traj_tokenizer_cfg": {
        "_target_": "alpamayo_r1.models.delta_tokenizer.DeltaTrajectoryTokenizer",
        "num_bins": 64,
    },
}


def base_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer of single bytes with Qwen's special tokens and a chat template."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>", chat_template=TEMPLATE
    )


def base_config(tokenizer: PreTrainedTokenizerFast) -> Qwen3VLConfig:
    """Return the configuration of a Qwen3-VL with two layers."""
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL}
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 4096,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 5e6,
            "mrope_section": [4, 2, 2],
            "mrope_interleaved": True,
        },
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
    }
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_heads": 2,
        "patch_size": 16,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "out_hidden_size": 64,
        "num_position_embeddings": 64,
        "deepstack_visual_indexes": [0],
    }
    return Qwen3VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )


def write_base(folder: Path) -> Path:
    """Write what vlm_name_or_path points to: a configuration and a tokenizer, no weights."""
    tokenizer = base_tokenizer()
    base_config(tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_config(base: Path | str, **changes: Any) -> AlpamayoR1Config:
    settings = {
        "vlm_name_or_path": str(base),
        "traj_vocab_size": 96,
        "tokens_per_history_traj": TOKENS_PER_HISTORY,
        "tokens_per_future_traj": 16,
        "model_dtype": "float32",
        "attn_implementation": "sdpa",
        "min_pixels": 1024,
        "max_pixels": 4096,
        "add_special_tokens": True,
        **PARTS,
    }
    return AlpamayoR1Config(**(settings | changes))


def tiny_model(base: Path, seed: int = 0, **changes: Any) -> AlpamayoR1:
    """Build a model with weights large enough that masks and positions matter."""
    torch.manual_seed(seed)
    model = AlpamayoR1(tiny_config(base, **changes)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim >= 2 and "action_out" not in name:
                parameter.normal_(std=1.5 / parameter.shape[-1] ** 0.5)
    return model


@dataclass(frozen=True)
class SceneSpec:
    """A scene: frames of random pixels, a history at a steady speed along a curve."""

    seed: int = 0
    frames: int = 2
    height: int = 48
    width: int = 64
    speed_mps: float = 8.0
    curvature: float = 0.01
    components: tuple[str, ...] = ("cot", "traj_future")

    @property
    def message(self) -> list[dict[str, Any]]:
        generator = torch.Generator().manual_seed(self.seed)
        shape = (self.frames, 3, self.height, self.width)
        pixels = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
        return helper.create_message(pixels, self.components, TOKENS_PER_HISTORY)

    @property
    def history(self) -> tuple[Tensor, Tensor]:
        """Positions (1, 16, 3) and rotations (1, 16, 3, 3)."""
        s = self.speed_mps * 0.1 * (torch.arange(HISTORY) - HISTORY + 1)
        yaw = self.curvature * s
        xyz = torch.stack([s, self.curvature * s**2 / 2, torch.zeros_like(s)], dim=-1)
        return xyz[None], rot_of_yaw(yaw)[None]


def data_of(model: AlpamayoR1, *scenes: SceneSpec) -> dict[str, Any]:
    """Return the model's data of scenes, padded on the left."""
    tokenized = helper.get_processor(model.tokenizer).apply_chat_template(
        [scene.message for scene in scenes],
        tokenize=True,
        add_generation_prompt=False,
        continue_final_message=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"padding": True},
    )
    xyz, rot = (torch.stack(part) for part in zip(*(scene.history for scene in scenes), strict=True))
    return {"tokenized_data": tokenized, "ego_history_xyz": xyz, "ego_history_rot": rot}


@contextmanager
def scripted(model: AlpamayoR1, rows: Sequence[Sequence[str | None]]) -> Iterator[list[int]]:
    """Make each row write the given tokens, whatever the model thinks; None, and what follows, is the model's own.

    Rows of one scene have the first token in common, as they have its logits: that of the scene's first row. Yields
    the number of rows of each call of the language model's head.
    """
    vocabulary = model.tokenizer.get_vocab()
    calls: list[int] = []

    def force(_: Any, __: Any, logits: Tensor) -> Tensor:
        step, every = len(calls), len(rows) // len(logits)
        calls.append(len(logits))
        for row, script in enumerate(rows[::every]):
            token = script[step] if step < len(script) else None
            if token is not None:
                logits[row, -1] = -1e9
                logits[row, -1, vocabulary[token]] = 1e9
        return logits

    handle = model.vlm.lm_head.register_forward_hook(force)
    try:
        yield calls
    finally:
        handle.remove()


@contextmanager
def counted(module: torch.nn.Module) -> Iterator[list[tuple[int, ...]]]:
    """Yield the shapes of what a module gives at each of its calls."""
    shapes: list[tuple[int, ...]] = []

    def note(_: Any, __: Any, output: Any) -> None:
        first = output if isinstance(output, Tensor) else output[0]
        shapes.append(tuple(first.shape))

    handle = module.register_forward_hook(note)
    try:
        yield shapes
    finally:
        handle.remove()
