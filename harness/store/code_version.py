"""Hash of the code that a step's result depends on: the modules that do its work, and all modules that they import.

    code_version("hil.targets.sim.target")     # another after an edit in hil/npu/arithmetic, the same after one in
                                               # hil/targets/serial or of a docstring
    reached("hil.targets.sim.target")          # ("hil.core.arrays", ..., "hil.targets.sim.target")

The imports of a module are found in its source, and nothing is imported for it: import statements, also those inside
functions, and strings that name a module of the same top package ("hil.a.b", "hil.a.b:function"), such as the handler
of a worker or the argument of `import_module`.  Imports for type checkers alone do not count.  A package's
`__init__.py` counts where something is imported from the package itself, and C files count with each module beside
them.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hil.core.artifact_manifest import digest
from hil.harness.store.module_source import module_source

WITHOUT_EFFECT = frozenset(
    {
        # They say what went wrong, or refuse: then there is no result.
        *("hil.core.errors", "hil.core.machine_limits", "hil.harness.blame"),
        # They carry a request to another process and its answer back.
        *("hil.core.worker", "hil.core.worker_frames", "hil.core.lifeline"),
        # They decide when an interrupt arrives.
        "hil.harness.optimize.interrupt",
        # They hold settings and inputs, which the recipe names one by one.
        *("hil.harness.model", "hil.harness.optimize.paths", "hil.targets.base"),
        # It shows what was compiled.
        "hil.npu.disassembly.listing",
    }
)
"""Modules that change no result; their imports are not followed."""


@cache
def code_version(*entries: str) -> str:
    """Hashes the names and definitions of `reached(*entries)`, independent of the folder of the files."""
    return digest("\n".join(f"{name}:{_module(name).definitions}" for name in reached(*entries)).encode())


def reached(*entries: str) -> tuple[str, ...]:
    """Returns the dotted names of `entries` and of all modules of their top package that they import, sorted.

    Raises `ModuleNotFoundError` for an entry that does not exist.
    """
    found: set[str] = set()
    waiting = list(entries)
    while waiting:
        name = waiting.pop()
        if name not in found and name not in WITHOUT_EFFECT:
            found.add(name)
            waiting.extend(_module(name).uses)
    return tuple(sorted(found))


@dataclass(frozen=True)
class _Module:
    """Hash of a module's definitions, and the modules that it imports directly."""

    definitions: str
    uses: frozenset[str]


@cache
def _module(name: str) -> _Module:
    file = _file(name)
    if file is None:
        raise ModuleNotFoundError(name)
    compiled = sorted(path for path in file.parent.iterdir() if path.suffix in (".c", ".h"))
    found = module_source(file, compiled)
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    named = {string for string in found.strings if _inside(string, name) and _file(string)}
    return _Module(found.definitions, frozenset({*_imports(found.imports, package), *named}))


def _inside(name: str, other: str) -> bool:
    return name.partition(".")[0] == other.partition(".")[0]


def _imports(imported: Iterable[tuple[int, Sequence[str]]], package: str) -> Iterator[str]:
    """Iterates over the modules of its own top package that a module of `package` imports, or imports from."""
    for level, parts in imported:
        base = package.split(".")[: 1 - level or None] if level else []
        name = ".".join([*base, *parts])
        while _inside(name, package) and not _file(name):  # the last part is no module, but something in one
            name = name.rpartition(".")[0]
        if name and _inside(name, package):
            yield name


@cache
def _file(name: str) -> Path | None:
    """Finds the source of a module or package, None if there is none; imports at most the top package."""
    parts = name.split(".")
    try:
        spec = importlib.util.find_spec(".".join(parts[:2]))
    except ModuleNotFoundError:  # the top is no package
        return None
    if spec is None:
        return None
    files = [Path(spec.origin)] if spec.origin else []
    if len(parts) > 2:
        places = [Path(folder, *parts[2:]) for folder in spec.submodule_search_locations or ()]
        files = [file for place in places for file in (place / "__init__.py", place.with_suffix(".py"))]
    return next((file for file in files if file.is_file()), None)
