"""Metric of a model: a function, the unit and the direction of its values, and their form in tables and lines.

    Metric(mean_error, unit="K", lower_is_better=True)
    NamedMetric("map", decode=boxes)                        # mAP of what the function makes of the outputs
    Scale().text(0.9157), Scale().difference(0.0025)        # "91.6 %", "+0.25 points"
    Scale("K").text(1.234), Scale("K").difference(0.0025)   # "1.234 K", "+0.0025 K"

Nothing in a function says what its values are, so one without a declaration gives plain numbers, of which a larger one
is better: it is never shown in percent.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from hil.core.arrays import Array, Floats
from hil.core.errors import BadInputError

ArrayOrTuple = Array | tuple[Array, ...]
"""An array (n, ...), or a tuple of several in the order of the network's outputs or inputs."""
MetricFunction = Callable[..., float]
"""Function of (float outputs (n, ...), y (n, ...)), or of (outputs, y, x)."""
Decode = Callable[[Any], ArrayOrTuple]
"""Function of float outputs (n, ...) that gives the outputs that a named metric takes, (n, ...) too.

Of a network with several outputs it takes a tuple of them, unless the model file names the output of the metric.
"""
_Value = TypeVar("_Value", float, Floats)
FRACTION = "fraction"
"""Unit of a share: values from 0 to 1, shown in percent, and differences in points."""


@dataclass(frozen=True)
class Scale:
    """Unit of a metric's values ("fraction" for a share, empty for a plain number), and their direction."""

    unit: str = FRACTION
    lower_is_better: bool = False

    @property
    def is_share(self) -> bool:
        return self.unit == FRACTION

    @property
    def factor(self) -> float:
        """Factor from a value to the number that is shown."""
        return 100.0 if self.is_share else 1.0

    @property
    def symbol(self) -> str:
        """Unit behind a shown number, with its space; empty for a plain number."""
        return " %" if self.is_share else f" {self.unit}" if self.unit else ""

    def drop(self, reference: _Value, value: _Value) -> _Value:
        """By how much `value` is worse than `reference`; negative if it is better."""
        return value - reference if self.lower_is_better else reference - value

    def worse_by(self, reference: float, drop: float) -> float:
        """The value that is worse than `reference` by `drop`: the inverse of `drop`."""
        return reference + drop if self.lower_is_better else reference - drop

    def number(self, value: float) -> str:
        """Formats a value without its unit."""
        return f"{100 * value:.1f}" if self.is_share else _plain(value)

    def text(self, value: float) -> str:
        """Formats a value with its unit."""
        return f"{self.number(value)}{self.symbol}"

    def difference_number(self, value: float, decimals: int = 2, *, signed: bool = True) -> str:
        """Formats a difference without its unit; a share's has `decimals` digits after the point."""
        sign = "+" if signed and value >= 0 else ""
        return sign + (f"{100 * value:.{decimals}f}" if self.is_share else _plain(value))

    def difference(self, value: float, *, signed: bool = True) -> str:
        """Formats a difference with its unit."""
        return f"{self.difference_number(value, signed=signed)}{' points' if self.is_share else self.symbol}"


SHARE = Scale()


def _plain(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1e4 and math.isfinite(value) else f"{value:.4g}"


SCALES = {
    **dict.fromkeys(("top1", "top3", "top5", "binary", "f1", "f1_macro", "worst_recall", "mean_iou"), SHARE),
    "auc": SHARE,
    "eer": Scale(lower_is_better=True),
    "map": SHARE,
    "map50": SHARE,
    "r2": Scale(""),
    **dict.fromkeys(("mae", "mse", "rmse"), Scale("", lower_is_better=True)),
    **dict.fromkeys(("snr", "psnr"), Scale("dB")),
    "reconstruction_auc": SHARE,
    "reconstruction_error": Scale("", lower_is_better=True),
}
"""Named metric -> unit and direction of its values.  `top` with any other number is one too."""
METRICS = tuple(SCALES)
DETECTION = ("map", "map50")
"""Metrics of boxes, scores and classes."""


@dataclass(frozen=True)
class Metric:
    """A metric of the user's own: `function` of (float outputs (n, ...), y (n, ...)) -> a number.

    `unit` follows the value wherever it is shown, such as "dB"; "fraction" is a share, from 0 to 1, shown in percent.
    With `lower_is_better`, a drop is how much larger the value is than that of the float base.  With `takes_inputs`,
    the function also gets the samples x (n, ...), as the data has them.
    """

    function: MetricFunction
    unit: str = ""
    lower_is_better: bool = False
    takes_inputs: bool = False

    @property
    def scale(self) -> Scale:
        return Scale(self.unit, self.lower_is_better)


@dataclass(frozen=True)
class NamedMetric:
    """A named metric of what `decode` makes of the float outputs, such as boxes, scores and classes of a raw head.

    `decode` runs once a model, and is not repeated for the interval.
    """

    name: str
    decode: Decode | None = None

    def __post_init__(self) -> None:
        if self.name not in SCALES and not top_of(self.name):
            raise BadInputError(f"unknown metric {self.name}", hint=f"known: {', '.join(METRICS)}")


ModelMetric = str | Metric | NamedMetric | MetricFunction
"""Metric of a model file."""


def top_of(name: str) -> int:
    """Returns the k of the metric top-k; 0 for any other."""
    found = re.fullmatch(r"top([1-9]\d*)", name)
    return int(found[1]) if found else 0


def metric_of_output(metric: Any, output: str = "") -> tuple[str, Any]:
    """Returns an output with its metric in a model file: `output`, or the one that decides, which is the first.

    The name is empty if the file names none.
    """
    if not isinstance(metric, Mapping):
        return "", metric
    name = output or next(iter(metric))
    return name, metric[name]


def other_outputs(metric: Any) -> tuple[str, ...]:
    """Returns the outputs whose metrics are shown beside that of the one that decides."""
    return tuple(metric)[1:] if isinstance(metric, Mapping) else ()


def takes_all_outputs(metric: ModelMetric | None) -> bool:
    """True for a function of all outputs of a network, and for a metric that is of several outputs by its nature."""
    named = named_metric(metric)
    return user_function(metric) is not None or (named is not None and named.name in DETECTION)


def own_metric(metric: ModelMetric | None) -> Metric | None:
    """Returns a model file's metric if it is a function; None for a named or left out one."""
    if isinstance(metric, Metric):
        return metric
    return Metric(metric) if callable(metric) else None


def named_metric(metric: ModelMetric | None) -> NamedMetric | None:
    """Returns a model file's metric if it has a name; None for a function or a left out one.

    Raises `BadInputError` for an unknown name.
    """
    if isinstance(metric, str):
        return NamedMetric(metric)
    return metric if isinstance(metric, NamedMetric) else None


def user_function(metric: ModelMetric | None) -> Callable[..., Any] | None:
    """Returns the function of the user's own that a metric calls."""
    own, named = own_metric(metric), named_metric(metric)
    return own.function if own else named.decode if named else None


def scale_of(name: str) -> Scale:
    """Returns the scale of a named metric."""
    return SCALES.get(name, SHARE)


def check_drop(most: float, scale: Scale | None) -> None:
    """Raises `BadInputError` for a limit of a share's drop that is more than all of it: points given as a fraction."""
    if scale is not None and scale.is_share and 1 < most < math.inf:
        line = f"max_accuracy_drop {most:g} is {100 * most:g} points: the metric is a share, from 0 to 1"
        raise BadInputError(line, hint=f"{most:g} points are {most / 100:g}")
