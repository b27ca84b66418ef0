"""Imports of a Python file, found in its syntax tree without importing anything.

    from hil.harness.store.syntax import parse

    path = Path("repo/models/my_net.py")
    tree = parse(path.read_bytes())
    own_files(tree, path)          # {Path("repo/my_pkg/net.py"), Path("repo/models/data.py")}
    libraries(tree, path)          # {"numpy", "tf_keras"}

A file is the user's own when it is neither Python's nor installed: it can change without a new version.  Imports count
wherever they stand, also inside functions, and so does `sibling(__file__, "...")`.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from hil.core.errors import BadInputError
from hil.harness.store.syntax import statements

_INSTALLED = ("site-packages", "dist-packages")
_SIBLING = "sibling"


def own_files(tree: ast.AST, path: Path) -> set[Path]:
    """Returns the user's own files that a file loads directly; raises `BadInputError` for a computed sibling."""
    return {*_siblings(tree, path), *(file for _, files in _imports(tree, path) for file in files if is_own(file))}


def libraries(tree: ast.AST, path: Path) -> set[str]:
    """Returns the names of the installed packages that the file imports."""
    return {name for name, files in _imports(tree, path) if any(not is_own(file) for file in files)}


def is_own(file: Path) -> bool:
    """Returns whether a file is the user's own: neither in an installed package nor in Python's library."""
    inside = not set(_INSTALLED).intersection(file.parts)
    return inside and not file.is_relative_to(Path(ast.__file__).parent)


def _siblings(tree: ast.AST, path: Path) -> Iterator[Path]:
    aliases = [alias for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names]
    names = {alias.asname or alias.name for alias in aliases if alias.name == _SIBLING} | {_SIBLING}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _last_name(node.func) in names:
            match node.args:
                case [ast.Name(id="__file__"), ast.Constant(value=str(name))]:
                    yield (path.parent / name).resolve()
                case _:
                    raise BadInputError(
                        f"{path}:{node.lineno}: what sibling loads must be read off the text",
                        hint='write sibling(__file__, "FILE.py"): a result depends on that file',
                    )


def _last_name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def imported(tree: ast.AST) -> Iterator[tuple[int, list[str]]]:
    """Iterates over (leading dots, parts of the dotted name) of all imports, such as (0, ["os", "path", "join"])."""
    for node in statements(tree):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = node.module.split(".") if node.module else []
            yield from ((node.level, [*start, alias.name]) for alias in node.names)


def _imports(tree: ast.AST, path: Path) -> Iterator[tuple[str, list[Path]]]:
    """Iterates over (top package, files of the packages and module) of every import, but for Python's library."""
    for level, parts in imported(tree):
        if level:
            folder = path.parents[level - 1]
            yield folder.name, list(_on_the_way([folder.parent], [folder.name, *parts]))
        elif parts[0] != "hil" and parts[0] not in sys.stdlib_module_names:
            yield parts[0], list(_absolute(parts))


def _absolute(parts: Sequence[str]) -> Iterator[Path]:
    try:
        spec = importlib.util.find_spec(parts[0])
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return
    if spec.origin and Path(spec.origin).is_file():
        yield Path(spec.origin).resolve()
    yield from _on_the_way([Path(folder).resolve() for folder in spec.submodule_search_locations or ()], parts[1:])


def _on_the_way(folders: list[Path], parts: Sequence[str]) -> Iterator[Path]:
    """Iterates over the file of each package and module of a dotted name, searched from `folders` on."""
    for part in parts:
        for folder in folders:
            for file in (folder / f"{part}.py", folder / part / "__init__.py"):
                if file.is_file():
                    yield file
        folders = [folder / part for folder in folders]
