"""Arm's archive of the Corstone-300 FVP: which one, its download, its verification, its unpacking.

    archive = pinned("x86_64")
    download(archive, file, progress=print)       # resumes what an earlier try left in `file`
    unpack(file, folder)

The archive is not opened before its SHA-256 is right, and even then only what stays in its folder is unpacked.

Sources: address and SHA-256 of version 11.24.13 are those that Arm's own installer pins, in the PyPI wheel
`mlia-ethos-u` 0.1.0 (`mlia/backend/corstone/install.py`).  Later versions are published with no SHA-256 that could be
had; they are installed by `url` and `sha256` of the user's.
"""

from __future__ import annotations

import http.client
import lzma
import shutil
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from hil.core.errors import ArchiveError, BadInputError, UnavailableError
from hil.core.file_digest import sha256_of

Progress = Callable[[int, int], None]
"""Told (bytes so far, bytes in all; 0 if nobody knows)."""

MOST_BYTES = 2 << 30
"""No archive of Arm's is nearly as large; nor what is in one."""

MOST_MEMBERS = 100_000
_CHUNK = 1 << 20
_TIMEOUT_SECONDS = 60
_BASE = "https://developer.arm.com/-/cdn-downloads/permalink/FVPs-Corstone-IoT/Corstone-300/"


@dataclass(frozen=True)
class Archive:
    """An archive by its address and SHA-256 (hexadecimal)."""

    url: str
    sha256: str

    @property
    def name(self) -> str:
        """Name of the file."""
        return Path(urlsplit(self.url).path).name


PINNED = {
    "x86_64": Archive(
        _BASE + "FVP_Corstone_SSE-300_11.24_13_Linux64.tgz",
        "6ea4096ecf8a8c06d6e76e21cae494f0c7139374cb33f6bc3964d189b84539a9",
    ),
    "aarch64": Archive(
        _BASE + "FVP_Corstone_SSE-300_11.24_13_Linux64_armv8l.tgz",
        "9b43da6a688220c707cd1801baf9cf4f5fb37d6dc77587b9071347411a64fd56",
    ),
}
"""Arm's archive for GNU/Linux, by processor."""


def pinned(machine: str, system: str = "Linux") -> Archive:
    """Arm's archive for a machine, as `platform` names it; raises `UnavailableError` if none is known for it."""
    if machine not in PINNED or system != "Linux":
        raise UnavailableError(f"no archive of Arm's is known for {system} on {machine}", hint="use --engine open")
    return PINNED[machine]


def named(url: str, sha256: str) -> Archive:
    """An archive of the user's; raises `BadInputError` for an address or checksum that is none."""
    try:
        whole = urlsplit(url)
        usable = whole.scheme in ("http", "https") and whole.hostname and Path(whole.path).name and url.isprintable()
    except ValueError:
        usable = False
    if not usable or " " in url:
        raise BadInputError(f"{url!r} is no http or https address of a file")
    if len(sha256) != 64 or not set(sha256.lower()) <= set("0123456789abcdef"):
        raise BadInputError(f"{sha256!r} is no SHA-256", hint="64 hexadecimal digits, as sha256sum prints them")
    return Archive(url, sha256.lower())


def download(archive: Archive, file: Path, progress: Progress | None = None) -> None:
    """Fetches `archive` to `file`, going on where an earlier try stopped, and verifies it.

    Raises `ArchiveError`; what was fetched stays for the next try, unless it is wrong.
    """
    if not file.exists() or sha256_of(file) != archive.sha256:
        try:
            _fetch(archive, file, progress or (lambda done, total: None))
        except urllib.error.HTTPError as error:
            raise ArchiveError(f"{archive.url}: {error.code} {error.reason}") from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise ArchiveError(
                f"{archive.url} cannot be fetched: {reason}", hint="try again: it goes on there"
            ) from None
    if (found := sha256_of(file)) != archive.sha256:
        file.unlink()
        raise ArchiveError(f"{archive.name} has SHA-256 {found}, not {archive.sha256}", hint="it was thrown away")


def _fetch(archive: Archive, file: Path, progress: Progress) -> None:
    start = file.stat().st_size if file.exists() else 0
    request = urllib.request.Request(archive.url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        answer = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # It has no more bytes than are here, and those are wrong.
            raise
        file.unlink()
        return _fetch(archive, file, progress)
    with answer:
        if answer.status != 206:  # The server sends all of it, whatever was asked.
            start = 0
        length = int(answer.headers.get("Content-Length") or 0)
        total = start + length if length else 0
        _room(file.parent, archive, total, length)
        with file.open("ab" if start else "wb") as out:
            while chunk := answer.read(_CHUNK):
                out.write(chunk)
                start += len(chunk)
                if start > MOST_BYTES:
                    raise ArchiveError(f"{archive.url} gives more than {MOST_BYTES} bytes")
                progress(start, total)
        if total and start != total:
            raise OSError(f"the connection ended after {start} of {total} bytes")
    return None


def _room(folder: Path, archive: Archive, total: int, length: int) -> None:
    if total > MOST_BYTES:
        raise ArchiveError(f"{archive.url} gives {total} bytes, more than {MOST_BYTES}")
    if length > (free := shutil.disk_usage(folder).free):
        raise ArchiveError(f"{folder} has room for {free} bytes, and {length} are to come")


def unpack(file: Path, folder: Path) -> None:
    """Unpacks a tar archive into `folder`; raises `ArchiveError` for one that is damaged or reaches out of it."""
    if not hasattr(tarfile, "data_filter"):
        raise UnavailableError("this Python unpacks no archive safely", hint="3.10.12, 3.11.4, 3.12 and later do")
    try:
        with tarfile.open(file) as archive:
            left = MOST_BYTES
            for number, member in enumerate(archive):
                left -= member.size
                if number >= MOST_MEMBERS or left < 0:
                    raise ArchiveError("the archive unpacks to more than an FVP would")
                archive.extract(member, folder, filter="data")
    except (tarfile.TarError, EOFError, OSError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise ArchiveError(f"the archive cannot be unpacked: {str(error).partition(chr(10))[0]}") from None
