"""Recurrent layers in the form that TensorFlow's converter takes: fused, or unrolled over their time steps.

    with unrolled(model, "ptq"):        # the layers compute the same, without a loop
        ...

| layer | becomes |
|---|---|
| `LSTM` with Keras' usual activations | UNIDIRECTIONAL_SEQUENCE_LSTM, by the conversions `FUSING`; else unrolled |
| `GRU`, `SimpleRNN`, other `LSTM`, `Bidirectional` | unrolled: a product for each gate, and its step for each time |

The converter crashes on other loops, and has no fused LSTM with 16-bit activations; LiteRT's quantizer takes none.
Both directions of a `Bidirectional(LSTM)` would share one state in the int8 file, so they are unrolled.  Keras' own
unrolling splits the gates after the product, and the converter leaves many a SPLIT or UNPACK in float (TensorFlow
2.19); here each gate has a product of its own, and that with the inputs is one for all times.  Unrolling is exact up to
float rounding, and compared.

The converter gives the output of a fused LSTM the scale of a Concatenate that reads it, and the range of an Add's sum,
but the kernel needs the scale of the LSTM's state there: without more the file is another function (-1 to 6 dB).  So
the output is clipped to -1 to 1, its range in any case, by an operator RELU_N1_TO_1 that has a scale of its own.  So is
that of an unrolled layer after quantization-aware training, where several fake quantizations read it.

TFMOT 0.8.1 has no fake quantization for recurrent layers.  In quantization-aware training they stay in float, and the
conversion takes the ranges of their activations from calibration samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from hil.core.errors import OptimizeError
from hil.harness.optimize.keras.flat_graph import SAMPLES, check_equal
from hil.harness.optimize.keras.keras2 import import_tensorflow
from hil.harness.optimize.layers import RECURRENT, flat_layers, unwrap

FUSING = ("ptq", "npu_ptq", "qat")
"""Conversions that have a fused LSTM."""
GATES = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}
"""Number of gates, whose weights stand side by side in a kernel."""


def recurrent_layers(model: Any) -> Iterator[Any]:
    """Iterates over the recurrent layers of a model, a Bidirectional as one."""
    return (layer for layer in flat_layers(model) if type(layer).__name__ in RECURRENT)


def is_fused(layer: Any, conversion: str) -> bool:
    """Returns whether the converter makes one operator of a recurrent layer."""
    return (
        type(layer).__name__ == "LSTM"
        and conversion in FUSING
        and not layer.unroll
        and not layer.go_backwards
        and bool(layer._could_use_gpu_kernel)  # Keras' name for the usual activations
    )


def has_fused(model: Any, conversion: str) -> bool:
    """Returns whether the converter makes one operator of a layer of the model."""
    return any(is_fused(layer, conversion) for layer in recurrent_layers(model))


@contextmanager
def unrolled(model: Any, conversion: str) -> Iterator[None]:
    """Lets the recurrent layers that the converter does not fuse compute without a loop while the block runs.

    Outputs are clipped where a reader would change their scale.  Raises `OptimizeError` naming a layer that cannot be
    unrolled, or whose outputs differ.
    """
    loops = [layer for layer in recurrent_layers(model) if not is_fused(layer, conversion)]
    rescaled = [layer for layer in recurrent_layers(model) if _needs_clipping(layer, conversion)]
    masks = [layer.name for layer in flat_layers(model) if type(layer).__name__ == "Masking"]
    if loops and masks:
        raise OptimizeError(f"layer {loops[0].name} gets a mask from {masks[0]}: it cannot be unrolled")
    try:
        for layer in loops:
            _unroll(layer)
        for layer in rescaled:
            layer.call = _clipped(layer.call)
        yield
    finally:
        for layer in (*loops, *rescaled):
            vars(layer).pop("call", None)


_REQUANTIZING = ("Dense", "TimeDistributed", "Conv1D", "Conv2D", *RECURRENT)
_PASSING = ("Dropout", "SpatialDropout1D", "Flatten", "Reshape")
"""Layers whose output has a scale of its own, and layers that pass on what they get."""


def _needs_clipping(layer: Any, conversion: str) -> bool:
    """Returns whether the output of a layer gets a wrong scale, or none, from a reader, and lies within -1 to 1.

    The fake quantization of two readers, as of an average and a maximum, leaves the last step of an unrolled layer in
    float.
    """
    exposed = is_fused(layer, conversion) or (conversion == "qat" and _lies_within_one(layer))
    return exposed and _is_rescaled(layer)


def _lies_within_one(layer: Any) -> bool:
    parts = [layer.forward_layer, layer.backward_layer] if hasattr(layer, "forward_layer") else [layer]
    merged = getattr(layer, "merge_mode", "concat") in ("concat", "mul", "ave")
    return merged and all(part.activation.__name__ in ("tanh", "sigmoid") for part in parts)


def _is_rescaled(layer: Any) -> bool:
    """Returns whether a reader of the output may change its scale."""
    return not layer.return_state and any(kind not in _REQUANTIZING for kind in _reader_kinds(layer))


def _reader_kinds(layer: Any) -> Iterator[str]:
    for node in layer._outbound_nodes:
        kind = type(unwrap(node.layer)).__name__
        if kind in _PASSING:
            yield from _reader_kinds(node.layer)
        else:
            yield kind


def _clipped(call: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *inputs, **settings: import_tensorflow().clip_by_value(call(*inputs, **settings), -1.0, 1.0)


def _unroll(layer: Any) -> None:
    """Sets a layer's call; raises `OptimizeError` unless it computes the same on random inputs.

    The layer is compared alone: behind it, fake quantization would make a whole step of a rounding.
    """
    shape = layer.get_input_shape_at(0)
    parts = [layer.forward_layer, layer.backward_layer] if hasattr(layer, "forward_layer") else [layer]
    if isinstance(shape, list) or any(part.stateful or part.return_state for part in parts):
        raise OptimizeError(f"layer {layer.name} gets a state or hands it on: it cannot be unrolled")
    samples = np.random.default_rng(0).normal(size=(SAMPLES, *shape[1:])).astype(np.float32)
    nest, expected = import_tensorflow().nest, layer(samples, training=False)
    layer.call = _both_directions(layer) if hasattr(layer, "forward_layer") else _one_direction(layer)
    for wanted, found in zip(nest.flatten(expected), nest.flatten(layer(samples, training=False)), strict=True):
        check_equal(np.asarray(wanted), np.asarray(found), f"layer {layer.name}, unrolled")


def _one_direction(layer: Any) -> Callable[..., Any]:
    return lambda inputs, **_: _merged(layer, _states(layer, inputs))


def _both_directions(layer: Any) -> Callable[..., Any]:
    """The call of a Bidirectional; its second sequence is put in order without REVERSE_V2, which no NPU has."""
    tf = import_tensorflow()
    merging: dict[str, Callable[[Any, Any], Any]] = {
        "concat": lambda first, second: tf.concat([first, second], axis=-1),
        "sum": lambda first, second: first + second,
        "mul": lambda first, second: first * second,
        "ave": lambda first, second: (first + second) / 2,
    }

    def call(inputs: Any, **_: Any) -> Any:
        forward, backward = (_states(part, inputs) for part in (layer.forward_layer, layer.backward_layer))
        first, second = _merged(layer, forward), _merged(layer, backward[::-1] if layer.return_sequences else backward)
        return [first, second] if layer.merge_mode is None else merging[layer.merge_mode](first, second)

    return call


def _merged(layer: Any, states: Sequence[Any]) -> Any:
    return import_tensorflow().stack(states, axis=1) if layer.return_sequences else states[-1]


def _states(layer: Any, inputs: Any) -> list[Any]:
    """Computes a layer's hidden state (n, units) after each step, in the order of its steps."""
    step = {"LSTM": _lstm, "GRU": _gru, "SimpleRNN": _simple}[type(layer).__name__](layer.cell)
    gates = [_over_time(inputs, kernel, bias) for kernel, bias in step.of_inputs]
    carry: tuple[Any, ...] = ()
    states = []
    for time in reversed(range(inputs.shape[1])) if layer.go_backwards else range(inputs.shape[1]):
        carry = step.next([gate[time] for gate in gates], carry)
        states.append(carry[0])
    return states


