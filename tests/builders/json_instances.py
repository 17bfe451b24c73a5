"""Anything that a strict JSON schema allows, as a decoder that keeps to it may write it."""

from typing import Any

from hypothesis import strategies as st

_letters = st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=["Cs"])


def instances(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return the values that a schema of ``json_schemas.strict_schema`` allows."""
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "anyOf" in schema:
        return st.one_of(*(instances(choice) for choice in schema["anyOf"]))
    if schema["type"] == "object":
        return st.fixed_dictionaries({name: instances(value) for name, value in schema["properties"].items()})
    if schema["type"] == "array":
        limits = {"min_size": schema.get("minItems", 0), "max_size": schema.get("maxItems")}
        return st.lists(instances(schema["items"]), **limits)
    if schema["type"] == "string":
        return st.text(_letters, max_size=schema.get("maxLength"))
    return {"boolean": st.booleans(), "null": st.none()}[schema["type"]]
