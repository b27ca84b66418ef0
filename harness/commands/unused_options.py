"""Options that have no effect beside the others: a contradiction is an error, one of Vela's is a line on stderr.

Options of Vela are the same for all targets, so that a command can be repeated on another target as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hil.core.errors import BadInputError
from hil.core.options import is_default, options_of
from hil.harness.commands.arguments import MODELS
from hil.harness.vela.settings import VelaOptions

if TYPE_CHECKING:
    from hil.harness.model import Model


def warn_vela(vela: VelaOptions, why: str, only: tuple[str, ...] = ()) -> None:
    """Prints a line for each option of `vela` that was given (of `only`, where names are there)."""
    for one in options_of(VelaOptions):
        value = getattr(vela, one.field)
        if not is_default(one, value) and (not only or one.name in only):
            shown = " ".join(map(str, value)) if one.many else value
            print(f"--{one.name} {shown} has no effect: {why}", file=sys.stderr)


def refuse_beside_inputs(inputs: Path | None, **given: int | None) -> None:
    """Raises `BadInputError` for an option of random samples beside `--inputs`."""
    for name, value in given.items():
        if inputs is not None and value is not None:
            raise BadInputError(f"--{name} {value} has no effect beside --inputs", hint="every sample of the file runs")


def refuse_models_folder(model: str, folder: Path) -> None:
    """Raises `BadInputError` for `--models` beside the path of a model file."""
    if model.endswith(".py") and folder != MODELS:
        raise BadInputError(f"--models {folder} has no effect: {model} is a file", hint="a name is looked up in it")


def refuse_settings(model: Model, technique: str, settings: Mapping[str, Any]) -> None:
    """Raises `BadInputError` for a setting of the recipe that no step of a technique's path uses."""
    from hil.harness.tree.candidates import candidate_of

    changed = {name: value for name, value in settings.items() if value != getattr(model.recipe, name)}
    used = dict(candidate_of(model, technique, tuple(changed.items())).settings)
    for name, value in changed.items():
        if name not in used:
            raise BadInputError(f"--{name} {value} has no effect: no step of {technique} uses it")
