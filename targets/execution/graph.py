"""A Vela output as a graph that runs here: NPU operators on `hil.npu`, the others on the reference kernels.

    graph = read_graph(compiled)
    outputs = graph.run([x], State())          # x: (samples, ...)

All tensors that have an address lie in one arena, as on the chip: an NPU operator may leave half of a concatenation
there, which a later one completes without naming it as an input.  What CPU operators read and write is stored by
tensor as well.  What lives from one inference to the next is stored apart, as *state*:

- resources: VAR_HANDLE names one, READ_VARIABLE and ASSIGN_VARIABLE read and write it, CALL_ONCE names the subgraph
  that sets its initial value;
- tensors marked as variable, such as the state of an LSTM.  Vela gives an NPU operator such a tensor as an input and
  lets it overwrite it in the arena.  Those of a CPU operator stay in the interpreter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import BadInputError
from hil.core.tflite.model import Tensor
from hil.npu.cpu_views import check_views
from hil.npu.stream.operations import Operation
from hil.npu.tensor_sizes import check_tensors
from hil.npu.vela_output import (
    ArenaTensor,
    BoundOperator,
    CompiledModel,
    CpuOperator,
    NpuOperator,
    read_compiled,
)
from hil.targets.execution.interpreter import run_piece
from hil.targets.execution.resources import Resources, read_resources
from hil.targets.execution.submodel import Submodel

StepTrace = Callable[[int, Operation, Array], None]
"""Called after each block operation: which NPU operator, the operation, its output (samples, height, width, depth)."""

Passed = Callable[[str, Array], None]
"""Called with each tensor that one operator hands to the next, or to the user: its name, (samples, *tensor shape)."""

NpuDevice = Callable[[BoundOperator, Array, Sequence[range], Sequence[range]], None]
"""Runs an NPU operator on a device that has the arena's memory: the operator, the arena here (1, bytes), the ranges of
it that were written here since the last NPU operator, and those that it must bring back."""

_MOST_MEMORY = 1 << 31  # bytes; more is no microcontroller's, but a damaged file's


@dataclass
class State:
    """State carried from one inference to the next: arrays with a leading sample axis.

    `resources` by the name of the resource, `variables` by the name of the tensor; `resumed` says that there was an
    inference before, so that the interpreter's own variables go on as well.
    """

    resources: dict[str, Array] = field(default_factory=dict)
    variables: dict[str, Array] = field(default_factory=dict)
    resumed: bool = False


@dataclass(frozen=True)
class Graph:
    """The steps of one inference, in order, and by step the tensors that no later one reads by name."""

    data: bytes
    model: CompiledModel
    steps: tuple[BoundOperator | CpuOperator | Submodel, ...]
    resources: Resources
    released: tuple[tuple[int, ...], ...]

    @property
    def stateful(self) -> bool:
        """True if an inference can change the result of the next one."""
        return bool(self.resources.handles) or any(tensor.is_variable for tensor in self.model.main.tensors)

    def run(
        self,
        inputs: Sequence[Array],
        state: State,
        trace: StepTrace | None = None,
        passed: Passed | None = None,
        jobs: int = 1,
        device: NpuDevice | None = None,
    ) -> tuple[Array, ...]:
        """Runs one inference a sample; returns outputs in the model's order, each (samples, ...), and updates `state`.

        `jobs` threads share the samples while the NPU's operators run; with `device`, it runs them, one sample.
        """
        inference = _Inference(self, len(inputs[0]), state, trace, passed, jobs, device)
        for index, array in zip(self.model.main.inputs, inputs, strict=True):
            inference.store(index, array)
        for step, released in zip(self.steps, self.released, strict=True):
            if isinstance(step, BoundOperator):
                inference.run_npu(step)
            elif isinstance(step, CpuOperator):
                inference.access_resource(step)
            else:
                inference.run_cpu(step)
            inference.release(released)
        state.resumed = True
        return tuple(_sampled(inference.load(i), self.model.main.tensors[i]) for i in self.model.main.outputs)


class _Inference:
    """One inference of a batch under way: the arena, and the value of each tensor that was written."""

    def __init__(
        self,
        graph: Graph,
        samples: int,
        state: State,
        trace: StepTrace | None,
        passed: Passed | None,
        jobs: int,
        device: NpuDevice | None,
    ) -> None:
        self._graph = graph
        self._tensors = graph.model.main.tensors
        self._samples = samples
        self._state = state
        self._trace = trace
        self._passed = passed
        self._jobs = jobs
        self._device = device
        self._changed: list[range] = []
        self._values: dict[int, Array] = {}
        self._written: set[range] = set()
        self._streams = 0
        bound = [step for step in graph.steps if isinstance(step, BoundOperator)]
        self._arena = np.zeros((samples, graph.model.arena_bytes), np.uint8)
        self._fast = np.zeros((samples, max((step.fast_bytes for step in bound), default=0)), np.uint8)

    def load(self, index: int) -> Array:
        """The value of a tensor, shape (samples, *tensor shape).

        A tensor without a shape is a scalar, or has the shape that a CPU kernel gives it, such as a detector's boxes.
        """
        tensor = self._tensors[index]
        value = self._values[index] if index in self._values else self._load_by_place(tensor)
        if not tensor.shape:
            return value
        if value.size != self._samples * math.prod(tensor.shape):
            raise BadInputError(
                f"the compiled model's tensor {tensor.name!r} gets {value.shape[1:]}, not {tensor.shape}"
            )
        return value.reshape(self._samples, *tensor.shape)

    def _load_by_place(self, tensor: ArenaTensor) -> Array:
        """The value of a tensor that no operator writes by its name.

        Vela 3.9 gives the input of a CPU operator a tensor of its own at the place that an NPU operator writes.
        """
        if tensor.offset is None or _range(tensor) not in self._written:
            raise BadInputError(f"the compiled model reads its tensor {tensor.name!r} before anything has written it")
        return _fetch(self._arena, tensor)

    def store(self, index: int, value: Array) -> None:
        """Sets a tensor, also in the arena: an NPU operator may work on what lies there without naming it."""
        tensor = self._tensors[index]
        self._keep(index, value)
        if tensor.offset is not None:
            self._place(tensor, value)

    def _place(self, tensor: ArenaTensor, value: Array) -> None:
        _place(self._arena, tensor, value)
        self._changed.append(_range(tensor))

    def _keep(self, index: int, value: Array) -> None:
        self._values[index] = value
        if self._tensors[index].offset is not None:
            self._written.add(_range(self._tensors[index]))
        if self._passed is not None:
            self._passed(self._tensors[index].name, self.load(index))

    def release(self, indices: Sequence[int]) -> None:
        """Drops the values of tensors, which stay in the arena: all of a large batch's do not fit the memory."""
        for index in indices:
            self._values.pop(index, None)

    def run_npu(self, step: BoundOperator) -> None:
        state = self._state.variables
        tensors = [self._tensors[index] for index in step.operator.inputs]
        variables = [tensor for tensor in tensors if tensor.is_variable]
        for tensor in variables:
            self._place(tensor, state.get(tensor.name, _reset(tensor, self._samples)))
        for tensor in tensors:
            if tensor.data is not None and tensor.offset is not None:
                self._place(tensor, _constant(tensor, self._samples))
        self._start(step, [*(self._tensors[index] for index in step.operator.outputs), *variables])
        self._streams += 1
        for index in step.operator.outputs:
            self._keep(index, _fetch(self._arena, self._tensors[index]))
        state.update((tensor.name, _fetch(self._arena, tensor)) for tensor in variables)

    def _start(self, step: BoundOperator, wanted: Sequence[ArenaTensor]) -> None:
        """Runs the operator; afterwards the `wanted` tensors are in the arena here."""
        stream, trace = self._streams, self._trace
        if self._device is not None:
            ranges = [_range(tensor) for tensor in wanted if tensor.offset is not None]
            self._device(step, self._arena, self._changed, ranges)
        else:
            follow = None if trace is None else lambda operation, ofm: trace(stream, operation, ofm)
            step.run(self._arena, follow, self._fast, self._jobs)
        self._changed = []

    def run_cpu(self, piece: Submodel) -> None:
        inputs = [self.load(index) for index in piece.inputs]
        outputs = run_piece(self._graph.data, piece, inputs, self._samples, resume=self._state.resumed)
        for index, output in zip(piece.outputs, outputs, strict=True):
            self.store(index, output)

    def access_resource(self, operator: CpuOperator) -> None:
        """Executes a READ_VARIABLE or ASSIGN_VARIABLE."""
        name = self._graph.resources.handles.get(operator.inputs[0], "")
        resources = self._state.resources
        if operator.outputs:
            if name not in resources and name not in self._graph.resources.initial:
                raise BadInputError(f"the model reads its variable {name!r} before anything was assigned to it")
            initial = self._graph.resources.initial.get(name)
            value = resources[name] if initial is None or name in resources else _constant(initial, self._samples)
            self.store(operator.outputs[0], value)
        else:
            tensor = self._tensors[operator.inputs[1]]
            constant = tensor.data is not None and tensor.dtype is not None
            resources[name] = _constant(tensor, self._samples) if constant else self.load(tensor.index)


