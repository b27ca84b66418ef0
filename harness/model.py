"""A model file: what is tested, as a user writes it.

    # models/my_net.py
    from hil.harness.model import Budget, Dataset, Model, Recipe, sibling

    loader = sibling(__file__, "data/my_data.py")

    def build():
        import tf_keras as keras
        return keras.Sequential([...])

    model = Model("my_net", build=build, data=Dataset(loader.load, loader.files), weights="weights/my_net.npz")

A model file is loaded by its path and never imported by name, so a repository may have a `models` package of its own.
TensorFlow is only imported inside the functions: listing the models of a folder takes milliseconds.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from math import inf
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import BadInputError, HilError, UnavailableError

Metric = Callable[[Array, Array], float]
"""Called with (float outputs (n, ...), y (n, ...)); larger is better."""
LOSSES = ("logits", "probabilities", "mse")
METRICS = ("top1", "auc")
REPAIRS = ("per_channel_guess", "shared_quantizer", "relu_layer", "dead_channels")
"""Names of the workarounds in `hil.harness.optimize.repairs`, which says what each repairs."""
SCHEDULES = ("polynomial", "constant")
SPARSITY_BY = ("uniform", "sensitivity")
PALETTE = 32
"""Distinct weights that the palette of Arm's weight compression holds."""


@dataclass(frozen=True)
class Dataset:
    """Where samples come from.

    `load("train")` and `load("test")` give (x float32 (n, *input shape), y (n, ...)).  `files()` names the files they
    come from, the data's identity; it raises `UnavailableError` with a hint when the data is not on this machine.
    `cache` asks the store to keep the arrays, for loaders that compute for more than a second.
    """

    load: Callable[[str], tuple[Array, Array]]
    files: Callable[[], list[Path]]
    cache: bool = False

    def present(self) -> list[Path]:
        """What `files` names; raises `UnavailableError` for the first that is not on this machine."""
        found = [Path(file) for file in self.files()]
        for file in found:
            if file.is_dir():
                raise BadInputError(f"the data is a folder: {file}", hint="let Dataset.files name every file in it")
            if not file.is_file():
                raise UnavailableError(f"the data is not on this machine: no file {file}")
        return found

    def read(self, split: str) -> tuple[Array, Array]:
        """What `load` gives, checked; raises `BadInputError` with one line if it fails or gives anything else."""
        try:
            loaded = self.load(split)
        except HilError:
            raise
        except Exception as error:
            raise BadInputError(f"the {split} data cannot be loaded: {type(error).__name__}: {error}") from error
        if not (
            isinstance(loaded, tuple) and len(loaded) == 2 and all(isinstance(part, np.ndarray) for part in loaded)
        ):
            raise BadInputError(f"the loader's {split} data is no pair (x, y) of arrays")
        x, y = loaded
        if x.ndim < 2 or x.dtype.kind not in "fiu" or len(x) == 0 or y.ndim == 0 or len(x) != len(y):
            given = f"x {x.dtype}{list(x.shape)} and y {y.dtype}{list(y.shape)}"
            raise BadInputError(f"the {split} data is {given}", hint="x: numbers (n, ...), y: (n, ...), n at least 1")
        return np.asarray(x, np.float32), y


@dataclass(frozen=True)
class FineTune:
    """Training after a technique was applied: passes over the data, Adam's learning rate, samples used (None = all)."""

    epochs: int = 2
    learning_rate: float = 3e-4
    samples: int | None = None


