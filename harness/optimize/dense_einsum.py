"""Einsums with a kernel as products of matrices, which TensorFlow's converter takes behind quantized layers.

    with dense_einsums():      # while the converter traces a quantization-aware model
        ...

The converter makes FULLY_CONNECTED of an EinsumDense, alone or in MultiHeadAttention, that training left in float.
Where a quantized value reaches it through a Reshape, it forgets the DEQUANTIZE between, and refuses its own file:
"FULLY_CONNECTED failed to prepare".  It does not do so with a product of matrices, which is the same operator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hil.harness.optimize.keras.keras2 import import_keras, import_tensorflow
from hil.harness.optimize.replaced_attributes import replaced


@contextmanager
def dense_einsums() -> Iterator[None]:
    """Lets EinsumDense layers compute products of matrices, where that is the same, while the block runs."""
    layer = import_keras().layers.EinsumDense
    with replaced(layer, call=_product_or(layer.call)):
        yield


def contracted_axes(equation: str) -> int:
    """Returns how many last axes of the input meet as many first axes of the kernel; 0 for any other equation.

    contracted_axes("abc,cde->abde")  # 1
    contracted_axes("ab,bc->ca")  # 0
    The order of all axes must be that of `tf.tensordot`.
    """
    inputs, _, rest = equation.replace(" ", "").partition(",")
    kernel, _, output = rest.partition("->")
    counts = range(1, min(len(inputs), len(kernel)) + 1)
    return next((n for n in counts if inputs.endswith(kernel[:n]) and inputs[:-n] + kernel[n:] == output), 0)


def _product_or(einsum: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    tf = import_tensorflow()

    def call(layer: Any, inputs: Any) -> Any:
        axes = contracted_axes(layer.equation)
        if not axes:
            return einsum(layer, inputs)
        product = tf.tensordot(inputs, layer.kernel, axes)
        product = product if layer.bias is None else product + layer.bias
        return product if layer.activation is None else layer.activation(product)

    return call
