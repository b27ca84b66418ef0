"""Validation of JSON output against the schemas that are installed with the package."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import jsonschema


def validate(value: Any, name: str) -> None:
    """Validates against `NAME.schema.json`; a field that the schema does not know is an error, too."""
    schema = json.loads((resources.files("hil.harness") / "schemas" / f"{name}.schema.json").read_text())
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    jsonschema.Draft202012Validator(_closed(schema), format_checker=checker).validate(value)


def _closed(schema: Any) -> Any:
    """The schema with objects that have no further fields."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    own = {"additionalProperties": False} if "properties" in schema and schema.get("type") == "object" else {}
    return own | {key: _closed(value) for key, value in schema.items()}
