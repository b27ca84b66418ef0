"""Firmware that asks for semihosting gets a console, its exit and the files of one folder, and no other."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.fvp.machine.semihosting import MAX_FILES, MAX_TRANSFER, MAX_WRITTEN, Semihosting
from hil.fvp.machine.semihosting_files import Folder
from tests.support.corstone300 import Launch
from tests.support.thumb import Program

OPEN, CLOSE, WRITE0, WRITE, READ, ISTTY, SEEK, FLEN = 0x01, 0x02, 0x04, 0x05, 0x06, 0x09, 0x0A, 0x0C
TMPNAM, REMOVE, RENAME, SYSTEM, GET_CMDLINE, HEAPINFO, EXIT_EXTENDED = (
    0x0D, 0x0E, 0x0F, 0x12, 0x15, 0x16, 0x20,
)  # fmt: skip
DATA = 0x7000_0000
RESULTS = 0x7000_0800
ENABLED = ("-C", "cpu0.semihosting-enable=1", "--data", f"block@{DATA:#x}", "--timelimit", 600)


class _Firmware:
    """Makes calls one after the other, keeps their results at `RESULTS`, and ends with exit code 7."""

    def __init__(self) -> None:
        self._program = Program()
        self._data = b""
        self._calls = 0

    def put(self, data: bytes) -> int:
        """Address of `data` in memory."""
        address = DATA + len(self._data)
        self._data += data + bytes(-len(data) % 4)
        return address

    def words(self, *values: int) -> int:
        return self.put(struct.pack(f"<{len(values)}I", *values))

    def call(self, number: int, argument: int) -> None:
        self._program.set(0, number)
        self._program.set(1, argument)
        self._program.code(0xBEAB)
        self._program.set(1, RESULTS + 4 * self._calls)
        self._program.code(0x6008)  # STR r0, [r1]
        self._calls += 1

    def save(self, folder: Path) -> None:
        self.call(EXIT_EXTENDED, self.words(0x20026, 7))
        (folder / "a.elf").write_bytes(self._program.elf())
        (folder / "block").write_bytes(self._data)


def test_exit_ends_with_the_firmwares_code_and_memory_is_saved(fvp: Launch, tmp_path: Path) -> None:
    firmware = _Firmware()
    firmware.put(b"kept")
    firmware.save(tmp_path)
    done = fvp("-a", "a.elf", *ENABLED, "--dump", f"out@{DATA:#x},4")
    assert done.returncode == 7, done.stderr
    assert (tmp_path / "out").read_bytes() == b"kept"


def test_the_console_is_standard_output(fvp: Launch, tmp_path: Path) -> None:
    firmware = _Firmware()
    firmware.call(WRITE0, firmware.put(b"hello \0"))
    firmware.call(OPEN, firmware.words(firmware.put(b":tt\0"), 4, 3))
    firmware.call(WRITE, firmware.words(1, firmware.put(b"world"), 5))
    firmware.save(tmp_path)
    done = fvp("-a", "a.elf", *ENABLED)
    assert (done.returncode, done.stdout) == (7, b"hello world"), done.stderr


def _words(path: Path) -> tuple[int, ...]:
    return struct.unpack(f"<{path.stat().st_size // 4}i", path.read_bytes())


@pytest.mark.parametrize("mode", [0, 4, 8], ids=["read", "write", "append"])
def test_without_a_folder_no_file_is_opened(fvp: Launch, tmp_path: Path, mode: int) -> None:
    (tmp_path / "secret").write_bytes(b"mine")
    name = b"secret" if mode == 0 else b"made"
    firmware = _Firmware()
    firmware.call(OPEN, firmware.words(firmware.put(name + b"\0"), mode, len(name)))
    firmware.save(tmp_path)
    done = fvp("-a", "a.elf", *ENABLED, "--dump", f"out@{RESULTS:#x},4")
    assert done.returncode == 7, done.stderr
    assert _words(tmp_path / "out") == (-1,)
    assert b"name a folder of files with cpu0.semihosting-cwd" in done.stderr
    assert not (tmp_path / "made").exists()


def test_files_of_the_folder_are_read_written_and_renamed(fvp: Launch, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "in").write_bytes(bytes(range(200)) * 30)
    firmware = _Firmware()
    read, written = 0x7001_0000, firmware.put(b"written")
    name, out, new = (firmware.put(text + b"\0") for text in (b"in", b"out", b"new"))
    handle = firmware.put(bytes(4))
    firmware.call(OPEN, firmware.words(name, 1, 2))  # "rb"
    firmware.call(FLEN, firmware.words(1))
    firmware.call(SEEK, firmware.words(1, 1000))
    firmware.call(READ, firmware.words(1, read, 6000))
    firmware.call(ISTTY, firmware.words(1))
    firmware.call(OPEN, firmware.words(out, 4, 3))  # "w"
    firmware.call(WRITE, firmware.words(2, written, 7))
    firmware.call(CLOSE, firmware.words(2))
    firmware.call(RENAME, firmware.words(out, 3, new, 3))
    firmware.call(OPEN, firmware.words(new, 8, 3))  # "a"
    firmware.call(WRITE, firmware.words(2, written, 5))
    firmware.call(REMOVE, firmware.words(name, 2))
    firmware.call(TMPNAM, firmware.words(handle, 7, 4))
    firmware.save(tmp_path)
    done = fvp("-a", "a.elf", *ENABLED, "-C", "cpu0.semihosting-cwd=run", "--dump", f"out@{RESULTS:#x},48",
               "--dump", f"read@{read:#x},5000")  # fmt: skip
    assert done.returncode == 7, done.stderr
    assert _words(tmp_path / "out") == (1, 6000, 0, 1000, 0, 2, 0, 0, 0, 2, 0, 0)
    assert (tmp_path / "read").read_bytes() == (bytes(range(200)) * 30)[1000:]
    assert {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir()} == {"new": b"writtenwritt"}


@pytest.mark.parametrize("name", ["../secret", "link", "away/secret", "{root}/secret", "/etc/passwd", "pipe", "."])
def test_no_name_leads_out_of_the_folder(fvp: Launch, tmp_path: Path, name: str) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (tmp_path / "secret").write_bytes(b"mine")
    (run / "link").symlink_to("../secret")
    (run / "away").symlink_to("..")
    os.mkfifo(run / "pipe")
    text = name.format(root=tmp_path).encode()
    firmware = _Firmware()
    for mode in (0, 4, 8):
        firmware.call(OPEN, firmware.words(firmware.put(text + b"\0"), mode, len(text)))
    firmware.save(tmp_path)
    done = fvp("-a", "a.elf", *ENABLED, "-C", f"cpu0.semihosting-cwd={run}", "--dump", f"out@{RESULTS:#x},12")
    assert done.returncode == 7, done.stderr
    assert _words(tmp_path / "out") == (-1, -1, -1)
    assert (tmp_path / "secret").read_bytes() == b"mine"


def test_the_command_line_reaches_the_firmware(fvp: Launch, tmp_path: Path) -> None:
    firmware = _Firmware()
    got = firmware.put(bytes(64))
    block = firmware.words(got, 64)
    firmware.call(GET_CMDLINE, block)
    firmware.save(tmp_path)
    told = "executor_runner -m model.pte, -i i0.bin"
    done = fvp("-a", "a.elf", *ENABLED, "-C", f"cpu0.semihosting-cmd_line='{told}'", "--dump", f"out@{got:#x},64")
    assert done.returncode == 7, done.stderr
    assert (tmp_path / "out").read_bytes().rstrip(b"\0").decode() == told


@pytest.mark.parametrize("given", ["heap_base=-1", "stack_limit=0x100000000"])
def test_a_heap_or_stack_outside_the_address_space_is_told(fvp: Launch, tmp_path: Path, given: str) -> None:
    (tmp_path / "a.elf").write_bytes(Program().elf())
    done = fvp("-a", "a.elf", "-C", "cpu0.semihosting-enable=1", "-C", f"cpu0.semihosting-{given}")
    assert done.returncode == 2
    assert b"is no address of 32 bits" in done.stderr


@pytest.mark.parametrize("given", ["heap_base=0x70020000", "stack_base=0"])
def test_heap_and_stack_are_where_the_command_line_puts_them(fvp: Launch, tmp_path: Path, given: str) -> None:
    """All calls are made by one instruction, as in a C library."""
    firmware = _Firmware()
    blocks = [firmware.put(bytes([255] * 16)) for _ in range(2)]
    first, second = (firmware.words(block) for block in blocks)
    texts = [firmware.put(text) for text in (b"a\0", b"b\0")]
    exit_block = firmware.words(0x20026, 7)
    table = firmware.words(
        WRITE0, texts[0], HEAPINFO, first, WRITE0, texts[1], HEAPINFO, second, EXIT_EXTENDED, exit_block
    )
    program = Program()
    program.set(4, table)
    # LDR r0, [r4]; LDR r1, [r4, #4]; BKPT #0xAB; ADDS r4, #8; B back to the first
    program.code(0x6820, 0x6861, 0xBEAB, 0x3408, 0xE7FA)
    firmware.save(tmp_path)
    (tmp_path / "a.elf").write_bytes(program.elf())
    dumps = [word for number, block in enumerate(blocks) for word in ("--dump", f"out{number}@{block:#x},16")]
    done = fvp("-a", "a.elf", *ENABLED, "-C", f"cpu0.semihosting-{given}", *dumps)
    assert (done.returncode, done.stdout) == (7, b"ab"), done.stderr
    expected = (0x7002_0000 if given.startswith("heap") else 0, 0, 0, 0)
    assert [_words(tmp_path / f"out{number}") for number in range(2)] == [expected, expected]


def test_a_folder_that_is_none_is_told(fvp: Launch, tmp_path: Path) -> None:
    firmware = _Firmware()
    firmware.save(tmp_path)
    done = fvp("-a", "a.elf", *ENABLED, "-C", "cpu0.semihosting-cwd=nowhere")
    assert done.returncode == 2
    assert b"nowhere is no folder to open" in done.stderr


class _Memory:
    """Memory that holds one name everywhere."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self, address: int, size: int) -> bytes:
        return (self._content + bytes(size))[:size]

    def write(self, address: int, data: bytes) -> None:
        self.written = data


