"""Firmware that asks for semihosting gets a console and its exit, and nothing of this machine's files."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from hil.fvp.semihosting import Console

from .conftest import Launch
from .thumb import Program

OPEN, WRITE0, WRITE, SYSTEM, EXIT_EXTENDED = 0x01, 0x04, 0x05, 0x12, 0x20
DATA = 0x7000_0000
RESULTS = 0x7000_0800
ENABLED = ("-C", "cpu0.semihosting-enable=1", "--data", f"block@{DATA:#x}", "--timelimit", 30)


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


@pytest.mark.parametrize("mode", [0, 4, 8], ids=["read", "write", "append"])
def test_no_file_is_opened(fvp: Launch, tmp_path: Path, mode: int) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"mine")
    name = str(secret if mode == 0 else tmp_path / "made").encode()
    firmware = _Firmware()
    firmware.call(OPEN, firmware.words(firmware.put(name + b"\0"), mode, len(name)))
    firmware.save(tmp_path)
    done = fvp("-a", "a.elf", *ENABLED, "--dump", f"out@{RESULTS:#x},4")
    assert done.returncode == 7, done.stderr
    assert (tmp_path / "out").read_bytes() == b"\xff\xff\xff\xff"
    assert b"semihosting call 'open' is refused" in done.stderr
    assert not (tmp_path / "made").exists()


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
        ("Fopen,71000000/6,0,1a4", "F-1,d"),
        ("Frename,71000000/6,71000000/6", "F-1,d"),
        ("Fwrite", "F-1,9"),
        ("F", "F-1,d"),
    ],
)
def test_every_call_has_an_answer(packet: str, answer: str) -> None:
    written: list[bytes] = []
    refused: list[str] = []
    console = Console(written.append, refused.append)
    assert console.serve(packet, lambda address, size: bytes(size)) == answer
    assert bool(refused) == (answer == "F-1,d")
