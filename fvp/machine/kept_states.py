"""States of booted machines in a store of artifacts, from which later processes start instead of booting.

    states = KeptStates(Path("store"), recipe)      # of `state_recipe`
    state = states.find()                           # None: there is none, or it is damaged
    states.keep(state, seconds=0.4)

=============== ===========================================================
file            contents
=============== ===========================================================
manifest.json   recipe and hashes (see `hil.core.artifact_manifest`)
state.json      registers of the NPU, output of the UARTs, addresses of the
                jobs, QEMU's version
qemu.qcow2      QEMU's snapshot: CPU, devices, SRAMs
ddr.bin         the pieces of DDR in use
jobs.bin        the NPU's jobs, decoded (see `kept_jobs`)
=============== ===========================================================

A state appears by one rename, so that no process ever sees half of one, and is read against its hashes.  One that is
damaged, or that other users may change, is not used but replaced; where the store cannot be written the machine runs
without.  Either is one line on standard error, and nothing more: the store makes a start faster and is never needed.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hil.core.artifact_manifest import MANIFEST, UNFINISHED, digest, key_of, read_manifest, write_manifest
from hil.fvp.command_line.contract import OPEN_NAME
from hil.fvp.machine.kept_jobs import KeptJob
from hil.fvp.machine.snapshot import SnapshotContent
from hil.fvp.machine.starting_state import BoardState, StateContent
from hil.fvp.machine.state_recipe import STEP

FILES = ("state.json", "qemu.qcow2", "ddr.bin", "jobs.bin")
MOST_BYTES, ALL_BYTES = 256 << 20, 1 << 30
"""Bytes of the largest state that is kept, and of all states of a store, of which the longest unused go."""

ORIGIN = {"model": "states of the open FVP", "technique": ""}
"""Names that a list of the store shows in place of model and technique."""


class KeptState(NamedTuple):
    """A state and the NPU's jobs that followed it; `complete` if every one of them is here."""

    content: StateContent
    jobs: tuple[KeptJob, ...]
    complete: bool


class KeptStates:
    """The state of one recipe in the store at `root`."""

    def __init__(self, root: Path, recipe: Mapping[str, Any]) -> None:
        self._root = root
        self._recipe = recipe
        self._folder = root / STEP / key_of(recipe)

    def find(self) -> KeptState | None:
        """The state; None if there is none or it is damaged, which a line on standard error says."""
        try:
            state = _decoded(_files(self._folder))
        except (FileNotFoundError, NotADirectoryError):
            if not self._folder.exists():
                return None
            self.refuse("it is not whole")
        except (OSError, ValueError, KeyError, TypeError) as error:
            self.refuse(str(error) or type(error).__name__)
        else:
            with contextlib.suppress(OSError):  # A store that may only be read.
                (self._folder / MANIFEST).touch()
            return state
        return None

    def refuse(self, why: str) -> None:
        """Says that the state is not used, and makes `keep` replace it."""
        warn(f"the kept state {self._folder} is not used: {' '.join(why.split())}")
        with contextlib.suppress(OSError):
            _discard(self._root, self._folder)

    def keep(self, state: KeptState, seconds: float) -> None:
        """Puts `state`, which took `seconds` to make, into the store; a line on standard error says why it cannot."""
        files = _encoded(state)
        if sum(map(len, files.values())) > MOST_BYTES:
            warn(f"the machine's state is not kept: it has more than {MOST_BYTES >> 20} MiB")
            return
        work = self._root / UNFINISHED / f"{self._folder.name}-{os.getpid()}"
        try:
            work.mkdir(parents=True)
            for name, data in files.items():
                (work / name).write_bytes(data)
            write_manifest(work, self._recipe, ORIGIN, {}, seconds)
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            work.rename(self._folder)
        except OSError as error:
            if not self._folder.exists():  # Else another process was faster.
                warn(f"the machine's state is not kept in {self._root}: {error.strerror}")
        finally:
            _remove(work)
        with contextlib.suppress(OSError):  # Another process makes room, too.
            self._make_room()

    def _make_room(self) -> None:
        """Removes the longest unused states but this one until all have no more than `ALL_BYTES`."""
        folders = [folder for folder in self._folder.parent.iterdir() if folder != self._folder]
        sizes = {folder: _size(folder) for folder in [self._folder, *folders]}
        for folder in sorted(folders, key=_last_use):
            if sum(sizes.values()) <= ALL_BYTES:
                break
            _discard(self._root, folder)
            del sizes[folder]


