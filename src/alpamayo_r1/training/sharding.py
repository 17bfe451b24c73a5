"""Sharded training (FSDP2): each process keeps a share of every weight, of its gradient and of the optimizer's state.

A layer's weights are brought together while it computes. What is written to disk is whole, the same as without.
"""

import os
from collections.abc import Mapping
from typing import Any

import torch
from accelerate import Accelerator, FullyShardedDataParallelPlugin
from accelerate.utils import parse_flag_from_env
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import CPUOffloadPolicy, FSDPModule, fully_shard
from torch.distributed.tensor import DTensor
from transformers.modeling_layers import GradientCheckpointingLayer

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.training.losses import Trainee

_ASKED, _VERSION = "ACCELERATE_USE_FSDP", "FSDP_VERSION"


def asked_for() -> FullyShardedDataParallelPlugin | None:
    """Return accelerate's configuration of sharding, or None where it has none.

    Which layers are sharded, and when they are brought together, is settled here, whatever it says of that.

    Raises:
        AlpamayoError: it asks for a kind of sharding that is not known here.
    """
    if not parse_flag_from_env(_ASKED):
        return None
    if (version := os.environ.get(_VERSION, "1")) != "2":
        raise AlpamayoError(
            f"accelerate is configured for FSDP version {version}: expected 2. Run accelerate launch with "
            "--use_fsdp --fsdp_version 2."
        )
    plugin = FullyShardedDataParallelPlugin(cpu_ram_efficient_loading=False)  # each process takes its share of a whole
    if isinstance(plugin.cpu_offload, CPUOffloadPolicy):
        raise AlpamayoError(
            "accelerate is configured for weights in main memory: expected --fsdp_offload_params false. "
            "For less memory take more GPUs, or train.gradient_checkpointing=true."
        )
    return plugin


def shard(trainee: Trainee, accelerator: Accelerator) -> None:
    """Leave each process its share of a model that all of them have whole; an optimizer is made afterwards.

    Each decoder layer (of text, vision and expert) is brought together by itself, and so are the language model's
    embeddings and head, if they are two; the rest for the whole step. The frozen model of stage 2 stays whole where
    what it reads is kept: which scenes are to be read is then another number for each process.
    """
    device = accelerator.device
    mesh = init_device_mesh(device.type, (accelerator.num_processes,))
    vlm = trainee.model.vlm
    whole = set() if trainee.caches is None else set(vlm.to(device).parameters())
    ends: list[nn.Module] = [vlm.get_input_embeddings(), vlm.get_output_embeddings()]
    tied = ends[0].weight is ends[1].weight
    layers = [part for part in trainee.modules() if isinstance(part, GradientCheckpointingLayer)]
    for part in [*layers, *([] if tied else ends)]:
        if whole.isdisjoint(part.parameters()):
            fully_shard(part, mesh=mesh, reshard_after_forward=True)
    fully_shard(trainee, mesh=mesh, reshard_after_forward=True, ignored_params=whole)


def is_sharded(module: nn.Module) -> bool:
    """Return whether ``shard`` was called for a module."""
    return isinstance(module, FSDPModule)


def gathered(content: Any, *, keep: bool) -> Any:
    """Return nested dicts and lists with whole tensors in place of shares; all processes call it alike.

    Args:
        content: of a sharded model (``state_dict(keep_vars=True)``, for shared weights to stay shared) or optimizer.
            What holds no shares is returned as it is.
        keep: whether this process needs the tensors, in main memory; others get None in their place.
    """
    made: dict[int, Tensor | None] = {}

    def whole(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: whole(own) for key, own in value.items()}
        if isinstance(value, list):
            return [whole(own) for own in value]
        if not isinstance(value, DTensor):
            return value
        if id(value) not in made:
            tensor = value.detach().full_tensor()
            made[id(value)] = tensor.cpu() if keep else None
        return made[id(value)]

    return whole(content)


def shared_out(state: dict[str, Any], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Return a copy of a whole optimizer's state as this process's optimizer needs it: shares of what is sharded."""
    parameters = [own for group in optimizer.param_groups for own in group["params"]]
    by_parameter = {
        number: {name: _share(part, parameters[number]) for name, part in parts.items()}
        for number, parts in state["state"].items()
    }
    return {**state, "state": by_parameter}


def _share(tensor: Tensor, like: Tensor) -> Tensor:
    if not isinstance(like, DTensor) or tensor.shape != like.shape:  # how many steps were made has no shape
        return tensor.clone()
    mesh = like.device_mesh
    chunks, rank = tensor.chunk(mesh.size()), mesh.get_local_rank()
    own = chunks[rank] if rank < len(chunks) else tensor[:0]  # fewer rows than processes
    return DTensor.from_local(
        own.to(like.device, copy=True),
        mesh,
        like.placements,
        run_check=False,
        shape=tensor.shape,
        stride=tensor.stride(),
    )
