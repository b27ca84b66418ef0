"""ELU of operators that TensorFlow's converter quantizes; its own it leaves in float.

    with quantizable_elu(model):      # while the converter traces it
        ...

elu(x) = relu(x) + alpha * (exp(x - relu(x)) - 1): the same in float, and RELU, SUB, EXP, SUB, ADD in the file.  With
min(x, 0) in place of x - relu(x), the converter gives x the range of the minimum, without positive values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from hil.harness.optimize.canonical.activations import activation_name
from hil.harness.optimize.keras.keras2 import import_tensorflow
from hil.harness.optimize.layers import flat_layers
from hil.harness.optimize.replaced_attributes import replaced


@contextmanager
def quantizable_elu(model: Any) -> Iterator[None]:
    """Lets ELU layers, and layers with that activation, compute it of such operators while the block runs."""
    with ExitStack() as stack:
        for layer in flat_layers(model):
            if type(layer).__name__ == "ELU":
                stack.enter_context(replaced(layer, call=_elu(float(layer.alpha))))
            elif getattr(layer, "symbol", "") == "nn.elu":  # the function, called with a tensor
                stack.enter_context(replaced(layer, call=_called(_elu(1.0))))
            elif activation_name(layer) == "elu":
                stack.enter_context(replaced(layer, activation=_elu(1.0)))
        yield


def _called(elu: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda features, **_: elu(features)


def _elu(alpha: float) -> Callable[[Any], Any]:
    tf = import_tensorflow()

    def elu(x: Any) -> Any:
        positive = tf.nn.relu(x)
        negative = tf.exp(x - positive) - 1.0
        return positive + (negative if alpha == 1 else alpha * negative)

    return elu
