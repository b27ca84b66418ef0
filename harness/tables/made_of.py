"""Hashes and versions of all that figures are made of, and how those of a file differ from today's.

    today = today_made_of(evaluator, model)
    changes(today, then)                    # ["numpy 1.26.4 is now 2.1.3"]

Nothing is trained for it: unlike a recipe in the store it names no artifact before a step, but the source, the data,
the settings, the code and the libraries from which all of them follow.  Threads and CPU, which change the last bits of
trained weights, are left out: figures of another machine hold.

Where network, data, weights, training or target have changed, figures are those of another experiment.  Where this
program's code or a library has, they are the same experiment, made earlier.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from hil.core.errors import UnavailableError
from hil.harness.evaluation.evaluator import Evaluator
from hil.harness.evaluation.identity import data_identity, training_identity
from hil.harness.model import Model
from hil.harness.optimize.paths import path_of
from hil.harness.pipeline import target_module
from hil.harness.pipeline.entries import ENTRIES
from hil.harness.store.code_version import code_version
from hil.harness.store.source_digest import versions

_CODE = (*dict.fromkeys(module for arrow, modules in ENTRIES.items() if arrow != "other_vela" for module in modules),)
_CYCLES = "hil.harness.profile.modelled_cost"
_DIGITS = 16
_MACHINE = ("threads", "gpu")
_FILES = ("data", "weights")
_EXPERIMENT = ("network", "weights", "data", "train", "target")


def today_made_of(evaluator: Evaluator, model: Model) -> dict[str, str]:
    """Returns hashes and versions by name; without `data` or `weights` whose files are not on this machine."""
    found = training_identity(evaluator.pipeline, model, "ptq")
    named = {name: value for name, value in found.items() if value and name not in ("recipe", *_MACHINE)}
    with suppress(UnavailableError):
        named["data"] = data_identity(evaluator.pipeline, model)
    code = code_version(*_CODE, _CYCLES, target_module(evaluator.target_name))[:_DIGITS]
    return {**named, **versions("ethos-u-vela"), "target": evaluator.target_name, "code": code}


def today_settings(model: Model, leaf: str) -> dict[str, Any]:
    """Returns the settings of a leaf's steps by step; of the base where it is trained."""
    trained = model.weights is None and model.keras_file is None
    steps = ("base", *path_of(leaf)) if trained else path_of(leaf)
    return {step: model.recipe.settings_of(step) for step in steps}


def other_experiment(today: Mapping[str, str], then: Mapping[str, str]) -> list[str]:
    """Returns the `changes` that make figures those of another experiment."""
    return changes(*({name: text for name, text in of.items() if name in _EXPERIMENT} for of in (today, then)))


def made_earlier(today: Mapping[str, str], then: Mapping[str, str]) -> list[str]:
    """Returns the `changes` of this program's code and of libraries."""
    return changes(*({name: text for name, text in of.items() if name not in _EXPERIMENT} for of in (today, then)))


def changes(today: Mapping[str, Any], then: Mapping[str, Any]) -> list[str]:
    """Returns a text for each value that has changed; `data` and `weights` that are not here are not compared."""
    names = [name for name in {**then, **today} if then.get(name) != today.get(name)]
    return [_change(name, then.get(name), today.get(name)) for name in names if name not in _FILES or name in today]


def _change(name: str, then: Any, now: Any) -> str:
    if name in ("network", "weights", "data", "code", "train"):
        return f"another {name}"
    if then is None or now is None:
        return f"{name} {now if then is None else then} is {'new' if then is None else 'gone'}"
    return f"{name} {then} is now {now}"
