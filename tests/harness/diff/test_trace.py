"""Traces of tensors that the NPU wrote in pieces: assembled ones, and ones left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from hil.core.arrays import Array
from hil.harness.diff.coverage import Coverage
from hil.harness.diff.difference import Comparison, compare
from hil.harness.diff.trace import Trace, trace_compiled, trace_reference
from hil.harness.vela.compiler import Compiled, compile_model
from hil.harness.vela.mapping import MappedCommand
from hil.harness.vela.settings import VelaSettings
from hil.targets.execution.signature import read_signature

Made = Callable[[str], bytes]
CASCADE = ("--optimise Size",)


def samples_of(int8: bytes, samples: int = 3) -> list[Array]:
    generator = np.random.default_rng(0)
    specs = read_signature(int8).inputs
    return [generator.integers(-128, 128, (samples, *spec.sample_shape)).astype(spec.dtype) for spec in specs]


@pytest.fixture(scope="module")
def int8(made: Made) -> bytes:
    return made("stripes")


@pytest.fixture(scope="module")
def cascade(int8: bytes) -> Compiled:
    return compile_model(int8, VelaSettings(options=CASCADE))


@pytest.fixture(scope="module")
def expected(int8: bytes) -> Trace:
    return trace_reference(int8, samples_of(int8))


def compared(int8: bytes, compiled: Compiled, mapping: tuple[MappedCommand, ...], expected: Trace) -> Comparison:
    return compare(trace_compiled(compiled.model, mapping, samples_of(int8)), expected, read_signature(int8))


def stripes(compiled: Compiled) -> dict[str, int]:
    """Tensor -> how many operations write it, of those between whose operations others come."""
    order = [entry.tensor for entry in compiled.mapping]
    counts = {name: order.count(name) for name in order}
    together = {name: "".join("x" if other == name else " " for other in order).split() for name in order}
    return {name: counts[name] for name, runs in together.items() if len(runs) > 1}


def test_tensors_of_a_cascade_are_compared_by_their_stripes(int8: bytes, cascade: Compiled, expected: Trace) -> None:
    result = compared(int8, cascade, cascade.mapping, expected)
    assert result.first is None
    found = {tensor.tensor: tensor for tensor in result.tensors}
    assert len(stripes(cascade)) >= 2, "Vela makes no cascade of this model any more; take another"
    for name in stripes(cascade):
        assert found[name].how is Coverage.STRIPES


def test_without_a_cascade_the_same_tensors_are_whole(int8: bytes, expected: Trace) -> None:
    plain = compile_model(int8, VelaSettings())
    result = compared(int8, plain, plain.mapping, expected)
    assert result.first is None
    assert {tensor.how for tensor in result.tensors} <= {Coverage.WHOLE, Coverage.NOT}


def test_rows_that_nobody_wrote_are_no_difference(int8: bytes, cascade: Compiled, expected: Trace) -> None:
    name, count = next(iter(stripes(cascade).items()))
    commands = [entry for entry in cascade.mapping if entry.tensor == name]
    result = compared(int8, cascade, tuple(e for e in cascade.mapping if e not in commands[-2:]), expected)
    (found,) = (tensor for tensor in result.tensors if tensor.tensor == name)
    assert result.first is None
    assert found.how is Coverage.PARTLY
    elements = int(np.prod(commands[0].shape))
    assert found.reason == f"{elements * (count - 2) // count} of {elements} elements are written"


def test_pieces_without_a_place_are_named_and_not_compared(int8: bytes, cascade: Compiled, expected: Trace) -> None:
    name = next(iter(stripes(cascade)))
    shorter = [
        replace(entry, part=(entry.part[0] - 1, *entry.part[1:])) if entry.tensor == name else entry
        for entry in cascade.mapping
    ]
    result = compared(int8, cascade, tuple(shorter), expected)
    (found,) = (tensor for tensor in result.tensors if tensor.tensor == name)
    assert result.first is None
    assert (found.how, found.reason) == (Coverage.NOT, "inside a cascade: its pieces do not make up the tensor")


def test_every_operator_is_compared_or_has_its_reason(made: Made) -> None:
    int8 = made("mixed")
    compiled = compile_model(int8, VelaSettings())
    result = compared(int8, compiled, compiled.mapping, trace_reference(int8, samples_of(int8)))
    assert [tensor.operator for tensor in result.tensors] == list(read_signature(int8).operators)
    reasons = {tensor.operator: tensor.reason for tensor in result.tensors if tensor.how is Coverage.NOT}
    assert reasons["DEPTHWISE_CONV_2D"] == "fused into a later operator"
    assert reasons["LEAKY_RELU"].startswith("no command of its own")
    unknown = compared(int8, compiled, (), trace_reference(int8, samples_of(int8)))
    assert unknown.tensors[-1].how is Coverage.WHOLE
    assert unknown.tensors[0].reason == "not known which command writes it"


@pytest.mark.parametrize("options", [(), ("--debug-force-legacy-core",)])
def test_rows_written_by_turns_are_no_stripes(made: Made, options: tuple[str, ...]) -> None:
    """A bilinear resize writes even and odd rows and columns with an operation each, a transposition along columns."""
    int8 = made("resized")
    compiled = compile_model(int8, VelaSettings(options=options))
    result = compared(int8, compiled, compiled.mapping, trace_reference(int8, samples_of(int8)))
    assert result.first is None
    found = {tensor.operator: tensor for tensor in result.tensors}
    assert found["TRANSPOSE"].how is Coverage.WHOLE
    if not options:  # the Python core names the last of the four operations alone
        assert found["RESIZE_BILINEAR"].how is Coverage.WHOLE
    else:
        assert found["RESIZE_BILINEAR"].reason == "its pieces do not make up the tensor"


def test_the_lstm_that_is_known_to_differ_is_found(made: Made) -> None:
    """TFLite's reference kernel and the NPU (and TFLite Micro) differ by one step for some inputs."""
    int8 = made("lstm")
    compiled = compile_model(int8, VelaSettings())
    inputs = samples_of(int8, 8)
    expected = trace_reference(int8, inputs, stand_ins=False)
    got = trace_compiled(compiled.model, compiled.mapping, inputs)
    first = compare(got, expected, read_signature(int8)).first
    assert first is not None
    assert first.operator == "UNIDIRECTIONAL_SEQUENCE_LSTM"
    assert first.largest == 1
    theirs = expected.tensors[first.tensor][0].values
    ours = got.tensors[first.tensor][0].values.reshape(theirs.shape)
    at = (first.sample, 0, *first.at)
    assert (ours[at], theirs[at]) == (first.got, first.expected)
    assert first.elements == int((ours != theirs).sum())
    assert (ours[: first.sample] == theirs[: first.sample]).all()


def test_two_command_streams_are_compared_with_each_other(int8: bytes, cascade: Compiled) -> None:
    legacy = compile_model(int8, VelaSettings(options=("--debug-force-legacy-core",)))
    inputs = samples_of(int8)
    one, other = (trace_compiled(made.model, made.mapping, inputs) for made in (cascade, legacy))
    result = compare(one, other, read_signature(int8))
    assert result.first is None
    assert sum(tensor.how in (Coverage.WHOLE, Coverage.STRIPES) for tensor in result.tensors) >= 4