def read_graph(data: bytes) -> Graph:
    """Prepares a Vela output: decodes its command streams, cuts its CPU operators.

    Raises `StreamError` for a file that is damaged or uses what is not modelled.
    """
    model = read_compiled(data)
    _check(model)
    resources = read_resources(model)
    steps = _steps(model, resources)
    return Graph(data, model, steps, resources, _released(model, steps))


@lru_cache(maxsize=4)
def cached_graph(data: bytes) -> Graph:
    """`read_graph` with a cache of the last few graphs, so that runs of the same model decode it once."""
    return read_graph(data)


def _check(model: CompiledModel) -> None:
    """Raises `BadInputError` for tensors and operators that no model has, but a damaged file may, and broken views."""
    check_views(model)
    check_tensors(model)
    operators = [operator for operator in model.main.operators if isinstance(operator, NpuOperator)]
    fast = [model.main.tensors[operator.scratch_fast].bytes for operator in operators]
    if max((model.arena_bytes, *fast)) > _MOST_MEMORY:
        raise BadInputError(f"the compiled model asks for an arena of {model.arena_bytes} bytes")
    for graph in model.subgraphs:
        if min((*graph.inputs, *graph.outputs), default=0) < 0:
            raise BadInputError("the compiled model has an input or output that is no tensor")


