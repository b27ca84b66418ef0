"""The code under test: one function a target, from bytes to an answer or an error of the family.

    TARGETS["stream"](data, contexts)      # returns the kind of answer, raises only what it should not

Each takes input of an attacker.  An error of the family is an answer like any other; any other exception, or a
broken promise (`AssertionError`), is a finding.  Memory that an operation must not reach lies on both sides of what
it may: the two runs of a stream, with NumPy and with the compiled loops, have other bytes there and must leave them
alone and give the same result.
"""

from __future__ import annotations

import contextlib
import functools
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.core.errors import HilError, StreamError
from hil.core.npu_config import NpuConfig
from hil.core.tflite.weights import read_tflite
from hil.fvp.machine.load_store import decode as decode_access
from hil.npu.accelerator import ALL, Accelerator
from hil.npu.disassembly.disassembler import StreamContext, disassemble
from hil.npu.disassembly.text import lines
from hil.npu.native import library
from hil.npu.native.records import Elementwise
from hil.npu.program import Program, decode
from hil.npu.stream.payload import parse_payload
from hil.npu.timing.cycles import cycles
from hil.npu.timing.memory_system import MemorySystem
from hil.npu.vela_output import NpuOperator, is_compiled, read_compiled
from hil.npu.weights.codec import decode_weight_stream
from hil.npu.weights.order import WeightLayout, unpack
from hil.targets.execution.graph import State, read_graph
from hil.targets.execution.signature import read_signature, require_runnable
from tests.support.fuzzing import drivers

GUARD = 4096
"""Bytes on either side of the arena that no operation may touch."""

LARGEST_ARENA = 1 << 20
"""Bytes; models that ask for more are read and not run."""

_PAYLOAD_ARENA = 4096
_LAYOUT = struct.Struct("<BBHHBBBB")


@dataclass(frozen=True)
class Context:
    """Context of a command stream: accelerator, region 0, size of region 1 (which region 2 shares)."""

    accelerator: Accelerator
    constants: NDArray[np.uint8]
    arena_bytes: int


Contexts = Sequence[Context]
Target = Callable[[bytes, Contexts], str]


