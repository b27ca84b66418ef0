"""What of a model's source a result depends on.

    source_digest(model)

The assignment `model = Model(...)` does not count: its settings enter each recipe one by one, so that a new budget
trains nothing anew.  Nor do comments and layout.  Files that a model file loads with `sibling` count with it, and so do
the files of its functions, should they come from elsewhere.
"""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path

from hil.harness.model import Model, source_files
from hil.harness.store import digest


@lru_cache
def source_digest(model: Model) -> str:
    """Hash of what the model's files define, but for the `model` itself."""
    functions = [function for function in (model.build, model.data.load, model.data.files) if function]
    files = {*source_files(model), *(Path(function.__code__.co_filename) for function in functions)}
    return digest("".join(_definitions(path) for path in sorted(files)).encode())


def _definitions(path: Path) -> str:
    tree = ast.parse(path.read_bytes())
    tree.body = [statement for statement in tree.body if not _assigns_model(statement)]
    return ast.dump(tree)


def _assigns_model(statement: ast.stmt) -> bool:
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return any(isinstance(target, ast.Name) and target.id == "model" for target in targets)
