"""Model, data, recipe and budget: the dataclasses of a model file.

`hil.harness.model.reference` makes docs/reference.md from the docstrings; a field's docstring ends with its unit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from math import inf, isnan
from pathlib import Path
from typing import Any

from hil.core.errors import BadInputError, HilError, UnavailableError
from hil.harness.comparison.gates import check_gates
from hil.harness.data.loaded import batches
from hil.harness.data.samples import Samples
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

LOSSES = ("logits", "probabilities", "mse")
SPLITS = ("train", "test")
ALL_SPLITS = (*SPLITS, "validation", "calibration")
REPAIRS = (
    *("per_channel_guess", "shared_quantizer", "relu_layer", "dead_channels", "calibrated_ranges"),
    "kernel_regularizer",
)
"""Names of the workarounds for TFMOT's defects; `hil.harness.optimize.repairs` describes each."""
SCHEDULES = ("polynomial", "constant")
SPARSITY_BY = ("uniform", "sensitivity")
OF_METRIC = ("max_accuracy_drop", "min_accuracy")
"""Limits in the unit of the model's metric."""
Loss = str | Callable[[], Any]
PALETTE = 32
"""Size of the palette of Arm's weight compression, in distinct weights."""


@dataclass(frozen=True)
class Dataset:
    """Training and test samples of a model."""

    load: Callable[[str], Any]
    """Function of a split, `"train"` or `"test"`, that returns (x, y) or (x, y, weights), or gives them batch by batch.

    x and y are arrays (n, ...), or tuples of arrays in the order of the network's inputs and outputs, or mappings of
    their names to arrays; weights (n,) count the samples. Batches come from a generator, a `tf.data.Dataset` or a
    `keras.utils.Sequence`, and are never all in memory. Integers keep their dtype until a training batch is made.
    """
    files: Callable[[], list[Path]]
    """Function that lists the files that `load` reads, which identify the data.

    It raises `UnavailableError` with a hint when the data is not on this machine.
    """
    splits: tuple[str, ...] = ("train", "test")
    """Splits that `load` knows: beside `"train"` and `"test"`, `"calibration"` has the samples that set activation
    ranges, and `"validation"` those that are evaluated after each epoch."""
    validation: float = 0.0
    """Share of the training samples that is held out for validation, where `load` has no such split. Unit: fraction."""
    augment: Callable[..., Any] | None = None
    """Function of a training batch (x, y, random generator of NumPy) that returns (x, y), called in each epoch anew.

    x is the array of the only input or a tuple of arrays, in the dtype of the data; y likewise.
    """

    def present(self) -> list[Path]:
        """Returns the files of `files`; raises `UnavailableError` for the first that is not on this machine.

        Raises `BadInputError` if `files` fails or names a folder.
        """
        try:
            found = [Path(file) for file in self.files()]
        except HilError:
            raise
        except Exception as error:
            raise BadInputError(f"Dataset.files fails: {type(error).__name__}: {error}") from error
        for file in found:
            if file.is_dir():
                raise BadInputError(f"the data is a folder: {file}", hint="let Dataset.files name every file in it")
            if not file.is_file():
                raise UnavailableError(f"the data is not on this machine: no file {file}")
        return found

    def __post_init__(self) -> None:
        check_fields(self)
        if not set(SPLITS) <= set(self.splits) <= set(ALL_SPLITS):
            raise BadInputError(f"splits {self.splits}", hint=f"train and test, and of these: {', '.join(ALL_SPLITS)}")
        if not 0 <= self.validation < 1:
            raise BadInputError(f"validation {self.validation:g}: a share of the training samples, from 0 to below 1")

    def read(self, split: str) -> Iterator[Samples]:
        """Loads and checks a split, in parts; raises `BadInputError` if `load` fails or returns anything else."""
        try:
            loaded = self.load(split)
        except HilError:
            raise
        except Exception as error:
            raise BadInputError(f"the {split} data cannot be loaded: {type(error).__name__}: {error}") from error
        return batches(loaded, split)


@dataclass(frozen=True)
class FineTune:
    """Training settings of a technique, or of the base."""

    epochs: int = 2
    """Passes over the training samples; 0 trains nothing. Unit: epochs."""
    learning_rate: float = 3e-4
    """Learning rate of Adam, from 0. Unit: none."""
    samples: int | None = None
    """Number of training samples; None takes all. Unit: samples."""

    def __post_init__(self) -> None:
        check_fields(self)
        if not (self.epochs >= 0 and self.learning_rate >= 0 and (self.samples is None or self.samples >= 1)):
            raise BadInputError(f"{self}: epochs and learning rate are numbers from 0, samples None or from 1")


LEAVES = (
    *("ptq", "qat", "prune", "pqat", "cluster", "cqat", "sparse_cluster", "pcqat"),
    *("npu_ptq", "npu_prune", "npu_cluster", "npu_sparse_cluster", "npu_pcqat"),
    *("int16x8", "litert_ptq", "litert_int16x8"),
)
"""Techniques that are a leaf of the deployment tree, in its order."""
STEPS = frozenset({"base", "fold", *LEAVES})
"""Techniques whose settings `Recipe.settings_of` knows one by one."""


