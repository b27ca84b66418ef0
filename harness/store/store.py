"""Content-checked store of artifacts: an artifact is found by the hash of its recipe.

    from hil.harness.store.code_version import code_version

    store = Store(default_root())
    recipe = ArtifactRecipe("int8", {"keras": digest(keras)}, {}, code_version("hil.harness.optimize.steps"))

    def build(folder: Path) -> None:
        (folder / "model.tflite").write_bytes(tflite)

    artifact = store.make(recipe, build)
    artifact.read("model.tflite")

A *recipe* is everything that can change the result: the content hashes of the inputs, the settings, the source of the
step and the versions of its libraries.  Its hash is the *key*, and the key is the folder's name.  A
folder appears by one rename when it is complete, so an interrupted run leaves either the whole artifact or none; a lock
per key keeps two processes from making the same artifact twice.  Files are hashed again when an artifact is found,
once in each process and after every change: a damaged artifact is made again, never used.

`hil.core.artifact_manifest` describes the folders.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock, Timeout

from hil.core.artifact_manifest import MANIFEST, UNFINISHED, digest, key_of, read_manifest, write_manifest
from hil.core.errors import BadInputError, HilError, InfrastructureError
from hil.core.file_digest import sha256_once
from hil.core.machine_limits import machine_error

_OTHER_HINT = "name another with --store or HIL_STORE"
WAIT_S = 10.0
"""Seconds between two calls of `waits` while another process makes an artifact."""


def default_root() -> Path:
    """Returns `HIL_STORE`, or a folder in the user's cache."""
    return Path(os.environ.get("HIL_STORE") or platformdirs.user_cache_path("ethosu-hil") / "store")


def digest_files(paths: Sequence[Path]) -> str:
    """Hashes the names and contents of files, in the order given."""
    return digest(b"".join(os.fsencode(f"{path.name}:{sha256_once(path)}\n") for path in paths))


@dataclass(frozen=True)
class ArtifactRecipe:
    """Everything that can change an artifact.  `settings` must be JSON; `step` names the folder in the store."""

    step: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    code: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "inputs": dict(self.inputs),
            "settings": dict(self.settings),
            "code": self.code,
            "versions": dict(self.versions),
        }

    @property
    def key(self) -> str:
        return key_of(self.as_json())


@dataclass(frozen=True)
class Origin:
    """The model and technique that an artifact was first made for; others with an equal recipe find it too."""

    model: str = ""
    technique: str = ""

    def __str__(self) -> str:
        return "-".join(filter(None, (self.model, self.technique)))


UNKNOWN = Origin()


@dataclass(frozen=True)
class Artifact:
    """A finished artifact: its folder and manifest; `anew` if it was made now, not found in the store."""

    folder: Path
    manifest: Mapping[str, Any]
    anew: bool = False

    @property
    def key(self) -> str:
        return self.folder.name

    @property
    def step(self) -> str:
        return str(self.manifest["recipe"]["step"])

    @property
    def origin(self) -> Origin:
        return Origin(**self.manifest.get("origin", {}))

    @property
    def size(self) -> int:
        """Total bytes of the files."""
        return sum(int(entry["size"]) for entry in self.manifest["files"].values())

    @property
    def seconds(self) -> float:
        """Wall time that it took to make, in seconds."""
        return float(self.manifest["seconds"])

    @property
    def used(self) -> datetime:
        """Time of the last use: made or found."""
        return datetime.fromtimestamp((self.folder / MANIFEST).stat().st_mtime, timezone.utc)

    @property
    def note(self) -> Mapping[str, Any]:
        """JSON note that the step stored beside its files."""
        note: Mapping[str, Any] = self.manifest["note"]
        return note

    def digest(self, name: str) -> str:
        return str(self.manifest["files"][name]["sha256"])

    def path(self, name: str) -> Path:
        return self.folder / name

    def read(self, name: str) -> bytes:
        return self.path(name).read_bytes()

    def intact(self) -> bool:
        """Returns whether every file still has its stored hash."""
        for name, entry in self.manifest["files"].items():
            path = self.folder / name
            if not path.is_file() or sha256_once(path) != entry["sha256"]:
                return False
        return True


