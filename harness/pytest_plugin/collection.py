"""Collection with `--target`: a test file that cannot be imported ends the run only if it may test a deployment.

A repository's other tests may need libraries that a machine with boards does not have.  A file that fails for such a
library, and none of whose tests and fixtures takes a fixture of a deployment, is left out; a line at the end says so.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from hil.harness.pytest_plugin.tree_walk import NAME as TREE

_OURS = {"bench", "deployment", "parity", "accuracy", "latency", "memory", "profile", "budget", TREE}
"""The fixtures that stand for a deployment."""


def names_tests(config: pytest.Config) -> bool:
    """Returns whether the user named single tests, or those that failed last."""
    return any("::" in argument for argument in config.args) or bool(config.getoption("lf", False))


def missing_library(collector: pytest.Collector, report: pytest.CollectReport) -> str:
    """The library without which a test file of no deployment cannot be imported; empty if it failed otherwise."""
    call = getattr(report, "call", None)
    if not report.failed or not isinstance(collector, pytest.Module) or call is None or call.excinfo is None:
        return ""
    error: BaseException | None = call.excinfo.value
    cause = error.__cause__ if error is not None else None
    library = cause.name if isinstance(cause, ModuleNotFoundError) else None
    if not library or "." in library:  # a module of an installed library is another matter
        return ""
    root = collector.config.rootpath
    if (root / library).exists() or (root / f"{library}.py").exists():
        return ""
    wanted = {name for names in _taken(collector.path).values() for name in names}
    return "" if wanted & _deployment_fixtures(collector.path.parent, root) else library


def _taken(path: Path) -> dict[str, set[str]]:
    """The fixtures that each test and fixture of a file takes: parameters, and arguments of `usefixtures`."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (
            node.name.startswith("test") or node.decorator_list
        ):
            taken = {argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}
            found.setdefault(node.name, set()).update(taken - _parametrized(node))
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("usefixtures", "getfixturevalue")):
            found.setdefault("", set()).update(str(one.value) for one in node.args if isinstance(one, ast.Constant))
    return found


def _parametrized(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """The parameters that `parametrize` gives a test: names in a string, or strings of a list."""
    calls = [one for one in function.decorator_list if isinstance(one, ast.Call) and one.args]
    names = [call.args[0] for call in calls if ast.unparse(call.func).endswith("parametrize")]
    texts = [str(one.value) for name in names for one in ast.walk(name) if isinstance(one, ast.Constant)]
    return {part.strip() for text in texts for part in text.split(",")}


def _deployment_fixtures(folder: Path, root: Path) -> set[str]:
    """Names of the fixtures that are made of a deployment, in the conftest files from `folder` up to `root` too."""
    conftests = [
        conftest
        for place in (folder, *folder.parents)
        if place.is_relative_to(root) and (conftest := place / "conftest.py").is_file()
    ]
    taken = [pair for conftest in conftests for pair in _taken(conftest).items()]
    found = set(_OURS)
    while further := {name for name, names in taken if name and names & found} - found:
        found |= further
    return found
