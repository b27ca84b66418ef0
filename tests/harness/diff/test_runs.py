"""Traces for `hil diff` of a target that shows its outputs alone, and of a model with nothing on the NPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import pytest

from hil.core.errors import UnavailableError
from hil.harness.commands.inputs import random_inputs
from hil.harness.diff.coverage import Coverage
from hil.harness.diff.difference import compare
from hil.harness.diff.runs import RunTracer
from hil.harness.diff.trace import trace_reference
from hil.harness.vela.settings import VelaSettings
from hil.targets import create
from hil.targets.execution import interpreter
from hil.targets.execution.signature import read_signature
from hil.targets.fvp import FvpOptions

Made = Callable[[str], bytes]


def tracer_of(int8: bytes, *options: str, samples: int = 2) -> RunTracer:
    inputs = random_inputs(read_signature(int8), samples)
    return RunTracer(int8, VelaSettings(options=options), inputs, options={"fvp": FvpOptions(engine="open")})


@pytest.fixture
def with_fvp(missing: Callable[[object], NoReturn]) -> None:
    try:
        create("fvp", engine="open").identity()
    except UnavailableError as error:
        missing(error)


@pytest.mark.usefixtures("with_fvp")
def test_where_fvp_is_not_sim_only_outputs_are_compared(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """SUM left to the CPU: the firmware's kernel and TensorFlow's, which `sim` takes without TFLite Micro's, differ."""
    monkeypatch.setattr(interpreter, "_ON_MICRO", ())
    int8 = made("summed")
    tracer = tracer_of(int8, "--ignore-ops SUM")
    fvp, sim = tracer.trace("fvp"), tracer.trace("sim")
    assert fvp.compiled is None
    assert "fvp and sim differ themselves" in fvp.notes[0]
    result = compare(fvp.trace, sim.trace, read_signature(int8))
    assert result.first is not None
    assert (result.first.operator, result.first.word_offset) == ("SUM", None)
    convolution, total = result.tensors
    assert result.first.suspects == (convolution,)
    assert (convolution.how, convolution.reason) == (Coverage.NOT, "fvp shows its outputs alone")
    assert total.how is Coverage.WHOLE


@pytest.mark.usefixtures("with_fvp")
def test_where_fvp_is_sim_its_commands_are_named(made: Made) -> None:
    """TensorFlow's LSTM kernel differs from the NPU by a step; the NPU's commands are known."""
    int8 = made("lstm")
    tracer = tracer_of(int8, samples=3)
    tensorflow = trace_reference(int8, tracer.inputs, stand_ins=False)
    fvp = tracer.trace("fvp")
    assert "sim gives the same" in fvp.notes[0]
    first = compare(fvp.trace, tensorflow, read_signature(int8)).first
    assert first is not None
    assert first.operator == "UNIDIRECTIONAL_SEQUENCE_LSTM"
    assert first.stream is not None
    assert first.word_offset is not None
    found = fvp.instruction(first.stream, first.word_offset)
    assert found is not None
    assert found.operation.word_offset == first.word_offset


def test_a_model_of_which_nothing_is_on_the_npu_is_the_reference(made: Made) -> None:
    int8 = made("two")
    kinds = ",".join(sorted(set(read_signature(int8).operators)))
    tracer = tracer_of(int8, f"--ignore-ops {kinds}")
    sim = tracer.trace("sim")
    assert sim.notes == ("Vela placed nothing on the NPU",)
    result = compare(sim.trace, tracer.trace("host").trace, read_signature(int8))
    assert result.first is None
    assert {tensor.how for tensor in result.tensors} == {Coverage.WHOLE}
