"""ReLU6 of operators that TensorFlow's converter does not fuse, for 16-bit activations.

    with unfused_relu6(model):      # while the converter traces it
        ...

The converter makes HARD_SWISH of x * relu6(x + 3) / 6, which it cannot quantize to 16 bits.  relu6(x) = relu(x) -
relu(x - 6) is the same, and stays RELU, SUB, RELU and SUB in the file.  A ReLU6 behind a layer with weights, with which
it is fused, remains.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from hil.harness.optimize.keras.hard_swish import HARD_SWISH
from hil.harness.optimize.keras.keras2 import import_tensorflow
from hil.harness.optimize.layers import flat_layers
from hil.harness.optimize.replaced_attributes import replaced


@contextmanager
def unfused_relu6(model: Any) -> Iterator[None]:
    """Lets ReLU6 behind layers without weights, and HardSwish, compute it of such operators while the block runs."""
    relu = import_tensorflow().nn.relu

    def relu6(x: Any, **_: Any) -> Any:
        return relu(x) - relu(x - 6.0)

    def hard_swish(x: Any) -> Any:
        return x * relu6(x + 3.0) * (1 / 6)

    with ExitStack() as stack:
        for layer in flat_layers(model):
            call = hard_swish if type(layer).__name__ == HARD_SWISH else relu6 if _is_alone(layer) else None
            if call is not None:
                stack.enter_context(replaced(layer, call=call))
        yield


def _is_alone(layer: Any) -> bool:
    """Returns whether a layer is a ReLU6 that no layer with weights comes before."""
    is_layer = type(layer).__name__ == "ReLU" and float(layer.max_value or 0) == 6 and not layer.threshold
    if not (is_layer and not layer.negative_slope) and getattr(layer, "symbol", "") != "nn.relu6":
        return False
    before = layer._inbound_nodes[0].inbound_layers
    return not any(one.weights for one in (before if isinstance(before, list) else [before]))
