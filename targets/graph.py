"""A Vela output as a graph that runs here: NPU operators on `hil.npu`, the others on the reference kernels.

    graph = read_graph(compiled)
    outputs = graph.run([x], State())          # x: (samples, ...)

Each NPU operator gets an arena of its own, filled with its inputs at the addresses Vela gave them; between operators
the values of tensors are kept by tensor.  What lives from one inference to the next is kept apart, as *state*:

- resources: VAR_HANDLE names one, READ_VARIABLE and ASSIGN_VARIABLE read and write it, CALL_ONCE names the subgraph
  that sets its initial value;
- tensors marked as variable, such as the state of an LSTM.  Vela gives an NPU operator such a tensor as an input and
  lets it overwrite it in the arena.  Those of a CPU operator stay in the interpreter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from hil.npu.compiled import BoundOperator, CompiledModel, CpuOperator, NpuOperator, Tensor, read_compiled
from hil.npu.errors import BadInputError
from hil.npu.operations import Operation
from hil.targets.base import Array
from hil.targets.interpreter import run_piece
from hil.targets.pieces import Piece
from hil.targets.resources import Resources, read_resources

Trace = Callable[[int, Operation, Array], None]
"""Called after each block operation: which NPU operator, the operation, its output (samples, height, width, depth)."""


@dataclass
class State:
    """What an inference leaves for the next: arrays with a leading sample axis.

    `resources` by the name of the resource, `variables` by the name of the tensor; `resumed` says that there was an
    inference before, so that the interpreter's own variables go on as well.
    """

    resources: dict[str, Array] = field(default_factory=dict)
    variables: dict[str, Array] = field(default_factory=dict)
    resumed: bool = False


@dataclass(frozen=True)
class Graph:
    """The steps of one inference, in order."""

    data: bytes
    model: CompiledModel
    steps: tuple[BoundOperator | CpuOperator | Piece, ...]
    resources: Resources

    @property
    def stateful(self) -> bool:
        """Whether an inference can change the next one."""
        return bool(self.resources.handles) or any(tensor.is_variable for tensor in self.model.main.tensors)

    def run(self, inputs: Sequence[Array], state: State, trace: Trace | None = None) -> tuple[Array, ...]:
        """Outputs in the model's order, each (samples, ...); `state` is changed to what the inference leaves."""
        main = self.model.main
        samples = len(inputs[0])
        values = dict(zip(main.inputs, inputs, strict=True))
        stream = 0
        for step in self.steps:
            if isinstance(step, BoundOperator):
                self._run_npu(step, values, samples, state, trace, stream)
                stream += 1
            elif isinstance(step, CpuOperator):
                self._run_resource(step, values, samples, state)
            else:
                wanted = [_shaped(values[index], main.tensors[index]) for index in step.inputs]
                outputs = run_piece(self.data, step, wanted, samples, resume=state.resumed)
                values.update(zip(step.outputs, outputs, strict=True))
        state.resumed = True
        return tuple(_sampled(values[index], main.tensors[index]) for index in main.outputs)

    def _run_npu(
        self,
        step: BoundOperator,
        values: dict[int, Array],
        samples: int,
        state: State,
        trace: Trace | None,
        stream: int,
    ) -> None:
        tensors = self.model.main.tensors
        arena = np.zeros((samples, self.model.arena_bytes), np.uint8)
        variables = [tensors[index] for index in step.operator.inputs if tensors[index].is_variable]
        for index in step.operator.inputs:
            tensor = tensors[index]
            if tensor.is_variable:
                _place(arena, tensor, state.variables.get(tensor.name, _reset(tensor, samples)))
            elif tensor.data is None:
                _place(arena, tensor, values[index])
            elif tensor.offset is not None:
                _place(arena, tensor, np.broadcast_to(tensor.data, (samples, len(tensor.data))))
        step.run(arena, None if trace is None else lambda operation, ofm: trace(stream, operation, ofm))
        values.update((index, _fetch(arena, tensors[index])) for index in step.operator.outputs)
        state.variables.update((tensor.name, _fetch(arena, tensor)) for tensor in variables)

    def _run_resource(self, step: CpuOperator, values: dict[int, Array], samples: int, state: State) -> None:
        """READ_VARIABLE and ASSIGN_VARIABLE; the other two have no effect in a step."""
        name = self.resources.handles[step.inputs[0]]
        if step.outputs:
            values[step.outputs[0]] = state.resources.get(name, self._initial(name, samples))
        else:
            value = self.model.main.tensors[step.inputs[1]]
            constant = value.data is not None and value.dtype is not None
            data = _constant(value, samples) if constant else values[step.inputs[1]]
            state.resources[name] = data

    def _initial(self, name: str, samples: int) -> Array:
        if name not in self.resources.initial:
            raise BadInputError(f"the model reads its variable {name!r} before anything was assigned to it")
        return _constant(self.resources.initial[name], samples)


