"""`sim`: Vela's command stream on the executable NPU of `hil.npu`, in process, whole batches at once.

    from hil.core.npu_config import NpuConfig
    from hil.targets import create

    run = create("sim").run(Deployable(int8=int8, compiled=vela, npu=NpuConfig("ethos-u55-128")), [x])

Outputs are bit-exact with the reference kernels.  Cycles come from the timing model of `hil.npu.timing`: they are
called `modelled` and count the NPU's operators alone.  Operators that Vela left to the CPU run on the reference
kernels and have no time here; the measurement `cpu_operators` is their number, so that a latency gate can
refuse.  A model of which nothing was placed on the NPU runs wholly on those kernels, and its identity says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

import numpy as np

from hil.core.arrays import Array
from hil.core.cores import usable_cores
from hil.core.measurement import Measurement, Missing, Trust
from hil.npu.timing.cycles import cycles
from hil.npu.timing.memory_system import MemorySystem
from hil.npu.timing.timing import MODELLED
from hil.npu.vela_output import BoundOperator
from hil.targets.base import Deployable, Progress, Run
from hil.targets.counters import BY_LABEL, TOTAL, counter_of, missing_figures, not_modelled, requested
from hil.targets.execution.graph import Graph, State, cached_graph
from hil.targets.execution.interpreter import Interpreter, interpreter_version
from hil.targets.execution.placement import check_accelerator, model_file
from hil.targets.execution.signature import check_inputs, read_signature, require_runnable
from hil.targets.sim import SimOptions

_CHUNK_BYTES = 64 << 20  # of arena a batch, so that large models do not fill the memory
_MOST_SAMPLES = 256


class SimTarget:
    """The executable NPU."""

    name = "sim"

    def __init__(self, options: SimOptions | None = None) -> None:
        chosen = options or SimOptions()
        self._keep_state = chosen.keep_state
        self._jobs = chosen.jobs or usable_cores()
        self._events = requested(chosen.events)

    def identity(self) -> dict[str, str]:
        """Engine and version."""
        identity = {"engine": "hil.npu", "engine_version": version("ethosu-hil")}
        return identity | ({"state": "kept"} if self._keep_state else {})

    def close(self) -> None:
        """Does nothing: no resources are held."""

    def run(self, model: Deployable, inputs: Sequence[Array], *, progress: Progress | None = None) -> Run:
        """See `Target.run`."""
        data = model_file(model)
        signature = read_signature(data)
        require_runnable(signature)
        samples = check_inputs(signature, inputs)
        if not signature.compiled:
            interpreter = Interpreter(data)
            outputs = interpreter.run(inputs, keep_state=self._keep_state, progress=progress)
            identity = {**self.identity(), "npu": "nothing was placed on the NPU", **_cpu_engine()}
            missing = missing_figures(self._events, "nothing ran on the NPU", Missing.NOT_COUNTED)
            return Run(outputs, (_cpu_operators(len(signature.operators)),), identity, missing=missing)
        check_accelerator(data, model.npu.accelerator)
        graph = cached_graph(data)
        outputs = self._outputs(graph, inputs, samples, progress)
        measurements = (*measure(graph, model, self._events), _cpu_operators(len(signature.cpu_operators)))
        identity = {**self.identity(), "npu": graph.model.accelerator.name}
        if signature.cpu_operators:
            identity |= _cpu_engine()
        return Run(outputs, measurements, identity, missing=not_modelled(self._events))

    def _outputs(
        self, graph: Graph, inputs: Sequence[Array], samples: int, progress: Progress | None
    ) -> tuple[Array, ...]:
        chunk = max(1, min(_MOST_SAMPLES, _CHUNK_BYTES // max(1, graph.model.arena_bytes)))
        chunk = 1 if self._keep_state and graph.stateful else chunk
        state = State()
        parts = []
        for start in range(0, samples, chunk):
            state = state if self._keep_state else State()
            parts.append(graph.run([array[start : start + chunk] for array in inputs], state, jobs=self._jobs))
            if progress:
                progress(min(start + chunk, samples), samples)
        return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))


def measure(graph: Graph, model: Deployable, events: Sequence[int] = ()) -> tuple[Measurement, ...]:
    """Modelled cycles of one inference, all NPU operators together, and the time they take at the configured clock.

    `events` are PMU events counted beside the usual ones; those that are not modelled are left out.
    """
    memory = MemorySystem.of(model.npu)
    found = [cycles(step.program, memory).events() for step in graph.steps if isinstance(step, BoundOperator)]
    counters = dict.fromkeys((*BY_LABEL.values(), *(counter_of(event) for event in events if event in MODELLED)))
    totals = {counter: sum(counts[counter.event] for counts in found) for counter in counters}
    counts = [
        Measurement(counter.name, total, counter.unit, Trust.MODELLED, "NPU operators alone")
        for counter, total in totals.items()
    ]
    milliseconds = totals[TOTAL] / memory.clock_hz * 1e3
    note = f"NPU operators alone, at {memory.clock_hz / 1e6:g} MHz"
    return (*counts, Measurement("npu_ms", milliseconds, "ms", Trust.MODELLED, note))


def _cpu_operators(count: int) -> Measurement:
    return Measurement("cpu_operators", count, "operators", Trust.EXACT, "run on the CPU, not in the cycles")


def _cpu_engine() -> dict[str, str]:
    return {"cpu_engine": f"tensorflow {interpreter_version('tensorflow')}, reference kernels"}
