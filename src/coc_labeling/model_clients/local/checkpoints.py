"""Which checkpoint runs: a folder that is given, a snapshot that is here already, or a download from Hugging Face."""

import errno
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coc_labeling.model_clients.errors import ModelUnusable

log = logging.getLogger(__name__)

FAMILIES = ("qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe")
INDEX = "model.safetensors.index.json"
_OFF = ("", "0", "false", "no", "off")  # what huggingface_hub takes for "not set"
# A checkpoint is not complete without one of each: what it is, its tokens, and how pictures become numbers.
_NEEDED = (
    ("config.json",),
    ("tokenizer_config.json",),
    ("tokenizer.json", "vocab.json"),
    ("preprocessor_config.json", "processor_config.json"),
)
# Some repositories hold the same weights in older forms too.
_NOT_DOWNLOADED = ("*.bin", "*.pt", "*.pth", "*.gguf", "*.onnx", "original/*")


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint on this machine.

    Attributes:
        name: the Hugging Face id, or the folder's name where the user gave a folder.
        path: the folder that holds ``config.json``.
        revision: tells it from other checkpoints of the same name: the snapshot's hash, or ``local-`` and a hash of
            its configuration and the sizes of its files.
        family: ``model_type`` of its configuration.
        quantization: such as awq and fp8, None for plain weights.
        weight_bytes: of all its weights.
        heads: attention heads, which tensor parallelism divides.
        max_positions: the longest context it was made for, in tokens.
    """

    name: str
    path: Path
    revision: str
    family: str
    quantization: str | None
    weight_bytes: int
    heads: int
    max_positions: int


@dataclass(frozen=True)
class Source:
    """Where a model of Hugging Face is looked for.

    Attributes:
        cache_folder: its folder in a cache, such as ``models--Qwen--Qwen3.5-35B-A3B``.
        hub_id: its id.
    """

    cache_folder: str
    hub_id: str

    def find(self, environ: Mapping[str, str]) -> Checkpoint | None:
        """Return the checkpoint that is on this machine, None where it has to be downloaded.

        Raises:
            ModelUnusable: it is here and of another family; or it is not, and may not be downloaded.
        """
        incomplete = []
        for cache in cache_dirs(environ):
            for path in self._candidates(cache):
                lacks = missing(path)
                if not lacks:
                    return read(path, self.hub_id, _revision_of(path))
                incomplete.append(f"{path} lacks {lacks}")
        for words in incomplete:
            log.warning("%s: not complete: %s", self.hub_id, words)
        if environ.get("HF_HUB_OFFLINE", "").lower() not in _OFF:
            found = f" ({'; '.join(incomplete)})" if incomplete else ""
            raise ModelUnusable(
                f"{self.hub_id} is not complete in {_listed(cache_dirs(environ))}{found}, and HF_HUB_OFFLINE forbids "
                "to download it. Unset it, set MODEL_CACHE_DIR to the cache that holds it, or model_path to its folder",
                code="no_checkpoint",
            )
        return None

    def _candidates(self, cache: Path) -> Iterator[Path]:
        """Yield folders that may hold the model: refs/main, then newer snapshots before older ones, then plain ones."""
        folder = cache / self.cache_folder
        yield from _snapshots(folder)
        for plain in (folder, cache / self.hub_id.rpartition("/")[2]):
            if (plain / "config.json").is_file():
                yield plain

    def download(self, environ: Mapping[str, str]) -> Checkpoint:
        """Return the checkpoint after fetching what of it is missing here; blocks for as long as that takes.

        Raises:
            ModelUnusable: it cannot be had; the message names folder, id and what to set.
        """
        cache = cache_dirs(environ)[0]
        log.info("downloading %s into %s", self.hub_id, cache)
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when huggingface_hub is imported
        from huggingface_hub import snapshot_download

        try:
            path = snapshot_download(
                self.hub_id,
                cache_dir=cache,
                token=environ.get("HF_TOKEN") or False,
                ignore_patterns=list(_NOT_DOWNLOADED),
            )
        except Exception as error:  # noqa: BLE001 - of many kinds, from huggingface_hub and below it
            raise self._failure(error, cache, environ) from None  # its chain may hold headers
        lacks = missing(Path(path))
        if lacks:
            raise ModelUnusable(f"{self.hub_id} was downloaded into {path} and lacks {lacks}", code="no_checkpoint")
        return read(Path(path), self.hub_id, _revision_of(Path(path)))

    def _failure(self, error: Exception, cache: Path, environ: Mapping[str, str]) -> ModelUnusable:
        status = getattr(getattr(error, "response", None), "status_code", None)
        kind = type(error).__name__
        has_token = bool(environ.get("HF_TOKEN"))
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            advice = f"no space is left in {cache}: make room, or set MODEL_CACHE_DIR to a folder on a larger disk"
        elif isinstance(error, PermissionError):
            advice = f"{cache} cannot be written to: set MODEL_CACHE_DIR to a folder of yours"
        elif kind == "GatedRepoError" or status == 403:
            token = "the token in HF_TOKEN" if has_token else "HF_TOKEN, which is not set,"
            advice = f"it is gated: accept its licence at https://huggingface.co/{self.hub_id}; {token} must allow it"
        elif kind == "RepositoryNotFoundError" or status in (401, 404):
            wrong = "check the token in HF_TOKEN" if has_token else "if it is private, set HF_TOKEN"
            advice = f"Hugging Face does not have it, or not for you: {wrong}"
        else:
            advice = (
                "huggingface.co could not be reached, or the download broke: try again, which goes on where it ended; "
                "or copy it to this machine and set model_path"
            )
        return ModelUnusable(
            f"{self.hub_id} is not in {_listed(cache_dirs(environ))} and cannot be downloaded ({kind}): {advice}",
            status=status,
            code="no_checkpoint",
        )


def given(model_path: str) -> Checkpoint:
    """Return the checkpoint in a folder that the user names: its files, or a model's folder in a Hugging Face cache.

    Raises:
        ModelUnusable: no such folder, not complete, or of another family.
    """
    folder = Path(model_path).expanduser()
    if not folder.is_dir():
        raise ModelUnusable(
            f"model_path={model_path}: no such folder; expected one that holds config.json and *.safetensors",
            code="no_checkpoint",
        )
    tried = [path for path in (*_snapshots(folder), folder) if path != folder or not (folder / "snapshots").is_dir()]
    for path in tried:
        if not missing(path):
            return read(path, folder.resolve().name, f"local-{_fingerprint(path)}")
    lacks = missing(tried[0]) if tried else "a snapshot"
    raise ModelUnusable(f"model_path={model_path}: not a complete checkpoint, it lacks {lacks}", code="no_checkpoint")


def cache_dirs(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the folders where snapshots may lie, in the order they are looked through; the first takes downloads.

    Example:
        >>> [str(path) for path in cache_dirs({"HF_HOME": "/hf"})]
        ['/hf/hub', '/hf', 'models']
    """
    found = [Path(environ["MODEL_CACHE_DIR"]).expanduser()] if environ.get("MODEL_CACHE_DIR") else []
    if environ.get("HF_HOME"):
        home = Path(environ["HF_HOME"]).expanduser()
        found += [home / "hub", home]
    return (*found, Path("models"))


