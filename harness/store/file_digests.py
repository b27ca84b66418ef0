"""Digest of many files, whose contents are read again only when one of them has changed.

    digest_data(files, Path("store"))   # of 80,000 images: a look at each file's size and times

What was read is noted in the store by the files' names, sizes, inodes and times.  Files that changed within the last
seconds are not noted: a second change may not move their times.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from hil.core.artifact_manifest import digest
from hil.core.file_digest import FileState
from hil.harness.store.store import digest_files

_FOLDER = "file_digests"


def digest_data(files: Sequence[Path], root: Path) -> str:
    """Hashes the names and contents of files, in the order given."""
    states = [FileState.of(file) for file in files]
    named = [(os.fsencode(file).hex(), *state) for file, state in zip(files, states, strict=True)]
    note = root / _FOLDER / digest(json.dumps(named).encode())[:40]
    with suppress(OSError):
        if found := note.read_text():
            return found
    found = digest_files(files)
    if all(state.settled for state in states):
        _write(note, found)
    return found


def _write(note: Path, text: str) -> None:
    """Writes a note whole or, in a store that cannot be written, not at all."""
    with suppress(OSError):
        note.parent.mkdir(parents=True, exist_ok=True)
        part = note.with_suffix(f".{os.getpid()}")
        part.write_text(text)
        part.replace(note)
