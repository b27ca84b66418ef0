"""Digest of a model's source, as an input of artifact recipes.

    source_digest(model)            # hash of the definitions in its files
    source_versions(model)          # {"numpy": "1.26.4", "scipy": "1.15.2"}: the libraries that they import

The digest covers the model file and every file of the user's own that it reaches: through `sibling`, through imports at
any place, through the functions that it passes to `Model`.  It ignores comments, docstrings and layout, and those
arguments of `model = Model(...)` that recipes hold one by one or that no artifact depends on, with the definitions that
only they use: a new budget causes no training.

The digest does not cover data that a file reads when it is loaded (an environment variable, a JSON file): name such a
file in `Dataset.files`.
"""

from __future__ import annotations

import ast
import collections
import functools
import importlib.metadata
import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hil.core.artifact_manifest import digest
from hil.harness.model import Model
from hil.harness.store.carried_values import carried, text_of
from hil.harness.store.imports import is_own, libraries, own_files
from hil.harness.store.syntax import parse, text

SETTINGS = frozenset({"name", "recipe", "budget", "gates", "metric", "weights", "tflite", "techniques"})
"""Arguments of `Model` that the digest ignores."""
NOT_LOADED = frozenset(field.name for field in fields(Model)) - {"data"}
"""Arguments of `Model` on which the samples do not depend."""
_ORDER = [field.name for field in fields(Model)]


@lru_cache
def source_digest(model: Model, ignored: frozenset[str] = SETTINGS) -> str:
    """Hashes the definitions in the model's files, without those arguments of `Model`.

    The text of a model file shows what its functions carry; the functions of a model without one are hashed with it.
    """
    texts = [_definitions(path, model, ignored) for path in source_files(model)]
    if not model.path.is_file():
        texts += [repr(carried(function)) for function in _functions(model, ignored)]
    return digest("".join(texts).encode())


def function_digest(model: Model, function: Callable[..., Any]) -> str:
    """Hashes the file of the user's own that defines a function; without a model file, what it carries as well."""
    files = "".join(digest(path.read_bytes()) for path in _file_of(function))
    return digest((files if model.path.is_file() else f"{files}{carried(function)}").encode())


def train_digest(model: Model, function: Callable[..., Any]) -> str:
    """Hashes what a function for `Recipe.train` consists of: its definition, those that it uses, values bound to it.

    `source_digest` covers the rest of the user's files; it leaves out what only the recipe uses.
    """
    text = _train_text(function)
    return text if model.path.is_file() else digest(f"{text}{carried(function)}".encode())


def _train_text(function: Callable[..., Any]) -> str:
    parts: list[str] = []
    while isinstance(function, functools.partial):
        parts += [*map(_value, function.args), *(f"{k}={_value(v)}" for k, v in sorted(function.keywords.items()))]
        function = function.func
    inner = inspect.unwrap(function)
    bound = [cell.cell_contents for cell in getattr(inner, "__closure__", None) or ()]
    parts += [_value(value) for value in bound if value is not inner]
    parts += [f"{k}={_value(v)}" for k, v in sorted(getattr(function, "__dict__", {}).items())]
    name = getattr(inner, "__qualname__", type(inner).__qualname__).split(".")[0]
    for path in _file_of(function):
        parts.append(_closure(_parsed(path), name) or digest(path.read_bytes()))
    return digest("\n".join([name, *parts]).encode())


def _value(value: object) -> str:
    """Returns a text of a value that a function holds, equal in every process."""
    if isinstance(value, np.ndarray):
        return text_of(value)
    return _train_text(value) if callable(value) else re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def _closure(tree: ast.Module, name: str) -> str:
    """Returns the text of a definition and of those in its file that it uses, directly or not; empty without it."""
    wanted, taken = {name}, []
    while found := [one for one in tree.body if one not in taken and _defined(one) & wanted]:
        taken += found
        wanted |= _names(found)
    return text([one for one in tree.body if one in taken]) if taken else ""


def _defined(statement: ast.stmt) -> set[str]:
    """Returns the names that a definition or an assignment of a file binds."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign) and not _assigns_model(statement):
        return {
            node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
    return set()


@lru_cache
def source_versions(model: Model) -> dict[str, str]:
    """Returns the versions of the libraries that the model's files import, by distribution."""
    parsed = [(_parsed(path), path) for path in source_files(model) if path.suffix == ".py"]
    return versions(*sorted({name for tree, path in parsed for name in libraries(tree, path)}))


def versions(*names: str) -> dict[str, str]:
    """Returns versions by distribution; a name may also be a package, such as tensorflow of tensorflow-cpu.

    They are those of this process's first look: what it imports later is what was installed then.
    """
    return {found: version for name in names for found, version in _versions(name).items()}


