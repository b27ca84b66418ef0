"""Reference of the model file's dataclasses, made from their docstrings.

python -m hil.harness.model.reference > docs/reference.md
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass

from hil.harness.model import Budget, Dataset, FineTune, Model, Recipe

CLASSES = (Model, Dataset, Recipe, FineTune, Budget)
_TITLE = """# Reference: Model, Dataset, Recipe, FineTune, Budget

Every field of a [model file](models.md), with its default and unit. `python -m hil.harness.model.reference` makes this
page from the docstrings of the dataclasses.

```python
from hil.harness.model import Budget, Dataset, FineTune, Model, Recipe
```
"""
_NAMED = {"inf": "no limit", "REPAIRS": "all", "field(default_factory=Path)": "set by the loader"}


@dataclass(frozen=True)
class Field:
    """Field of a dataclass: its default as written, its unit and its meaning; "" where it has none."""

    name: str
    default: str
    unit: str
    meaning: str


def reference() -> str:
    """The page, in Markdown; raises `ValueError` for a field without a docstring."""
    return _TITLE + "".join(_section(class_node(of)) for of in CLASSES)


def class_node(of: type) -> ast.ClassDef:
    """Returns the definition of a class as a syntax tree, in which its fields' docstrings stand."""
    node = ast.parse(inspect.getsource(of)).body[0]
    assert isinstance(node, ast.ClassDef)
    return node


def fields_of(node: ast.ClassDef) -> Iterator[Field]:
    """The fields of a class, each with the docstring that follows it."""
    for statement, following in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            name = statement.target.id
            match following:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    meaning, _, unit = " ".join(inspect.cleandoc(text).split()).partition(" Unit: ")
                    yield Field(name, _default(statement.value), unit.rstrip("."), meaning)
                case _:
                    raise ValueError(f"{node.name}.{name} has no docstring")


def _default(value: ast.expr | None) -> str:
    if value is None:
        return ""
    written = ast.unparse(value)
    if written.startswith("field(default_factory=") and written not in _NAMED:
        return f"`{written.removeprefix('field(default_factory=').removesuffix(')')}()`"
    return _NAMED.get(written, f"`{written}`".replace("'", '"'))


def _section(node: ast.ClassDef) -> str:
    purpose = " ".join((ast.get_docstring(node) or "").split())
    head = [f"\n## {node.name}", "", purpose, "", "| field | default | unit | meaning |", "|---|---|---|---|"]
    return "\n".join([*head, *map(_row, fields_of(node)), ""])


def _row(field: Field) -> str:
    meaning = re.sub(r"docs/([\w-]+)\.md", _link, field.meaning.replace("|", "\\|"))
    return f"| `{field.name}` | {field.default or 'required'} | {field.unit} | {meaning} |"


def _link(page: re.Match[str]) -> str:
    return f"[{page[1].replace('-', ' ')}]({page[1]}.md)"


if __name__ == "__main__":
    print(reference(), end="")
