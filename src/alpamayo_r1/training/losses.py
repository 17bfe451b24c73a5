"""The two stages: which parts are trained, in which precision, and what the loss of a batch is."""

import hashlib
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Self

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.models.alpamayo_r1 import AlpamayoR1
from alpamayo_r1.models.base_model import ReasoningVLA
from alpamayo_r1.models.training_output import TrainingOutput
from alpamayo_r1.training.settings import Precision, Stage
from alpamayo_r1.training.vlm_caches import VlmCaches

Names = Sequence[tuple[str, int]]

_TRAINED = {Stage.LANGUAGE: ("vlm",), Stage.EXPERT: ("expert", "action_in_proj", "action_out_proj")}
_WITH_CACHE = "_can_checkpoint_with_cache"  # of transformers' layers


class Trainee(nn.Module):
    """A model in a stage of its training. All other parts are frozen; the frozen language model stays as in inference.

    Attributes:
        model: the model; stage 2 needs an ``AlpamayoR1``.
        stage: what is trained.
        caches: of what the frozen model has read, in stage 2; None reads each batch anew.
    """

    model: ReasoningVLA

    def __init__(
        self,
        model: ReasoningVLA,
        stage: Stage,
        precision: Precision = Precision.FLOAT32,
        *,
        gradient_checkpointing: bool = False,
        caches: VlmCaches | None = None,
    ) -> None:
        """Freeze what the stage does not train, and settle the weights' precision: what is trained is float32.

        Raises:
            AlpamayoError: stage 2 of a model without an expert.
        """
        super().__init__()
        if stage is Stage.EXPERT and not isinstance(model, AlpamayoR1):
            raise AlpamayoError(f"stage2: expected a model with an expert, found {type(model).__name__}.")
        self.model, self.stage, self.caches = model, stage, caches
        self._mixed = precision is Precision.BF16
        for name, part in model.named_children():
            trained = name in _TRAINED[stage]
            part.requires_grad_(trained)
            part.to(torch.bfloat16 if precision is Precision.BF16 and not trained else torch.float32)
        if gradient_checkpointing:
            self._save_activations()
        self.train()

    def forward(self, seeds: Sequence[int] | None = None, **batch: Any) -> TrainingOutput:
        """Return the loss of a batch of ``batches.Collator``; ``seeds`` are those of stage 2's noise, one for a row."""
        # Each weight is used once: a cache of rounded ones would only keep them all in memory.
        with torch.autocast(self.model.device.type, torch.bfloat16, enabled=self._mixed, cache_enabled=False):
            if self.stage is Stage.LANGUAGE:
                return self.model.language_loss(**batch)
            assert isinstance(self.model, AlpamayoR1)
            context = None if self.caches is None else self.caches.context_of(self.model, batch)
            return self.model.flow_matching_loss(context=context, seeds=seeds, **batch)

    def train(self, mode: bool = True) -> Self:
        """Set the mode of what is trained; what is frozen computes as in inference."""
        super().train(mode)
        for name, part in self.model.named_children():
            if name not in _TRAINED[self.stage]:
                part.eval()
        return self

    def trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield the parameters that are trained, with their names in the model."""
        return ((name, own) for name, own in self.model.named_parameters() if own.requires_grad)

    def _save_activations(self) -> None:
        if self.stage is Stage.LANGUAGE:
            self.model.vlm.gradient_checkpointing_enable()
            return
        if not hasattr(GradientCheckpointingLayer, _WITH_CACHE):
            raise AlpamayoError(
                "train.gradient_checkpointing: this version of transformers would drop what the expert reads. "
                "pip install -U transformers, or train.gradient_checkpointing=false"
            )
        assert isinstance(self.model, AlpamayoR1)
        for layer in self.model.expert.layers:
            layer.gradient_checkpointing = True
            layer._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)
            setattr(layer, _WITH_CACHE, True)  # its cache is only read: see FrozenCache


def noise_seeds(names: Names, seed: int, step: int) -> list[int]:
    """Return the seeds of scenes' noise in a step, from 0 to 2**63 - 1: a scene's is its own in every batch.

    Example:
        >>> noise_seeds([("a", 0), ("b", 0)], 0, 1)[1] == noise_seeds([("b", 0)], 0, 1)[0]
        True
    """
    digests = (hashlib.sha256(f"{seed}/{step}/{clip_id}/{t0_us}".encode()).digest() for clip_id, t0_us in names)
    return [int.from_bytes(digest[:8], "big") >> 1 for digest in digests]