def read_graph(data: bytes) -> Graph:
    """Prepares a Vela output: decodes its command streams, cuts its CPU operators.

    Raises `StreamError` for a file that is damaged or uses what is not modelled.
    """
    model = read_compiled(data)
    resources = read_resources(data, model)
    return Graph(data, model, _steps(model, resources), resources)


def _steps(model: CompiledModel, resources: Resources) -> tuple[BoundOperator | CpuOperator | Piece, ...]:
    steps: list[BoundOperator | CpuOperator | Piece] = []
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
            end_run()
            steps.append(operator)
        elif operator.index not in resources.silent:
            run.append(operator)
    end_run()
    return tuple(steps)


def _piece(model: CompiledModel, run: list[CpuOperator]) -> Piece:
    tensors = model.main.tensors
    produced = {index for operator in run for index in operator.outputs}
    read = {index for operator in run for index in operator.inputs if index >= 0}
    inputs = [i for i in sorted(read - produced) if tensors[i].data is None and not tensors[i].is_variable]
    last = run[-1].index
    later = {index for operator in model.main.operators if operator.index > last for index in operator.inputs}
    outputs = sorted(produced & (later | set(model.main.outputs)))
    return Piece(tuple(operator.index for operator in run), tuple(inputs), tuple(outputs))


def _place(arena: Array, tensor: Tensor, value: Array) -> None:
    if tensor.offset is None:
        raise BadInputError(f"the compiled file has no address for the tensor {tensor.name!r}")
    raw = np.ascontiguousarray(value).reshape(len(arena), -1).view(np.uint8)
    if raw.shape[1] != tensor.bytes:
        raise BadInputError(f"the tensor {tensor.name!r} has {raw.shape[1]} bytes instead of {tensor.bytes}")
    arena[:, tensor.offset : tensor.offset + tensor.bytes] = raw


def _fetch(arena: Array, tensor: Tensor) -> Array:
    if tensor.offset is None or tensor.dtype is None:
        raise BadInputError(f"the compiled file has no address for the tensor {tensor.name!r}")
    raw = np.ascontiguousarray(arena[:, tensor.offset : tensor.offset + tensor.bytes])
    return raw.view(tensor.dtype).reshape(len(arena), *tensor.shape)


def _reset(tensor: Tensor, samples: int) -> Array:
    """The initial value of a variable tensor, as TFLite's `ResetVariableTensors`: the zero point if int8, else 0."""
    zero = tensor.quantization.zero_points[0] if tensor.dtype == np.int8 and tensor.quantization.zero_points else 0
    return np.full((samples, *tensor.shape), zero, tensor.dtype)


def _constant(tensor: Tensor, samples: int) -> Array:
    assert tensor.data is not None
    assert tensor.dtype is not None
    return np.broadcast_to(tensor.data.view(tensor.dtype).reshape(tensor.shape), (samples, *tensor.shape))


def _shaped(value: Array, tensor: Tensor) -> Array:
    return value.reshape(len(value), *tensor.shape)


def _sampled(value: Array, tensor: Tensor) -> Array:
    """Without the tensor's leading batch of 1."""
    shape = tensor.shape[1:] if tensor.shape[:1] == (1,) else tensor.shape
    return value.reshape(len(value), *shape)
