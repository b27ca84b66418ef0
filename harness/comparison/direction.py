"""Direction of a figure: smaller or larger is better.

    lower_is_better("sram")                                             # True
    lower_is_better("accuracy", {"metric": metric_field("auc", False)}) # False

The direction of a model's metric is the model's own; it stands in the field `metric` of a deployment's identity, with
the metrics of further outputs, whose figures have names such as `boxes.rmse` and `boxes.rmse_drop`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

METRIC = "metric"
"""Field of a deployment's identity with the name and direction of its metric."""
_HIGHER, _LOWER = "higher is better", "lower is better"
_HIGHER_IS_BETTER = frozenset({"zeros", "sqnr"})
_OF_METRIC = frozenset({"accuracy", "keras_accuracy", "base_accuracy"})
_FLOAT_MODELS = re.compile("_(keras|base)$")


def metric_field(metric: str, is_lower_better: bool, further: Mapping[str, bool] | None = None) -> str:
    """Returns the text of the field `metric`; `further` are figures of other outputs, and True where less is better."""
    metrics = {metric: is_lower_better, **(further or {})}
    return "; ".join(f"{name}, {_LOWER if is_lower else _HIGHER}" for name, is_lower in metrics.items())


def output_figure(output: str, metric: str, figure: str = "accuracy") -> str:
    """Returns the name of a figure of a further output: `boxes.rmse_drop` in place of `accuracy_drop`."""
    before, _, after = figure.partition("accuracy")
    return f"{output}.{metric}{f'_{before}'.rstrip('_')}{after}"


def is_of_output(figure: str) -> bool:
    """Returns whether a figure is the metric of a further output, a drop or an end of its interval."""
    return "." in figure


def lower_is_better(figure: str, identity: Mapping[str, str] | None = None) -> bool:
    """Returns True for cycles, times, bytes, mismatches and drops; for metrics what the identity says."""
    metrics = dict(text.rpartition(", ")[::2] for text in (identity or {}).get(METRIC, "").split("; "))
    if figure in _OF_METRIC:
        return next(iter(metrics.values())) == _LOWER
    if is_of_output(figure):
        return metrics.get(_FLOAT_MODELS.sub("", figure), _LOWER) == _LOWER
    return figure not in _HIGHER_IS_BETTER
