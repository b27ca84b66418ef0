"""Arm's archive, installed by its own installer, whole or not at all.

    from hil.fvp.engines.archive import pinned

    install(pinned("x86_64"), Path("~/FVP_Corstone_SSE-300").expanduser())

Download, unpacking and installation take place beside the destination, which appears at the end by renaming.  An
interrupted download goes on at the next try; nothing else is left of an interrupted installation.

Source of the installer's options: public scripts that install the FVP (ExecuTorch, TensorFlow Lite Micro).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from hil.core import child_process
from hil.core.errors import ArchiveError, BadInputError
from hil.fvp.engines import search, startup
from hil.fvp.engines.archive import Archive, Progress, download, unpack

LICENCE_HINT = (
    "it is in the archive and at developer.arm.com, Arm Ecosystem FVPs; --accept-licence says that you accept it"
)

_INSTALLER = "FVP_Corstone_SSE-300*.sh"
_ANSWERS = ("--i-agree-to-the-contained-eula", "--no-interactive", "--quiet", "--force")
_INSTALLER_SECONDS = 900
_RECORD = ".archive-sha256"
"""File of an installation that holds its archive's SHA-256."""


def install(archive: Archive, into: Path, progress: Progress | None = None, say: Callable[[str], None] = print) -> Path:
    """Installs `archive` as the folder `into` and gives its executable for the Ethos-U55.

    Only for a user who accepted Arm's licence.  Raises `BadInputError` if another installation is there or cannot be
    made there, `ArchiveError` for a download, archive or installer that fails, `UnavailableError` if what was installed
    does not start.
    """
    try:
        into.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(into.parent / f".{into.name}.lock", timeout=0)
        with lock:
            try:
                return _install(archive, into, progress, say)
            finally:
                Path(lock.lock_file).unlink(missing_ok=True)
    except Timeout:
        if not Path(lock.lock_file).exists():  # FileLock waits where a lock cannot be made, such as in /proc.
            raise BadInputError(f"{into} cannot be made: nothing can be written to {into.parent}") from None
        raise BadInputError(f"another installation into {into} is under way") from None
    except OSError as error:
        raise BadInputError(f"{into} cannot be made: {error.strerror or error}") from None


def _install(archive: Archive, into: Path, progress: Progress | None, say: Callable[[str], None]) -> Path:
    if into.exists():
        record = into / _RECORD
        if not record.is_file() or record.read_text() != archive.sha256:
            raise BadInputError(
                f"{into} is there already, and not from {archive.name}", hint="remove it, or use --into"
            )
        say(f"{archive.name} is installed already")
        return _executable(into)
    _clear(into)
    partial = into.parent / f".{archive.sha256[:16]}.part"
    say(f"fetching {archive.url}")
    download(archive, partial, progress)
    try:
        _unpack_and_install(archive, partial, into, say)
    except ArchiveError:
        partial.unlink()  # It is what was asked for, and no use: nothing would be gained by keeping it.
        raise
    partial.unlink()
    return _executable(into)


def _unpack_and_install(archive: Archive, file: Path, into: Path, say: Callable[[str], None]) -> None:
    with tempfile.TemporaryDirectory(prefix=_scratch(into), dir=into.parent) as scratch:
        unpacked, staged = Path(scratch) / "archive", Path(scratch) / "installed"
        unpacked.mkdir()
        say("verified; unpacking")
        unpack(file, unpacked)
        say("installing")
        _run_installer(_installer(unpacked, archive), staged)
        _executable(staged)
        (staged / _RECORD).write_text(archive.sha256)
        staged.replace(into)


def _scratch(into: Path) -> str:
    """Prefix of the names of an installation's temporary folders."""
    return f".{into.name}-scratch-"


def _clear(into: Path) -> None:
    """Removes what a killed installation left; nobody else is at work, for the lock is held."""
    for path in into.parent.iterdir():
        if path.name.startswith(_scratch(into)) and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)


def _installer(unpacked: Path, archive: Archive) -> Path:
    found = [path for path in unpacked.glob(_INSTALLER) if path.is_file() and not path.is_symlink()]
    if len(found) != 1:
        raise ArchiveError(f"{archive.name} has {len(found)} installers {_INSTALLER}, not one")
    found[0].chmod(0o755)
    return found[0]


def _run_installer(installer: Path, into: Path) -> None:
    """Runs Arm's installer without questions."""
    command = [str(installer), *_ANSWERS, "--destination", str(into)]
    ended = child_process.run(command, _INSTALLER_SECONDS, folder=installer.parent, by_progress=True)
    if ended.code is None:
        raise ArchiveError(f"{installer.name} did not end, computing or waiting for {_INSTALLER_SECONDS} s")
    if ended.code:
        last = ended.last_line or "it said nothing"
        raise ArchiveError(f"{installer.name} ended with {ended.code}: {last}", log=ended.output)


def _executable(folder: Path) -> Path:
    """The installation's executable, which starts; raises `ArchiveError` if there is none."""
    for place in search.below(folder):
        for name in search.names_of("ethos-u55"):
            if search.is_executable(place / name):
                startup.start(place / name)
                return place / name
    raise ArchiveError(f"the installer put none of {', '.join(search.names_of('ethos-u55'))} into {folder.name}")
