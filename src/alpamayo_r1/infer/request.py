"""What a run of inference is asked for, checked before anything is loaded."""

import hashlib
import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from alpamayo_r1.errors import AlpamayoError
from alpamayo_r1.scenes import DEFAULT_T0_US
from batch_runs.shards import WHOLE, Shard
from driving_clips import files

MODEL_NAME = "alpamayo_r1"
CONFIG_FILE = "config.json"
LEAST_LENGTH = 2  # tokens
_PIECES, _PIECE_BYTES = 256, 4096  # of each file of weights


class Dtype(StrEnum):
    """Of the weights and of what is computed with them."""

    AUTO = "auto"  # as the checkpoint's config says
    BFLOAT16 = "bfloat16"
    FLOAT32 = "float32"


class Attention(StrEnum):
    """How attention is computed."""

    AUTO = "auto"  # flash attention where it is installed and there is a GPU, else sdpa
    SDPA = "sdpa"
    EAGER = "eager"
    FLASH = "flash_attention_2"


@dataclass(frozen=True)
class SamplingOptions:
    """How reasoning and trajectories are drawn; see ``sample_trajectories_from_data_with_vlm_rollout``.

    Attributes:
        num_traj_samples: trajectories of a set, each with a reasoning of its own.
        num_traj_sets: sets of them.
        top_p: share of probability that tokens are drawn from.
        top_k: most tokens that are drawn from, None for no limit.
        temperature: of the reasoning; above 0.
        max_generation_length: tokens of the reasoning and its special tokens.

    Raises:
        AlpamayoError: a value that cannot be meant.
    """

    num_traj_samples: int = 6
    num_traj_sets: int = 1
    top_p: float = 0.98
    top_k: int | None = None
    temperature: float = 0.6
    max_generation_length: int = 256

    def __post_init__(self) -> None:
        for name in ("num_traj_samples", "num_traj_sets"):
            _at_least_one(name, getattr(self, name))
        if self.max_generation_length < LEAST_LENGTH:
            raise AlpamayoError(
                f"max_generation_length={self.max_generation_length}: expected at least {LEAST_LENGTH}, the token that "
                "ends the reasoning and one after it; 256 leaves room for words."
            )
        if self.top_k is not None:
            _at_least_one("top_k", self.top_k)
        if not 0.0 < self.top_p <= 1.0:
            raise AlpamayoError(f"top_p={self.top_p}: expected more than 0 and at most 1.")
        if not 0.0 < self.temperature <= 100.0:
            raise AlpamayoError(
                f"temperature={self.temperature}: expected more than 0. For the likeliest words use top_k=1."
            )

    def arguments(self) -> dict[str, Any]:
        """Return the options as the model's method takes them."""
        return asdict(self)


def _at_least_one(name: str, value: int) -> None:
    if value < 1:
        raise AlpamayoError(f"{name}={value}: expected at least 1.")


@dataclass(frozen=True)
class Moments:
    """Which moments of clips: those of a keyframe file, given ones of every clip, or one every so many seconds.

    Attributes:
        keyframes: a file of Step 2, or the folder that holds it; None for none.
        t0s_us: the same moments of every clip, us on the clip clock.
        every_us: from the first moment with a whole history on; None for no such.

    Raises:
        AlpamayoError: two of them at once, or a moment before the clip.
    """

    keyframes: str | None = None
    t0s_us: tuple[int, ...] = ()
    every_us: int | None = None

    def __post_init__(self) -> None:
        given = [self.keyframes is not None, bool(self.t0s_us), self.every_us is not None]
        if sum(given) > 1:
            raise AlpamayoError("--keyframes, --t0_us and --every each say which moments: give one of them.")
        if self.every_us is not None and self.every_us < 1000:
            raise AlpamayoError(f"--every {self.every_us / 1e6}: expected s between moments, at least 0.001.")
        if any(t0_us < 0 for t0_us in self.t0s_us):
            raise AlpamayoError(f"--t0_us {min(self.t0s_us)}: expected us on the clip clock, from 0 on.")

    @property
    def fixed_us(self) -> tuple[int, ...]:
        """The moments that are the same for every clip, where nothing else is asked for."""
        return tuple(dict.fromkeys(self.t0s_us)) or (DEFAULT_T0_US,)


