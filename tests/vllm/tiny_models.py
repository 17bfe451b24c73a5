"""Tiny models of the Qwen families, for tests and benchmarks: every part of the real ones, 1.5 million parameters.

``python tests/vllm/tiny_models.py OUT KIND...`` writes them to ``OUT/KIND``; ``--untaught`` leaves weights random.

Their vocabulary is made of ``corpus.txt``, which holds the words of our prompts as they once were, so that a request is
about as long as with a real model. It stays as it is when prompts change: the golden prompts depend on it. Weights are
random, and as a random model under a JSON schema babbles until each text's longest length, Qwen3-VL is then taught to
answer as labels look like (``teaching.py``).
"""

import argparse
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
KINDS = ("qwen3_vl", "qwen3_5", "qwen3_5_moe")
SOURCES = ("tiny_models.py", "teaching.py", "corpus.txt", "chat_template.jinja")
CACHE = "COC_TEST_MODELS"  # the environment variable that moves it
VOCABULARY = 1344  # more than the corpus has words
MAX_POSITIONS = 16_384
SEED = 0

# In the order and with the names that the families have; pictures and videos are found by these ids.
SPECIAL = [
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>"),
    *("<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>"),
    *("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
]
ADDED = ["<think>", "</think>", "<tool_call>", "</tool_call>"]
# How Qwen's tokenizers cut a text into words before they look them up: letters, single digits, signs, line breaks.
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
VISION = {
    "depth": 2,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_heads": 4,
    "patch_size": 16,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "out_hidden_size": 128,
    "num_position_embeddings": 64,
}
TEXT = {
    "hidden_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": MAX_POSITIONS,
}
LINEAR_ATTENTION = {
    "layer_types": [*["linear_attention"] * 3, "full_attention"],
    "linear_key_head_dim": 64,
    "linear_value_head_dim": 64,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_conv_kernel_dim": 4,
}
EXPERTS = {
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 64,
    "shared_expert_intermediate_size": 64,
}


def checkpoint(kind: str) -> Path:
    """Return a checkpoint's folder; it is built when this machine does not have it yet."""
    folder = _cache() / kind
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            # A process of its own: its threads and its memory go with it. They do not spin while they wait for each
            # other, which on a busy machine makes it many times slower.
            command = [sys.executable, __file__, temporary, kind]
            subprocess.run(command, check=True, env=os.environ | {"OMP_WAIT_POLICY": "passive"})
            try:
                Path(temporary, kind).rename(folder)
            except OSError:  # another process was faster
                assert folder.exists()
    return folder


def _cache() -> Path:
    """Return the folder of what this very code builds with the libraries that are here."""
    digest = hashlib.sha256()
    for name in SOURCES:
        digest.update((HERE / name).read_bytes())
    for library in ("torch", "transformers", "tokenizers"):
        digest.update(importlib.metadata.version(library).encode())
    root = os.environ.get(CACHE) or Path.home() / ".cache" / "coc-toolkit-tests"
    return Path(root, digest.hexdigest()[:16])


def build(kind: str, out: Path, *, taught: bool = True) -> None:
    """Write a checkpoint of one of ``KINDS``, the same at every call."""
    import torch

    torch.manual_seed(SEED)
    made = processor(kind)
    model = _model(kind, made.tokenizer)
    if taught and kind == "qwen3_vl":
        import teaching

        teaching.teach(model, made.tokenizer, (HERE / "corpus.txt").read_text())
    model.to(torch.bfloat16).save_pretrained(out)
    made.save_pretrained(out)


def processor(kind: str) -> Any:
    """Return what turns text and pictures into a model's input; it knows no weights."""
    from transformers import Qwen2VLImageProcessor, Qwen3VLProcessor, Qwen3VLVideoProcessor

    template = (HERE / "chat_template.jinja").read_text().strip()
    template = f"{{%- set thinks = {'false' if kind == 'qwen3_vl' else 'true'} -%}}\n{template}"
    shared = {"patch_size": 16, "merge_size": 2, "temporal_patch_size": 2}
    shared |= {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    token = 32 * 32  # pixels
    return Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(size={"shortest_edge": token, "longest_edge": 64 * token}, **shared),
        video_processor=Qwen3VLVideoProcessor(size={"shortest_edge": 2 * token, "longest_edge": 256 * token}, **shared),
        tokenizer=tokenizer((HERE / "corpus.txt").read_text().splitlines(keepends=True), template),
        chat_template=template,
    )


def tokenizer(corpus: Iterable[str], template: str) -> Any:
    """Return a byte-level tokenizer whose vocabulary is the words of the corpus."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.normalizer = normalizers.NFC()
    split = pre_tokenizers.Split(Regex(WORDS), behavior="isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    size = VOCABULARY - len(SPECIAL) - len(ADDED)
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, special_tokens=[], show_progress=False)
    made.train_from_iterator(corpus, trainer)
    made.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIAL])
    made.add_tokens([AddedToken(name, special=False, normalized=False) for name in ADDED])
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        unk_token=None,
        additional_special_tokens=SPECIAL[1:],
        chat_template=template,
        model_max_length=MAX_POSITIONS,
    )


def _model(kind: str, vocabulary: Any) -> Any:
    import torch
    import transformers

    ids = vocabulary.get_added_vocab()
    nothing = ids["<|endoftext|>"]
    ends = {"bos_token_id": nothing, "eos_token_id": ids["<|im_end|>"], "pad_token_id": nothing}
    text: dict[str, Any] = TEXT | ends | {"vocab_size": VOCABULARY}
    rope: dict[str, Any] = {"rope_type": "default", "mrope_interleaved": True}
    vision = dict(VISION)
    if kind == "qwen3_vl":
        text |= {"intermediate_size": 256}
        text["rope_parameters"] = rope | {"rope_theta": 5e6, "mrope_section": [8, 4, 4]}
        vision["deepstack_visual_indexes"] = [0, 1]
    else:
        text |= LINEAR_ATTENTION | (EXPERTS if kind == "qwen3_5_moe" else {"intermediate_size": 256})
        text["rope_parameters"] = rope | {"rope_theta": 1e7, "partial_rotary_factor": 0.5, "mrope_section": [4, 2, 2]}
    family = {"qwen3_vl": "Qwen3VL", "qwen3_5": "Qwen3_5", "qwen3_5_moe": "Qwen3_5Moe"}[kind]
    config = getattr(transformers, f"{family}Config")(
        text_config=text,
        vision_config=vision,
        tie_word_embeddings=False,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )
    model = getattr(transformers, f"{family}ForConditionalGeneration")(config).to(torch.float32).eval()
    model.generation_config.eos_token_id = [ids["<|im_end|>"], nothing]
    model.generation_config.pad_token_id = nothing
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes tiny models to OUT/KIND.")
    parser.add_argument("out", type=Path)
    parser.add_argument("kinds", nargs="+", choices=KINDS)
    parser.add_argument("--untaught", action="store_true", help="leave the weights random")
    given = parser.parse_args()
    for kind in given.kinds:
        shutil.rmtree(given.out / kind, ignore_errors=True)
        build(kind, given.out / kind, taught=not given.untaught)


if __name__ == "__main__":
    main()
