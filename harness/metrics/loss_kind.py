"""Kind of a Keras loss: the labels that it compares, and the scale of the outputs that it takes.

    loss_kind(binary_crossentropy)      # LossKind("binary", from_logits=True, name="BinaryCrossentropy")

Works on the object alone, of Keras 2 or 3; a loss of the user's own is "unknown".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_KINDS = {
    "classes": ("SparseCategoricalCrossentropy",),
    "one-hot": ("CategoricalCrossentropy", "CategoricalFocalCrossentropy", "CategoricalHinge"),
    "binary": ("BinaryCrossentropy", "BinaryFocalCrossentropy", "Dice", "Tversky"),
    "hinge": ("Hinge", "SquaredHinge"),
    "regression": (
        *("MeanSquaredError", "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanSquaredLogarithmicError"),
        *("Huber", "LogCosh", "Poisson"),
    ),
    "direction": ("CosineSimilarity", "CTC", "Circle"),
}
_KIND_OF = {name.lower(): kind for kind, names in _KINDS.items() for name in names}


@dataclass(frozen=True)
class LossKind:
    """A loss's labels: "classes", "one-hot", "binary", "hinge", "regression", "direction" (no scale) or "unknown".

    With `from_logits`, it takes the outputs before softmax or sigmoid.
    """

    kind: str = "unknown"
    from_logits: bool = False
    name: str = "of your own"

    @property
    def is_of_classes(self) -> bool:
        return self.kind in ("classes", "one-hot")


def loss_kind(loss: Any) -> LossKind:
    """Returns the kind of a loss object or function; a subclass has the kind of the Keras loss that it extends."""
    inside = getattr(loss, "fn", None)  # tf_keras and Keras 3 wrap a function in an object
    own_name = type(loss).__name__ if not hasattr(loss, "__name__") else loss.__name__
    for candidate in (*type(loss).__mro__, loss, inside):
        name = getattr(candidate, "__name__", "")
        kind = _KIND_OF.get(name.replace("_", "").lower())
        if kind and str(getattr(candidate, "__module__", "")).split(".")[0] in ("keras", "tf_keras"):
            return LossKind(kind, _from_logits(loss), own_name)
    return LossKind(name=own_name)


def _from_logits(loss: Any) -> bool:
    try:
        return bool(loss.get_config().get("from_logits", False))
    except Exception:  # a subclass of the user's own may have no configuration
        return bool(getattr(loss, "from_logits", False))
