"""The memory of an inference grows with what is alive at once, not with the number of operators on the CPU."""

from __future__ import annotations

import tracemalloc

import numpy as np

from hil.harness.vela.compiler import compile_model
from hil.harness.vela.settings import VelaSettings
from hil.targets.execution.graph import State, read_graph
from tests.support.operators.builder import Op, Tensor, build

SHAPE = (1, 32, 32, 16)
STEPS = 12
SAMPLES = 64


def _alternating() -> bytes:
    """ADD, which the NPU runs, and LOGISTIC, which is left to the CPU, in turns."""
    term = Tensor((1, 1, 1, 16), scale=0.1, data=np.arange(16, dtype=np.int8).reshape(1, 1, 1, 16))
    last = Tensor(SHAPE, scale=0.1, name="x")
    operators = []
    for step in range(STEPS):
        total = Tensor(SHAPE, scale=0.1, name=f"sum{step}")
        share = Tensor(SHAPE, scale=1 / 256, zero_point=-128, name=f"share{step}")
        operators += [Op("ADD", [last, term], [total]), Op("LOGISTIC", [total], [share], version=2)]
        last = share
    return build(*operators)


def test_values_that_nothing_reads_any_more_are_dropped() -> None:
    compiled = compile_model(_alternating(), VelaSettings(options=("--ignore-ops LOGISTIC",)), mapped=False)
    assert compiled.summary.cpu_operators == ("LOGISTIC",) * STEPS
    graph, inputs = read_graph(compiled.model), [np.zeros((SAMPLES, *SHAPE[1:]), np.int8)]
    tensor = inputs[0].nbytes
    graph.run(inputs, State())
    tracemalloc.start()
    graph.run(inputs, State())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < graph.model.arena_bytes * SAMPLES + 8 * tensor
