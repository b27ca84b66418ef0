"""Loading of model files, by path and by name.

A model file is loaded by its path and never imported by name, so a repository may have a `models` package of its own.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from hashlib import sha256
from pathlib import Path
from types import ModuleType

from hil.core.errors import BadInputError, HilError
from hil.core.tflite.model import require_tflite
from hil.harness.model import definition
from hil.harness.model.definition import Model
from hil.harness.model.recipe import LEAVES
from hil.harness.model.relative import names_beside

_HEAD = 64
"""First bytes of a file, by which its format is known."""

_TRAINED = (".h5", ".keras", ".tflite")
"""Suffixes of networks, which a model file names."""


def sibling(beside: str, name: str) -> ModuleType:
    """Loads the Python file `name`, relative to the file `beside` (pass `__file__`), without importing it by name.

    In a model file, and in files that it loads, both arguments must be literal: a result depends on the loaded file,
    and `hil.harness.store.source_digest` finds its name in the source.
    """
    return _load((Path(beside).resolve().parent / name).resolve())


def load_model_file(path: str | Path, *, needs_weights: bool = True) -> Model:
    """Loads a model file; raises `BadInputError` with one line if it is none.

    With `needs_weights=False`, the file of `weights` may be missing, for a caller that trains the base.
    """
    path = Path(path).resolve()
    if not path.is_file():
        raise BadInputError(f"no model file {path}")
    model = getattr(_load(path), "model", None)
    if not isinstance(model, Model):
        raise BadInputError(f"{path} defines no `model = Model(...)`")
    return _at(path, model, needs_weights)


def _at(path: Path, model: Model, needs_weights: bool) -> Model:
    """Sets the path of a model; raises `BadInputError` for a file that it names and that does not exist."""
    model = replace(model, path=path)
    if unknown := [name for name in model.techniques or () if name not in LEAVES]:
        raise BadInputError(f"{path}: unknown technique {unknown[0]}", hint=f"known: {', '.join(LEAVES)}")
    for name in (model.weights if needs_weights else None, model.tflite):
        if name is not None and not model.file(name).is_file():
            raise BadInputError(f"{path}: {model.file(name)} {_no_file(model.file(name))}")
    if model.tflite is not None:
        with model.file(model.tflite).open("rb") as file:
            require_tflite(file.read(_HEAD), f"{path}: {model.file(model.tflite)}")
    if model.keras_file is not None and not model.keras_file.exists():
        raise BadInputError(f"{path}: {model.keras_file} does not exist")
    return model


def _no_file(path: Path) -> str:
    return "is a folder" if path.is_dir() else "does not exist"


def discover(folder: str | Path) -> list[Model]:
    """Loads the models of a folder, in the order of file names.

    A repository may have other code in its `models`: a file whose source binds no `model` is not loaded, one whose
    `model` is no `Model` is ignored.  A model file that cannot be loaded raises `BadInputError`.
    """
    models, failed = discover_loadable(folder)
    for error in failed:
        raise error
    return models


def discover_loadable(folder: str | Path) -> tuple[list[Model], list[HilError]]:
    """Loads the models of a folder as `discover`; returns them and the errors of the files that cannot be loaded."""
    folder = Path(folder)
    if not folder.is_dir():
        fault = f"{folder} is a file, no folder" if folder.exists() else f"no folder {folder}"
        raise BadInputError(fault, hint="--models names a folder of model files; a single one is named by itself")
    models: list[Model] = []
    failed: list[HilError] = []
    for path in sorted(file.resolve() for file in folder.glob("*.py") if not file.name.startswith("_")):
        try:
            if _may_define_model(path) and isinstance(model := getattr(_load(path), "model", None), Model):
                models.append(_at(path, model, needs_weights=True))
        except HilError as error:
            failed.append(error)
    names = [model.name for model in models]
    if twice := {name for name in names if names.count(name) > 1}:
        raise BadInputError(f"{folder}: two model files define {sorted(twice)[0]}")
    return models, failed


def find(name: str, folder: str | Path) -> Model:
    """Loads a model by its name in `folder`, or by the path of its file."""
    if name.endswith(".py"):
        return load_model_file(name)
    if Path(name).suffix in _TRAINED and Path(name).exists():
        field = "tflite" if name.endswith(".tflite") else "build"
        hint = f'a Python file beside it with model = Model("my_net", {field}="{Path(name).name}", data=data) is one'
        raise BadInputError(f"{name} is no model file", hint=hint)
    found, failed = discover_loadable(folder)
    models = {model.name: model for model in found}
    if name not in models:
        for error in failed:  # perhaps the one that was meant
            raise error
        raise BadInputError(f"no model {name} in {folder}", hint=f"there are: {', '.join(models) or 'none'}")
    return models[name]


def _may_define_model(path: Path) -> bool:
    """Returns whether a file's statements outside functions and classes bind `model`; true if it cannot be parsed."""
    try:
        waiting: list[ast.AST] = [ast.parse(path.read_bytes())]
    except (OSError, SyntaxError, ValueError):
        return True
    while waiting:
        node = waiting.pop()
        if "model" in _binds(node):
            return True
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))
    return False


def _binds(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.ImportFrom | ast.Import):
        for alias in node.names:
            yield alias.asname or alias.name


def _load(path: Path) -> ModuleType:
    """Loads a module by its path, once, under a name that no import uses."""
    name = f"hil_file_{path.stem}_{sha256(os.fsencode(path)).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise BadInputError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with names_beside(path):
            spec.loader.exec_module(module)
    except BadInputError as error:
        del sys.modules[name]
        raise BadInputError(f"{path}: {error.args[0]}", hint=error.hint) from error
    except HilError:
        del sys.modules[name]
        raise
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        line = f"{path} cannot be loaded: {type(error).__name__}: {error}"
        raise BadInputError(line, hint=_fields_of(str(error))) from error
    return module


def _fields_of(message: str) -> str:
    """Lists the fields of the dataclass of a model file that Python's message says was given an unknown one."""
    found = re.match(r"(\w+)\.__init__\(\) got an unexpected keyword argument", message)
    given = getattr(definition, found[1], None) if found else None
    if not (isinstance(given, type) and is_dataclass(given)):
        return ""
    return f"{given.__name__} has {', '.join(one.name for one in fields(given))}"
