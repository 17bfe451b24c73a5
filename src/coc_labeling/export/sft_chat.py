"""Conversations with pictures for supervised fine-tuning, as TRL and LLaMA-Factory read them."""

import json
from collections.abc import Sequence
from typing import IO, Any

import pyarrow as pa

from coc_labeling.export.base import Exporter
from coc_labeling.export.chat_text import (
    SPECIAL_TOKENS,
    SYSTEM,
    Conversation,
    conversation_of,
    reason_against,
    trajectory_tokens,
)
from coc_labeling.export.columns import OF_FRAMES, OF_LABELS, TEXTS, Column
from coc_labeling.export.content import Component, Content, Need
from coc_labeling.export.flat import LINE_ENDS
from coc_labeling.export.folder import ExportFolder
from coc_labeling.export.path_tokens import (
    FUTURE_BINS,
    FUTURE_MAX,
    FUTURE_MIN,
    HISTORY_BINS,
    HISTORY_FIRST,
    HISTORY_MAX,
    HISTORY_MIN,
)
from coc_labeling.export.rows import ExportRow
from coc_labeling.export.trajectory import Path
from driving_clips import files

DATASET_INFO, TOKENS = "dataset_info.json", "tokens.json"
IMAGE_MARK = "<image>"  # where LLaMA-Factory puts the next picture
DECIMALS = 4  # of poses: 0.1 mm
_TOLD = ("cot", "longitudinal", "lateral", "direction", "risk", "check_status", "schema_version", "provenance")
_PART = pa.struct([("type", pa.string()), ("text", pa.string())])
_MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.list_(_PART))]))


class SftChat(Exporter):
    """``data/<split>.jsonl`` for TRL, ``llama_factory/<split>.jsonl`` and ``dataset_info.json`` for LLaMA-Factory.

    ``tokens.json`` has the tokens that a tokenizer lacks, and how paths became tokens. Pictures are named as seen from
    the export's folder.
    """

    name = "sft-chat"
    takes_components = True

    def __init__(self, folder: ExportFolder, content: Content) -> None:
        super().__init__(folder, content)
        self._files: dict[str, tuple[IO[str], IO[str]]] = {}

    @classmethod
    def needs(cls, content: Content) -> frozenset[Need]:
        """Return what the chosen components need."""
        return content.needs

    def reason_against(self, row: ExportRow) -> str | None:
        """Return why a label cannot be told: its text holds a token, or nothing starts that could be named."""
        return reason_against(row, self.content.components)

    def add(self, row: ExportRow) -> None:
        """Add a label to both files of its split."""
        if row.split not in self._files:
            names = _files_of(row.split)
            self._files[row.split] = (
                files.open_append(self.folder.create(names[0])),
                files.open_append(self.folder.create(names[1])),
            )
        said = conversation_of(row, self.content.components)
        for file, content in zip(self._files[row.split], (self._trl(row, said), self._llama(row, said)), strict=True):
            file.write(f"{json.dumps(content, ensure_ascii=False).translate(LINE_ENDS)}\n")

    def finish(self, splits: Sequence[str]) -> None:
        """Write what both trainers need to know of all splits."""
        info = {f"coc_{split}": _llama_entry(split) for split in splits if split in self._files}
        files.write_atomic(self.folder.create(DATASET_INFO), json.dumps(info, indent=1) + "\n")
        if Need.TRAJECTORY in self.content.needs or Component.COT in self.content.components:
            files.write_atomic(self.folder.create(TOKENS), json.dumps(_tokens(), indent=1) + "\n")

    def close(self) -> None:
        """Close all files."""
        for both in self._files.values():
            for file in both:
                file.close()

    def data_files(self) -> dict[str, str]:
        """Return TRL's file of each split."""
        return {split: _files_of(split)[0] for split in self._files}

    def columns(self) -> Sequence[Column]:
        """Return the columns of TRL's files."""
        components, known = self.content.components, dict(OF_LABELS)
        pictures = [("images", TEXTS), *OF_FRAMES] if Component.IMAGE in components else []
        about = [(name, known[name]) for name in ("clip_id", "event_start_timestamp", *_TOLD)]
        paths = [
            (f"ego_{name}_{part}", pa.list_(pa.list_(pa.float64())))
            for name, component in (("history", Component.TRAJ_HISTORY), ("future", Component.TRAJ_FUTURE))
            for part in ("xyz", "quat")
            if component in components
        ]
        return [("messages", _MESSAGES), *pictures, *about, *paths]

    def _trl(self, row: ExportRow, said: Conversation) -> dict[str, Any]:
        asked = [{"type": "image"} for _ in row.scene.frames] + ([_text(said.user)] if said.user else [])
        messages = [
            {"role": "system", "content": [_text(SYSTEM)]},
            {"role": "user", "content": asked},
            {"role": "assistant", "content": [_text(said.answer)]},
        ]
        return {"messages": messages, **self._pictures(row), **_about(row), **self._poses(row)}

    def _llama(self, row: ExportRow, said: Conversation) -> dict[str, Any]:
        messages = [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": IMAGE_MARK * len(row.scene.frames) + said.user},
            {"role": "assistant", "content": said.answer},
        ]
        return {"messages": messages, "images": [frame.path for frame in row.scene.frames], **_key(row)}

    def _pictures(self, row: ExportRow) -> dict[str, Any]:
        if Component.IMAGE not in self.content.components:
            return {}
        frames = row.scene.frames
        return {
            "images": [frame.path for frame in frames],
            "cameras": [frame.camera for frame in frames],
            "frame_times_us": [frame.t_us for frame in frames],
        }

    def _poses(self, row: ExportRow) -> dict[str, Any]:
        drive, components = row.scene.drive, self.content.components
        if drive is None:
            return {}
        poses = _path("history", drive.history) if Component.TRAJ_HISTORY in components else {}
        return poses | (_path("future", drive.future) if drive.future is not None else {})


def _files_of(split: str) -> tuple[str, str]:
    return f"data/{split}.jsonl", f"llama_factory/{split}.jsonl"


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def _key(row: ExportRow) -> dict[str, Any]:
    return {"clip_id": row.clip_id, "event_start_timestamp": row.event_start_timestamp}


def _about(row: ExportRow) -> dict[str, Any]:
    return _key(row) | {name: getattr(row, name) for name in _TOLD}


def _path(name: str, path: Path) -> dict[str, Any]:
    numbers = {f"ego_{name}_xyz": path.xyz, f"ego_{name}_quat": path.quat}
    return {key: (values.round(DECIMALS) + 0.0).tolist() for key, values in numbers.items()}


def _llama_entry(split: str) -> dict[str, Any]:
    return {
        "file_name": _files_of(split)[1],
        "formatting": "sharegpt",
        "columns": {"messages": "messages", "images": "images"},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
            "system_tag": "system",
        },
    }


def _tokens() -> dict[str, Any]:
    return {
        "tokens": trajectory_tokens(),
        "special_tokens": list(SPECIAL_TOKENS),
        "traj_history": {
            "of": "steps between the 16 positions at 10 Hz up to the keyframe, the first from zero; x, y, z in m",
            "min": HISTORY_MIN,
            "max": HISTORY_MAX,
            "bins": HISTORY_BINS,
            "first_token": HISTORY_FIRST,
        },
        "traj_future": {
            "of": "64 steps of 0.1 s after the keyframe; acceleration in m/s^2, curvature in 1/m, neither normalised",
            "min": FUTURE_MIN,
            "max": FUTURE_MAX,
            "bins": FUTURE_BINS,
            "first_token": 0,
        },
    }