@functools.cache
def _versions(name: str) -> Mapping[str, str]:
    """Returns the versions for one name; a look at a package's metadata takes milliseconds."""
    try:
        return {name: importlib.metadata.version(name)}
    except importlib.metadata.PackageNotFoundError:
        providers = sorted(set(_distributions().get(name, ())))
        return {provider: importlib.metadata.version(provider) for provider in providers}


@lru_cache
def _distributions() -> dict[str, list[str]]:
    return dict(importlib.metadata.packages_distributions())


def source_files(model: Model) -> list[Path]:
    """Lists the model file and every file of the user's own that it reaches, sorted."""
    found: set[Path] = set()
    waiting = [model.path, *(file for function in _functions(model) for file in _file_of(function))]
    while waiting:
        path = waiting.pop()
        if path.is_file() and path not in found:
            found.add(path)
            waiting.extend(own_files(_parsed(path), path) if path.suffix == ".py" else ())
    return sorted(found)


def _functions(model: Model, ignored: frozenset[str] = frozenset()) -> list[Callable[..., Any]]:
    """Returns the functions of a model's arguments, without those that are ignored."""
    losses = model.loss.values() if isinstance(model.loss, Mapping) else (model.loss,)
    of_arguments = {
        "data": (model.data.load, model.data.files, model.data.augment),
        "build": (model.build,),
        "loss": losses,
    }
    return [one for name, all_of in of_arguments.items() if name not in ignored for one in all_of if callable(one)]


def _file_of(function: Callable[..., Any]) -> list[Path]:
    """Returns the user's own file that defines a function, partial or callable object; empty for anything else."""
    while isinstance(function, functools.partial):
        function = function.func
    for thing in (inspect.unwrap(function), type(function)):
        try:
            file = Path(inspect.getsourcefile(thing) or "").resolve()
        except TypeError:  # an object, or something built in
            continue
        return [file] if file.is_file() and is_own(file) else []
    return []


def _parsed(path: Path) -> ast.Module:
    return parse(path.read_bytes())


def _definitions(path: Path, model: Model, ignored: frozenset[str]) -> str:
    if path.suffix != ".py":
        return digest(path.read_bytes())
    tree = _parsed(path)
    if path == model.path:
        tree.body = _without(ignored, tree.body)
    return text(tree)


def _without(ignored: frozenset[str], body: Sequence[ast.stmt]) -> list[ast.stmt]:
    """Removes arguments of `Model` from a model file's statements, and the definitions that only they use."""
    kept = [statement for statement in body if not _imports_harness(statement)]
    settings = {name for statement in kept if _assigns_model(statement) for name in _take(ignored, statement)}
    while True:
        used = collections.Counter(name for statement in kept for name in _names([statement]))
        gone = [s for s in kept if used[_bound(s)] == 1 and (_bound(s) in settings or _does_nothing(s))]
        if not gone:
            return kept
        kept = [statement for statement in kept if statement not in gone]
        settings |= _names(gone)


def _imports_harness(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and (statement.module or "").split(".")[0] == "hil"


def _assigns_model(statement: ast.stmt) -> bool:
    match statement:
        case (
            ast.Assign(targets=[ast.Name(id="model")], value=ast.Call(func=function))
            | ast.AnnAssign(target=ast.Name(id="model"), value=ast.Call(func=function))
        ):
            return getattr(function, "attr", getattr(function, "id", "")) == "Model"
    return False


def _take(ignored: frozenset[str], statement: Any) -> set[str]:
    """Removes arguments from `model = Model(...)`; returns the names that they used."""
    call: ast.Call = statement.value
    taken: list[ast.AST] = []
    for place, argument in enumerate(call.args[: len(_ORDER)]):
        if isinstance(argument, ast.Starred):
            break
        if _ORDER[place] in ignored:
            taken.append(argument)
            call.args[place] = ast.Constant(None)
    taken += [keyword for keyword in call.keywords if keyword.arg in ignored]
    call.keywords = [keyword for keyword in call.keywords if keyword.arg not in ignored]
    return _names(taken)


def _bound(statement: ast.stmt) -> str:
    """Returns the name that a plain assignment or a function definition binds; empty for `model` and anything else."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return "" if name == "model" else name
        case ast.FunctionDef(name=name):
            return name
    return ""


def _does_nothing(statement: ast.stmt) -> bool:
    """Returns whether a definition has no effect but the name it binds: it calls only constructors of settings."""
    outside = statement.decorator_list if isinstance(statement, ast.FunctionDef) else [statement]
    calls = [node.func for outer in outside for node in ast.walk(outer) if isinstance(node, ast.Call)]
    return all(isinstance(call, ast.Name) and call.id in ("Budget", "FineTune", "Metric", "Recipe") for call in calls)


def _names(nodes: Iterable[ast.AST]) -> set[str]:
    """Returns every name that occurs in `nodes`."""
    inside = [node for outer in nodes for node in ast.walk(outer)]
    return {node.id for node in inside if isinstance(node, ast.Name)} | {
        node.name for node in inside if isinstance(node, ast.FunctionDef)
    }
