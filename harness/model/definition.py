"""Model of a model file: a Keras network or an int8 TFLite file, with its data, recipe, budget and metric.

`hil.harness.model.reference` makes docs/reference.md from the docstrings of the dataclasses; a field's docstring ends
with its unit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hil.core.errors import BadInputError
from hil.harness.comparison.gates import check_gates
from hil.harness.model.budget import Budget
from hil.harness.model.dataset import Dataset
from hil.harness.model.field_check import check_fields
from hil.harness.model.metric import (
    Metric,
    ModelMetric,
    NamedMetric,
    Scale,
    check_drop,
    metric_of_output,
    named_metric,
    own_metric,
    scale_of,
)
from hil.harness.model.recipe import Recipe

LOSSES = ("logits", "probabilities", "mse")
Loss = str | Callable[[], Any]


@dataclass(frozen=True, eq=False)  # each is its own key: what it holds of functions need not be hashable
class Model:
    """Model under test: a Keras network (`build`) or an existing int8 TFLite file (`tflite`), with its data.

    Files are named relative to the model file.
    """

    name: str
    """Name of the model in options, tables and the store."""
    data: Dataset
    """Training and test samples."""
    build: Callable[[], Any] | str | Path | None = None
    """Network: a function that returns a Keras 2 or Keras 3 network, or the file of a trained one.

    A file is `.keras`, `.h5`, or the folder of a SavedModel that Keras 2 wrote. Either `build` or `tflite` is given.
    """
    recipe: Recipe = field(default_factory=Recipe)
    """Settings of training and optimization."""
    budget: Budget = field(default_factory=Budget)
    """Limits that `budget` and `hil tree` check."""
    gates: Mapping[str, str] = field(default_factory=dict)
    """Gates of figures against a baseline, such as `{"latency": "2 %", "flash": "off"}` (docs/results-database.md)."""
    metric: ModelMetric | Mapping[str, ModelMetric] | None = None
    """Accuracy: a name such as `"top1"` (docs/models.md), or a function of (outputs, labels), of which more is better.

    A `Metric` is a function with unit and direction, a `NamedMetric` decodes the outputs first. With None it follows
    from outputs, labels and loss. Of several outputs a mapping names metrics: the first decides, the others are
    shown beside it. A function without a name gets tuples of all outputs and all labels.
    """
    loss: Loss | Mapping[str, Loss] = "logits"
    """Loss of training: `"logits"` or `"probabilities"`, cross-entropies of such outputs, or `"mse"`, the mean square.

    Or a function that returns a Keras loss. Of several outputs a mapping names the loss of each.
    """
    loss_weights: Mapping[str, float] | None = None
    """Weight of each output's loss in the sum, 1 for those not named. Unit: none."""
    weights: str | Path | None = None
    """Trained base of a `build` function: an `.npz` with one array per weight; None trains it by `recipe.base`."""
    tflite: str | Path | None = None
    """Existing int8 TFLite file: the only path is then `int8`, and there is no Keras reference."""
    techniques: tuple[str, ...] | None = None
    """Leaves of the deployment tree to make, such as `("ptq", "pcqat")`; None makes all but `litert_`."""
    path: Path = field(default_factory=Path)
    """Path of the model file; the loader sets it."""

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.name or {"/", "\\"} & set(self.name):
            raise BadInputError(f"model {self.name!r}: a name is not empty and has no / or \\")
        if (self.build is None) == (self.tflite is None):
            raise BadInputError(f"model {self.name}: give either build or tflite")
        self._check_of_int8()
        if self.weights is not None and self.keras_file is not None:
            raise BadInputError(f"model {self.name}: {self.keras_file.name} holds its weights, so give no others")
        if not isinstance(self.data, Dataset):
            raise BadInputError(f"model {self.name}: data is {type(self.data).__name__}", hint="Dataset(load, files)")
        self._check_metric()
        self._check_losses()
        check_drop(self.budget.max_accuracy_drop, self.metric_scale)
        check_gates(self.gates)

    def _check_metric(self) -> None:
        if isinstance(self.metric, Mapping) and not self.metric:
            raise BadInputError(f"model {self.name}: metric names no output", hint="{'output': 'top1'}, or None")
        for metric in self.metric.values() if isinstance(self.metric, Mapping) else (self.metric,):
            if not (metric is None or isinstance(metric, str | Metric | NamedMetric) or callable(metric)):
                given = f"{type(metric).__name__} {metric!r}"
                raise BadInputError(f"model {self.name}: metric is {given}", hint="a name or a function")
            try:
                named_metric(metric)
            except BadInputError as error:
                raise BadInputError(f"model {self.name}: {error.args[0]}", hint=error.hint) from None

    def _check_losses(self) -> None:
        for loss in self.loss.values() if isinstance(self.loss, Mapping) else (self.loss,):
            if not (isinstance(loss, str) or callable(loss)):
                hint = "a name, or a function that returns a loss"
                raise BadInputError(f"model {self.name}: loss is {type(loss).__name__} {loss!r}", hint=hint)
            if isinstance(loss, str) and loss not in LOSSES:
                raise BadInputError(f"model {self.name}: unknown loss {loss}", hint=f"known: {', '.join(LOSSES)}")

    def budget_with(self, limits: Mapping[str, float]) -> Budget:
        """Returns the budget with other `limits`, by name.

        Raises `BadInputError` for an unknown name, no number, or points of a share in place of a fraction.
        """
        budget = self.budget.overridden(limits)
        check_drop(budget.max_accuracy_drop, self.metric_scale)
        return budget

    @property
    def metric_scale(self) -> Scale | None:
        """Scale of the metric's values; None where the metric follows from data and a loss that does not tell."""
        metric = metric_of_output(self.metric)[1]
        if (own := own_metric(metric)) is not None:
            return own.scale
        if (named := named_metric(metric)) is not None:
            return scale_of(named.name)
        return Scale() if self.loss in ("logits", "probabilities") else None

    def _check_of_int8(self) -> None:
        """Raises `BadInputError` for a field that has no effect on an int8 file."""
        given = {
            "weights": self.weights is not None,
            "recipe": self.recipe != Recipe(),
            "loss": self.loss != "logits",
            "loss_weights": self.loss_weights is not None,
            "techniques": self.techniques is not None,
        }
        if self.tflite is not None and any(given.values()):
            name = next(name for name, is_given in given.items() if is_given)
            raise BadInputError(f"model {self.name}: {name} has no effect on {self.tflite}, nothing is trained")

    def file(self, name: str | Path) -> Path:
        """Returns the path of a file that is named relative to the model file."""
        return self.path.parent / name

    @property
    def keras_file(self) -> Path | None:
        """File or folder that `build` names; None where it is a function."""
        return self.file(self.build) if isinstance(self.build, str | Path) else None