def _over_time(inputs: Any, kernel: Any, bias: Any) -> list[Any]:
    """Computes x W + b (n, units) for each step of (n, steps, features), by one product."""
    tf = import_tensorflow()
    made = tf.matmul(tf.reshape(inputs, (-1, inputs.shape[-1])), kernel)
    made = made if bias is None else made + bias
    made = tf.reshape(made, (-1, inputs.shape[1], made.shape[-1]))
    return [made[:, time] for time in range(inputs.shape[1])]


@dataclass(frozen=True)
class _Step:
    """One step of a cell: `of_inputs` has kernel and bias by gate, `next` maps (gates of the inputs, state) to state.

    The state is a tuple whose first value is the hidden state; empty before the first step, where it is zero.
    """

    of_inputs: list[tuple[Any, Any]]
    next: Callable[[list[Any], Any], tuple[Any, ...]]


def _by_gate(value: Any, count: int) -> list[Any]:
    """Splits weights along their last axis."""
    units = value.shape[-1] // count
    return [value[..., place * units : (place + 1) * units] for place in range(count)]


def _biases(cell: Any, count: int) -> list[Any]:
    return _by_gate(cell.bias, count) if cell.use_bias else [None] * count


def _plus(gate: Any, state: Any, kernel: Any) -> Any:
    return gate if state is None else gate + import_tensorflow().matmul(state, kernel)