class Store:
    """Artifacts below one folder; safe for many processes at once."""

    def __init__(self, root: Path) -> None:
        try:
            is_folder = stat.S_ISDIR(root.stat().st_mode)
        except FileNotFoundError:
            is_folder = True  # once something is written
        except NotADirectoryError:
            is_folder = False
        except OSError as error:
            raise BadInputError(f"the store {root} cannot be used: {error.strerror}", hint=_OTHER_HINT) from None
        if not is_folder:
            raise BadInputError(f"the store {root} is no folder", hint=_OTHER_HINT)
        self.root = root

    def find(self, recipe: ArtifactRecipe) -> Artifact | None:
        """Returns the artifact of `recipe` if it is in the store and undamaged, else None.

        Raises `InfrastructureError` for one whose files cannot be read, such as another user's.
        """
        artifact = self._load(self._folder(recipe))
        try:
            if artifact is None or not artifact.intact():
                return None
        except OSError as error:
            raise InfrastructureError(f"{error.filename} cannot be read: {error.strerror}", hint=_OTHER_HINT) from error
        with suppress(OSError):  # a store that may only be read
            (artifact.folder / MANIFEST).touch()
        return artifact

    def make(
        self,
        recipe: ArtifactRecipe,
        build: Callable[[Path], Mapping[str, Any] | None],
        waits: Callable[[], None] = lambda: None,
        origin: Origin = UNKNOWN,
    ) -> Artifact:
        """Returns the artifact of `recipe`; builds it if the store has none.

        `build(folder)` writes files into an empty folder and may return a JSON note.  If it raises, nothing is stored.
        `waits` is called now and then while another process makes the same artifact.
        """
        if found := self.find(recipe):
            return found
        folder = self._folder(recipe)
        work = self.root / UNFINISHED / recipe.key
        with self._locked(recipe.key, waits):
            if found := self.find(recipe):
                return found
            try:
                with self._writing():
                    for stale in (work, folder):  # left by a killed run, or damaged
                        shutil.rmtree(stale, ignore_errors=True)
                    work.mkdir(parents=True)
                start = time.monotonic()
                note = self._built(build, work)
                with self._writing():
                    write_manifest(work, recipe.as_json(), asdict(origin), note, time.monotonic() - start)
                    folder.parent.mkdir(parents=True, exist_ok=True)
                    work.rename(folder)
            finally:
                shutil.rmtree(work, ignore_errors=True)
        return Artifact(folder, read_manifest(folder), anew=True)

    def artifacts(self) -> Iterator[Artifact]:
        """Iterates over all artifacts, in no particular order."""
        for manifest in self.root.glob(f"*/*/{MANIFEST}"):
            if manifest.parent.parent.name != UNFINISHED and (artifact := self._load(manifest.parent)):
                yield artifact

    def remove(self, artifact: Artifact) -> None:
        """Removes one artifact atomically; a run that needs it makes it again."""
        self._make_folders()
        with self._writing(), self._lock(artifact.key):
            doomed = self.root / UNFINISHED / artifact.key
            with suppress(FileNotFoundError):
                artifact.folder.rename(doomed)
            shutil.rmtree(doomed, ignore_errors=True)

    def tidy(self) -> None:
        """Removes unfinished artifacts of killed runs, not those that a running process is making."""
        for work in (self.root / UNFINISHED).glob("*"):
            lock = self._lock(work.name)
            try:
                with lock.acquire(timeout=0):
                    shutil.rmtree(work, ignore_errors=True)
            except OSError:  # held by another process (`Timeout`), or no lock on a full disk
                continue

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Turns an error of the store's own files into an `InfrastructureError` that names the store."""
        try:
            yield
        except Timeout:  # of a lock
            raise
        except OSError as error:
            message = f"the store {self.root} cannot be written: {error.strerror or error}"
            room = "make room there, or " if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
            raise InfrastructureError(message, hint=f"{room}{_OTHER_HINT}") from error

    def _make_folders(self) -> None:
        with self._writing():
            (self.root / UNFINISHED).mkdir(parents=True, exist_ok=True)
            (self.root / "locks").mkdir(exist_ok=True)

    def _built(self, build: Callable[[Path], Mapping[str, Any] | None], work: Path) -> Mapping[str, Any]:
        """Runs `build`; raises an `InfrastructureError` where a limit of the machine is behind its failure."""
        try:
            return build(work) or {}
        except HilError:
            raise
        except Exception as error:
            if limit := machine_error(error, folder=self.root):
                raise limit from error
            raise

    def _folder(self, recipe: ArtifactRecipe) -> Path:
        return self.root / recipe.step / recipe.key

    def _lock(self, key: str) -> FileLock:
        return FileLock(self.root / "locks" / f"{key}.lock")

    @contextmanager
    def _locked(self, key: str, waits: Callable[[], None]) -> Iterator[None]:
        self._make_folders()
        lock = self._lock(key)
        while True:
            try:
                with self._writing():
                    lock.acquire(timeout=WAIT_S)
                break
            except Timeout:
                waits()
        try:
            yield
        finally:
            lock.release()

    @staticmethod
    def _load(folder: Path) -> Artifact | None:
        try:
            return Artifact(folder, read_manifest(folder))
        except (OSError, ValueError, KeyError, TypeError):
            return None
