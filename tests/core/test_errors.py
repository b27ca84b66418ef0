"""The error family: its docstring tells the tree as it is, and no other module adds to it."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

from hil.core import errors

ROOT = Path(__file__).parents[2]


def test_the_docstring_tells_the_whole_tree_with_its_exit_codes() -> None:
    parents: list[str] = []
    told = {}
    code = 0
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"( +[│├└─ ]*)(\w+Error)\b(?:.*exit (\d))?", line):
            depth = (len(found[1]) - 4) // 4
            parents = [*parents[:depth], found[2]]
            inherited = told[parents[-2]][1] if depth else code
            told[found[2]] = (parents[-2] if depth else "Exception", int(found[3]) if found[3] else inherited)
    family = {
        name: kind
        for name, kind in vars(errors).items()
        if inspect.isclass(kind) and issubclass(kind, errors.HilError) and not name.startswith("_")
    }
    assert told.keys() == family.keys()
    for name, kind in family.items():
        (base,) = kind.__bases__
        base = base.__base__ if base.__name__.startswith("_") else base
        assert told[name] == (base.__name__, kind.exit_code), name


def test_no_other_module_defines_an_error_of_the_family() -> None:
    family = {name for name in vars(errors) if name.endswith("Error")}
    for layer in ("core", "npu", "fvp", "targets", "harness"):
        for path in (ROOT / layer).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(node, ast.ClassDef) and path.name != "errors.py":
                    bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
                    assert not bases & family, f"{path}: {node.name}"


def test_a_message_is_one_line_whatever_a_users_code_says() -> None:
    error = errors.BadInputError(
        "the train data cannot be loaded: RuntimeError: my loader\n\n  is broken\n", hint="mend it"
    )
    assert str(error) == "the train data cannot be loaded: RuntimeError: my loader is broken (mend it)"