def stream(data: bytes, contexts: Contexts) -> str:
    """A command stream: byte 0 chooses the context, the rest are words.  It is also printed as `hil disasm` does."""
    context = contexts[data[0] % len(contexts)] if data else contexts[0]
    words = np.frombuffer(data[1 : 1 + (len(data) - 1) // 4 * 4], "<u4").astype(np.uint32)

    def show() -> None:
        for instruction in disassemble(words, context.accelerator, StreamContext({0: context.constants}), {2: 1}):
            assert all(lines(instruction, registers=True))

    program: list[Program] = []
    listed = _answer(show, len(words))
    answer = _answer(
        lambda: program.append(decode(words, context.accelerator, {0: context.constants}, {2: 1})), len(words)
    )
    assert not program or listed == "ok", f"it decodes and is not shown: {listed}"
    return _run(program[0], context.arena_bytes) if program else answer


def _run(program: Program, size: int) -> str:
    """Runs a program with NumPy, with the compiled code, and in memory without guards; models its cycles."""
    results, answers = [], []
    for guard, room, compiled in ((0x5A, GUARD, False), (0xA5, GUARD, True), (0, 0, False)):
        whole = np.full((2, room + size + room), guard, np.uint8)
        inside = whole[:, room : room + size]
        inside[:] = np.random.default_rng(0).integers(0, 256, (2, size), np.uint8)
        with _native(compiled):
            program._schedule = None
            if compiled:
                _tabulate(program)
            answers.append(_answer(functools.partial(program.run, {1: inside})))
        assert (whole[:, :room] == guard).all(), "written below the arena"
        assert (whole[:, room + size :] == guard).all(), "written above the arena"
        results.append(inside)
    assert len(set(answers)) == 1, f"NumPy, compiled, without guards: {answers}"
    assert (results[0] == results[1]).all(), "NumPy and the compiled code differ"
    assert (results[0] == results[2]).all(), "what lies around the arena makes a difference"
    cycles(program, _MEMORY)
    return answers[0]


@contextlib.contextmanager
def _native(compiled: bool) -> Iterator[None]:
    """With the compiled code, or without."""
    before = library.hold(library.VNNI if compiled else library.NUMPY)
    try:
        yield
    finally:
        library.hold(before)


def _tabulate(program: Program) -> None:
    """Counts so many elements computed that elementwise operations of bytes look results up."""
    for step in program._steps:
        native = getattr(step, "native", None)
        if native is not None and isinstance(native.data, Elementwise):
            native.data.computed = 1 << 40


def weights(data: bytes, contexts: Contexts) -> str:
    """Encoded weights: the first bytes are a layout."""
    head, encoded = data[: _LAYOUT.size].ljust(_LAYOUT.size, b"\0"), data[_LAYOUT.size :]
    number, flags, outputs, inputs, height, width, block, dilations = _LAYOUT.unpack(head)
    accelerator, depthwise = ALL[number % len(ALL)], bool(flags & 1)
    layout = WeightLayout(
        1 + outputs, 1 + height, 1 + width, 1 if depthwise else 1 + inputs, 1 + block, accelerator.ofm_ublock[2],
        accelerator.ifm_ublock_depth, depthwise, bool(flags & 2) and not depthwise, 8 << (flags >> 2 & 1),
        1 + (dilations & 1), 1 + (dilations >> 1 & 1),
    )  # fmt: skip
    answers, results = [], []
    for compiled in (False, True):
        with _native(compiled):
            answers.append(
                _answer(lambda: results.append(unpack(decode_weight_stream(encoded, layout.elements), layout)))
            )
    assert answers[0] == answers[1], f"with NumPy {answers[0]}, compiled {answers[1]}"
    assert not results or (results[0] == results[1]).all(), "NumPy and the compiled code differ"
    return answers[0]


def layout_head(layout: WeightLayout, accelerator: Accelerator) -> bytes:
    """The layout as target `weights` reads it; numbers that do not fit are cut."""
    flags = layout.depthwise | layout.part_first << 1 | (layout.ifm_bits == 16) << 2
    dilations = layout.dilation_y - 1 | layout.dilation_x - 1 << 1
    numbers = (layout.output_depth - 1, layout.input_depth - 1, layout.height - 1 & 255, layout.width - 1 & 255)
    return _LAYOUT.pack(ALL.index(accelerator), flags, *numbers, layout.block_depth - 1 & 255, dilations)


def tflite(data: bytes, contexts: Contexts) -> str:
    """A `.tflite`, through every reader, and to its end if it is a Vela output."""
    is_compiled(data)
    answers = [
        _answer(lambda: require_runnable(read_signature(data))),
        _answer(lambda: read_tflite(data)),
        _answer(lambda: _operators(data)),
        _answer(lambda: _graph(data)),
    ]
    return "ok" if set(answers) == {"ok"} else next(answer for answer in answers if answer != "ok")


def _operators(data: bytes) -> None:
    model = read_compiled(data)
    for operator in model.main.operators:
        if isinstance(operator, NpuOperator):
            bound = operator.bind(model)
            if max(model.arena_bytes, bound.fast_bytes) <= LARGEST_ARENA:
                bound.run(np.zeros((1, model.arena_bytes), np.uint8))


def _graph(data: bytes) -> None:
    graph = read_graph(data)
    tensors = [graph.model.main.tensors[index] for index in graph.model.main.inputs]
    pieces = any(not hasattr(step, "run") for step in graph.steps)
    if pieces or graph.model.arena_bytes > LARGEST_ARENA or any(t.bytes > LARGEST_ARENA for t in tensors):
        return
    signature = read_signature(data)
    graph.run([np.zeros((1, *spec.sample_shape), spec.dtype) for spec in signature.inputs], State())


def payload(data: bytes, contexts: Contexts) -> str:
    """A driver payload, and the stream in it on a small memory."""

    def run() -> None:
        accelerator, words = parse_payload(data)
        decode(words, accelerator, {}, {2: 1}).run({1: np.zeros((1, _PAYLOAD_ARENA), np.uint8)})

    return _answer(run)


def registers(data: bytes, contexts: Contexts) -> str:
    """A driver at work on the registers (see `drivers`); loads and stores of the CPU are decoded on the way."""
    _answer(lambda: decode_access(data[:4].ljust(4, b"\0")))
    return _answer(lambda: drivers.play(data, _MEMORY))


def _answer(action: Callable[[], Any], words: int | None = None) -> str:
    """`ok`, or the class of the family's error; one of a command stream must name a word of it."""
    try:
        action()
    except HilError as error:
        raised = error
    else:
        return "ok"
    assert str(raised).strip(), "an error says nothing"
    assert "\n" not in str(raised), "an error has more than one line"
    if words is not None and isinstance(raised, StreamError):
        assert raised.word_offset is not None, f"no word offset: {raised}"
        assert 0 <= raised.word_offset <= words, f"word {raised.word_offset} of {words}"
    return type(raised).__name__


_MEMORY = MemorySystem.of(NpuConfig())
TARGETS: dict[str, Target] = {
    "stream": stream,
    "weights": weights,
    "tflite": tflite,
    "payload": payload,
    "registers": registers,
}
