"""Recipe of a model file: every setting of training and optimization, and which of them a technique uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hil.core.errors import BadInputError
from hil.harness.model.field_check import check_fields

REPAIRS = (
    *("per_channel_guess", "shared_quantizer", "relu_layer", "dead_channels", "calibrated_ranges"),
    "kernel_regularizer",
)
"""Names of the workarounds for TFMOT's defects; `hil.harness.optimize.repairs` describes each."""
SCHEDULES = ("polynomial", "constant")
SPARSITY_BY = ("uniform", "sensitivity")
PALETTE = 32
"""Size of the palette of Arm's weight compression, in distinct weights."""


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