@dataclass(frozen=True)
class Recipe:
    """Every setting of training and optimization; a changed setting repeats only the steps that use it."""

    seed: int = 0
    """Seed of every random choice in training, from 0. Unit: none."""
    batch_size: int = 64
    """Samples of a training step. Unit: samples."""
    base: FineTune = FineTune(epochs=20, learning_rate=2e-3)
    """Training of the float base, where the model has neither `weights` nor a file with weights."""
    prune: FineTune = FineTune()
    """Fine-tuning while `prune` and `npu_prune` raise the sparsity."""
    cluster: FineTune = FineTune()
    """Fine-tuning of clustered weights by `cluster` and `npu_cluster`."""
    sparse_cluster: FineTune = FineTune()
    """Fine-tuning of clustered weights that keep their zeros, by `sparse_cluster` and `npu_sparse_cluster`."""
    qat: FineTune = FineTune()
    """Fine-tuning with fake quantization, by `qat`."""
    pqat: FineTune = FineTune()
    """Fine-tuning with fake quantization of pruned weights, by `pqat`."""
    cqat: FineTune = FineTune()
    """Fine-tuning with fake quantization of clustered weights, by `cqat`."""
    pcqat: FineTune = FineTune()
    """Fine-tuning with fake quantization of pruned and clustered weights, by `pcqat` and `npu_pcqat`."""
    sparsity: float = 0.5
    """Share of zeros that pruning leaves in each kernel, between 0 and 1. Unit: fraction."""
    schedule: str = "polynomial"
    """Course of the sparsity: `"polynomial"` raises it step by step, `"constant"` sets it at the first step."""
    sparsity_by: str | Mapping[str, float] = "uniform"
    """Distribution of the zeros over the layers.

    `"uniform"`: `sparsity` in each. `"sensitivity"`: `sparsity` over all layers, with less in sensitive ones. A mapping
    of layer to share: `sparsity` in layers that it does not name.
    """
    clusters: int = 16
    """Distinct weights that clustering leaves in each kernel, 3 to 255; 32 at most for `npu_`. Unit: weights."""
    keep: tuple[str, ...] = ()
    """Names of layers that are neither pruned nor clustered."""
    calibration: int = 200
    """Samples that set the activation ranges after training (`ptq`, `npu_ptq`, `int16x8`, `litert_ptq` ...): of the
    split `"calibration"` where the data has one, else training samples, as many of each class where there are classes.

    Quantization-aware training begins with the ranges of as many. Unit: samples.
    """
    class_weight: str | Mapping[int, float] | None = None
    """Weight of a class in training: `"balanced"` gives each class the same sum, a mapping names a weight by class."""
    train: Callable[[Any], None] | None = None
    """Function that trains a network in place of the harness, for every technique and the base; None for Adam.

    It gets a `TrainingJob` with the network, the data and the callbacks that it must pass on (docs/models.md).
    """
    repairs: tuple[str, ...] = REPAIRS
    """Workarounds for TFMOT's defects in quantization-aware training, by name (docs/techniques.md)."""

    def __post_init__(self) -> None:
        check_fields(self)
        if not 0 < self.sparsity < 1:
            raise BadInputError(f"sparsity {self.sparsity} is not between 0 and 1")
        shares = self.sparsity_by.items() if isinstance(self.sparsity_by, Mapping) else ()
        for layer, share in shares:
            if not 0 <= share < 1:
                raise BadInputError(f"sparsity {share} of layer {layer} is not from 0 to below 1")
        if isinstance(self.sparsity_by, str) and self.sparsity_by not in SPARSITY_BY:
            hint = f"known: {', '.join(SPARSITY_BY)}, or a mapping"
            raise BadInputError(f"unknown sparsity_by {self.sparsity_by}", hint=hint)
        if self.batch_size < 1 or self.seed < 0:
            raise BadInputError(f"batch size {self.batch_size}, seed {self.seed}: at least 1, and at least 0")
        if self.schedule not in SCHEDULES:
            raise BadInputError(f"unknown schedule {self.schedule}", hint=f"known: {', '.join(SCHEDULES)}")
        if not 2 < self.clusters <= 255:
            raise BadInputError(f"{self.clusters} clusters: must be 3 to 255")
        if not (self.class_weight in (None, "balanced") or isinstance(self.class_weight, Mapping)):
            hint = '"balanced", or a mapping of class to weight'
            raise BadInputError(f"class_weight is {self.class_weight!r}", hint=hint)
        if isinstance(self.class_weight, Mapping):  # JSON, as which other processes get a recipe, has texts for keys
            try:
                weights = {int(label): float(weight) for label, weight in self.class_weight.items()}
            except (TypeError, ValueError) as error:
                raise BadInputError(f"class_weight {self.class_weight!r}", hint="numbers by class: {0: 1.0}") from error
            object.__setattr__(self, "class_weight", weights)
        if self.train is not None and not callable(self.train):
            raise BadInputError(
                f"train is {type(self.train).__name__} {self.train!r}", hint="a function of a TrainingJob"
            )
        if self.calibration < 1:
            raise BadInputError(f"calibration on {self.calibration} samples: must be at least 1")
        if unknown := set(self.repairs) - set(REPAIRS):
            raise BadInputError(f"unknown repair {sorted(unknown)[0]}", hint=f"known: {', '.join(REPAIRS)}")

    def fine_tune(self, technique: str) -> FineTune:
        """Returns the training settings of one technique; `npu_NAME` has those of `NAME`."""
        tune: FineTune = getattr(self, technique.removeprefix("npu_"))
        return tune

    @property
    def palette(self) -> int:
        """Largest number of distinct weights a kernel after the clustering techniques for the NPU."""
        return min(self.clusters, PALETTE)

    def sparsity_of(self, layer: str) -> float:
        """Returns the share of zeros to prune in a layer's kernel."""
        return self.sparsity_by.get(layer, self.sparsity) if isinstance(self.sparsity_by, Mapping) else self.sparsity

    def spread_by(self) -> dict[str, Any]:
        """Returns the settings that the sensitivity of layers depends on, beside the model and its data."""
        return {"seed": self.seed, "sparsity": self.sparsity, "clusters": self.palette, "keep": list(self.keep)}

    def _sparsity(self) -> dict[str, Any]:
        by = dict(sorted(self.sparsity_by.items())) if isinstance(self.sparsity_by, Mapping) else self.sparsity_by
        spread = self.spread_by() if by == "sensitivity" else {}
        return {**spread, "sparsity": self.sparsity, "sparsity_by": by}

    def settings_of(self, technique: str) -> dict[str, Any]:
        """Returns the settings that a technique uses, so that a changed setting repeats only the steps that use it.

        A technique that is not listed here may use any setting.
        """
        if technique not in STEPS:
            return {name: value for name, value in asdict(self).items() if name != "train"}  # see `train_digest`
        if technique in ("ptq", "npu_ptq", "int16x8", "litert_ptq", "litert_int16x8"):
            return {"calibration": self.calibration}
        if technique == "fold":
            return {}
        used: dict[str, Any] = {"seed": self.seed, "batch_size": self.batch_size, **asdict(self.fine_tune(technique))}
        if self.class_weight is not None:
            weights = self.class_weight
            used["class_weight"] = weights if isinstance(weights, str) else {str(k): w for k, w in weights.items()}
        kind = technique.removeprefix("npu_")
        if kind in ("prune", "cluster", "sparse_cluster") or technique == "npu_pcqat":
            used["keep"] = list(self.keep)
        if kind == "prune":
            used |= {**self._sparsity(), "schedule": self.schedule}
        if kind in ("cluster", "sparse_cluster"):
            used["clusters"] = self.clusters
        if kind in ("qat", "pqat", "cqat", "pcqat"):
            used |= {"repairs": sorted(self.repairs), "calibration": self.calibration}
        return used


