"""Ranges of a network's activations on samples, set where TFMOT quantizes them.

    set_activation_ranges(aware, samples)        # before the training

TFMOT begins with -6 to 6 and moves by a thousandth of the difference a batch: right for normalized activations and long
trainings.  After a short one an output of 5 to 95 is cut off at 6, and one of 0 to 0.3 has six steps.

TFMOT puts fake quantization before or after an activation, behind batch normalization or a ReLU, behind an Add, or at
an input, and renames the layers that it splits.  So the values are observed in the quantization-aware network itself:
while it runs in float (`run_in_float`), each quantizer passes on what it gets.  A layer that is called twice has one
range for both calls.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import BadInputError
from hil.harness.optimize.keras.keras2 import import_tensorflow, import_tfmot
from hil.harness.optimize.layers import unwrap, weight_name
from hil.harness.optimize.network_inputs import as_inputs, as_outputs
from hil.harness.optimize.replaced_attributes import replaced

_QUANTIZERS = "tensorflow_model_optimization.python.core.quantization.keras.quantizers"
BATCH = 32


@dataclass(frozen=True, eq=False)
class ActivationRange:
    """Range of one fake quantization of activations: its layer, its place there, the variables of its two ends.

    `place` is TFMOT's name: "pre_activation", "post_activation", "output", or that of an input's quantizer.
    """

    layer: str
    place: str
    low: Any
    high: Any


Observe = Callable[[ActivationRange, Array], Array]
"""Called with a range and the float values (n, ...) that reach it; returns the values to go on with."""


def set_activation_ranges(network: Any, samples: Sequence[Array]) -> None:
    """Sets each activation range of a quantization-aware network to the least and largest float value on samples.

    `samples` are arrays (n, *input shape) by input.  A range includes zero, as TFLite
    demands.  One that saw only zeros stays as it is: every range represents zero, and an empty one would let no
    gradient through.  Raises `BadInputError` naming the layer if a value is not finite.
    """
    extremes: dict[ActivationRange, tuple[float, float]] = {}

    def observe(at: ActivationRange, values: Array) -> Array:
        if not np.isfinite(values).all():
            raise BadInputError(f"layer {at.layer}: its values on the calibration samples are not all finite")
        low, high = extremes.get(at, (0.0, 0.0))
        extremes[at] = min(low, float(values.min())), max(high, float(values.max()))
        return values

    for _ in run_in_float(network, samples, observe):
        pass
    for at, (low, high) in extremes.items():
        if low < high:
            at.low.assign(low)
            at.high.assign(high)


def run_in_float(network: Any, samples: Sequence[Array], observe: Observe) -> Iterator[list[Array]]:
    """Runs a quantization-aware network without its quantization; yields its outputs batch by batch.

    `observe` gets the values at every quantization of activations.  Weights are not quantized either.
    """
    ranges = _ranges(network)
    for start in range(0, len(samples[0]), BATCH):
        batch = as_inputs(network, [part[start : start + BATCH] for part in samples])
        with _observed(lambda low, values: observe(ranges[id(low)], values)):
            outputs = network(batch, training=False)
        yield [np.asarray(output) for output in as_outputs(outputs)]


def _ranges(network: Any) -> dict[int, ActivationRange]:
    """Returns id of the variable of a lower end -> range."""
    found = {}
    for layer in network.layers:
        variables = {weight_name(variable): variable for variable in layer.weights}
        for name, low in variables.items():
            if name.endswith("_min"):
                place = name.removesuffix("_min")
                found[id(low)] = ActivationRange(_owner(layer), place, low, variables[f"{place}_max"])
    return found


def _owner(layer: Any) -> str:
    """Returns the name of a quantized layer in the float network; an input's quantizer belongs to the input."""
    if type(layer).__name__ == "QuantizeLayer":
        return str(layer._inbound_nodes[0].inbound_layers.name)
    return str(unwrap(layer).name)


@contextmanager
def _observed(observe: Callable[[Any, Array], Array]) -> Iterator[None]:
    """Lets TFMOT's quantizers of activations call `observe`, and those of weights do nothing, while the block runs."""
    import_tfmot()
    tf, quantizers = import_tensorflow(), importlib.import_module(_QUANTIZERS)

    def activation(_quantizer: Any, inputs: Any, _training: bool, weights: Any, **_: Any) -> Any:
        return tf.convert_to_tensor(observe(weights["min_var"], inputs.numpy()))

    def weight(_quantizer: Any, inputs: Any, *_: Any, **__: Any) -> Any:
        return tf.identity(inputs)  # the variable itself would become a weight of the layer once more

    with ExitStack() as stack:
        for kind in _subclasses(quantizers.Quantizer):
            if "__call__" in vars(kind):
                moves = issubclass(kind, quantizers.MovingAverageQuantizer | quantizers.AllValuesQuantizer)
                stack.enter_context(replaced(kind, __call__=activation if moves else weight))
        yield


def _subclasses(kind: type[Any]) -> Iterator[type[Any]]:
    for below in kind.__subclasses__():
        yield below
        yield from _subclasses(below)
