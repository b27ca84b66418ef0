"""Losses of a network's outputs, and the labels in the form that each takes.

    losses = output_losses(network, samples, {"kind": "logits", "box": "mse"}, {"box": 0.5})
    losses.check(samples)                           # BadInputError: ... of output boxes ...
    losses.labels(y)                                # [int64 (64,), float32 (64, 4)]
    losses.losses, losses.weights                   # of Keras, in the network's order

An output to which the data has no labels has no loss: it is trained by what the others teach the layers before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import BadInputError
from hil.harness.blame import first_cause
from hil.harness.data.samples import Samples
from hil.harness.metrics.labels import Labels, Shape
from hil.harness.metrics.loss_kind import LossKind, loss_kind
from hil.harness.optimize.keras.keras2 import import_keras
from hil.harness.optimize.network_inputs import as_inputs, as_outputs

Loss = str | Callable[[], Any]
Losses = Loss | Mapping[str, Loss]


@dataclass(frozen=True, eq=False)
class OutputLosses:
    """Names, sample shapes, Keras losses (None: no labels) and weights of the outputs, in the network's order."""

    names: tuple[str, ...]
    shapes: tuple[Shape, ...]
    losses: list[Any]
    weights: list[float]

    def kind(self, place: int) -> LossKind:
        """Kind of the loss of output number `place`."""
        return loss_kind(self.losses[place])

    def labels(self, y: Sequence[Array], split: str = "training") -> list[Array]:
        """Returns labels (n, ...) as the losses take them, so that none is broadcast against the outputs.

        A loss of the user's own gets them as they are, bools as 0.0 and 1.0.  Raises `BadInputError` if they do not fit
        the network's outputs and a loss of Keras.
        """
        return [self._labels(place, array, split) for place, array in enumerate(y)]

    def check(self, samples: Samples) -> None:
        """Raises `BadInputError` unless all labels fit."""
        for part in samples.chunks():
            self.labels(part.y)

    def _labels(self, place: int, y: Array, split: str) -> Array:
        if self.losses[place] is None:
            return y
        name = self.names[place] if len(self.names) > 1 else ""
        labels, kind = Labels(y, self.shapes[place], split, name), self.kind(place).kind
        if kind == "classes":
            return labels.classes()
        if kind == "one-hot":
            return labels.one_hot()
        if kind in ("regression", "binary", "hinge", "direction"):
            return labels.numbers(np.float32)
        return y.astype(np.float32) if y.dtype == bool else y


def output_losses(
    network: Any, samples: Samples, loss: Losses, weights: Mapping[str, float] | None = None
) -> OutputLosses:
    """Returns the losses of a network's outputs; raises `BadInputError` for names that are none of its outputs."""
    names = samples.labels.names or tuple(network.output_names)  # TFMOT's wrappers have names of their own
    for given in (loss if isinstance(loss, Mapping) else {}, weights or {}):
        if unknown := [name for name in given if name not in names]:
            hint = f"its outputs: {', '.join(names)}"
            raise BadInputError(f"a loss is given for {unknown[0]}, which is no output of the network", hint=hint)
    labelled = [array.shape[1:] != (0,) for array in samples.labels.arrays]
    if len(labelled) != len(names):
        many = f"{len(names)} output{'' if len(names) == 1 else 's'} ({', '.join(names)})"
        raise BadInputError(f"the network has {many}, the labels are {len(labelled)} arrays")
    made = [_loss_of(name, loss) if has_labels else None for name, has_labels in zip(names, labelled, strict=True)]
    if not any(made):
        raise BadInputError("no output of the network has labels", hint=f"its outputs: {', '.join(names)}")
    shapes = output_shapes(network, samples)
    return OutputLosses(names, shapes, made, [float((weights or {}).get(name, 1.0)) for name in names])


def output_shapes(network: Any, samples: Samples) -> tuple[Shape, ...]:
    """Returns the shapes of the outputs for one sample; an axis that Keras leaves open has the size it has here."""
    shapes = tuple(tuple(tensor.shape)[1:] for tensor in network.outputs)
    if not any(None in shape for shape in shapes):
        return shapes
    outputs = network(as_inputs(network, samples.take(slice(0, 1)).x), training=False)
    return tuple(tuple(output.shape)[1:] for output in as_outputs(outputs))


def keras_loss(loss: Loss) -> Any:
    """Returns the Keras loss that a model file names; raises `BadInputError` if its function gives none."""
    losses = import_keras().losses
    if callable(loss):
        try:
            made = losses.get(loss())
        except Exception as error:
            cause = f"{type(error).__name__}: {first_cause(error)}"
            hint = "loss=FUNCTION is called without arguments and returns the loss: loss=lambda: my_loss"
            raise BadInputError(f"the function loss gives no loss: {cause}", hint=hint) from error
        if made is None:
            raise BadInputError("the function loss gives None", hint="return a loss of Keras, or a function")
        return made
    if loss == "mse":
        return losses.MeanSquaredError()
    return losses.SparseCategoricalCrossentropy(from_logits=loss == "logits")


def _loss_of(name: str, loss: Losses) -> Any:
    if not isinstance(loss, Mapping):
        return keras_loss(loss)
    if name not in loss:
        raise BadInputError(f"output {name} has labels and no loss", hint=f"loss={{{name!r}: ...}}")
    return keras_loss(loss[name])
