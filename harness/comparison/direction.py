"""Direction of a figure: smaller or larger is better.

    lower_is_better("sram")                                             # True
    lower_is_better("accuracy", {"metric": metric_field("auc", False)}) # False

The direction of a model's metric is the model's own; it stands in the field `metric` of a deployment's identity.
"""

from __future__ import annotations

from collections.abc import Mapping

METRIC = "metric"
"""Field of a deployment's identity with the name and direction of its metric."""
_HIGHER, _LOWER = "higher is better", "lower is better"
_HIGHER_IS_BETTER = frozenset({"zeros", "sqnr"})
_OF_METRIC = frozenset({"accuracy", "keras_accuracy", "base_accuracy"})


def metric_field(metric: str, is_lower_better: bool) -> str:
    """Returns the text of the field `metric`."""
    return f"{metric}, {_LOWER if is_lower_better else _HIGHER}"


def lower_is_better(figure: str, identity: Mapping[str, str] | None = None) -> bool:
    """Returns True for cycles, times, bytes, mismatches and drops; for the metric what the identity says."""
    if figure in _OF_METRIC:
        return (identity or {}).get(METRIC, "").endswith(_LOWER)
    return figure not in _HIGHER_IS_BETTER
