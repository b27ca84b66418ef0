"""docs/reference.md is what the docstrings of the model file's dataclasses say."""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path

import pytest

from hil.harness.model.reference import CLASSES, class_node, fields_of, reference

PAGE = Path(__file__).parents[3] / "docs" / "reference.md"


def test_the_page_is_what_the_docstrings_say() -> None:
    assert PAGE.read_text() == reference(), "python -m hil.harness.model.reference > docs/reference.md"


@pytest.mark.parametrize("of", CLASSES)
def test_every_field_is_explained_and_every_number_has_a_unit(of: type) -> None:
    described = {field.name: field for field in fields_of(class_node(of))}
    declared = dataclasses.fields(of)
    assert [*described] == [field.name for field in declared]
    numbers = [field.name for field in declared if str(field.type).split(" ")[0] in ("int", "float")]
    assert not [field for field in numbers if not described[field].unit]
    assert all(field.meaning.endswith(".") for field in described.values())


def test_a_field_without_a_docstring_is_named() -> None:
    (node,) = ast.parse('class Budget:\n    most: float = 1\n    least: float = 0\n    """Least. Unit: ms."""\n').body
    assert isinstance(node, ast.ClassDef)
    with pytest.raises(ValueError, match=r"Budget\.most has no docstring"):
        [*fields_of(node)]
