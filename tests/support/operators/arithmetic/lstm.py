"""UNIDIRECTIONAL_SEQUENCE_LSTM as TFLite Micro computes it, in whole numbers.

TensorFlow's reference kernel takes its sigmoid and tanh from gemmlowp, TFLite Micro (the runtime of the firmware)
takes them from the table of TFLite's int16 LOGISTIC and TANH.  Vela's streams use the hardware's functions, which are
that table.  TensorFlow has no kernel of int16 activations; TFLite Micro has, with int64 biases.

A gate is the saturated sum of two fully connected products in int16 with scale 2**-12.  The cell's state is the
saturated sum of the forget gate times the old one and the input gate times the cell gate; the output is the output gate
times its tanh.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hil.core.arrays import Array
from hil.core.tflite.flatbuffer import Table
from hil.targets.execution.interpreter import Interpreter
from tests.support.operators.arithmetic.fixed_point import quantized, scaled, scaled_wide
from tests.support.operators.builder import Op, Tensor, build
from tests.support.operators.tensor_description import OperatorDescription, TensorDescription, first_operator

GATE_SCALE = 2.0**-12
_UNIT = 2.0**-15
_CELL_GATE = 2
"""The order is input, forget, cell, output."""
_CELL_CLIP, _TIME_MAJOR = 1, 3
"""Fields of the schema's `UnidirectionalSequenceLSTMOptions`."""


def lstm(model: bytes, inputs: Sequence[Array]) -> Sequence[Array]:
    """Every output of each sequence, from a state of zeros."""
    layer = _Layer(first_operator(model))
    x, y = layer.tensor(0), layer.operator.outputs[0]
    steps = inputs[0].reshape(-1, *x.shape).astype(np.int64) - x.zero_point
    time_axis = 1 if layer.options.scalar(_TIME_MAJOR, "<b") else 2
    steps = np.moveaxis(steps, time_axis, 0)
    hidden, cell = layer.tensor(18), layer.tensor(19)
    h = np.full((steps.shape[1], *hidden.shape), hidden.zero_point, np.int64)
    c = np.zeros((steps.shape[1], *cell.shape), np.int64)
    outputs = []
    for step in steps:
        h, c = layer.step(step, h, c)
        outputs.append(h)
    return [np.moveaxis(np.stack(outputs), 0, time_axis).astype(y.dtype)]


@dataclass(frozen=True)
class _Layer:
    operator: OperatorDescription

    @property
    def options(self) -> Table:
        found = self.operator.options
        assert found is not None
        return found

    def tensor(self, number: int) -> TensorDescription:
        found = self.operator.inputs[number]
        assert found is not None
        return found

    def step(self, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
        """(output, cell state) after one more input."""
        cell, hidden = self.tensor(19), self.operator.intermediates[4]
        take, forget, new, give = (self._gate(number, x, h) for number in range(4))
        kept = _saturated(scaled(forget * c, quantized(cell.scale * _UNIT / cell.scale)))
        added = _saturated(scaled(take * new, quantized(_UNIT * _UNIT / cell.scale)))
        c = _saturated(kept + added)
        if clip := self.options.scalar(_CELL_CLIP, "<f"):
            bound = int(clip / cell.scale)
            c = np.clip(c, -bound, bound)
        curved = _function("TANH", cell.scale)[c + 32768]
        limits = np.iinfo(self.operator.outputs[0].dtype)
        h = scaled(give * curved, quantized(_UNIT * _UNIT / hidden.scale)) + hidden.zero_point
        return np.clip(h, limits.min, limits.max), c

    def _gate(self, number: int, x: Array, h: Array) -> Array:
        hidden = self.tensor(18)
        fed = self._product(1 + number, x, self.tensor(0).scale, self.tensor(12 + number).data)
        back = self._product(5 + number, h - hidden.zero_point, hidden.scale, None)
        curve = _function("TANH" if number == _CELL_GATE else "LOGISTIC", GATE_SCALE)
        return curve[_saturated(fed + back) + 32768]

    def _product(self, number: int, values: Array, scale: float, bias: Array | None) -> Array:
        weights = self.tensor(number)
        assert weights.data is not None
        sums = values @ weights.data.astype(np.int64).T + (0 if bias is None else bias.astype(np.int64))
        rescale: Callable[..., Array] = scaled if self.tensor(0).dtype == np.int8 else scaled_wide
        return _saturated(rescale(sums, quantized(scale * weights.scale / GATE_SCALE)))


def _saturated(values: Array) -> Array:
    return np.clip(values, -32768, 32767)


@functools.cache
def _function(operator: str, scale: float) -> Array:
    """The int16 kernel of the oracle, by input + 32768."""
    shape = (1, 256, 256, 1)
    model = build(Op(operator, (Tensor(shape, "int16", scale),), (Tensor(shape, "int16", _UNIT),)))
    every = np.arange(-32768, 32768).astype(np.int16).reshape(shape)
    outputs: Array = Interpreter(model).run([every])[0].ravel()
    return outputs.astype(np.int64)
