"""Command streams on the virtual board: the firmware's run against `hil.npu` in this process, bit for bit."""

from __future__ import annotations

import dataclasses
import zlib
from pathlib import Path

import numpy as np
import pytest

from hil.core.arrays import Array
from hil.core.errors import BadInputError
from hil.core.npu_config import NpuConfig
from hil.fvp.virtual_board.process import VirtualBoard
from hil.harness.vela.compiler import compile_model
from hil.harness.vela.settings import VelaSettings
from hil.npu.accelerator import VIRTUAL_ID_WORD, Accelerator
from hil.npu.program import Program, decode
from hil.npu.stream.commands import Op
from hil.npu.stream.payload import parse_payload
from hil.npu.timing.cycles import cycles
from hil.npu.timing.memory_system import MemorySystem
from hil.npu.vela_output import SCRATCH, NpuOperator, read_compiled
from hil.targets.firmware.build import build
from hil.targets.link import Job, Link, Outcome, open_channel

DDR, ISRAM = 0x7000_0000, 0x3100_0000
WEIGHTS, ARENA = DDR + 0x10_0000, ISRAM
EVENTS = (0x23, 0x82, 0x87, 0x182)
NPU = Accelerator.from_name("ethos-u55-128")
MEMORY = MemorySystem.of(NpuConfig())
VERSION_MINOR = 0xF00
"""Bits of ID in which a virtual board's NPU may differ from a real one."""
STOP = Op.STOP | 0xFFFF << 16


def _copy(source: int, target: int, size: int) -> Array:
    """A stream that copies `size` bytes from region 0 to region 1."""
    words = [0x130, 0x131 | 1 << 16]  # DMA0_SRC_REGION, DMA0_DST_REGION
    for code, value in ((0x30, source), (0x31, target), (0x32, size)):  # DMA0_SRC, DMA0_DST, DMA0_LEN
        words += [code | 1 << 14, value]
    return np.array([*words, Op.DMA_START, Op.DMA_WAIT, STOP], np.uint32)


def _started(board: Link, words: Array) -> Job:
    stream = words.astype("<u4").tobytes()
    board.write(DDR, stream)
    return Job(stream_address=DDR, stream_bytes=len(stream), bases=(WEIGHTS, ARENA, ARENA), events=EVENTS)


def _expected(program: Program) -> tuple[int, tuple[int, ...]]:
    ports = {region: (0x5553 >> 2 * region + 1) & 1 for region in range(8)}
    timing = cycles(program, MEMORY.with_region_ports(ports))
    return timing.total, tuple(timing.events()[event] for event in EVENTS)


def test_the_board_says_which_npu_it_has(board: Link) -> None:
    identity = board.identify()
    assert (identity.npu_id, identity.npu_config, identity.npu_hz) == (VIRTUAL_ID_WORD, NPU.config_word, 32_000_000)


def test_each_virtual_board_has_the_serial_number_that_it_was_given(built: Path) -> None:
    elf = build(compiler="zig", folder=built).elf
    virtual = VirtualBoard(elf, tcp=0, serial_number="020000000017")
    with virtual, Link(open_channel(virtual.url, baud=115200)) as link:
        assert link.identify().serial == "020000000017"
    for wrong in ("17", "01000000000f", "000000000000", "02000000001G"):
        with pytest.raises(BadInputError, match=f"serial number {wrong}"):
            VirtualBoard(elf, serial_number=wrong)


def test_events_that_are_not_modelled_are_named_by_the_virtual_board(built: Path) -> None:
    with VirtualBoard(build(compiler="zig", folder=built).elf, tcp=0) as virtual:
        with Link(open_channel(virtual.url, baud=115200)) as link:
            link.write(WEIGHTS, bytes(2_000))
            assert link.run(_started(link, _copy(16, 64, 1_000))).overflow == 0
            assert virtual.warnings == ()
            job = dataclasses.replace(_started(link, _copy(16, 64, 1_000)), events=(0x51, 0x23, 0x99, 0x51))
            assert link.run(job).events == (0, link.run(job).cycles, 0, 0)
        assert virtual.warnings == (
            "PMU event 0x51 (WD_STALLED) is not modelled: its counter reads 0",
            "PMU event 0x99 is not modelled: its counter reads 0",
        )


def test_a_copy_by_the_npu_arrives_and_is_counted(board: Link) -> None:
    words = _copy(16, 64, 1_000)
    data = np.random.default_rng(1).integers(0, 256, 1_016, np.uint8)
    board.write(WEIGHTS, data.tobytes())
    board.write(ARENA, bytes(1_100))
    result = board.run(_started(board, words))
    assert board.read(ARENA, 1_100) == bytes(64) + data[16:].tobytes() + bytes(36)
    assert (result.outcome, result.qread) == (Outcome.DONE, 4 * len(words))
    assert (result.cycles, result.events) == _expected(decode(words, NPU, {}, {2: 1}))
    assert result.ticks > 0


def test_a_stream_that_the_npu_cannot_parse_is_told_and_the_next_one_runs(board: Link) -> None:
    unknown = _started(board, np.array([0x3FF, STOP], np.uint32))
    assert board.run(unknown).outcome is Outcome.NPU_PARSE_ERROR
    good = _started(board, np.array([STOP], np.uint32))
    assert board.run(good).outcome is Outcome.DONE


def test_a_model_that_vela_compiled_gives_the_same_bytes_and_counts(board: Link, shared_models: Path) -> None:
    int8 = (shared_models / "kws_ref_int8.tflite").read_bytes()
    model = read_compiled(compile_model(int8, VelaSettings("ethos-u55-128")).model)
    operator = next(operator for operator in model.main.operators if isinstance(operator, NpuOperator))
    bound = operator.bind(model)
    tensors = model.main.tensors
    constants, stream = tensors[operator.read_only].data, tensors[operator.command_stream].data
    assert constants is not None
    assert stream is not None
    arena = np.random.default_rng(2).integers(0, 256, (1, bound.scratch_bytes), np.uint8)
    board.write(WEIGHTS, constants.tobytes())
    board.write(ARENA, arena.tobytes())
    result = board.run(_started(board, parse_payload(stream)[1]))
    bound.program.run({SCRATCH: arena})
    assert result.outcome is Outcome.DONE
    assert board.read(ARENA, arena.size) == arena.tobytes()
    assert (result.cycles, result.events) == _expected(bound.program)
    assert board.crc(WEIGHTS, constants.size) == zlib.crc32(constants.tobytes())