def test_files_and_bytes_of_a_run_are_limited(tmp_path: Path) -> None:
    with Folder(tmp_path) as folder:
        host = Semihosting(print, print, folder)
        for number in range(MAX_FILES):
            assert host.serve("Fopen,0/4,601,1a4", _Memory(b"%03d" % number)) == f"F{number + 3:x}"
        assert host.serve("Fopen,0/4,601,1a4", _Memory(b"one")) == "F-1,18"  # EMFILE
        assert host.serve("Fclose,5", _Memory(b"")) == "F0"
        assert host.serve("Fopen,0/4,0,1a4", _Memory(b"000")) == "F5"
        for _ in range(MAX_WRITTEN // MAX_TRANSFER):
            host.serve("Flseek,3,0,0", _Memory(b""))
            assert host.serve(f"Fwrite,3,0,{MAX_TRANSFER:x}", _Memory(b"")) == f"F{MAX_TRANSFER:x}"
        assert host.serve("Fwrite,3,0,1", _Memory(b"")) == "F-1,1c"  # ENOSPC
        host.close()


@settings(max_examples=200)
@given(st.lists(st.sampled_from(["..", ".", "", "in", "sub", "link", "up", "a\\b", "/"]), max_size=6).map("/".join))
def test_names_of_any_form_stay_in_the_folder(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    root = tmp_path_factory.getbasetemp() / "names"
    if not root.exists():
        (root / "run" / "sub").mkdir(parents=True)
        (root / "run" / "sub" / "link").symlink_to("/etc")
        (root / "run" / "up").symlink_to("..")
        (root / "run" / "in").touch()
        (root / "in").touch()
    with Folder(root / "run") as folder:
        try:
            descriptor = folder.open(name, os.O_RDONLY)
        except OSError:
            return
        opened = Path(f"/proc/self/fd/{descriptor}").readlink()
        os.close(descriptor)
        assert opened.is_relative_to(root / "run")


def test_no_program_is_run(fvp: Launch, tmp_path: Path) -> None:
    command = f"touch {tmp_path}/made".encode()
    firmware = _Firmware()
    firmware.call(SYSTEM, firmware.words(firmware.put(command + b"\0"), len(command)))
    firmware.save(tmp_path)
    done = fvp("-a", "a.elf", *ENABLED)
    assert done.returncode == 7, done.stderr
    assert b"semihosting call 'system' is refused" in done.stderr
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("packet", "answer"),
    [
        ("Fwrite,1,71000000,3", "F3"),
        ("Fwrite,3,71000000,3", "F-1,9"),
        ("Fread,0,71000000,10", "F0"),
        ("Fread,5,71000000,10", "F-1,9"),
        ("Fisatty,1", "F1"),
        ("Fisatty,7", "F0"),
        ("Fclose,7", "F-1,9"),
        ("Flseek,7,0,0", "F-1,9"),
        ("Ffstat,7,71000000", "F-1,9"),
        ("Fopen,71000000/6,0,1a4", "F-1,d"),
        ("Fopen,71000000/fffff,0,1a4", "F-1,5b"),
        ("Frename,71000000/6,71000000/6", "F-1,d"),
        ("Funlink,71000000/6", "F-1,d"),
        ("Fwrite", "F-1,d"),
        ("F", "F-1,d"),
        ("Fsystem,71000000/6", "F-1,d"),
        ("Fclose,close", "F-1,16"),
    ],
)
def test_every_call_has_an_answer(packet: str, answer: str) -> None:
    refused: list[str] = []
    assert Semihosting(lambda data: None, refused.append).serve(packet, _Memory(b"name")) == answer
    assert bool(refused) == (answer == "F-1,d")