@dataclass(frozen=True)
class InferRequest:
    """What ``coc infer`` is asked for.

    Attributes:
        checkpoint: the folder of the model.
        dataset: name of the dataset.
        data_dir: its root.
        out: where predictions go.
        moments: which ones.
        sampling: how they are drawn.
        cameras: names, sorted by index.
        scene_list: a file with the clips to take, one id a line; None for all.
        batch_size: scenes that the model works on at once.
        seed: of all drawing.
        device: "auto", "cpu", "cuda" or "cuda:N".
        dtype, attn_implementation: see there.
        pictures: most pictures to draw.
        shard: which part of the clips.
    """

    checkpoint: str
    dataset: str
    data_dir: str
    out: str
    moments: Moments
    sampling: SamplingOptions
    cameras: tuple[str, ...]
    scene_list: str | None = None
    batch_size: int = 1
    seed: int = 0
    device: str = "auto"
    dtype: Dtype = Dtype.AUTO
    attn_implementation: Attention = Attention.AUTO
    pictures: int = 100
    shard: Shard = WHOLE

    def __post_init__(self) -> None:
        _at_least_one("batch_size", self.batch_size)
        if not 0 <= self.seed < 2**63:
            raise AlpamayoError(f"seed={self.seed}: expected a number from 0 to 2**63 - 1.")

    def settings(self) -> dict[str, Any]:
        """Return what predictions of one folder must have in common."""
        return {
            "model": MODEL_NAME,
            "checkpoint": checkpoint_identity(self.checkpoint),
            "dataset": self.dataset,
            "cameras": list(self.cameras),
            "sampling": self.sampling.arguments(),
            "seed": self.seed,
            "dtype": str(self.dtype),
            "attn_implementation": str(self.attn_implementation),
        }


def checkpoint_identity(folder: str) -> str:
    """Return what tells one checkpoint from another: a hash of its config, and of samples of its weights.

    Reading all of 22 GB would take minutes. Training changes all weights a little, so that few places of them do.

    Raises:
        AlpamayoError: no such folder, or no config in it.
    """
    path = files.join(folder, CONFIG_FILE)
    if not files.is_file(path):
        raise AlpamayoError(
            f"{folder}: expected the folder of a checkpoint with {CONFIG_FILE} in it, found "
            f"{'none there' if files.is_dir(folder) else 'no such folder'}. Download the checkpoint there first: "
            "nothing is fetched by itself."
        )
    sizes = sorted(files.list_sizes(folder, ".safetensors").items())
    weights = [(name, size, _sampled(files.join(folder, name), size)) for name, size in sizes]
    content = json.dumps([hashlib.sha256(files.read_bytes(path)).hexdigest(), weights])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _sampled(path: str, size: int) -> str:
    """Return a hash of evenly spaced pieces of a file, the first and the last among them."""
    digest = hashlib.sha256()
    last = max(0, size - _PIECE_BYTES)
    with Path(path).open("rb") as file:
        for number in range(_PIECES):
            file.seek(last * number // (_PIECES - 1))
            digest.update(file.read(_PIECE_BYTES))
    return digest.hexdigest()


def scene_seed(clip_id: str, t0_us: int, seed: int) -> int:
    """Return the seed of one scene: the same whatever else is in its batch, from 0 to 2**63 - 1.

    Example:
        >>> scene_seed("a", 5_100_000, 0) == scene_seed("a", 5_100_000, 1)
        False
    """
    digest = hashlib.sha256(f"{seed}/{clip_id}/{t0_us}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
