"""Several samples on one board: each is as if the board had booted for it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hil.fvp.inference import firmware
from hil.fvp.inference.inference import Inference, run_inference, run_inferences
from tests.support.corstone300 import UART_OUT, Launch
from tests.support.reference import oracle
from tests.support.thumb import Program

Compile = Callable[..., tuple[bytes, bytes]]


def _without_cpu_cycles(run: Inference) -> tuple[object, ...]:
    return run.outputs, run.counters, run.uart, run.arena_used


@pytest.mark.parametrize("use_npu", [True, False], ids=["npu", "cpu"])
def test_a_restored_board_gives_what_a_booted_one_gives(
    runner: firmware.Firmware, compiled: Compile, use_npu: bool
) -> None:
    int8, model = compiled("kws_ref_int8")
    samples = [np.random.default_rng(seed).integers(-128, 128, (49, 10, 1), np.int8) for seed in (3, 4, 3, 5)]
    told: list[int] = []
    together = run_inferences(
        model if use_npu else int8, [[data.tobytes()] for data in samples], [12], finished=told.append
    )
    assert [run.restored for run in together] == [False, True, True, True]
    assert [list(run.outputs) for run in together] == [oracle(int8, data) for data in samples]
    assert told[-1] == 4
    assert told == sorted(told)
    booted = [run_inference(model if use_npu else int8, [data.tobytes()], [12]) for data in samples[1:3]]
    if use_npu:
        assert [_without_cpu_cycles(run) for run in together[1:3]] == [_without_cpu_cycles(run) for run in booted]
    else:
        assert [run.outputs for run in together[1:3]] == [run.outputs for run in booted]


def test_nothing_of_one_sample_is_left_for_the_next(fvp: Launch, tmp_path: Path) -> None:
    """The firmware reads its input, then counts up a word of DDR, of SRAM and of the NPU, and gives all four."""
    program = Program()
    program.set(0, 0x9200_0000)
    program.code(0x6804)  # LDR r4, [r0]
    for index, address in enumerate((0x7001_0000, 0x3100_0000, 0x5810_2014)):
        program.set(0, address)
        program.code(0x6805, 0x3501, 0x6005)  # LDR r5, [r0]; ADDS r5, #1; STR r5, [r0]
        program.set(1, 0x9300_0000 + 4 * index)
        program.code(0x600D)  # STR r5, [r1]
    program.set(1, 0x9300_000C)
    program.code(0x600C)  # STR r4, [r1]
    program.end()
    (tmp_path / "a.elf").write_bytes(program.elf())
    (tmp_path / "in").write_bytes(struct.pack("<3I", 7, 8, 9))
    done = fvp("-a", "a.elf", *UART_OUT, "--data", "in@0x92000000", "--dump", "out@0x93000000,16",
               "-C", "open.samples=3", "-C", "open.samples_address=0x92000000", "--timelimit", "600")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"\x04\x04"
    assert struct.unpack("<12I", (tmp_path / "out").read_bytes()) == (1, 1, 1, 7, 1, 1, 1, 8, 1, 1, 1, 9)


def test_firmware_that_ends_before_it_looks_at_its_inputs_runs_once(qemu: None, fvp: Launch, tmp_path: Path) -> None:
    program = Program()
    program.send(b"hello")
    program.end()
    (tmp_path / "a.elf").write_bytes(program.elf())
    (tmp_path / "in").write_bytes(b"ab")
    done = fvp("-a", "a.elf", *UART_OUT, "--data", "in@0x92000000", "-C", "open.samples=2",
               "-C", "open.samples_address=0x92000000", "--timelimit", "600")  # fmt: skip
    assert (done.returncode, done.stdout) == (0, b"hello")


@pytest.mark.parametrize(
    ("size", "arguments", "said"),
    [
        (3, (), "2 pieces of the same size"),
        (0, (), "2 pieces"),
        (2, ("-C", "cpu0.semihosting-enable=1"), "semihosting"),
        (2, ("-C", "open.samples=0"), "at least one"),
    ],
)
def test_samples_that_do_not_fit_together_are_refused(
    fvp: Launch, tmp_path: Path, size: int, arguments: tuple[str, ...], said: str
) -> None:
    program = Program()
    program.end()
    (tmp_path / "a.elf").write_bytes(program.elf())
    (tmp_path / "in").write_bytes(bytes(size))
    samples = ["--data", "in@0x92000000", "-C", "open.samples=2", "-C", "open.samples_address=0x92000000"]
    done = fvp("-a", "a.elf", *samples, *arguments)
    assert done.returncode == 2
    assert said in done.stderr.decode()
