"""Streams that are decoded ahead of time: a right guess saves time, a wrong one changes nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hil.fvp.machine.decoded_streams import Programs
from hil.npu.program import Program, decode
from hil.npu.stream.operations import Dma
from hil.npu.stream.payload import parse_payload
from hil.npu.vela_output import NpuOperator, read_compiled

BASES = [0x9000_0000, 0x3100_0000, 0x3100_0000, 0, 0, 0, 0, 0]


def _outputs(program: Program, weights: np.ndarray) -> bytes:
    arena = np.random.default_rng(1).integers(0, 256, (1, program.required[1].size), np.uint8)
    program.run({0: weights.reshape(1, -1).copy(), 1: arena})
    return arena.tobytes()


@pytest.fixture
def parts(compiled: Callable[..., tuple[bytes, bytes]]) -> tuple[bytes, Programs, bytes, np.ndarray]:
    """A compiled model, programs that foresaw it, its stream, and its weights."""
    _, model = compiled("kws_ref_int8")
    read = read_compiled(model)
    operator = next(found for found in read.main.operators if isinstance(found, NpuOperator))
    stream, weights = (read.main.tensors[index].data for index in (operator.command_stream, operator.read_only))
    assert stream is not None
    assert weights is not None
    accelerator, words = parse_payload(stream)
    programs = Programs(accelerator)
    programs.foresee(model)
    return model, programs, words.astype("<u4").tobytes(), np.array(weights)


def test_what_was_foreseen_is_used_and_unpacks_nothing_again(parts: tuple[bytes, Programs, bytes, np.ndarray]) -> None:
    _, programs, stream, weights = parts
    program = programs.find(stream, BASES)
    assert programs.find(stream, BASES) is program
    kernels = dict(program._cache)
    assert kernels
    fresh = decode(np.frombuffer(stream, "<u4").astype(np.uint32), program.accelerator, {}, {2: 1})
    assert _outputs(program, weights) == _outputs(fresh, weights)
    assert program._cache == kernels


def test_other_weights_than_those_foreseen_are_noticed(parts: tuple[bytes, Programs, bytes, np.ndarray]) -> None:
    _, programs, stream, weights = parts
    program = programs.find(stream, BASES)
    copied = next(found for found in program.operations if isinstance(found, Dma) and found.source_region == 0)
    other = weights.copy()
    other[copied.sources[0]] ^= 0x40  # the first record of scales: a bias
    fresh = decode(np.frombuffer(stream, "<u4").astype(np.uint32), program.accelerator, {}, {2: 1})
    assert _outputs(program, other) == _outputs(fresh, other) != _outputs(fresh, weights)


def test_regions_that_are_the_same_memory_otherwise_are_another_program(
    parts: tuple[bytes, Programs, bytes, np.ndarray],
) -> None:
    _, programs, stream, _ = parts
    apart = [*BASES[:2], 0x3200_0000, *BASES[3:]]
    assert programs.find(stream, apart) is not programs.find(stream, BASES)
    assert programs.find(stream, [*BASES[:3], 0x1000, 0x2000, 0, 0, 0]) is programs.find(stream, BASES)


@pytest.mark.parametrize("cut", [0, 8, 100, 3000])
def test_what_is_no_whole_model_is_not_foreseen(parts: tuple[bytes, Programs, bytes, np.ndarray], cut: int) -> None:
    model, foreseen, *_ = parts
    programs = Programs(foreseen._accelerator)
    programs.foresee(model[:cut])
    assert not programs._decoded