def _steps(model: CompiledModel, resources: Resources) -> tuple[BoundOperator | CpuOperator | Submodel, ...]:
    steps: list[BoundOperator | CpuOperator | Submodel] = []
    run: list[CpuOperator] = []

    def end_run() -> None:
        if run:
            steps.append(_piece(model, run))
            run.clear()

    for operator in model.main.operators:
        if isinstance(operator, NpuOperator):
            end_run()
            steps.append(operator.bind(model))
        elif operator.index in resources.accesses:
            needed = 1 if operator.outputs else 2
            if len(operator.inputs) < needed or min(operator.inputs) < 0 or min(operator.outputs, default=0) < 0:
                raise BadInputError(f"operator {operator.index} of the compiled model names no variable or no value")
            end_run()
            steps.append(operator)
        elif operator.index not in resources.silent:
            run.append(operator)
    end_run()
    return tuple(steps)


def _released(
    model: CompiledModel, steps: Sequence[BoundOperator | CpuOperator | Submodel]
) -> tuple[tuple[int, ...], ...]:
    """By step, the tensors of which it is the last that writes or reads them, but for the model's outputs.

    NPU operators read the arena.
    """
    last = dict.fromkeys(model.main.inputs, 0)
    for position, step in enumerate(steps):
        used = step.operator.outputs if isinstance(step, BoundOperator) else (*step.inputs, *step.outputs)
        last |= dict.fromkeys(used, position)
    kept = {*model.main.outputs}
    return tuple(
        tuple(index for index, position in last.items() if position == number and index not in kept)
        for number in range(len(steps))
    )


def _piece(model: CompiledModel, run: list[CpuOperator]) -> Submodel:
    tensors = model.main.tensors
    produced = {index for operator in run for index in operator.outputs}
    read = {index for operator in run for index in operator.inputs if index >= 0}
    inputs = [i for i in sorted(read - produced) if tensors[i].data is None and not tensors[i].is_variable]
    last = run[-1].index
    later = {index for operator in model.main.operators if operator.index > last for index in operator.inputs}
    outputs = sorted(produced & (later | set(model.main.outputs)))
    return Submodel(tuple(operator.index for operator in run), tuple(inputs), tuple(outputs))


def _place(arena: Array, tensor: ArenaTensor, value: Array) -> None:
    if tensor.offset is None:
        raise BadInputError(f"the compiled file has no address for the tensor {tensor.name!r}")
    raw = np.ascontiguousarray(value).reshape(len(arena), -1).view(np.uint8)
    if raw.shape[1] != tensor.bytes:
        raise BadInputError(f"the tensor {tensor.name!r} has {raw.shape[1]} bytes instead of {tensor.bytes}")
    arena[:, tensor.offset : tensor.offset + tensor.bytes] = raw


def _range(tensor: ArenaTensor) -> range:
    """The bytes of the arena that a tensor takes."""
    offset = tensor.offset or 0
    return range(offset, offset + tensor.bytes)


def _fetch(arena: Array, tensor: ArenaTensor) -> Array:
    if tensor.offset is None or tensor.dtype is None:
        raise BadInputError(f"the compiled file has no address for the tensor {tensor.name!r}")
    raw = np.ascontiguousarray(arena[:, tensor.offset : tensor.offset + tensor.bytes])
    return raw.view(tensor.dtype).reshape(len(arena), *tensor.shape)


def _reset(tensor: ArenaTensor, samples: int) -> Array:
    """The initial value of a variable tensor, as TFLite's `ResetVariableTensors`: the zero point if int8, else 0."""
    zero = tensor.quantization.zero_points[0] if tensor.dtype == np.int8 and tensor.quantization.zero_points else 0
    if not -128 <= zero <= 127:
        raise BadInputError(f"the compiled model's tensor {tensor.name!r} has the zero point {zero}")
    return np.full((samples, *tensor.shape), zero, tensor.dtype)


def _constant(tensor: Tensor, samples: int) -> Array:
    values = tensor.constant()
    assert values is not None
    return np.broadcast_to(values, (samples, *tensor.shape))


def _sampled(value: Array, tensor: ArenaTensor) -> Array:
    """`value` without the tensor's leading batch of 1."""
    if not tensor.shape:
        return value
    shape = tensor.shape[1:] if tensor.shape[:1] == (1,) else tensor.shape
    return value.reshape(len(value), *shape)
