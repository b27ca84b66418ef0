"""Manifest of an artifact in a store: the file that names the other files of its folder, and proves them undamaged.

    write_manifest(folder, recipe, origin={"model": "kws"}, note={}, seconds=1.5)
    manifest = read_manifest(folder)       # ValueError if it was changed

========================================== ===================================================================
below the root of the store                 contents
========================================== ===================================================================
`<step>/<key>/manifest.json`                recipe, origin, files with SHA-256 and size, time of making; sealed
`<step>/<key>/<files>`                      what the step made
`unfinished/`                               artifacts that are being made or removed
========================================== ===================================================================

An artifact is found by its key, the hash of its recipe.  `hil.harness.store` is the store of all steps; the open
Corstone-300 keeps states of its machine in the same form (`hil.fvp.machine.kept_states`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
UNFINISHED = "unfinished"


def digest(data: bytes) -> str:
    """Returns the SHA-256 of `data` as hexadecimal text."""
    return hashlib.sha256(data).hexdigest()


def key_of(recipe: Mapping[str, Any]) -> str:
    """Returns the key of a recipe, which is JSON."""
    return digest(json.dumps(recipe, sort_keys=True).encode())[:40]


def write_manifest(
    folder: Path, recipe: Mapping[str, Any], origin: Mapping[str, str], note: Mapping[str, Any], seconds: float
) -> None:
    """Writes the manifest of the files in `folder`, which took `seconds` to make; raises `OSError`."""
    from datetime import datetime, timezone  # Reading needs no dates, and must be fast.

    files = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        data = path.read_bytes()
        files[path.relative_to(folder).as_posix()] = {"sha256": digest(data), "size": len(data)}
    manifest = {
        "recipe": dict(recipe),
        "origin": dict(origin),
        "files": files,
        "note": dict(note),
        "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
    }
    (folder / MANIFEST).write_text(json.dumps({"sha256": _seal(manifest), "artifact": manifest}, indent=1))


def read_manifest(folder: Path) -> Mapping[str, Any]:
    """Returns the manifest; raises `OSError`, and `ValueError`, `KeyError` or `TypeError` for a damaged one."""
    sealed = json.loads((folder / MANIFEST).read_text())
    manifest: Mapping[str, Any] = sealed["artifact"]
    if sealed["sha256"] != _seal(manifest):
        raise ValueError(f"{folder / MANIFEST} was changed")
    return manifest


def _seal(manifest: Mapping[str, Any]) -> str:
    return digest(json.dumps(manifest, sort_keys=True).encode())
