"""The processor of prompts: a tokenizer with its chat template, and the image processor beside it."""

from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.models.token_utils import TRAJ_TOKEN

# Of the released model: what one frame may have.
MIN_PIXELS = 163_840
MAX_PIXELS = 196_608

# Of every Qwen3-VL: patches of 16 x 16 pixels, 2 x 2 of them a token, values from -1 to 1.
_QWEN3_VL: dict[str, Any] = {
    "patch_size": 16,
    "merge_size": 2,
    "temporal_patch_size": 2,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}
_OLDER_NAMES = ("min_pixels", "max_pixels")  # of size
_INSTALL = "the image processor needs torchvision and pillow: pip install 'coc-toolkit[model]'"


def build_processor(tokenizer: PreTrainedTokenizerBase) -> Any:
    """Return the processor of a model's tokenizer; see ``helper.get_processor``."""
    missing = [token for token in TRAJ_TOKEN.values() if token not in tokenizer.get_vocab()]
    if missing:
        raise AlpamayoError(f"tokenizer: expected the model's, found one without {', '.join(missing)}.")
    if tokenizer.chat_template is None:
        raise AlpamayoError("tokenizer: expected a chat template (chat_template.jinja), found none.")
    try:
        from transformers import Qwen3VLProcessor, Qwen3VLVideoProcessor

        return Qwen3VLProcessor(
            image_processor=_image_processor(tokenizer),
            tokenizer=tokenizer,
            video_processor=Qwen3VLVideoProcessor(),
            chat_template=tokenizer.chat_template,
        )
    except ImportError as error:
        raise ImportError(f"{_INSTALL} ({error})") from error


def _image_processor(tokenizer: PreTrainedTokenizerBase) -> Any:
    """Return the image processor saved beside the tokenizer, or Qwen3-VL's; sized as the configuration says."""
    from transformers import Qwen2VLImageProcessor

    settings = dict(_QWEN3_VL)
    folder = Path(tokenizer.name_or_path or "")
    if tokenizer.name_or_path and (folder / "preprocessor_config.json").is_file():
        try:
            saved, _ = Qwen2VLImageProcessor.get_image_processor_dict(str(folder), local_files_only=True)
        except (OSError, ValueError) as error:
            raise AlpamayoError(f"{folder / 'preprocessor_config.json'}: expected a JSON object: {error}") from error
        settings = {key: value for key, value in saved.items() if key not in _OLDER_NAMES}
    pixels = getattr(tokenizer, "frame_pixels", None)
    if pixels is not None or "size" not in settings:
        least, most = pixels or (MIN_PIXELS, MAX_PIXELS)
        settings["size"] = {"shortest_edge": least, "longest_edge": most}
    return Qwen2VLImageProcessor.from_dict(settings)


def save_processing(tokenizer: PreTrainedTokenizerBase, folder: str | Path) -> None:
    """Write the tokenizer and the image processor into a checkpoint's folder."""
    tokenizer.save_pretrained(str(folder))
    _image_processor(tokenizer).save_pretrained(str(folder))
