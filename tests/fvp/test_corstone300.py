"""The executable from start to end: UARTs, memory, limits; no failure leaves anything behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hil.fvp.inference.firmware import Firmware
from tests.support.corstone300 import COMMAND, UART_OUT, Launch
from tests.support.processes import children_of, code_after, wait_until_gone
from tests.support.thumb import Program

TEXT = b"over and out"


def _speaker(path: Path) -> Path:
    """Firmware that says `TEXT`, then EOT, and stands still."""
    program = Program()
    program.send(TEXT)
    program.end()
    path.write_bytes(program.elf())
    return path


def _loop(path: Path) -> Path:
    """Firmware that does nothing for ever."""
    program = Program()
    program.code(0xE7FE)
    path.write_bytes(program.elf())
    return path


def test_the_uart_goes_to_standard_output_until_eot(fvp: Launch, tmp_path: Path) -> None:
    done = fvp("-a", _speaker(tmp_path / "a.elf"), *UART_OUT, "--timelimit", 600)
    assert (done.returncode, done.stdout) == (0, TEXT), done.stderr


def test_the_uart_goes_to_a_file(fvp: Launch, tmp_path: Path) -> None:
    done = fvp("-a", _speaker(tmp_path / "a.elf"), "-C", "mps3_board.uart0.out_file='uart.txt'",
               "-C", "mps3_board.uart0.shutdown_on_eot=1", "--timelimit", 600)  # fmt: skip
    assert (done.returncode, done.stdout) == (0, b""), done.stderr
    assert (tmp_path / "uart.txt").read_bytes() == TEXT


def test_a_tag_ends_the_simulation_and_what_follows_is_not_written(fvp: Launch, tmp_path: Path) -> None:
    done = fvp("-a", _speaker(tmp_path / "a.elf"), "-C", "mps3_board.uart0.out_file=-",
               "-C", "mps3_board.uart0.shutdown_tag='over and'", "--timelimit", 600)  # fmt: skip
    assert (done.returncode, done.stdout) == (0, b"over and"), done.stderr


@pytest.mark.parametrize("option", ["--timelimit", "--simlimit"])
def test_a_limit_ends_firmware_that_never_ends(fvp: Launch, tmp_path: Path, option: str) -> None:
    done = fvp("-a", _loop(tmp_path / "a.elf"), option, 0.05)
    assert done.returncode == 0
    assert b"CPU time has been exceeded" in done.stderr


def test_a_limit_ends_firmware_that_polls_the_npu_for_ever(fvp: Launch, tmp_path: Path) -> None:
    program = Program()
    program.set(0, 0x5810_2000)
    program.code(0x6841, 0xE7FD)  # LDR r1, [r0, #4]; B back to it
    (tmp_path / "a.elf").write_bytes(program.elf())
    done = fvp("-a", "a.elf", "--timelimit", 0.3, "--dump", "out@0x31000000,4")
    assert done.returncode == 0
    assert b"CPU time has been exceeded" in done.stderr


def test_memory_of_every_kind_is_loaded_and_dumped(fvp: Launch, tmp_path: Path) -> None:
    data = random.Random(1).randbytes(70_000)
    (tmp_path / "in").write_bytes(data)
    addresses = [0x3100_0040, 0x3000_0000, 0x7000_1000, 0x9000_0001]  # ISRAM, DTCM, DDR, and not aligned
    places = [
        word for at in addresses for word in ("--data", f"in@{at:#x}", "--dump", f"cpu0={at:x}@Memory:{at:#x},70000")
    ]
    done = fvp("-a", _speaker(tmp_path / "a.elf"), *UART_OUT, *places, "--timelimit", 600)
    assert done.returncode == 0, done.stderr
    for at in addresses:
        assert (tmp_path / f"{at:x}").read_bytes() == data


def test_statistics_say_what_they_are(fvp: Launch, tmp_path: Path) -> None:
    done = fvp("-a", _speaker(tmp_path / "a.elf"), *UART_OUT, "--stat", "--timelimit", 600)
    assert b"Simulated time" in done.stdout
    assert b"instructions are not counted" in done.stdout


def test_a_cpu_that_locks_up_is_told(fvp: Launch, tmp_path: Path) -> None:
    (tmp_path / "a.elf").write_bytes(Program(entry=0x100).elf())  # No Thumb bit: a fault, whose handler is at 0.
    done = fvp("-a", "a.elf", "--timelimit", 600)
    assert done.returncode == 3
    assert b"locked up" in done.stderr


def test_a_file_that_is_no_elf_is_told(fvp: Launch, tmp_path: Path) -> None:
    done = fvp("-a", __file__, "--timelimit", 600)
    assert done.returncode == 2
    assert b"no ELF file" in done.stderr


def test_an_elf_that_was_cut_off_is_told(fvp: Launch, tmp_path: Path) -> None:
    whole = _speaker(tmp_path / "a.elf").read_bytes()
    for size in (60, len(whole) - 1):
        (tmp_path / "a.elf").write_bytes(whole[:size])
        done = fvp("-a", "a.elf", "--timelimit", 600)
        assert (done.returncode, b"not a whole ELF file" in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data", "some@0x5f000000"], b"no memory of 64 bytes at 0x5f000000"),
        (["--data", "some@0xffffffe0"], b"no memory of 64 bytes at 0xffffffe0"),
        (["--data", "/dev/zero@0x70000000"], b"/dev/zero has more than"),
        (["--dump", "out@0x70000000,0xffffffff"], b"no memory of 4294967295 bytes at 0x70000000"),
    ],
)
def test_what_reaches_beyond_memory_is_told_at_the_start(
    fvp: Launch, tmp_path: Path, words: list[str], said: bytes
) -> None:
    (tmp_path / "some").write_bytes(bytes(range(64)))
    done = fvp("-a", _speaker(tmp_path / "a.elf"), *UART_OUT, *words)
    assert (done.returncode, done.stdout) == (2, b"")
    assert said in done.stderr


def test_names_are_taken_as_they_are(fvp: Launch, tmp_path: Path) -> None:
    name = "a b'c\"\n,x=y@z"
    (tmp_path / name).write_bytes(b"data")
    done = fvp("-a", _speaker(tmp_path / "a,b.elf"), *UART_OUT, "--data", f"{name}@0x70000000",
               "--dump", f"{name}.out@Memory:0x70000000,4")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / f"{name}.out").read_bytes() == b"data"


def test_a_tag_may_be_any_bytes(qemu: None, tmp_path: Path) -> None:
    tag = b"mps3_board.uart0.shutdown_tag=\xff\xfe"
    program = Program()
    program.send(b"a\xff\xfeb")
    program.code(0xE7FE)
    (tmp_path / "a.elf").write_bytes(program.elf())
    words = [*COMMAND, "-a", "a.elf", *UART_OUT, "-C", tag, "--timelimit", "600"]
    done = subprocess.run(words, capture_output=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, b"a\xff\xfe"), done.stderr


def test_a_defect_of_the_executable_is_no_usage_error(fvp: Launch, tmp_path: Path) -> None:
    """Its decoder is damaged here, so that serving the NPU's register fails in a way that nobody foresaw."""
    program = Program()
    program.set(0, 0x5810_2000)
    program.code(0x6841)  # LDR r1, [r0, #4]
    program.end()
    (tmp_path / "a.elf").write_bytes(program.elf())
    code = (
        "import sys; from hil.fvp import corstone300; from hil.fvp.machine import load_store; "
        "load_store._usual = None; sys.exit(corstone300.main())"
    )
    command = [sys.executable, "-c", code, "-a", "a.elf", "--timelimit", "600"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr.startswith("Error: corstone300-open: internal error: TypeError:")
    assert "load_store.py, line" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_reader_that_goes_away_is_no_traceback(qemu: None, tmp_path: Path) -> None:
    firmware = _speaker(tmp_path / "a.elf")
    child = subprocess.Popen(
        [*COMMAND, "-a", str(firmware), *UART_OUT, "--timelimit", "600"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.close()
    assert child.wait(600) == 3
    assert child.stderr is not None
    assert child.stderr.read() == b""
    child.stderr.close()


def test_without_qemu_the_install_command_is_told(runner: Firmware, tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "-a", str(runner.path)], capture_output=True, text=True, env={**os.environ, "PATH": str(tmp_path)}
    )
    assert done.returncode == 3
    assert "apt-get install qemu-system-arm" in done.stderr


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_at_any_moment_leaves_nothing(qemu: None, tmp_path: Path, sign: signal.Signals) -> None:
    firmware = _loop(tmp_path / f"endless-{sign.name}.elf")
    shared = set(Path("/dev/shm").iterdir()) if Path("/dev/shm").is_dir() else set()
    for delay in (0.0, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0):
        child = subprocess.Popen(
            [*COMMAND, "-a", str(firmware)], cwd=tmp_path, env={**os.environ, "TMPDIR": str(tmp_path)}
        )
        time.sleep(delay)
        assert code_after(child, sign) != 0
    assert not wait_until_gone(str(firmware))
    assert list(tmp_path.iterdir()) == [firmware]
    if shared:
        assert not [file for file in set(Path("/dev/shm").iterdir()) - shared if "corstone" in file.name]


def test_a_killed_qemu_is_told(qemu: None, tmp_path: Path) -> None:
    firmware = _loop(tmp_path / "endless.elf")
    child = subprocess.Popen([*COMMAND, "-a", str(firmware)], stderr=subprocess.PIPE)
    until = time.monotonic() + 120
    while not (found := children_of(child.pid)) and time.monotonic() < until:
        time.sleep(0.02)
    assert found
    time.sleep(0.5)
    os.kill(min(found), signal.SIGKILL)
    _, said = child.communicate(timeout=600)
    assert child.returncode == 3
    assert b"(signal 9)" in said


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_parent_that_is_ended_takes_the_executable_and_qemu_along(
    runner: Firmware, tmp_path: Path, sign: signal.Signals
) -> None:
    firmware = _loop(tmp_path / "endless.elf")
    code = (
        "import sys; from pathlib import Path; from dataclasses import replace;"
        "from hil.fvp.inference.firmware import runner; from hil.fvp.inference.inference import run_inference;"
        "model = b'\\x1c\\0\\0\\0TFL3' + bytes(64);"
        "run_inference(model, [b''], [4], firmware=replace(runner(), path=Path(sys.argv[1])))"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(firmware)], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while len(children_of(parent.pid)) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    assert len(children_of(parent.pid)) >= 2
    parent.send_signal(sign)
    assert parent.wait(600) == -sign
    assert not wait_until_gone(str(firmware))


def test_runs_in_parallel_do_not_meet(fvp: Launch, tmp_path: Path) -> None:
    def one(number: int) -> bytes:
        program = Program()
        program.send(b"%d" % number)
        program.end()
        path = tmp_path / f"{number}.elf"
        path.write_bytes(program.elf())
        return fvp("-a", path, *UART_OUT, "--timelimit", 600).stdout

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(one, range(6))) == [b"%d" % number for number in range(6)]
