"""Matching of the operators of a TFLite file to the Keras layers whose kernels they hold.

TensorFlow's converter names tensors by their scope in the graph, "MODEL/LAYER/Conv2D", several joined by ";" where it
fused layers.  The output is asked first: equal weights or biases of several layers become one tensor, with the name of
one of them.  A shared layer has several operators.  An operator without such a name, as the last one ("Identity"),
is matched by shape and order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hil.core.tflite.weights import OperatorWeights
from hil.harness.optimize.layers import KERNELS, RECURRENT, unwrap, weight_name


@dataclass(frozen=True)
class Kernel:
    """Kernel of a Keras layer: the layer's name, its scope in the graph, and the kernel's shape."""

    layer: str
    scope: str
    shape: tuple[int, ...]


def match_layers(operators: Sequence[OperatorWeights], model: Any) -> list[str | None]:
    """Returns the layer's name for each weighted operator, in execution order; None for one that matches no layer."""
    kernels = list(_kernels(model, f"{model.name}/"))
    found = [_by_name(operator, kernels) for operator in operators]
    waiting = [kernel for kernel in kernels if kernel not in found]
    for place, operator in enumerate(operators):
        kernel = next((kernel for kernel in waiting if _fits(kernel, operator)), None)
        if found[place] is None and kernel is not None:
            waiting.remove(kernel)
            found[place] = kernel
    return [None if kernel is None else kernel.layer for kernel in found]


def named_after(operators: Sequence[OperatorWeights], layer: str, model: Any) -> list[OperatorWeights]:
    """Returns the operators with a layer's name in their tensors' names, whatever their weights are."""
    scopes = [kernel.scope for kernel in _kernels(model, f"{model.name}/") if kernel.layer == layer]
    return [op for op in operators if any(_names(text, scope) for text in op.names for scope in scopes)]


def _kernels(model: Any, scope: str) -> Iterator[Kernel]:
    """Iterates over the kernels of a model in order, those of nested models in their place."""
    for outer in model.layers:
        if hasattr(outer, "layers"):
            yield from _kernels(outer, f"{scope}{outer.name}/")
            continue
        for variable in outer.weights if type(outer).__name__ not in RECURRENT else ():  # `gate_weights` finds these
            if weight_name(variable) in KERNELS:
                yield Kernel(unwrap(outer).name, f"{scope}{outer.name}", tuple(variable.shape))


def _by_name(operator: OperatorWeights, kernels: Sequence[Kernel]) -> Kernel | None:
    """Finds the kernel with the longest scope that a tensor's name begins with: of the output, else of the others."""
    for text in reversed(operator.names):
        named = [kernel for kernel in kernels if _names(text, kernel.scope) and _fits(kernel, operator)]
        if named:
            return max(named, key=lambda kernel: len(kernel.scope))
    return None


def _names(text: str, scope: str) -> bool:
    return any(part.startswith(f"{scope}/") for part in text.split(";"))


def _fits(kernel: Kernel, operator: OperatorWeights) -> bool:
    """Returns whether an operator's weights can be this kernel: the same axes in any order."""
    weights = operator.weights
    return weights is not None and _axes(weights.shape) == _axes(kernel.shape)


def _axes(shape: Sequence[int]) -> list[int]:
    return sorted(size for size in shape if size > 1)