def _last_use(folder: Path) -> float:
    """Time of a state's last use; 0 for a folder without a manifest."""
    manifest = folder / MANIFEST
    return manifest.stat().st_mtime if manifest.exists() else 0.0


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def _discard(root: Path, folder: Path) -> None:
    """Removes a state by one rename; raises `OSError`."""
    doomed = root / UNFINISHED / f"{folder.name}-{os.getpid()}-removed"
    doomed.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(doomed)
    _remove(doomed)


def _remove(folder: Path) -> None:
    import shutil  # Finding a state needs none of it.

    shutil.rmtree(folder, ignore_errors=True)


def _files(folder: Path) -> dict[str, bytes]:
    """The files of a state; raises `OSError` or `ValueError` for what is damaged, missing or another user's."""
    for path in (folder, *folder.iterdir()):
        _check_owner(path)
    files, entries = {}, read_manifest(folder)["files"]
    for name in FILES:
        files[name] = (folder / name).read_bytes()
        if digest(files[name]) != entries[name]["sha256"]:
            raise ValueError(f"{name} is damaged")
    return files


def _check_owner(path: Path) -> None:
    """Raises `ValueError` for what others may change: QEMU and compiled code take a state as it is."""
    found = path.lstat()
    if found.st_uid not in (0, os.geteuid()) or found.st_mode & stat.S_IWOTH:
        raise ValueError(f"other users may change {path.name}")


def _encoded(state: KeptState) -> dict[str, bytes]:
    snapshot, board = state.content.snapshot, state.content.board
    header = {
        "qemu": state.content.qemu,
        "npu": board.npu,
        "uarts": [[number, written.decode("latin1")] for number, written in board.uarts.items()],
        "simulated": board.simulated,
        "ddr": [[start, len(data)] for start, data in snapshot.ddr],
        "jobs": [[job.as_json(), len(job.stream), len(job.image)] for job in state.jobs],
        "complete": state.complete,
    }
    ddr = b"".join(data for _, data in snapshot.ddr)
    jobs = b"".join(job.stream + job.image for job in state.jobs)
    return dict(zip(FILES, (json.dumps(header).encode(), snapshot.image, ddr, jobs), strict=True))


def _decoded(files: Mapping[str, bytes]) -> KeptState:
    """The state of what `_encoded` gave; raises `ValueError`, `KeyError` or `TypeError` for anything else."""
    header = json.loads(files["state.json"])
    starts, sizes = ([pair[at] for pair in header["ddr"]] for at in (0, 1))
    uarts = {number: written.encode("latin1") for number, written in header["uarts"]}
    content = StateContent(
        SnapshotContent(files["qemu.qcow2"], tuple(zip(starts, _pieces(files["ddr.bin"], sizes), strict=True))),
        BoardState(header["npu"], uarts, header["simulated"]),
        header["qemu"],
    )
    lengths = [length for _, *both in header["jobs"] for length in both]
    parts = _pieces(files["jobs.bin"], lengths)
    jobs = [KeptJob.from_json(found, *parts[2 * at : 2 * at + 2]) for at, (found, *_) in enumerate(header["jobs"])]
    return KeptState(content, tuple(jobs), bool(header["complete"]))


def _pieces(data: bytes, sizes: Iterable[int]) -> list[bytes]:
    found, at = [], 0
    for size in sizes:
        found.append(data[at : at + size])
        at += size
    return found


def warn(text: str) -> None:
    """Says on standard error that something is wrong with the store."""
    print(f"Warning: {OPEN_NAME}: {text}", file=sys.stderr)
