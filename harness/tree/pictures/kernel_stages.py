"""Values of one kernel at each stage of a path: in the Keras models of the store, and in the int8 file.

    kernel = kernel_of(evaluator, model, found)        # the largest that techniques change, on the winner's path
    [(stage.name, stage.zeros, stage.unique) for stage in kernel.stages]
    # [("base", 0.0, 18432), ("prune", 0.5, 9216), ("sparse_cluster", 0.5, 16), ("int8 file", 0.5, 58)]

Every stage is a matrix: an output channel a row, and in a row the weights in the order of the int8 file, so a weight is
at the same position in every stage.  Keras files are read by h5py without TensorFlow; a dataset that is stored outside
its file, or declares more bytes than the file has, is refused.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import BadInputError
from hil.core.tflite.weights import read_tflite
from hil.harness.model import Model
from hil.harness.optimize.paths import training_node
from hil.harness.pipeline import surviving
from hil.harness.pipeline.builders import KERAS, TFLITE
from hil.harness.tree.candidates import with_settings

if TYPE_CHECKING:
    from hil.harness.evaluation.evaluator import Evaluator
    from hil.harness.tree.result import Leaf, Walk

_TFMOT = "quant_"
"""Prefix of a layer's name in quantization-aware training."""


@dataclass(frozen=True)
class Stage:
    """A kernel at one stage: `values` (output channels, weights of each) float32, or int8 in the int8 file."""

    name: str
    values: Array

    @property
    def zeros(self) -> float:
        """Share of weights that are exactly zero."""
        return float(np.mean(self.values == 0))

    @property
    def unique(self) -> int:
        """Number of distinct values in the whole kernel."""
        return int(np.unique(self.values).size)

    @property
    def quantized(self) -> bool:
        return self.values.dtype == np.int8


@dataclass(frozen=True)
class KernelStages:
    """The kernel of `layer` from the base to the int8 file of `leaf`; `shape` is the base's, as Keras has it."""

    layer: str
    leaf: str
    shape: tuple[int, ...]
    stages: tuple[Stage, ...]


def kernel_of(evaluator: Evaluator, model: Model, found: Walk, name: str | None = None) -> KernelStages | None:
    """Reads a kernel on the winner's path (without a winner, the deepest leaf's); None if no leaf was measured.

    `name` is its layer; by default the one with most weights that pruning and clustering change.  Raises
    `BadInputError` for a layer without a kernel.
    """
    leaf = _shown(found)
    if leaf is None:
        return None
    model = with_settings(model, leaf.settings)
    int8 = evaluator.pipeline.int8(model, leaf.technique)
    weighted = [operator for operator in read_tflite(int8.read(TFLITE)) if operator.weights is not None]
    operators = {row.layer: op for row, op in zip(surviving(int8), weighted, strict=True)}
    node = training_node(leaf.path)
    files = [evaluator.pipeline.keras(model, node[:length]).path(KERAS) for length in range(len(node) + 1)]
    first = read_kernels(files[0])
    layer = _chosen({key: value for key, value in first.items() if key in operators}, model.recipe.keep, name)
    axis = 2 if operators[layer].kind == "TRANSPOSE_CONV" else -1
    stages = [
        Stage(name, _matrix(read_kernels(file).get(layer), axis))
        for name, file in zip(("base", *node), files, strict=True)
    ]
    last = operators[layer]
    stages.append(Stage("int8 file", _matrix(last.weights, last.channel_axis)))
    return KernelStages(layer, leaf.name, first[layer].shape, tuple(stage for stage in stages if stage.values.size))


def check_kernel(evaluator: Evaluator, model: Model, name: str | None) -> None:
    """Raises `BadInputError` if the base has no kernel `name`; makes the base only if a name is given."""
    if name is not None:
        _chosen(read_kernels(evaluator.pipeline.keras(model, ()).path(KERAS)), (), name)


def read_kernels(path: Path) -> dict[str, Array]:
    """Reads layer -> values of the kernels in a Keras HDF5 file that pruning and clustering can change.

    Depthwise kernels, which have another name in the file, are not among them.
    """
    import h5py

    found: dict[str, Array] = {}

    def visit(name: str, entry: h5py.Group | h5py.Dataset) -> None:
        top, *parts = name.split("/")
        if top != "model_weights" or not isinstance(entry, h5py.Dataset) or len(parts) < 2:
            return
        if parts[-1].split(":")[0] == "kernel":
            layer = parts[0].removeprefix(_TFMOT)
            if entry.external is not None or entry.is_virtual or entry.nbytes > path.stat().st_size:
                raise BadInputError(f"{path}: the kernel of {layer} is not in the file")
            found.setdefault(layer, np.asarray(entry[()], np.float32))

    try:
        with h5py.File(path, "r") as file:
            file.visititems(visit)  # which follows no link, so that all it meets is in this file
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise BadInputError(f"{path} is no Keras HDF5 model: {error}") from error
    return found


def _shown(found: Walk) -> Leaf | None:
    whole = [leaf for leaf in found.leaves if leaf.measurements]
    return found.winner or max(whole, key=lambda leaf: leaf.level, default=None)


def _chosen(kernels: dict[str, Array], keep: Collection[str], name: str | None) -> str:
    if name is not None:
        if name not in kernels:
            raise BadInputError(f"no kernel {name}", hint=f"there are: {', '.join(kernels) or 'none'}")
        return name
    touched = [layer for layer in kernels if layer not in keep] or list(kernels)
    if not touched:
        raise BadInputError("the model has no kernel that a technique touches")
    return max(touched, key=lambda layer: math.prod(kernels[layer].shape))


def _matrix(values: Array | None, channel_axis: int) -> Array:
    """Returns a kernel as a matrix (output channels, weights of each); empty for None."""
    if values is None:
        return np.empty((0, 0), np.float32)
    rows = np.moveaxis(values, channel_axis, 0)
    return rows.reshape(len(rows), -1)
