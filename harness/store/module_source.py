"""Parts of a module's source on which a result may depend, parsed once for each content.

    found = module_source(Path("npu/program.py"), [])
    found.definitions       # hash of the definitions, and of the C files that count with the module
    found.imports           # ((0, ("hil", "core", "arrays", "Array")), ...): leading dots, parts of the dotted name
    found.strings           # ("hil.npu.child", ...): constants that may name a module

Parsing all modules of a result takes half a second of each process.  What was found is noted beside Python's bytecode,
under the hash of all that it depends on, the parser included; where bytecode is not written, neither are notes.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from hil.core.artifact_manifest import digest
from hil.harness.store import imports, syntax
from hil.harness.store.imports import imported
from hil.harness.store.syntax import parse, text

_NAMES_MODULE = re.compile(r"value='(\w+(?:\.\w+)+)(?::\w+)?'")
"""String constant in the text of a syntax tree that may be a module's name."""


@dataclass(frozen=True)
class ModuleSource:
    """Hash of a module's definitions, its imports as `imported` has them, and constants that may name a module."""

    definitions: str
    imports: tuple[tuple[int, tuple[str, ...]], ...]
    strings: tuple[str, ...]


def module_source(file: Path, compiled: Sequence[Path]) -> ModuleSource:
    """Returns the parts of a Python file, with the C files `compiled`."""
    contents = [path.read_bytes() for path in (file, *compiled)]
    key = digest("".join([_parser(), *map(digest, contents)]).encode())
    note = Path(importlib.util.cache_from_source(str(file))).with_suffix(".definitions")
    if found := _read(note, key):
        return found
    found = _parsed(contents[0], contents[1:])
    if not sys.dont_write_bytecode:
        _write(note, key, found)
    return found


def _parsed(source: bytes, compiled: Sequence[bytes]) -> ModuleSource:
    tree = parse(source)
    definitions = text(tree)
    return ModuleSource(
        digest(b"".join([definitions.encode(), *compiled])),
        tuple((level, tuple(parts)) for level, parts in imported(tree)),
        tuple(sorted(set(_NAMES_MODULE.findall(definitions)))),
    )


@cache
def _parser() -> str:
    """Returns the hash of what makes a note: the source of the parser, and Python's version."""
    sources = [Path(str(module)).read_bytes() for module in (__file__, imports.__file__, syntax.__file__)]
    return digest("".join([sys.version, *map(digest, sources)]).encode())


def _read(note: Path, key: str) -> ModuleSource | None:
    """Reads a note; None if there is none of this key, or a damaged one."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        noted = json.loads(note.read_text())
        if noted["key"] == key and noted["seal"] == _seal(noted["found"], key):
            found = noted["found"]
            pairs = tuple((level, tuple(parts)) for level, parts in found["imports"])
            return ModuleSource(found["definitions"], pairs, tuple(found["strings"]))
    return None


def _write(note: Path, key: str, found: ModuleSource) -> None:
    """Writes a note whole or, beside modules that are another user's, not at all."""
    plain = json.loads(json.dumps(asdict(found)))
    with suppress(OSError):
        note.parent.mkdir(exist_ok=True)
        part = note.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps({"key": key, "seal": _seal(plain, key), "found": plain}))
        part.replace(note)


def _seal(found: object, key: str) -> str:
    return digest(f"{key}{json.dumps(found, sort_keys=True)}".encode())
