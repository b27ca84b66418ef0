"""No `.tflite`, however damaged, does more than raise an error of the family, or costs more than its size allows."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import flatbuffers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.core.errors import BadInputError
from hil.core.tflite.weights import read_tflite
from hil.npu.vela_output import is_compiled, read_compiled
from hil.targets.execution.graph import read_graph
from hil.targets.execution.signature import read_signature
from tests.support.fuzzing.seeds import make_seeds
from tests.support.fuzzing.targets import TARGETS

READERS: dict[str, Callable[[bytes], Any]] = {
    "read_signature": read_signature,
    "read_tflite": read_tflite,
    "read_compiled": read_compiled,
    "read_graph": read_graph,
}

_CHANGE = st.tuples(
    st.integers(0, 1 << 20), st.sampled_from([1, 2, 4]), st.one_of(st.integers(0, 255), st.integers(0, 0xFFFF_FFFF))
)


@settings(max_examples=300, derandomize=True)
@given(st.integers(0, 1 << 16), st.lists(_CHANGE, min_size=1, max_size=4), st.floats(0, 1))
def test_changed_models_are_read_or_refused(which: int, changes: list[tuple[int, int, int]], kept: float) -> None:
    """Bytes, half words and words of offsets, lengths and numbers; through every reader, and Vela's outputs run."""
    models = [data for data in make_seeds(4).inputs["tflite"] if len(data) < 1 << 14]
    data = bytearray(models[which % len(models)])
    for place, size, value in changes:
        at = 8 + place % (len(data) - 12) // size * size
        data[at : at + size] = (value & (1 << 8 * size) - 1).to_bytes(size, "little")
    if kept < 0.1:
        data = data[: int(kept * 10 * len(data))]
    TARGETS["tflite"](bytes(data), [])


def test_seeds_are_read() -> None:
    models = make_seeds(4).inputs["tflite"]
    assert any(is_compiled(data) for data in models)
    for data in models:
        read_signature(data)
        read_tflite(data)


def _table(builder: Any, slots: dict[int, int]) -> Any:
    builder.StartObject(10)
    for slot, offset in slots.items():
        builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
    return builder.EndObject()


def _again(builder: Any, table: Any, times: int) -> Any:
    """A vector that leads to one table, again and again."""
    builder.StartVector(4, times, 4)
    for _ in range(times):
        builder.PrependUOffsetTRelative(table)
    return builder.EndVector()


def _numbers(builder: Any, times: int) -> Any:
    builder.StartVector(4, times, 4)
    for _ in range(times):
        builder.PrependInt32(0)
    return builder.EndVector()


def _tower(graphs: int, operators: int, inputs: int, tensors: int, name: int) -> bytes:
    """A file in which each graph has the same operators, with the same inputs, of the same tensor."""
    builder = flatbuffers.Builder(1 << 16)
    text = builder.CreateString("x" * name)
    custom = builder.CreateString("ethos-u")
    many = _numbers(builder, inputs)
    buffer = _table(builder, {})
    parts = {
        0: _again(builder, _table(builder, {3: text}), tensors),
        3: _again(builder, _table(builder, {1: many, 2: many}), operators),
    }
    code = _again(builder, _table(builder, {1: custom}), 1)
    whole = {1: code, 2: _again(builder, _table(builder, parts), graphs), 4: _again(builder, buffer, 1)}
    builder.Finish(_table(builder, whole), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "sizes",
    [(3000, 3000, 3000, 1, 1), (1, 30_000, 30_000, 1, 1), (1, 1, 30_000, 1, 30_000), (1, 1, 1, 30_000, 30_000)],
    ids=["graphs", "operators", "inputs", "names"],
)
def test_parts_that_lead_to_each_other_are_refused(reader: str, sizes: tuple[int, int, int, int, int]) -> None:
    """A hundred kilobytes can describe gigabytes."""
    data = _tower(*sizes)
    started = time.process_time()
    with pytest.raises(BadInputError):
        READERS[reader](data)
    assert time.process_time() - started < 5
