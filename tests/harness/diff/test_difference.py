"""A fault in the NPU is traced to its operator, with the element and the command."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hil.core.arrays import Array
from hil.core.errors import BadInputError
from hil.harness.diff.difference import Difference, first_difference
from hil.harness.vela.compiler import Compiled, compile_model
from hil.harness.vela.mapping import MappedCommand
from hil.harness.vela.settings import VelaSettings
from hil.npu.stream.operations import Convolution, Dma, Range
from hil.npu.vela_output import BoundOperator
from hil.targets.base import Deployable
from hil.targets.execution.graph import read_graph
from hil.targets.execution.signature import read_signature

Made = Callable[[str], bytes]
SCALE_RECORD = 10  # bytes: 40-bit bias, 32-bit factor, shift
FACTOR = 5


def sample_of(int8: bytes) -> list[Array]:
    generator = np.random.default_rng(0)
    specs = read_signature(int8).inputs
    return [generator.integers(-128, 128, (1, *spec.sample_shape)).astype(spec.dtype) for spec in specs]


def planted(compiled: Compiled, entry: MappedCommand, channel: int) -> bytes:
    """Vela's output with one bit of a channel's scale factor flipped, where the constants hold it."""
    graph = read_graph(compiled.model)
    operator = [step for step in graph.steps if isinstance(step, BoundOperator)][entry.stream]
    operations = operator.program.operations
    operation = next(o for o in operations if o.word_offset == entry.word_offset)
    assert isinstance(operation, Convolution)
    assert operation.records is not None
    before = [o for o in operations if isinstance(o, Dma) and o.word_offset < entry.word_offset]
    address = origin(operation.records, before)
    constants = graph.model.main.tensors[operator.operator.read_only].data
    assert constants is not None
    start = compiled.model.index(constants.tobytes())
    damaged = bytearray(compiled.model)
    damaged[start + address + SCALE_RECORD * channel + FACTOR + 3] ^= 0x20
    return bytes(damaged)


def origin(wanted: Range, copies: list[Dma]) -> int:
    """Address in the constants of what a DMA brought to where an operation reads it."""
    for copy in reversed(copies):
        offset = wanted.address - copy.destinations[0]
        if copy.destination_region == wanted.region and 0 <= offset < copy.length:
            return copy.sources[0] + offset
    assert wanted.region == 0
    return wanted.address


def find(compiled: Compiled, operator_index: int, piece: int = 0) -> MappedCommand:
    return [entry for entry in compiled.mapping if entry.operator_index == operator_index][piece]


@pytest.mark.parametrize(
    "options", [(), ("--optimise Size",), ("--ignore-ops LEAKY_RELU",), ("--debug-force-legacy-core",)]
)
def test_one_bit_of_a_scale_is_found(made: Made, options: tuple[str, ...]) -> None:
    int8 = made("mixed")
    compiled = compile_model(int8, VelaSettings(options=options))
    entry = find(compiled, 6)
    model = Deployable(int8, planted(compiled, entry, 3))
    found = first_difference(model, compiled.mapping, sample_of(int8))
    assert found is not None
    assert (found.operator_index, found.operator) == (6, "CONV_2D")
    assert found.tensor == read_signature(int8).operator_outputs[6]
    assert found.at[-1] == 3
    assert (found.stream, found.word_offset) == (entry.stream, entry.word_offset)
    assert found.got != found.expected


def test_the_second_slice_of_an_output_has_its_place(made: Made) -> None:
    int8 = made("mixed")
    compiled = compile_model(int8, VelaSettings())
    first, second = (find(compiled, 6, piece) for piece in (0, 1))
    assert first.step == second.step, "Vela no longer cuts this convolution's output; take another"
    found = first_difference(Deployable(int8, planted(compiled, second, 2)), compiled.mapping, sample_of(int8))
    assert found is not None
    assert found.at[-1] == 16 + 2
    assert found.word_offset == second.word_offset


def test_a_part_of_a_concatenation_has_its_place(made: Made) -> None:
    int8 = made("mixed")
    compiled = compile_model(int8, VelaSettings())
    entry = find(compiled, 1)
    assert entry.origin == (0, 0, 24)
    found = first_difference(Deployable(int8, planted(compiled, entry, 5)), compiled.mapping, sample_of(int8))
    assert found is not None
    assert found.at[-1] == 24 + 5
    assert found.word_offset == entry.word_offset


@pytest.mark.parametrize("name", ["mixed", "two", "variable"])
def test_nothing_is_found_where_nothing_is_wrong(made: Made, name: str) -> None:
    int8 = made(name)
    for options in ((), ("--optimise Size",), ("--debug-force-legacy-core",)):
        compiled = compile_model(int8, VelaSettings(options=options))
        assert first_difference(Deployable(int8, compiled.model), compiled.mapping, sample_of(int8)) is None


def test_without_a_mapping_the_output_is_still_named(made: Made) -> None:
    int8 = made("two")
    compiled = compile_model(int8, VelaSettings())
    model = Deployable(int8, planted(compiled, find(compiled, 1), 3))
    found = first_difference(model, (), sample_of(int8))
    assert found is not None
    assert (found.operator, found.word_offset) == ("ADD", None)
    assert found.at[-1] == 3


def test_it_reads_as_one_line() -> None:
    found = Difference(3, "CONV_2D", "block/conv", (4, 0, 7), 12, 11, 0, 1089)
    assert str(found) == (
        "CONV_2D, operator 3, output 'block/conv', element [4, 0, 7]: "
        "12 instead of 11 (command at word 1089 of stream 0)"
    )
    with pytest.raises(BadInputError, match="takes the int8 model and what Vela made of it"):
        first_difference(Deployable(b"", None), (), [])
