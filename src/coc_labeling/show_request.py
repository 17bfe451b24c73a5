"""``coc show-request``: the exact requests behind a record, made again from the record and its video."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from coc_labeling.agents.base import ModelAgent, PreparedWindow
from coc_labeling.asking import Asker, request_hash
from coc_labeling.budget import Budget
from coc_labeling.config.schema import RunConfig
from coc_labeling.conversation import Part, Shot, part_of, references
from coc_labeling.errors import CocLabelingError
from coc_labeling.events import EventLog
from coc_labeling.inputs import open_loader
from coc_labeling.keyframes import Keyframe
from coc_labeling.model_clients.vlm_wrappers.common import BaseWrapper
from coc_labeling.model_clients.vlm_wrappers.factory import create_model_wrapper
from coc_labeling.model_run import make_asker, make_footage, model_settings
from coc_labeling.recording import REFERENCE
from coc_labeling.records import from_yaml
from coc_labeling.rehearsal import KnownFacts, asked_again
from coc_labeling.run import check
from coc_labeling.saved_config import saved_config
from coc_labeling.schema import ModelCall, PromptMessage, Record, WindowInfo
from driving_clips import files
from driving_clips.errors import ClipError


@dataclass(frozen=True)
class ShownRequest:
    """One request of a record.

    Attributes:
        call: what the record keeps of it.
        body: its body, made again.
        same: whether it is, to the byte, the one that was sent.
    """

    call: ModelCall
    body: dict[str, Any]
    same: bool


def show_request(record_path: str, data_dir: str | None = None, video_dir: str | None = None) -> list[ShownRequest]:
    """Return the requests behind a record, in the order they were sent.

    Args:
        record_path: a ``cot_<timestamp>.yaml`` in its experiment folder.
        data_dir: where the dataset is now, if it has moved since.
        video_dir: the same of a folder of videos.

    Raises:
        CocLabelingError, DatasetError: no record of a model, or its video is gone.
    """
    clip_dir = files.parent(files.absolute(record_path))
    record = _read(record_path, files.base_name(clip_dir))
    folder = files.parent(clip_dir)
    moved = {"data.data_dir": data_dir, "data.video_dir": video_dir}
    config = saved_config(folder, {key: path for key, path in moved.items() if path is not None})
    agent = check(config)
    if not record.calls or not isinstance(agent, ModelAgent):
        raise CocLabelingError(f"{record_path}: no model was asked for this record; there is no request to show.")
    if record.provenance is not None and record.provenance.agent != agent.name:
        raise CocLabelingError(
            f"{record_path}: made by {record.provenance.agent}, but its experiment's agent is {agent.name}: only that "
            "one's requests can be shown."
        )
    asker = _asker(config, record)
    prepared = _prepared(record, folder, config, agent)
    shown = []
    for asked, call in zip(asked_again(agent, prepared, record.calls), record.calls, strict=False):
        body = asker.body(asked.parts, asked.form, call.max_tokens)
        shown.append(ShownRequest(call, body, request_hash(body) == call.request_hash))
    return shown


def shortened(value: Any, keep: int = 60) -> Any:
    """Return a request with its pictures cut to their beginnings, for people to read."""
    if isinstance(value, str) and value.startswith("data:") and len(value) > keep:
        return f"{value[:keep]}... ({len(value)} characters)"
    if isinstance(value, bytes):
        return f"({len(value)} bytes)"
    if isinstance(value, dict):
        return {key: shortened(item, keep) for key, item in value.items()}
    return [shortened(item, keep) for item in value] if isinstance(value, list) else value


def _read(path: str, clip_id: str) -> Record:
    try:
        return from_yaml(files.read_text(path), path, clip_id)
    except (OSError, UnicodeDecodeError) as error:
        raise CocLabelingError(
            f"{path}: expected a record, a cot_<timestamp>.yaml of an experiment ({error})."
        ) from error


def _asker(config: RunConfig, record: Record) -> Asker:
    """Return what makes request bodies; the model's id is taken from the record, no server is asked."""
    settings = model_settings(config)
    model = create_model_wrapper(config.model_name, config.server_ip, settings=settings, init_model=False)
    asker = make_asker(config, model, Budget(), EventLog(None))
    if isinstance(model, BaseWrapper) and record.provenance is not None and record.provenance.model_id:
        model.model_id = record.provenance.model_id
    return asker


def _prepared(record: Record, folder: str, config: RunConfig, agent: ModelAgent) -> PreparedWindow:
    """Return the window as it was asked about, its frames decoded anew, and its contradictions as they were found."""
    parts = _parts(record, folder, config, agent)
    said = [(message.stage or 1, part) for message, part in zip(record.prompt, parts, strict=True)]
    return PreparedWindow(
        Keyframe(record.clip_id, record.event_start_timestamp),
        record.window or WindowInfo(history_sec=0, future_sec=0),
        record.meta_actions,
        tuple(part for stage, part in said if stage == 1),
        KnownFacts(record.repair.reasons if record.repair else ()),
        later=tuple(part for stage, part in said if stage > 1),
    )


def _parts(record: Record, folder: str, config: RunConfig, agent: ModelAgent) -> list[Part]:
    """Return everything that was said of the window, its frames decoded anew."""
    wanted: dict[str, set[int]] = {}
    for message in record.prompt:
        for frame in references(message):
            wanted.setdefault(frame.file, set()).add(frame.index)
    footage = make_footage(config, open_loader(config), agent)
    try:
        shots = {
            (file, index): shot
            for file, indices in wanted.items()
            for index, shot in footage.shots_of(record.clip_id, file, indices).items()
        }
    except ClipError as error:
        raise CocLabelingError(f"{error} Give --data_dir or --video_dir if it has moved.") from error
    return [_part(message, shots, folder) for message in record.prompt]


def _part(message: PromptMessage, shots: Mapping[tuple[str, int], Shot], folder: str) -> Part:
    if message.m_type != REFERENCE:
        return part_of(message, shots)
    path = files.join(folder, files.base_name(message.content))
    try:
        return Part(message.role, files.read_text(path))
    except OSError as error:
        raise CocLabelingError(f"{path}: the static part of the prompt is gone ({error}).") from error