@dataclass(frozen=True)
class Recipe:
    """Every setting of training and optimization.

    `sparsity` is the share of zeros that pruning leaves in each kernel, `clusters` the number of distinct weights that
    clustering leaves in each kernel (at most 255: more would not survive int8), `keep` the layers that neither touches.
    `schedule` says how the zeros come: more and more of them ("polynomial"), or all from the first step ("constant").
    `sparsity_by` says how they are spread over the layers: the same share in each ("uniform"), `sparsity` on the whole
    with less in the layers that bear it worse ("sensitivity", see `hil.harness.optimize.sensitivity`), or as a
    mapping says (layer -> share, `sparsity` in those that it does not name).
    `calibration` is how many training samples set the activation ranges of post-training quantization.
    """

    seed: int = 0
    batch_size: int = 64
    base: FineTune = FineTune(epochs=20, learning_rate=2e-3)
    prune: FineTune = FineTune()
    cluster: FineTune = FineTune()
    sparse_cluster: FineTune = FineTune()
    qat: FineTune = FineTune()
    pqat: FineTune = FineTune()
    cqat: FineTune = FineTune()
    pcqat: FineTune = FineTune()
    sparsity: float = 0.5
    schedule: str = "polynomial"
    sparsity_by: str | Mapping[str, float] = "uniform"
    clusters: int = 16
    keep: tuple[str, ...] = ()
    calibration: int = 200
    repairs: tuple[str, ...] = REPAIRS

    def __post_init__(self) -> None:
        if not 0 < self.sparsity < 1:
            raise BadInputError(f"sparsity {self.sparsity} is not between 0 and 1")
        shares = self.sparsity_by.items() if isinstance(self.sparsity_by, Mapping) else ()
        for layer, share in shares:
            if not 0 <= share < 1:
                raise BadInputError(f"sparsity {share} of layer {layer} is not from 0 to below 1")
        if isinstance(self.sparsity_by, str) and self.sparsity_by not in SPARSITY_BY:
            hint = f"known: {', '.join(SPARSITY_BY)}, or a mapping"
            raise BadInputError(f"unknown sparsity_by {self.sparsity_by}", hint=hint)
        if self.schedule not in SCHEDULES:
            raise BadInputError(f"unknown schedule {self.schedule}", hint=f"known: {', '.join(SCHEDULES)}")
        if not 2 < self.clusters <= 255:
            raise BadInputError(f"{self.clusters} clusters: must be 3 to 255")
        if unknown := set(self.repairs) - set(REPAIRS):
            raise BadInputError(f"unknown repair {sorted(unknown)[0]}", hint=f"known: {', '.join(REPAIRS)}")

    def fine_tune(self, technique: str) -> FineTune:
        """Training settings of one technique; one that knows the NPU trains like its namesake."""
        tune: FineTune = getattr(self, technique.removeprefix("npu_"))
        return tune

    @property
    def palette(self) -> int:
        """Distinct weights a kernel that the techniques for the NPU leave."""
        return min(self.clusters, PALETTE)

    def sparsity_of(self, layer: str) -> float:
        """Share of zeros in a layer's kernel, where it is known without the model."""
        return self.sparsity_by.get(layer, self.sparsity) if isinstance(self.sparsity_by, Mapping) else self.sparsity

    def spread_by(self) -> dict[str, Any]:
        """What `sensitivity` depends on beside the model and its data."""
        return {"seed": self.seed, "sparsity": self.sparsity, "clusters": self.palette, "keep": list(self.keep)}

    def _sparsity(self) -> dict[str, Any]:
        by = dict(sorted(self.sparsity_by.items())) if isinstance(self.sparsity_by, Mapping) else self.sparsity_by
        return {"sparsity": self.sparsity, "sparsity_by": by}

    def settings_of(self, technique: str) -> dict[str, Any]:
        """Only what a step's result depends on, so that a changed setting redoes only the steps that use it."""
        if technique in ("ptq", "npu_ptq", "int16x8"):
            return {"calibration": self.calibration}
        if technique == "fold":
            return {}
        used: dict[str, Any] = {"seed": self.seed, "batch_size": self.batch_size, **asdict(self.fine_tune(technique))}
        kind = technique.removeprefix("npu_")
        if kind in ("prune", "cluster", "sparse_cluster") or technique == "npu_pcqat":
            used["keep"] = list(self.keep)
        if kind == "prune":
            used |= {**self._sparsity(), "schedule": self.schedule}
        if kind in ("cluster", "sparse_cluster"):
            used["clusters"] = self.clusters if kind == technique else self.palette
        if kind in ("qat", "pqat", "cqat", "pcqat"):
            used["repairs"] = sorted(self.repairs)
        return used

    def promised(self, path: Sequence[str]) -> dict[str, Any]:
        """What the promises of a path depend on: its steps, and the settings of those that make zeros and clusters."""
        used: dict[str, Any] = {"path": list(path)}
        steps = [step.removeprefix("npu_") for step in path]
        if "prune" in steps:
            used |= self._sparsity()
        if "cluster" in steps or "sparse_cluster" in steps:
            used["clusters"] = self.clusters
        if len(used) > 1:
            used["keep"] = list(self.keep)
        return used


@dataclass(frozen=True)
class Budget:
    """Limits that a deployment of this model must hold; without one, infinity.

    `max_accuracy_drop` is in the metric's own unit (0.01 = one point of top-1) against the float Keras base,
    `max_model_bytes` bounds the int8 TFLite file.
    """

    max_accuracy_drop: float = inf
    max_latency_ms: float = inf
    max_sram_bytes: float = inf
    max_flash_bytes: float = inf
    max_model_bytes: float = inf