@dataclass(frozen=True)
class Budget:
    """Limits of a deployment of this model; infinity where none is given."""

    max_accuracy_drop: float = inf
    """Largest drop against the float Keras base; 0.01 is one point of top-1. Unit: that of the metric."""
    max_latency_ms: float = inf
    """Longest inference. Unit: ms."""
    max_sram_bytes: float = inf
    """Largest use of SRAM, as Vela reports it. Unit: bytes."""
    max_flash_bytes: float = inf
    """Largest read-only data (weights, scales, tables) in flash, or in DRAM where the memory mode has no flash, as Vela
    reports it. Unit: bytes."""
    max_model_bytes: float = inf
    """Largest int8 TFLite file. Unit: bytes."""
    min_accuracy: float = -inf
    """Least accuracy of the int8 model itself; 0.9 is 90 % of top-1.

    Of a metric of which less is better (`mae`, `eer`, ...) it is the largest value. Unit: that of the metric.
    """

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            if isinstance(value, bool) or not isinstance(value, int | float) or isnan(value):
                raise BadInputError(f"{limit.name} {value!r}: a limit is a number")
            if limit.name not in OF_METRIC and value <= 0:
                raise BadInputError(f"{limit.name} {value:g}: a limit of time or bytes is above 0")

    def given(self) -> dict[str, float]:
        """Returns the limits that are set, by name."""
        values = {limit.name: (getattr(self, limit.name), limit.default) for limit in fields(self)}
        return {name: float(value) for name, (value, unset) in values.items() if value != unset}

    def overridden(self, limits: Mapping[str, float]) -> Budget:
        """Returns the budget with other `limits`, by name; raises `BadInputError` for an unknown name or no number."""
        known = [limit.name for limit in fields(self)]
        for name in limits:
            if name not in known:
                raise BadInputError(f"no limit {name}", hint=f"there are: {', '.join(known)}")
        return replace(self, **limits)


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
    """Gates of figures against a baseline, such as `{"latency": "2 %", "flash": "off"}` (docs/results.md)."""
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
