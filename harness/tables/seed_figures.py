"""Figures of a model's leaves with one seed, as a small JSON file.

figures = read_figures(path)            # None if there is no file
figures.leaves["pcqat"].figures["encoded_weights"]
write_figures(path, figures)
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hil.core.errors import BadInputError
from hil.harness.model import Scale
from hil.harness.optimize.paths import PATHS
from hil.harness.output_file import write_output

ACCURACIES = ("base_accuracy", "keras_accuracy", "accuracy")
"""Figures of the metric: of the float base, of the leaf's own Keras model, and on the target."""
_ROUNDED = 1e-6
"""More than the rounding of a difference of accuracies."""


@dataclass(frozen=True)
class LeafFigures:
    """A leaf: the `settings` of the steps on its path, training `steps` after the base, and figures by name.

    Bytes, cycles and fractions are as `hil tree --json` has them; `cycles` are by NPU and system configuration.
    `reason` is set where a leaf could not be made or differs from the reference.  `trained_s` is the wall time of each
    training on the path, by node, in seconds.
    """

    settings: Mapping[str, Any]
    steps: int
    figures: Mapping[str, float]
    cycles: Mapping[str, int]
    reason: str = ""
    trained_s: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class SeedFigures:
    """Leaves of a model with one seed.

    `made_of` are hashes and versions of all that decides the figures beside the settings, `made_on` is the machine.
    `samples` and `base_steps` count training samples and steps of the base (0: read from a file); with
    `learned_nothing` the base is no better than a constant answer.
    """

    model: str
    seed: int
    metric: str
    scale: Scale
    learned_nothing: bool
    samples: int
    base_steps: int
    made_of: Mapping[str, str]
    made_on: Mapping[str, str]
    leaves: Mapping[str, LeafFigures] = field(default_factory=dict)

    @property
    def trained_s(self) -> float:
        """Wall time of all trainings, in seconds; leaves share those on a common path."""
        return sum({node: s for leaf in self.leaves.values() for node, s in leaf.trained_s.items()}.values())


def figures_path(folder: Path, model: str, seed: int) -> Path:
    """Returns the file of a model's figures with a seed."""
    return folder / f"{model}-{seed}.json"


def read_figures(path: Path) -> SeedFigures | None:
    """Reads a file of figures; None if there is none.

    Raises `BadInputError` for a file of another form, and for one whose name is that of another model or seed.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        leaves = {name: LeafFigures(**leaf) for name, leaf in record.pop("leaves").items()}
        found = SeedFigures(**{**record, "scale": Scale(**record["scale"])}, leaves=leaves)
        _check(found)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _no_figures(path, str(error)) from None
    except (KeyError, TypeError, AttributeError, RecursionError):  # Python's words for it name no field of the file
        raise _no_figures(path, "its fields are others") from None
    if path != figures_path(path.parent, found.model, found.seed):
        message = f"{path} holds the figures of {found.model} with seed {found.seed}"
        raise BadInputError(message, hint=f"they belong to {figures_path(path.parent, found.model, found.seed).name}")
    return found


def _no_figures(path: Path, why: str) -> BadInputError:
    hint = "restore the file, or name another folder by --figures"
    return BadInputError(f"{path} holds no figures of `hil tables`: {why}", hint=hint)


def _check(figures: SeedFigures) -> None:
    """Raises ValueError for a value of another type, a figure that is no finite number, and one that cannot be."""
    _expect(str, {"model": figures.model, "metric": figures.metric, "unit": figures.scale.unit})
    counts = {"seed": figures.seed, "samples": figures.samples, "base_steps": figures.base_steps}
    _expect(int, counts)
    if negative := [name for name, value in counts.items() if value < 0]:
        raise ValueError(f"{negative[0]} is negative")
    if not isinstance(figures.learned_nothing, bool):
        raise ValueError(f"learned_nothing is {figures.learned_nothing!r}, of another type")
    _expect(dict, {"made_of": figures.made_of, "made_on": figures.made_on})
    _expect(str, {**figures.made_of, **figures.made_on})
    for name, leaf in figures.leaves.items():
        try:
            if name not in PATHS:
                raise ValueError("there is no such leaf")
            _check_leaf(leaf, figures.scale)
            _check_drop(leaf.figures, figures.scale)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None


def _check_leaf(leaf: LeafFigures, scale: Scale) -> None:
    _expect(str, {"reason": leaf.reason})
    _expect(dict, {name: getattr(leaf, name) for name in ("settings", "figures", "cycles", "trained_s")})
    _expect(dict, leaf.settings)
    _expect(int, {**leaf.cycles, "steps": leaf.steps})
    _expect((int, float), {**leaf.figures, **leaf.trained_s})
    shares = {"zeros", *(ACCURACIES if scale.is_share else ())}
    signed = {"accuracy_drop", "accuracy_drop_low", "accuracy_drop_high", "sqnr", *ACCURACIES}
    for name, value in {**leaf.figures, **leaf.trained_s, **leaf.cycles, "steps": leaf.steps}.items():
        if not math.isfinite(value):
            raise ValueError(f"{name} is not finite")
        if (name in shares and not 0 <= value <= 1) or (name not in signed and value < 0):
            raise ValueError(f"{name} cannot be {value:g}")
        if name in ("tflite", "zip", "gzip", "encoded_weights") and not value:
            raise ValueError(f"{name} cannot be 0")


def _check_drop(figures: Mapping[str, float], scale: Scale) -> None:
    """Raises ValueError for a drop that is not the difference of the accuracies, or not in its interval.

    A leaf that could not be made has none of them: nothing is less or more than NaN.
    """
    drop = figures.get("accuracy_drop", math.nan)
    if abs(scale.drop(figures.get("base_accuracy", math.nan), figures.get("accuracy", math.nan)) - drop) > _ROUNDED:
        raise ValueError("accuracy_drop is not base_accuracy less accuracy")
    if drop < figures.get("accuracy_drop_low", -math.inf) or drop > figures.get("accuracy_drop_high", math.inf):
        raise ValueError("accuracy_drop lies outside its interval")


def _expect(kinds: type | tuple[type, ...], values: Mapping[str, object]) -> None:
    """Raises ValueError for the first value that is not of `kinds`; `True` is no number."""
    for name, value in values.items():
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise ValueError(f"{name} is {value!r}, of another type")


def write_figures(path: Path, figures: SeedFigures) -> None:
    """Writes a file of figures; the same figures give the same text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_output(path, (json.dumps(asdict(figures), indent=1) + "\n").encode())
