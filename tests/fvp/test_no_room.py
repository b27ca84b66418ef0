"""Disks, files and memory that are full end a run with a line, and leave no half-written file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hil.fvp.inference import firmware
from hil.fvp.inference.inference import run_inference
from tests.support.corstone300 import COMMAND, UART_OUT, Launch
from tests.support.own_firmware import stuck_firmware
from tests.support.thumb import Program

Compile = Callable[..., tuple[bytes, bytes]]


@pytest.mark.parametrize(
    "arguments",
    [
        ("-C", "mps3_board.uart0.out_file=/dev/full"),
        ("-C", "mps3_board.uart0.out_file=-", "--dump", "/dev/full@0x90000000,4096"),
    ],
    ids=["uart", "dump"],
)
def test_a_full_disk_is_told(fvp: Launch, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    program = Program()
    program.send(b"x" * 20)
    program.end()
    (tmp_path / "a.elf").write_bytes(program.elf())
    done = fvp("-a", "a.elf", *arguments, "-C", "mps3_board.uart0.shutdown_on_eot=1", "--timelimit", "600")
    assert done.returncode == 3, done.stderr
    assert b"/dev/full cannot be written: No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr


_LIMITED = """
import resource, sys
from pathlib import Path
from hil.fvp.corstone300 import main
from hil.fvp.machine.file_transfer import save
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
if sys.argv[1:]:
    sys.exit(main(sys.argv[1:]))
save(Path("out"), [bytes(4000), bytes(4000)])
"""


def test_a_dump_that_does_not_fit_is_removed(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _LIMITED], capture_output=True, text=True, cwd=tmp_path)
    assert "FvpError: out cannot be written: File too large" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_machine_without_room_for_a_board_is_told(qemu: None, tmp_path: Path) -> None:
    path = stuck_firmware(tmp_path / "room.elf").path
    done = subprocess.run([sys.executable, "-c", _LIMITED, "-a", path], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr == "Error: corstone300-open: this machine has no room for a board: File too large\n"


def test_a_full_standard_output_is_told(qemu: None, tmp_path: Path) -> None:
    path = stuck_firmware(tmp_path / "full.elf").path
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, "-a", path, *UART_OUT, "--timelimit", "600"], stdout=full, stderr=subprocess.PIPE
        )
    assert done.returncode == 3
    assert done.stderr.count(b"\n") == 1
    assert b"No space left" in done.stderr


def test_a_run_needs_no_disk(
    runner: firmware.Firmware, compiled: Compile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    assert run_inference(compiled("kws_ref_int8")[1], [bytes(490)], [12]).outputs
