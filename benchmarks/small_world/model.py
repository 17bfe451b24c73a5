"""The small reasoning model: a million random numbers, and a tokenizer that has a token for each word of the world."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedTokenizerFast, Qwen3VLConfig

from alpamayo_r1.config import AlpamayoR1Config
from alpamayo_r1.helper import REQUESTS, SYSTEM_PROMPT
from alpamayo_r1.models.alpamayo_r1 import AlpamayoR1
from benchmarks.small_world.sentences import all_sentences

BASE = "base"
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>")
SPECIAL += ("<|video_pad|>",)
TEMPLATE = (
    "{%- for message in messages -%}<|im_start|>{{ message.role }}\n{%- for part in message.content -%}"
    "{%- if part.type == 'image' -%}<|vision_start|><|image_pad|><|vision_end|>"
    "{%- else -%}{{ part.text }}{%- endif -%}{%- endfor -%}<|im_end|>\n{%- endfor -%}"
)
PROMPTS = (SYSTEM_PROMPT, *REQUESTS.values(), ", then ")  # a token each: they are always the same
MOST_TOKENS = 1024  # far more than the words of this world need
HISTORY_STEPS, WAYPOINTS = 16, 64
PIXELS = 64 * 128  # that the model sees of a picture: a quarter of what the video has

_EMBEDDINGS_STD = 0.5

_TEXT = {
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 2048,
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 10_000.0,
        "mrope_section": [8, 4, 4],
        "mrope_interleaved": True,
    },
}
_VISION = {
    "depth": 3,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_heads": 4,
    "patch_size": 16,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "out_hidden_size": 128,
    "num_position_embeddings": 64,
    "deepstack_visual_indexes": [1],
}
_ACTION_SPACE = {
    "_target_": "alpamayo_r1.action_space.UnicycleAccelCurvatureActionSpace",
    "accel_std": 1.5,
    "curvature_std": 0.02,
    "n_waypoints": WAYPOINTS,
}
# Steps of a history are up to 1.6 m long here: bins of 2.5 cm tell speeds 0.25 m/s apart.
_HISTORY_BINS = {"ego_xyz_min": [0.0, -0.8, -0.8], "ego_xyz_max": [1.6, 0.8, 0.8], "num_bins": 65}
_FUTURE_BINS = {"dims_min": [-4.0, -4.0], "dims_max": [4.0, 4.0], "num_bins": 65}
_PARTS: dict[str, Any] = {
    "diffusion_cfg": {"_target_": "alpamayo_r1.diffusion.flow_matching.FlowMatching", "num_inference_steps": 10},
    "action_space_cfg": _ACTION_SPACE,
    "action_in_proj_cfg": {
        "_target_": "alpamayo_r1.models.action_in_proj.PerWaypointActionInProjV2",
        "hidden_size": 128,
        "num_enc_layers": 2,
    },
    "action_out_proj_cfg": {"_target_": "torch.nn.Linear"},
    "expert_cfg": {"hidden_size": 128, "intermediate_size": 256},
    "traj_tokenizer_cfg": {
        "_target_": "alpamayo_r1.action_space.discrete_action_space.DiscreteTrajectoryTokenizer",
        "_recursive_": False,
        "action_space_cfg": _ACTION_SPACE,
        **_FUTURE_BINS,
    },
    "hist_traj_tokenizer_cfg": {
        "_target_": "alpamayo_r1.models.delta_tokenizer.DeltaTrajectoryTokenizer",
        **_HISTORY_BINS,
    },
}


def base_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer of byte pairs, trained on what is said in this world, with Qwen's special tokens."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(vocab_size=MOST_TOKENS, min_frequency=1, initial_alphabet=alphabet, show_progress=False)
    roles = [f"{role}\n" for role in ("system", "user", "assistant")]
    tokenizer.train_from_iterator([*roles, *all_sentences()], trainer)
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in PROMPTS])
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>", chat_template=TEMPLATE
    )


def write_untrained(folder: Path, seed: int) -> Path:
    """Write a model of random numbers into a folder, ready for ``coc train stage1``; returns the folder.

    Args:
        folder: for the checkpoint.
        seed: of the random numbers.
    """
    config = _config(folder.parent / f"{folder.name}_{BASE}")
    torch.manual_seed(seed)
    model = AlpamayoR1(config)
    _spread(model)
    model.save_pretrained(folder)
    return folder


def _spread(model: AlpamayoR1) -> None:
    """Draw matrices anew as wide as suits their size: the 0.02 of large models lets little through narrow layers.

    Embeddings as wide as what layers add to them: else words and places drown in it, and pictures are learnt late.
    """
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "embed_tokens" in name or "pos_embed" in name:
                parameter.normal_(std=_EMBEDDINGS_STD)
            elif parameter.ndim >= 2:
                parameter.normal_(std=parameter[0].numel() ** -0.5)
        model.action_out_proj.weight.zero_()


def _config(base: Path) -> AlpamayoR1Config:
    tokenizer = base_tokenizer()
    tokenizer.save_pretrained(base)
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL}
    Qwen3VLConfig(
        text_config={
            **_TEXT,
            "vocab_size": len(tokenizer),
            "eos_token_id": ids["<|im_end|>"],
            "pad_token_id": ids["<|endoftext|>"],
        },
        vision_config=_VISION,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    ).save_pretrained(base)
    return AlpamayoR1Config(
        vlm_name_or_path=str(base),
        traj_vocab_size=_HISTORY_BINS["num_bins"] + _FUTURE_BINS["num_bins"],  # type: ignore[operator]
        tokens_per_history_traj=3 * HISTORY_STEPS,
        tokens_per_future_traj=2 * WAYPOINTS,
        model_dtype="float32",
        attn_implementation="sdpa",
        min_pixels=PIXELS,
        max_pixels=PIXELS,
        add_special_tokens=True,
        **_PARTS,
    )
