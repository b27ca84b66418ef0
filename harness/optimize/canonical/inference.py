"""Layers that compute nothing at inference, left out: augmentation, noise, and a TimeDistributed around a Dense.

    made = without_identities(model)

The base is trained with them, as they are in the user's network; the fine-tuning of a technique sees the samples as
they are.  Dropout stays, which TFMOT takes.
"""

from __future__ import annotations

from typing import Any

from hil.harness.optimize.canonical.rewrite import Rewrite

AUGMENTATION = (
    *("RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom", "RandomContrast", "RandomBrightness"),
    *("RandomHeight", "RandomWidth"),
)
NOISE = ("GaussianNoise", "GaussianDropout", "AlphaDropout", "ActivityRegularization")


def without_identities(model: Any) -> Any:
    """Returns the model without such layers; the model itself if it has none."""
    if not any(_is_identity(layer) or is_repeated_dense(layer) for layer in model.layers):
        return model
    rewrite = Rewrite(model)

    def call(layer: Any, name: str, arguments: list[Any], keywords: dict[str, Any]) -> Any:
        if _is_identity(layer):
            return arguments[0]
        if is_repeated_dense(layer):
            inner = layer.layer
            config = {**inner.get_config(), "trainable": layer.trainable}
            return rewrite.instead(layer, type(inner), config, inner.get_weights())(arguments[0])
        return rewrite.copy(layer, name, arguments, keywords)

    return rewrite.network(call)


def is_repeated_dense(layer: Any) -> bool:
    """Returns whether a layer is a TimeDistributed around a Dense, which computes what the Dense does."""
    return type(layer).__name__ == "TimeDistributed" and type(layer.layer).__name__ == "Dense"


def _is_identity(layer: Any) -> bool:
    kind = type(layer).__name__
    return kind in (*AUGMENTATION, *NOISE) or (kind == "Activation" and layer.get_config()["activation"] == "linear")