def missing(path: Path) -> str:
    """Return what a folder lacks to be a checkpoint, in words; nothing where it is complete."""
    for names in _NEEDED:
        if not any((path / name).is_file() for name in names):
            return " or ".join(names)
    index = path / INDEX
    if not index.is_file():
        return "" if any(path.glob("*.safetensors")) else "*.safetensors"
    shards = _shards(index)
    lost = [name for name in shards if not (path / name).is_file()]
    if not lost:
        return "" if shards else f"a readable {INDEX}"
    more = f" and {len(lost) - 1} more files" if len(lost) > 1 else ""
    return f"{lost[0]}{more} of the {len(shards)} that {INDEX} names"


def _shards(index: Path) -> list[str]:
    return sorted({str(name) for name in _mapping(_json(index).get("weight_map")).values()})


def read(path: Path, name: str, revision: str) -> Checkpoint:
    """Return what the configuration of a complete checkpoint says.

    Raises:
        ModelUnusable: none of ``FAMILIES``.
    """
    config = _json(path / "config.json")
    family = config.get("model_type")
    if family not in FAMILIES:
        raise ModelUnusable(
            f"{path} holds a model of type {family!r}; expected one of: {', '.join(FAMILIES)}", code="no_checkpoint"
        )
    text = _mapping(config.get("text_config"))
    quantized = _mapping(config.get("quantization_config")).get("quant_method")
    names = _shards(path / INDEX) if (path / INDEX).is_file() else [found.name for found in path.glob("*.safetensors")]
    return Checkpoint(
        name=name,
        path=path.resolve(),
        revision=revision,
        family=str(family),
        quantization=str(quantized).lower() if quantized else None,
        weight_bytes=sum((path / shard).stat().st_size for shard in names),
        heads=_count(text.get("num_attention_heads"), 1),
        max_positions=_count(text.get("max_position_embeddings"), 2**31),
    )


def _snapshots(folder: Path) -> list[Path]:
    """Return a model's snapshots in a cache: the one that refs/main names, then the others, newest first."""
    try:
        found = [path for path in (folder / "snapshots").iterdir() if path.is_dir()]
    except OSError:
        return []
    found.sort(key=lambda path: (path.stat().st_mtime, path.name), reverse=True)
    try:
        main = (folder / "refs" / "main").read_text(encoding="utf-8").strip()
    except OSError:
        main = ""
    return sorted(found, key=lambda path: path.name != main)


def _revision_of(path: Path) -> str:
    return path.name if path.parent.name == "snapshots" else f"local-{_fingerprint(path)}"


def _fingerprint(path: Path) -> str:
    """Return a hash that another checkpoint does not have; the weights, which take minutes to read, enter by size."""
    digest = hashlib.sha256((path / "config.json").read_bytes())
    for name in sorted(found.name for found in path.iterdir() if found.is_file()):
        digest.update(f"{name} {(path / name).stat().st_size}\n".encode())
    return digest.hexdigest()[:16]


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: object, otherwise: int) -> int:
    return value if isinstance(value, int) and value > 0 else otherwise


def _listed(paths: tuple[Path, ...]) -> str:
    return ", ".join(str(path) for path in paths)
