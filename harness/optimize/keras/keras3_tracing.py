"""Layers of the user's own classes in a Keras 3 model, replaced by models of the layers and functions that they call.

    made = traced(model, keras)        # the model itself if all its layers are Keras' own

A Keras 3 layer whose `call` calls other layers and functions of `keras.ops` is a small graph: called with symbolic
tensors, at inference, it leaves its parts, which share its weights, in a model of its name.  Weights of its own
(`add_weight`) would become constants that no technique trains, so such a layer is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hil.core.errors import HilError, OptimizeError
from hil.harness.blame import first_cause
from hil.harness.optimize.keras.keras3_layers import MODELS, label, refuse


def traced(model: Any, keras: Any) -> Any:
    """Returns the model with every layer of the user's own replaced; raises `OptimizeError` naming one that cannot be.

    `keras` is Keras 3.
    """
    return _Tracer(keras).model(model)


def is_users_own(layer: Any) -> bool:
    """Returns whether a layer, model or function is of a class outside Keras."""
    return type(layer).__module__.split(".")[0] != "keras"


def _users_own(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        if is_users_own(layer) or (type(layer).__name__ in MODELS and any(_users_own(layer))):
            yield layer


class _Tracer:
    """The replacement; a layer that is called several times stays one model."""

    def __init__(self, keras: Any) -> None:
        self._keras = keras
        self._made: dict[int, Any] = {}

    def model(self, model: Any) -> Any:
        if not any(_users_own(model)):
            return model
        if id(model) not in self._made:
            sequential = type(model).__name__ == "Sequential"
            graph = self._keras.Model(model.inputs, model.outputs, name=model.name) if sequential else model
            clone = self._keras.models.clone_model
            self._made[id(model)] = clone(graph, clone_function=lambda layer: layer, call_function=self._called)
        return self._made[id(model)]

    def _called(self, layer: Any, *arguments: Any, **keywords: Any) -> Any:
        if is_users_own(layer):
            return self._traced(layer, arguments, keywords)
        if type(layer).__name__ in MODELS:
            return self.model(layer)(*arguments, **keywords)
        return layer(*arguments, **keywords)

    def _traced(self, layer: Any, arguments: Any, keywords: dict[str, Any]) -> Any:
        """Calls the model of a layer's parts with the tensors among its arguments."""
        where = label([layer.name])
        if own := [weight.name for weight in (*layer._trainable_variables, *layer._non_trainable_variables)]:
            what = f"{type(layer).__name__} is a class of its own with a weight of its own, {own[0]}"
            refuse(where, what, "give the weight to one of Keras' layers inside it")
        tensors = [x for x in self._keras.tree.flatten((arguments, keywords)) if self._is_tensor(x)]
        if id(layer) not in self._made:
            try:
                self._made[id(layer)] = self.model(self._parts(layer, arguments, keywords, tensors))
            except HilError:
                raise
            except Exception as error:
                cause = first_cause(error)
                what = f"{type(layer).__name__} is a class of its own, whose call cannot be followed: {cause}"
                raise OptimizeError(
                    f"{where} cannot be rebuilt under tf_keras: {what}", hint="use Keras' layers and keras.ops in it"
                ) from error
        return self._made[id(layer)](tensors if len(tensors) > 1 else tensors[0])

    def _parts(self, layer: Any, arguments: Any, keywords: dict[str, Any], tensors: list[Any]) -> Any:
        """Makes a model of what a layer calls."""
        inputs = [self._keras.Input(batch_shape=x.shape, dtype=x.dtype) for x in tensors]
        given = iter(inputs)
        arguments, keywords = self._keras.tree.map_structure(
            lambda value: next(given) if self._is_tensor(value) else value, (arguments, keywords)
        )
        outputs = layer.call(*arguments, **{key: value for key, value in keywords.items() if value is not None})
        return self._keras.Model(inputs if len(inputs) > 1 else inputs[0], outputs, name=layer.name)

    def _is_tensor(self, value: Any) -> bool:
        return bool(self._keras.utils.is_keras_tensor(value))