def _simple(cell: Any) -> _Step:
    def following(gates: list[Any], carry: Any) -> tuple[Any, ...]:
        return (cell.activation(_plus(gates[0], carry[0] if carry else None, cell.recurrent_kernel)),)

    return _Step([(cell.kernel, cell.bias if cell.use_bias else None)], following)


def _lstm(cell: Any) -> _Step:
    recurrent = _by_gate(cell.recurrent_kernel, 4)

    def following(gates: list[Any], carry: Any) -> tuple[Any, ...]:
        hidden, memory = carry or (None, None)
        taken, left, new, given = (_plus(gate, hidden, kernel) for gate, kernel in zip(gates, recurrent, strict=True))
        made = cell.recurrent_activation(taken) * cell.activation(new)
        made = made if memory is None else made + cell.recurrent_activation(left) * memory
        return cell.recurrent_activation(given) * cell.activation(made), made

    return _Step(list(zip(_by_gate(cell.kernel, 4), _biases(cell, 4), strict=True)), following)


def _gru(cell: Any) -> _Step:
    """A gated recurrent unit; the recurrent bias of `reset_after` joins that of the inputs, but for the new state."""
    tf, kernels, recurrent = import_tensorflow(), _by_gate(cell.kernel, 3), _by_gate(cell.recurrent_kernel, 3)
    biases, inner = _biases(cell, 3), None
    if cell.use_bias and cell.reset_after:
        of_inputs, of_state = (_by_gate(cell.bias[row], 3) for row in (0, 1))
        biases, inner = [of_inputs[0] + of_state[0], of_inputs[1] + of_state[1], of_inputs[2]], of_state[2]

    def following(gates: list[Any], carry: Any) -> tuple[Any, ...]:
        state = carry[0] if carry else None
        update = cell.recurrent_activation(_plus(gates[0], state, recurrent[0]))
        reset = cell.recurrent_activation(_plus(gates[1], state, recurrent[1]))
        new = cell.activation(_candidate(gates[2], reset, state))
        return (new - update * new if state is None else new + update * (state - new),)

    def _candidate(gate: Any, reset: Any, state: Any) -> Any:
        if not cell.reset_after:
            return gate if state is None else gate + tf.matmul(reset * state, recurrent[2])
        product = None if state is None else tf.matmul(state, recurrent[2])
        if inner is not None:
            product = inner if product is None else product + inner
        return gate if product is None else gate + reset * product

    return _Step(list(zip(kernels, biases, strict=True)), following)
