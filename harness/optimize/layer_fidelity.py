"""Check of an int8 file against its Keras model; for a file that is another function, the layer at which it begins.

    check_fidelity(int8, keras_model, samples, "qat", ptq_db=34.2)      # ConvertError: "... that differs: re_lu"
    first_difference(int8, keras_model, samples)                        # "re_lu"

Each layer's output is looked for among all tensors of the file, by value: its figure is that of the most similar tensor
of its size (`fidelity.signal_to_noise`).  A convolution that the converter fused with the normalization and the ReLU
after it has no tensor of its own, so what a layer delivers is at least as good as the best layer that it leads to.
Along the model these figures only fall, a little with each quantization, and most at the layer that differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import ConvertError, OptimizeError
from hil.harness.optimize.fidelity import (
    COMPARED,
    Fidelity,
    invocations,
    measure_fidelity,
    shortfall,
    signal_to_noise,
)
from hil.harness.optimize.keras.flat_graph import flatten_model
from hil.harness.optimize.keras.keras2 import import_keras, import_tensorflow, quiet
from hil.harness.optimize.layers import unwrap
from hil.harness.optimize.network_inputs import as_inputs, as_outputs
from hil.targets.execution.signature import read_signature

TRACED = 16
"""Samples whose tensors are all held in memory."""
_SAME_DB, _LOST_DB = 40.0, 0.0
"""Figures beyond these say no more: quantization alone, and nothing in common."""


def check_fidelity(
    int8: bytes, keras_model: Any, samples: Sequence[Array], leaf: str, ptq_db: float | None
) -> Fidelity:
    """Compares the file of a leaf with its Keras model on some of the samples, arrays (n, *input shape) by input.

    Raises `ConvertError` naming the first layer that differs if the file is another function (see `fidelity`).
    """
    found = measure_fidelity(int8, keras_model, [array[:COMPARED] for array in samples])
    if missing := shortfall(found, ptq_db):
        layer = first_difference(int8, keras_model, samples)
        raise ConvertError(
            f"{leaf}: the int8 file is another function than its Keras model: {missing}, of signal to noise; "
            f"first layer that differs: {layer}"
        )
    return found


def first_difference(int8: bytes, keras_model: Any, samples: Sequence[Array]) -> str:
    """Returns the first layer of a Keras model that a file does not compute; samples are (n, *input shape) by input."""
    model = _flat(keras_model)
    layers = [layer for layer in model.layers if len(layer._inbound_nodes) == 1 and _is_one_tensor(layer)]
    delivered = _delivered(layers, _figures(int8, model, layers, [array[:TRACED] for array in samples]))
    falls = {
        layer.name: min((delivered[source.name] for source in _inbound(layer, delivered)), default=_SAME_DB)
        - delivered[layer.name]
        for layer in layers
    }
    return str(unwrap(max(layers, key=lambda layer: falls[layer.name])).name)


def _flat(model: Any) -> Any:
    """Returns a model without models inside, or as it is where one cannot be replaced by its layers."""
    try:
        return flatten_model(model) if any(hasattr(layer, "layers") for layer in model.layers) else model
    except OptimizeError:
        return model


def _is_one_tensor(layer: Any) -> bool:
    return not isinstance(layer.output, list | tuple | dict) and bool(layer.output.dtype.is_floating)


def _figures(int8: bytes, model: Any, layers: list[Any], samples: Sequence[Array]) -> dict[str, float]:
    """Returns the signal to noise of each layer's most similar tensor, limited to what distinguishes layers."""
    with quiet():
        probe = import_keras().Model(model.inputs, [layer.output for layer in layers])
        wanted = probe(as_inputs(probe, samples), training=False)
    values = dict(zip((layer.name for layer in layers), map(np.asarray, as_outputs(wanted)), strict=True))
    tensors = _tensors(int8, samples)
    return {
        name: max((_figure(value, tensor) for tensor in tensors), default=_LOST_DB) for name, value in values.items()
    }


def _figure(value: Array, tensor: Array) -> float:
    if value.size != tensor.size:
        return _LOST_DB
    return min(_SAME_DB, max(_LOST_DB, signal_to_noise(value, tensor)))


def _tensors(int8: bytes, samples: Sequence[Array]) -> list[Array]:
    """Returns the real values (samples, ...) of the file's inputs and operators' outputs that have one scale."""
    signature = read_signature(int8)
    names = {name for outputs in signature.all_outputs for name in outputs} | {spec.name for spec in signature.inputs}
    found: dict[int, list[Array]] = {}
    for interpreter in invocations(int8, samples, every_tensor=True):
        for detail in interpreter.get_tensor_details():
            scale, zero_point = detail["quantization"]
            if detail["name"] in names and scale:
                values = np.asarray(interpreter.get_tensor(detail["index"]), np.float32)
                found.setdefault(detail["index"], []).append((values - zero_point) * scale)
    return [np.stack(values) for values in found.values()]


def _delivered(layers: list[Any], figures: dict[str, float]) -> dict[str, float]:
    """Returns for each layer the best figure among itself and the layers that it leads to."""
    best = dict(figures)
    for layer in reversed(layers):
        for source in _inbound(layer, best):
            best[source.name] = max(best[source.name], best[layer.name])
    return best


def _inbound(layer: Any, known: dict[str, float]) -> list[Any]:
    """Returns the layers among `known` that a layer reads."""
    sources = import_tensorflow().nest.flatten(layer._inbound_nodes[0].inbound_layers)
    return [source for source in sources if source.name in known]
