"""Schemas in the dialect that strict structured output takes, and the smallest instance of one."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

from coc_labeling.errors import CocLabelingError

# Words that strict mode refuses or that mean nothing to a decoder; pydantic checks the answer against them later.
# Source: "Supported schemas" in OpenAI's guide to structured outputs; xgrammar ignores or refuses the same.
_DROPPED = frozenset({"default", "title", "examples", "discriminator", "minLength", "uniqueItems", "$defs"})
_LENGTH = "maxLength"  # taken by decoders of open servers, where it ends an answer that would not; not by OpenAI's


def strict_schema(model: type[BaseModel], *, bounded: bool = False) -> dict[str, Any]:
    """Return the JSON schema of a model as strict structured output wants it; ``bounded`` keeps the lengths of texts.

    References are written out, objects are closed, and every field is required (one with a default too: a model
    that may leave a field out does so).

    Raises:
        CocLabelingError: the model refers to itself, or has an open mapping; strict mode cannot say either.
    """
    schema = model.model_json_schema()
    strict: dict[str, Any] = _strict(schema, schema.get("$defs", {}), model.__name__, ())
    return strict if bounded else _without_lengths(strict)


def _without_lengths(node: Any) -> Any:
    if isinstance(node, list):
        return [_without_lengths(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {key: _without_lengths(value) for key, value in node.items() if key != _LENGTH or not isinstance(value, int)}


@lru_cache(maxsize=64)
def response_format(model: type[BaseModel], *, bounded: bool = False) -> dict[str, Any]:
    """Return the ``response_format`` of a request that asks for a model's JSON; requests share it."""
    return {
        "type": "json_schema",
        "json_schema": {"name": model.__name__[:64], "strict": True, "schema": strict_schema(model, bounded=bounded)},
    }


def _strict(node: Any, defs: Mapping[str, Any], where: str, open_refs: tuple[str, ...]) -> Any:
    if isinstance(node, list):
        return [_strict(item, defs, where, open_refs) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        name = str(node["$ref"]).removeprefix("#/$defs/")
        if name in open_refs:
            raise CocLabelingError(f"the schema of {where} contains itself ({name}); strict output needs a flat one")
        beside = {key: value for key, value in node.items() if key != "$ref"}
        return _strict({**defs[name], **beside}, defs, where, (*open_refs, name))
    strict = {
        # A union with a discriminator is a oneOf in pydantic's words; strict mode knows anyOf only.
        "anyOf" if key == "oneOf" else key: _strict(value, defs, where, open_refs)
        for key, value in node.items()
        if key not in _DROPPED and key != "properties"
    }
    if node.get("type") == "object":
        _close(strict, node, defs, where, open_refs)
    return strict


def _close(
    strict: dict[str, Any], node: Mapping[str, Any], defs: Mapping[str, Any], where: str, open_refs: tuple[str, ...]
) -> None:
    if "properties" not in node and node.get("additionalProperties", True) is not False:
        raise CocLabelingError(f"the schema of {where} has an open mapping; strict output needs its fields named")
    # Below "properties" the keys are the user's words, not the schema's: one may be called "title".
    strict["properties"] = {
        name: _strict(value, defs, f"{where}.{name}", open_refs) for name, value in node.get("properties", {}).items()
    }
    strict["required"] = list(strict["properties"])
    strict["additionalProperties"] = False


def smallest_instance(schema: Mapping[str, Any]) -> Any:
    """Return a small value that a schema of ``strict_schema`` allows, the same one every time.

    The first of alternatives, null where it is one; texts are "dummy". Patterns are not understood.
    """
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        choices = schema["anyOf"]
        return None if {"type": "null"} in choices else smallest_instance(choices[0])
    kind = schema.get("type", "null")
    if kind == "object":
        return {name: smallest_instance(value) for name, value in schema.get("properties", {}).items()}
    if kind == "array":
        return [smallest_instance(schema.get("items", {})) for _ in range(schema.get("minItems", 0))]
    if kind in ("integer", "number"):
        return _smallest_number(schema)
    return {"string": "dummy", "boolean": False}.get(kind)


def _smallest_number(schema: Mapping[str, Any]) -> float:
    number: float = schema.get("minimum", 0)
    if "exclusiveMinimum" in schema:
        number = schema["exclusiveMinimum"] + 1
    largest: float = schema.get("maximum", number)
    return min(number, largest)
