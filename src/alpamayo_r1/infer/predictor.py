"""The model as ``coc infer`` runs it: scenes in, predictions out, many at once. torch is imported when it is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jinja2 import TemplateError

from alpamayo_r1 import extras
from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.infer.request import Attention, Dtype, InferRequest, SamplingOptions
from alpamayo_r1.infer.results import Prediction
from alpamayo_r1.load_physical_aiavdataset import path_tensors
from alpamayo_r1.scenes import Scene, SceneShape

_MODEL_SHAPE = SceneShape()


_OUT_OF_MEMORY = ("out of memory", "can't allocate memory")  # CUDA's, the CPU's


@dataclass(frozen=True)
class ModelPredictor:
    """A loaded model.

    Attributes:
        model: an ``AlpamayoR1``.
        processor: makes its inputs.
    """

    model: Any
    processor: Any

    def predict(self, scenes: Sequence[Scene], sampling: SamplingOptions, seeds: Sequence[int]) -> list[Prediction]:
        """Return what the model says of each scene.

        Each scene is drawn with its own seed, whoever else is in its batch.

        Raises:
            AlpamayoError: scenes or options that the model cannot use, or more than there is memory for.
        """
        try:
            xyz, rot, extra = self.model.sample_trajectories_from_data_with_vlm_rollout(
                data=self._inputs(scenes), **sampling.arguments(), return_extra=True, seeds=seeds
            )
        except RuntimeError as error:
            if not any(words in str(error) for words in _OUT_OF_MEMORY):
                raise
            rows = f"{len(scenes)} x {sampling.num_traj_sets} x {sampling.num_traj_samples}"
            raise AlpamayoError(
                f"{self.model.device}: not enough memory for {rows} scenes, sets and samples. Lower batch_size, "
                f"num_traj_samples or num_traj_sets. ({str(error).splitlines()[0][:200]})"
            ) from error
        places, turns = xyz.float().cpu().numpy(), rot.float().cpu().numpy()
        yaw = np.arctan2(turns[..., 1, 0], turns[..., 0, 0])
        return [
            Prediction(
                cot=extra["cot"][row].tolist(),
                meta_action=extra["meta_action"][row].tolist(),
                stopped=extra["stopped"][row].tolist(),
                xyz=places[row],
                yaw=yaw[row],
                seed=seed,
            )
            for row, seed in enumerate(seeds)
        ]

    def describe(self) -> dict[str, Any]:
        """Return device, data type and attention."""
        attention = str(self.model.config.attn_implementation)
        return {"device": str(self.model.device), "dtype": str(self.model.dtype), "attention": attention}

    def _inputs(self, scenes: Sequence[Scene]) -> dict[str, Any]:
        from alpamayo_r1 import helper

        torch = extras.torch()
        placeholders = self.model.config.tokens_per_history_traj
        messages = [
            helper.create_message(
                torch.from_numpy(scene.stacked_frames().reshape(-1, *scene.frames[0].shape[1:])),
                tokens_per_history_traj=placeholders,
            )
            for scene in scenes
        ]
        try:
            tokenized = self.processor.apply_chat_template(
                messages,
                tokenize=True,
                add_generation_prompt=False,
                continue_final_message=True,
                return_dict=True,
                return_tensors="pt",
                processor_kwargs={"padding": True},
            )
        except (TemplateError, ValueError) as error:
            raise AlpamayoError(f"the tokenizer's chat template cannot be used: {error}") from error
        paths = [path_tensors(scene.path, _MODEL_SHAPE) for scene in scenes]
        history = {name: torch.cat([path[name] for path in paths]) for name in ("ego_history_xyz", "ego_history_rot")}
        clip = ", ".join(f"{scene.clip_id} at t0_us={scene.t0_us}" for scene in scenes)
        inputs: dict[str, Any] = helper.to_device({"tokenized_data": tokenized, **history}, self.model.device)
        return inputs | {"clip_id": clip}


def load_predictor(
    checkpoint: str, device: str = "auto", dtype: Dtype = Dtype.AUTO, attention: Attention = Attention.AUTO
) -> ModelPredictor:
    """Load a checkpoint's folder; nothing is downloaded.

    Raises:
        DatasetError: the extra ``model`` is not installed.
        AlpamayoError: a checkpoint, device or attention that cannot be used.
    """
    torch = extras.torch()
    from alpamayo_r1.helper import get_processor
    from alpamayo_r1.models.alpamayo_r1 import AlpamayoR1

    place = _device(device)
    chosen: dict[str, Any] = {}
    if dtype is not Dtype.AUTO:
        chosen["dtype"] = getattr(torch, dtype)
    if attention is not Attention.AUTO:
        chosen["attn_implementation"] = str(attention)
    model = AlpamayoR1.from_pretrained(checkpoint, local_files_only=True, **chosen).to(place).eval()
    return ModelPredictor(model, get_processor(model.tokenizer))


def open_predictor(request: InferRequest) -> ModelPredictor:
    """Load the model of a request; raises as ``load_predictor``."""
    return load_predictor(request.checkpoint, request.device, request.dtype, request.attn_implementation)


def _device(name: str) -> Any:
    """Return the device of a name; "auto" is the first GPU, or the CPU where there is none."""
    torch = extras.torch()
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(name)
    except RuntimeError as error:
        raise AlpamayoError(f"device={name}: expected auto, cpu, cuda or cuda:N.") from error
    if place.type not in ("cpu", "cuda"):
        raise AlpamayoError(f"device={name}: expected auto, cpu, cuda or cuda:N.")
    if place.type == "cuda" and not torch.cuda.is_available():
        raise AlpamayoError(f"device={name}: there is no GPU that torch can use here. Leave it out, or use cpu.")
    if place.type == "cuda" and (place.index or 0) >= torch.cuda.device_count():
        raise AlpamayoError(f"device={name}: torch finds {torch.cuda.device_count()} GPUs here, counted from 0.")
    return place