@dataclass(frozen=True, eq=False)  # each is its own key: what it holds of functions need not be hashable
class Model:
    """What is tested: a Keras network (`build`) or an existing int8 TFLite file (`tflite`), with its data.

    `build` is a function that gives the network, of Keras 2 or 3, or a file that holds it, trained: `.keras`, `.h5`,
    or the folder of a SavedModel that Keras 2 wrote.  `weights` is the trained base (`.npz`, one array per weight);
    without either the base is trained by `recipe.base`.  Files are relative to the model file.  `techniques` limits
    the leaves; None = all of them.
    `loss` is one of `LOSSES` or a function that gives a Keras loss.
    """

    name: str
    data: Dataset
    build: Callable[[], Any] | str | Path | None = None
    recipe: Recipe = field(default_factory=Recipe)
    budget: Budget = field(default_factory=Budget)
    metric: str | Metric = "top1"
    loss: str | Callable[[], Any] = "logits"
    weights: str | Path | None = None
    tflite: str | Path | None = None
    techniques: tuple[str, ...] | None = None
    path: Path = field(default_factory=Path)

    def __post_init__(self) -> None:
        if (self.build is None) == (self.tflite is None):
            raise BadInputError(f"model {self.name}: give either build or tflite")
        if self.weights is not None and self.keras_file is not None:
            raise BadInputError(f"model {self.name}: {self.keras_file.name} holds its weights, so give no others")
        if isinstance(self.metric, str) and self.metric not in METRICS:
            raise BadInputError(f"model {self.name}: unknown metric {self.metric}", hint=f"known: {', '.join(METRICS)}")
        if isinstance(self.loss, str) and self.loss not in LOSSES:
            raise BadInputError(f"model {self.name}: unknown loss {self.loss}", hint=f"known: {', '.join(LOSSES)}")

    def file(self, name: str | Path) -> Path:
        """`weights` or `tflite` as a path on this machine."""
        return self.path.parent / name

    @property
    def keras_file(self) -> Path | None:
        """The file or folder that `build` names; None where it is a function."""
        return self.file(self.build) if isinstance(self.build, str | Path) else None


def sibling(beside: str, name: str) -> ModuleType:
    """Loads the Python file `name`, relative to the file `beside` (pass `__file__`), without importing it by name.

    In a model file, and in what it loads, both arguments stand there literally: a result depends on that file, and
    `hil.harness.store.source_digest` finds it in the text.
    """
    return _load((Path(beside).resolve().parent / name).resolve())


def load_model_file(path: str | Path, *, needs_weights: bool = True) -> Model:
    """Reads a model file; raises `BadInputError` with one line for anything that is not one.

    `needs_weights=False` is for who will make the weights that the file names.
    """
    path = Path(path).resolve()
    if not path.is_file():
        raise BadInputError(f"no model file {path}")
    model = getattr(_load(path), "model", None)
    if not isinstance(model, Model):
        raise BadInputError(f"{path} defines no `model = Model(...)`")
    return _at(path, model, needs_weights)


def _at(path: Path, model: Model, needs_weights: bool) -> Model:
    """`model` with the place of its file, and the files beside it checked."""
    model = replace(model, path=path)
    for name in (model.weights if needs_weights else None, model.tflite):
        if name is not None and not model.file(name).is_file():
            raise BadInputError(f"{path}: {model.file(name)} does not exist")
    if model.keras_file is not None and not model.keras_file.exists():
        raise BadInputError(f"{path}: {model.keras_file} does not exist")
    return model


def discover(folder: str | Path) -> list[Model]:
    """The models of a folder, by file name.

    A repository may keep other code in its `models`: a file whose text binds no `model`, or whose `model` is none of
    ours, is passed over; the first kind is not even loaded.  A model file that cannot be loaded is an error.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise BadInputError(f"no folder {folder}")
    models = []
    for path in sorted(file.resolve() for file in folder.glob("*.py") if not file.name.startswith("_")):
        if _may_define_model(path) and isinstance(model := getattr(_load(path), "model", None), Model):
            models.append(_at(path, model, needs_weights=True))
    names = [model.name for model in models]
    if twice := {name for name in names if names.count(name) > 1}:
        raise BadInputError(f"{folder}: two model files define {sorted(twice)[0]}")
    return models


def find(name: str, folder: str | Path) -> Model:
    """A model by its name in `folder`, or by the path of its file."""
    if name.endswith(".py"):
        return load_model_file(name)
    models = {model.name: model for model in discover(folder)}
    if name not in models:
        raise BadInputError(f"no model {name} in {folder}", hint=f"there are: {', '.join(models) or 'none'}")
    return models[name]


def _may_define_model(path: Path) -> bool:
    """Whether a file's own statements, outside functions and classes, bind `model`; true if it cannot be read."""
    try:
        waiting: list[ast.AST] = [ast.parse(path.read_bytes())]
    except (OSError, SyntaxError, ValueError):
        return True
    while waiting:
        node = waiting.pop()
        if "model" in _binds(node):
            return True
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))
    return False


def _binds(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.ImportFrom | ast.Import):
        for alias in node.names:
            yield alias.asname or alias.name


def _load(path: Path) -> ModuleType:
    """One module per path, under a name nobody would import."""
    name = f"hil_file_{path.stem}_{sha256(str(path).encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise BadInputError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except HilError:
        del sys.modules[name]
        raise
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise BadInputError(f"{path} cannot be loaded: {type(error).__name__}: {error}") from error
    return module
