"""The table of layers in docs/techniques.md, and the walk of one tiny network through techniques."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from hil.core.errors import ConvertError, HilError
from hil.harness.model import FineTune, Recipe
from hil.harness.optimize import steps
from hil.harness.optimize.activation_ranges import set_activation_ranges
from hil.harness.optimize.conversion import to_tflite
from hil.harness.optimize.fidelity import measure_fidelity, shortfall
from hil.harness.optimize.keras.hdf5_file import load_model, save_model
from hil.harness.optimize.keras.keras2 import seeded
from hil.harness.optimize.paths import ON_REQUEST, PATHS, Node, conversion, training_node
from hil.harness.optimize.promises import Promise
from hil.harness.optimize.quantization_aware import make_quantization_aware, with_default_quantizers
from hil.harness.optimize.steps import starting_network
from hil.harness.optimize.survival import check_tflite
from tests.support.layer_networks import ROWS, row_network

DOCS = Path(__file__).parents[2] / "docs" / "techniques.md"
_REASONS = (
    *("refused", "reduce_sum", "left in float", "do not run the quantized file", "is another function"),
    "not yet supported for op",
)
TUNE = FineTune(epochs=1, learning_rate=1e-3)
RECIPE = Recipe(
    batch_size=16,
    clusters=4,
    calibration=32,
    **dict.fromkeys(("prune", "cluster", "sparse_cluster", "qat", "pqat", "cqat", "pcqat"), TUNE),
)


def table() -> dict[str, dict[str, str]]:
    """Row -> technique -> cell; LiteRT's quantizer has the cells of `ptq` but for a table of its own."""
    every, others = _table("## Layers, by technique"), _table("## LiteRT's quantizer")
    return {
        name: {**cells, **dict.fromkeys(ON_REQUEST, cells["ptq"]), **others.get(name, {})}
        for name, cells in every.items()
    }


def _table(heading: str) -> dict[str, dict[str, str]]:
    text = DOCS.read_text().split(heading)[1].split("\n## ")[0]
    found = text[text.index("| layer |") :].splitlines()
    lines = [re.split(r"(?<!\\) \| ", line.strip("| ")) for line in found if line.startswith("|")]
    groups = [re.findall(r"`(\w+)`", head) for head in lines[0][1:]]
    return {
        row[0]: {leaf: _of_leaf(cell, leaf) for group, cell in zip(groups, row[1:], strict=True) for leaf in group}
        for row in lines[2:]
    }


def _of_leaf(cell: str, leaf: str) -> str:
    """Returns the cell of one technique: `taken; `int16x8`: refused, GELU` is taken by the others of its column."""
    every, _, own = cell.partition(f"; `{leaf}`: ")
    return own or every


class Walk:
    """Nodes of the tree of one network; each is written to a file and read back."""

    def __init__(self, network: Any, folder: Path) -> None:
        random = np.random.default_rng(0)
        self.x = random.normal(size=(64, *network.input_shape[1:])).astype(np.float32)
        self.data = steps.Samples(self.x, random.integers(0, 3, 64))
        self._folder = folder
        self._made: dict[Node, tuple[Any, tuple[Promise, ...]]] = {(): (network, ())}

    def node(self, node: Node) -> tuple[Any, tuple[Promise, ...]]:
        if node not in self._made:
            before, earlier = self.node(node[:-1])
            made = steps.apply_checked(node[-1], before, self.data, RECIPE, earlier)
            self._made[node] = self._read_back(made.model), made.promises
        return self._made[node]

    def leaf(self, leaf: str) -> None:
        """Makes the int8 file of a leaf; raises `HilError` if it cannot be made or is another function."""
        path = PATHS[leaf]
        self._converted(leaf, *self.node(training_node(path)))

    def untrained_qat(self) -> None:
        """Makes the int8 file of `qat`, with the calibrated ranges and without training."""
        aware = make_quantization_aware(starting_network(self.node(())[0], "qat"), "qat", RECIPE.repairs)
        set_activation_ranges(aware, (self.x[:32],))
        self._converted("qat", self._read_back(with_default_quantizers(aware, RECIPE.repairs)), ())

    def _converted(self, leaf: str, model: Any, promises: tuple[Promise, ...]) -> None:
        int8 = to_tflite(model, conversion(PATHS[leaf]), (self.x[:32],))
        check_tflite(int8, model, promises, PATHS[leaf][-1])
        if missed := shortfall(measure_fidelity(int8, model, (self.x[:32],)), None):
            raise ConvertError(f"{leaf} is another function: {missed}")

    def _read_back(self, model: Any) -> Any:
        path = self._folder / "model.h5"
        save_model(model, path)
        return load_model(path)


def walk(folder: Path, *names: str) -> Walk:
    with seeded(1):
        network = row_network(*(ROWS[name] for name in names))
    random = np.random.default_rng(0)
    for layer in network.layers:
        if type(layer).__name__ == "BatchNormalization":
            layer.set_weights([value + random.uniform(0.1, 0.9, value.shape) for value in layer.get_weights()])
    return Walk(network, folder)


def crashes(cell: str) -> bool:
    """Returns whether a cell says that TensorFlow ends the process."""
    return cell.endswith("TensorFlow ends its process")


def broken(made: Walk, leaf: str, cell: str) -> str:
    """Returns how a leaf breaks what its cell of the table says; empty if it does not."""
    refused = cell.startswith("refused")
    try:
        made.leaf(leaf)
    except HilError as error:
        text = str(error)
        named = any(word in text for word in _REASONS)
        return "" if refused and named and len(text.splitlines()) == 1 else f"{type(error).__name__}: {text}"
    return "is taken" if refused else ""
