"""Records as YAML files: writing, reading, and upgrading what older versions and other tools wrote."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from coc_labeling.errors import RecordError
from coc_labeling.schema import SCHEMA_VERSION, Record, is_empty_answer, released_sentence
from driving_clips.ego_motion import TICK_US

# libyaml where PyYAML was built with it: ten times faster, the same result.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
RELEASED = "released"  # the agent of records that other tools wrote
_MAYBE_ALIAS = re.compile(r"(?:^|[\s\[{,:-])\*\S")


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes prompts and other texts of several lines as blocks, which people can read."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def to_yaml(record: Record) -> str:
    """Return a record as the text of its file."""
    content = record.model_dump(mode="json", exclude_none=True)
    text: str = yaml.dump({"results": content}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text


def from_yaml(text: str, origin: str, clip_id: str | None = None, t_us: int | None = None) -> Record:
    """Read a record of any version, or of the released tool.

    Args:
        text: the file's content.
        origin: the file's name, for errors.
        clip_id: the clip that the file belongs to; the released form does not say it itself.
        t_us: the keyframe that the file is named after, us on the clip clock; the released form may not say it itself.

    Raises:
        RecordError: not YAML, or not a record; the message names the field.
    """
    try:
        _refuse_aliases(text, origin)
        content = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date or number that is none
        raise RecordError(f"{origin}: expected YAML ({' '.join(str(error).split())}).") from error
    if not isinstance(content, dict):
        raise RecordError(f"{origin}: expected a mapping with the key 'results', found {type(content).__name__}.")
    results = content.get("results", content)
    if not isinstance(results, dict):
        raise RecordError(f"{origin}: expected a mapping below 'results', found {type(results).__name__}.")
    try:
        record = Record.model_validate(upgrade({"clip_id": clip_id, **_named(results, t_us)}, origin))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'record'}: {_said(e)}" for e in error.errors()[:3])
        raise RecordError(f"{origin}: not a valid record: {problems}.") from error
    if clip_id is not None and record.clip_id != clip_id:
        raise RecordError(f"{origin}: clip_id is {record.clip_id!r}, but the file belongs to clip {clip_id!r}.")
    return record


def _named(results: dict[str, Any], t_us: int | None) -> dict[str, Any]:
    """Add the keyframe that its file is named after to a released record that does not say it."""
    if "schema_version" in results or results.get("event_start_timestamp") is not None:
        return results
    return {**results, "event_start_timestamp": t_us}


def _said(error: ErrorDetails) -> str:
    """Return what is wrong with a field; one that is not there is missing, whatever type it should have."""
    return "missing" if error["type"] == "missing" or error["input"] is None else error["msg"]


def _refuse_aliases(text: str, origin: str) -> None:
    """Raise RecordError for YAML aliases: no record needs them, and a few of them can stand for gigabytes."""
    if not _MAYBE_ALIAS.search(text):
        return
    if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=_Loader)):
        raise RecordError(f"{origin}: YAML aliases are not accepted in records.")


def upgrade(results: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """Bring the content of a record to today's schema version, one version at a time.

    Raises:
        RecordError: a version that this code does not know.
    """
    content = dict(results)
    version = content.get("schema_version", 0)
    while version != SCHEMA_VERSION:
        if not isinstance(version, int) or version not in UPGRADES:
            raise RecordError(
                f"{origin}: schema_version is {version!r}; this version of CoC Toolkit reads 0 (released tool) to "
                f"{SCHEMA_VERSION}. Install a newer one to read it."
            )
        content = UPGRADES[version](content)
        version = content["schema_version"]
    return content


def _from_released(old: dict[str, Any]) -> dict[str, Any]:
    """Version 0, what the released tool writes (nested or flat): a sentence, its prompt and the tokens."""
    if "final_content" not in old:
        return {**old, "schema_version": 1}  # no record of any kind: validating it says what is missing
    sentence = released_sentence(old["final_content"])
    if is_empty_answer(sentence):
        label: dict[str, Any] = {
            "abstention": {"reason": "empty_answer", "detail": f"the released record's sentence is {sentence!r}"}
        }
        final_content: dict[str, Any] = {}
    else:
        label = {"effect_on_ego_behavior": sentence}
        final_content = old["final_content"]
    prompt = old.get("prompt") or []
    t_us, frame = old.get("event_start_timestamp"), old.get("event_start_frame")
    if frame is None and isinstance(t_us, int):
        frame = t_us // TICK_US
    used = old["model_usage"] if isinstance(old.get("model_usage"), dict) else {}
    return {
        "schema_version": 1,
        "clip_id": old.get("clip_id"),
        "event_start_frame": frame,
        "event_start_timestamp": t_us,
        "final_content": final_content,
        "label": label,
        "provenance": {
            "agent": RELEASED,
            "model": str(old.get("model_name", "")),
            "prompt_version": str(old.get("coc_prompt_version", "")),
        },
        "usage": {key: value for key, value in used.items() if key in _USAGE and isinstance(value, int)},
        "prompt": [_released_message(message) for message in prompt] if isinstance(prompt, list) else [],
    }


_USAGE = ("prompt_tokens", "response_tokens", "reasoning_tokens")


def _released_message(message: Any) -> dict[str, str]:
    if not isinstance(message, dict):
        return {"role": "user", "m_type": "text", "content": str(message)}
    return {
        "role": str(message.get("role", "user")),
        "m_type": str(message.get("m_type", message.get("type", "text"))),
        "content": str(message.get("content", message.get("text", ""))),
    }


def _from_version_1(old: dict[str, Any]) -> dict[str, Any]:
    """Version 1 knew no ``emerged_after`` and no stages of a prompt."""
    label = old.get("label")
    return {**old, "schema_version": 2, "label": {**label, "schema_version": 2} if isinstance(label, dict) else label}


def _from_version_2(old: dict[str, Any]) -> dict[str, Any]:
    """Version 2 did not say which facts a labeller was told: rules all there are, models ego's motion as text."""
    label, made_by = old.get("label"), old.get("provenance")
    if isinstance(made_by, dict) and made_by.get("agent") != RELEASED:
        told = (
            ["ego_motion", "timeline", "tracks"] if made_by.get("agent") == "RulesAgent" else ["ego_motion", "timeline"]
        )
        made_by = {**made_by, "told_facts": told}
    return {
        **old,
        "schema_version": 3,
        **({"label": {**label, "schema_version": 3}} if isinstance(label, dict) else {}),
        **({"provenance": made_by} if made_by is not None else {}),
    }


UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    0: _from_released,
    1: _from_version_1,
    2: _from_version_2,
}
