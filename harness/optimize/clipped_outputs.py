"""Outputs of a quantization-aware network that their quantization range clips.

    for line in clipped_outputs(trained, samples):
        print(line)     # "output price: 92 % of its values on the calibration samples lie outside its range -6 to 6"

An output's range is that of the last quantization before it.  The network runs in float, once as it is and once with
the values clipped there, and the two outputs are compared.  So what the network itself cuts off (ReLU6, sigmoid, tanh)
is no clipping: a sigmoid turns 20, clipped to 6, into 0.998, not 1.

A few values outside are normal: TFMOT's range is a moving average of the batches' extremes, beyond which about one
value in a batch lies at each end, by a fraction of the standard deviation.  With batches of 64 that is an error of 5 %
of the standard deviation.  Twice that (`LIMIT`) is more than int8 needs to lose, and is reported if it is also more
than one int8 step of the output.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.harness.optimize.activation_ranges import ActivationRange, run_in_float
from hil.harness.optimize.layers import unwrap, weight_name

LIMIT = 0.1
"""Largest error by clipping (root mean square) that is not reported, in standard deviations of the output."""
_SQUASHED_STEP = 1 / 128
"""Largest int8 step of TFLite's sigmoid and softmax (1/256) and tanh (1/128)."""


def clipped_outputs(network: Any, samples: Sequence[Array]) -> list[str]:
    """Describes, in lines, the outputs that are clipped on samples (n, *input shape) by input; no line if none is.

    A network without quantization in its graph, or with an output that is not quantized, has no such range.
    """
    found = ((place, _source(tensor)) for place, tensor in enumerate(network.outputs))
    lines = (_describe(network, samples, place, source) for place, source in found if source is not None)
    return [line for line in lines if line]


@dataclass(frozen=True)
class _Source:
    """Last quantized layer before an output; `squashed`: a sigmoid, tanh or softmax follows its last quantization."""

    output: str
    layer: str
    squashed: bool


def _source(tensor: Any) -> _Source | None:
    """Finds the last quantized layer before an output of the network; None if there is none on a straight way."""
    output = unwrap(tensor._keras_history.layer).name
    squashed = False
    while True:
        history = tensor._keras_history
        layer = unwrap(history.layer)
        places = {weight_name(v) for v in history.layer.weights}
        if places & {"post_activation_min", "output_min"}:
            return _Source(output, layer.name, squashed)
        if "pre_activation_min" in places:
            return _Source(output, layer.name, squashed=True)
        squashed = squashed or type(layer).__name__ in ("Activation", "Softmax")
        inputs = history.layer._inbound_nodes[history.node_index].keras_inputs
        if len(inputs) != 1:
            return None
        tensor = inputs[0]


def _describe(network: Any, samples: Sequence[Array], place: int, source: _Source) -> str:
    """Returns the line on output number `place`; an empty one if it is fine."""
    outside = total = 0
    low = high = 0.0

    def count(at: ActivationRange, values: Array) -> Array:
        nonlocal outside, total, low, high
        if at.layer == source.layer:
            low, high = float(at.low.numpy()), float(at.high.numpy())
            outside += int(np.sum((values < low) | (values > high)))
            total += values.size
        return values

    def clip(at: ActivationRange, values: Array) -> Array:
        return np.clip(values, at.low.numpy(), at.high.numpy()) if at.layer == source.layer else values

    whole, clipped = (
        np.concatenate([outputs[place] for outputs in run_in_float(network, samples, observe)])
        for observe in (count, clip)
    )
    error = float(np.sqrt(np.mean((whole - clipped) ** 2)))
    step = _SQUASHED_STEP if source.squashed else (high - low) / 255
    if error <= max(LIMIT * float(whole.std()), step):
        return ""
    share = f"{100 * outside / total:.0f} %" if outside >= total / 100 else "less than 1 %"
    values = "its values before the activation" if source.squashed else "its values"
    where = f"on the calibration samples lie outside its range {low:.3g} to {high:.3g}"
    return f"output {source.output}: {share} of {values} {where}"
