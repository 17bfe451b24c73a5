import json
from enum import StrEnum
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from coc_labeling.errors import CocLabelingError
from coc_labeling.model_clients.json_schemas import response_format, smallest_instance, strict_schema
from coc_labeling.schema import CoCLabel


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


class Light(BaseModel):
    """A light."""

    model_config = ConfigDict(extra="forbid")
    colour: Colour = Field(description="As seen.")
    title: str = Field(default="none", min_length=1, max_length=9)


class Scene(BaseModel):
    kind: Literal["scene"] = "scene"
    sure: bool = True
    lights: list[Light] = []
    main: Light | None = None
    count: int = Field(ge=2, le=5)
    ids: tuple[str, ...] = Field(min_length=1)


class Tree(BaseModel):
    branches: list["Tree"]


class Open(BaseModel):
    anything: dict[str, int]


def nodes(schema):
    yield schema
    for value in schema.values() if isinstance(schema, dict) else schema:
        if isinstance(value, dict | list):
            yield from nodes(value)


@pytest.mark.parametrize("model", [Scene, Light, CoCLabel])
def test_shape_that_strict_mode_takes(model):
    schema = strict_schema(model)
    assert json.loads(json.dumps(schema)) == schema
    for node in nodes(schema):
        if isinstance(node, dict) and node.get("type") == "object":
            assert node["additionalProperties"] is False
            assert node["required"] == list(node["properties"])
    for word in ('"$ref"', '"$defs"', '"default"', '"oneOf"', '"maxLength"', '"minLength"'):
        assert word not in json.dumps(schema)


def test_fields_named_like_words_of_the_schema_stay():
    light = strict_schema(Light)
    assert set(light["properties"]) == {"colour", "title"}
    assert light["properties"]["colour"] == {"type": "string", "enum": ["red", "green"], "description": "As seen."}
    assert light["properties"]["title"] == {"type": "string"}


@pytest.mark.parametrize(("model", "word"), [(Tree, "contains itself"), (Open, r"Open\.anything has an open mapping")])
def test_what_strict_mode_cannot_say(model, word):
    with pytest.raises(CocLabelingError, match=word):
        strict_schema(model)


def test_response_format():
    asked = response_format(Light)
    assert asked["type"] == "json_schema"
    assert asked["json_schema"] == {"name": "Light", "strict": True, "schema": strict_schema(Light)}


def test_smallest_instance_is_valid():
    smallest = smallest_instance(strict_schema(Scene))
    assert smallest == {"kind": "scene", "sure": False, "lights": [], "main": None, "count": 2, "ids": ["dummy"]}
    Scene.model_validate(smallest)
