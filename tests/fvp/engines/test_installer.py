"""`hil fvp install`: an archive of Arm's form from a server on this machine, whole and verified or not at all."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from hil.core.errors import BadInputError, UnavailableError
from hil.fvp.engines import archive, engine, search
from tests.support.forked import hil
from tests.support.processes import wait_until_gone

from .archive_server import Server, packed

PROGRAM = search.EXECUTABLES["ethos-u55"][0]


def command(url: str, data: bytes, into: Path, *words: str) -> list[str]:
    digest = hashlib.sha256(data).hexdigest()
    return [
        sys.executable, "-m", "hil.harness.cli", "fvp", "install", "--url", url, "--sha256", digest, "--into",
        str(into), *(words or ("--accept-licence",)),
    ]  # fmt: skip


def install(url: str, data: bytes, into: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return hil(*command(url, data, into, *words)[3:])


def left_in(folder: Path) -> set[str]:
    """Files beside the served ones."""
    return {path.name for path in folder.iterdir()} - {"served"}


def test_an_archive_is_installed_found_and_not_fetched_again(
    server: Server, tmp_path: Path, qemu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = packed()
    url, into = server.url("fvp.tgz", data), tmp_path / "FVP_Corstone_SSE-300"
    done = install(url, data, into)
    assert done.returncode == 0, done.stderr
    made = Path(done.stdout.strip())
    assert made.parent.parent == into / "models"
    assert left_in(tmp_path) == {into.name}
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in search.VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    if search.first() is not None and "on PATH" not in engine.find("auto").why:
        assert engine.find("arm").command == (str(made),)
    again = install(url, data, into)
    assert (again.returncode, again.stdout, len(server.asked)) == (0, done.stdout, 1)
    other = packed(more="x")
    refused = install(server.url("other.tgz", other), other, into)
    assert refused.returncode == 2
    assert "is there already, and not from other.tgz" in refused.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--into", "x"], "licence is not accepted, so nothing was fetched"),
        (["--accept-licence", "--url", "http://127.0.0.1:1/x"], "--url and --sha256 go together"),
        (["--accept-licence", "--url", "file:///etc/passwd", "--sha256", "0" * 64], "no http or https address"),
        (["--accept-licence", "--url", "http://127.0.0.1:1/x", "--sha256", "12"], "is no SHA-256"),
    ],
)
def test_wrong_use_fetches_nothing(tmp_path: Path, words: list[str], said: str) -> None:
    done = hil("fvp", "install", *words, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert said in done.stderr
    assert not list(tmp_path.iterdir())


def test_without_the_licence_the_server_is_not_even_asked(server: Server, tmp_path: Path) -> None:
    data = packed()
    done = install(server.url("fvp.tgz", data), data, tmp_path / "FVP", "--into", str(tmp_path / "FVP"))
    assert done.returncode == 2
    assert "--accept-licence" in done.stderr
    assert server.asked == []


def test_what_has_another_checksum_is_thrown_away_unopened(server: Server, tmp_path: Path) -> None:
    data = packed()
    done = install(server.url("fvp.tgz", data), data + b"x", tmp_path / "FVP")
    assert done.returncode == 3
    assert f"fvp.tgz has SHA-256 {hashlib.sha256(data).hexdigest()}" in done.stderr
    assert left_in(tmp_path) == set()


def test_a_download_that_broke_off_goes_on_where_it_stopped(server: Server, tmp_path: Path, qemu: None) -> None:
    data = packed(ballast=os.urandom(200_000).hex())
    url, into = server.url("fvp.tgz", data), tmp_path / "FVP"
    server.cut = 100_000
    broken = install(url, data, into)
    assert broken.returncode == 3
    assert f"the connection ended after 100000 of {len(data)} bytes" in broken.stderr
    assert not into.exists()
    server.cut = sys.maxsize
    assert install(url, data, into).returncode == 0
    assert server.asked == [None, "bytes=100000-"]
    assert left_in(tmp_path) == {"FVP"}


def test_a_part_that_is_longer_than_the_archive_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    data = packed()
    found = archive.named(server.url("fvp.tgz", data), hashlib.sha256(data).hexdigest())
    (tmp_path / "part").write_bytes(bytes(len(data) + 5))
    archive.download(found, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == data


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"FVP_Corstone_SSE-300.sh": None}, "has 0 installers"),
        ({"FVP_Corstone_SSE-300_2.sh": "x"}, "has 2 installers"),
        ({"FVP_Corstone_SSE-300.sh": "#!/bin/sh\necho no room; exit 3\n"}, "ended with 3: no room"),
        ({"FVP_Corstone_SSE-300.sh": "#!/bin/sh\n"}, "put none of"),
        ({"launcher": "#!/bin/sh\necho hello\n"}, "is no FVP"),
        ({"../outside": "x"}, "cannot be unpacked"),
        ({"/OUTSIDE": "x"}, ""),
    ],
    ids=["no installer", "two", "installer fails", "nothing installed", "no FVP", "reaches out", "absolute"],
)
def test_an_archive_that_is_not_arms_leaves_nothing(
    server: Server, tmp_path: Path, qemu: None, changes: dict[str, str | None], said: str
) -> None:
    data = packed(**{name.replace("/OUTSIDE", f"{tmp_path}/outside"): text for name, text in changes.items()})
    done = install(server.url("fvp.tgz", data), data, tmp_path / "into" / "FVP")
    assert not (tmp_path / "outside").exists()
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    if said:
        assert done.returncode == 3, done.stderr
        kept = {".part"} if "is no FVP" in said else set()  # An FVP that does not start may lack but a library here.
        assert {path.suffix for path in (tmp_path / "into").iterdir()} == kept


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_out_of_the_folder_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    entry = tarfile.TarInfo("entry")
    entry.type, entry.linkname = kind, "../../outside"
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as tar:
        tar.addfile(entry)
    (tmp_path / "x" / "y").mkdir(parents=True)
    with pytest.raises(archive.ArchiveError, match="cannot be unpacked"):
        archive.unpack(tmp_path / "a.tgz", tmp_path / "x" / "y")
    assert not list((tmp_path / "x" / "y").iterdir())


@pytest.mark.parametrize("damage", ["cut", "no archive", "changed"])
def test_a_damaged_archive_is_one_line(tmp_path: Path, damage: str) -> None:
    data = packed()
    changed = data[:60] + bytes(byte ^ 0x5A for byte in data[60:90]) + data[90:]
    (tmp_path / "a.tgz").write_bytes({"cut": data[:-100], "no archive": b"junk" * 99, "changed": changed}[damage])
    with pytest.raises(archive.ArchiveError, match="cannot be unpacked") as caught:
        archive.unpack(tmp_path / "a.tgz", tmp_path)
    assert "\n" not in str(caught.value)


def test_a_server_that_has_it_not_is_told(server: Server, tmp_path: Path) -> None:
    done = install(server.url("fvp.tgz", b"") + ".gone", b"", tmp_path / "FVP")
    assert done.returncode == 3
    assert "fvp.tgz.gone: 404" in done.stderr


def test_a_place_that_cannot_be_made_is_told_as_that() -> None:
    done = install("http://127.0.0.1:9/fvp.tgz", b"", Path("/proc/FVP"))
    assert done.returncode == 2
    assert "cannot be made" in done.stderr


def test_an_interruption_ends_the_installer_and_leaves_no_half_of_it(server: Server, tmp_path: Path) -> None:
    mark = f"{time.time_ns()}"
    data = packed(**{"FVP_Corstone_SSE-300.sh": f"#!/bin/sh\ntouch {tmp_path}/begun\nsleep 60.{mark}\n"})
    process = subprocess.Popen(
        command(server.url("fvp.tgz", data), data, tmp_path / "into" / "FVP"), stderr=subprocess.PIPE, text=True
    )
    try:
        until = time.monotonic() + 120
        while not (tmp_path / "begun").exists():
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=600)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130, said
    assert not wait_until_gone(f"60.{mark}")
    assert {path.suffix for path in (tmp_path / "into").iterdir()} <= {".part"}


def test_what_a_killed_installation_left_is_cleared_by_the_next(server: Server, tmp_path: Path) -> None:
    begun, mark = tmp_path / "begun", f"61.{time.time_ns()}"
    data = packed(**{"FVP_Corstone_SSE-300.sh": f"#!/bin/sh\ntouch {begun}\nexec sleep {mark}\n"})
    url, into = server.url("fvp.tgz", data), tmp_path / "into" / "FVP"
    process = subprocess.Popen(command(url, data, into), stderr=subprocess.DEVNULL)
    try:
        while not begun.exists():
            assert process.poll() is None
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    assert not wait_until_gone(mark)  # The installer ended with it.
    assert [path for path in into.parent.iterdir() if path.is_dir()]
    broken = packed(**{"FVP_Corstone_SSE-300.sh": "#!/bin/sh\nexit 1\n"})
    assert install(server.url("other.tgz", broken), broken, into).returncode == 3
    assert not [path for path in into.parent.iterdir() if path.is_dir()]


def test_arms_archives_are_pinned_for_both_processors() -> None:
    found = [archive.pinned(machine) for machine in ("x86_64", "aarch64")]
    assert all(one == archive.named(one.url, one.sha256) for one in found)
    assert len({one.sha256 for one in found}) == 2
    for machine, system in (("riscv64", "Linux"), ("x86_64", "Darwin")):
        with pytest.raises(UnavailableError, match=f"for {system} on {machine}"):
            archive.pinned(machine, system)


def test_the_dockerfile_pins_the_same_archives() -> None:
    text = Path(archive.__file__).parent.with_name("Dockerfile").read_text()
    for one in archive.PINNED.values():
        assert one.sha256 in text
        assert one.url.rpartition("/")[0] in text
    mlia = pytest.importorskip("mlia.backend.corstone.install")
    theirs = {fvp.sha256_hash for fvp in mlia.CORSTONE_FVPS["corstone-300"].values()}
    assert theirs == {one.sha256 for one in archive.PINNED.values()}


@pytest.mark.parametrize("url", ["ftp://arm.com/x", "http://[arm/x", "http:///x", "http://arm.com/", "http://a b/x\n"])
def test_an_address_is_refused_that_is_none(url: str) -> None:
    with pytest.raises(BadInputError, match="is no http or https address"):
        archive.named(url, "0" * 64)
