"""The model of `hil profile`: a `.tflite` (int8, or a Vela output), or a model file on a path of the tree."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from hil.harness.commands import arguments, unused_options
from hil.harness.vela.settings import VelaOptions, VelaSettings

if TYPE_CHECKING:
    from hil.harness.model import Model
    from hil.harness.profile.profile import Profile
    from hil.harness.profile.profiled_model import ProfiledModel

_TFLITE = ".tflite"


def load(model: str, technique: str | None, models: Path, store: Path | None) -> ProfiledModel:
    """Reads a file, or takes a model file along the path of `technique`, training what the store does not have.

    Raises `BadInputError` for a path or name that is no model.
    """
    from hil.core.errors import BadInputError
    from hil.harness.model import find
    from hil.harness.profile.profiled_model import ProfiledModel
    from hil.npu.vela_output import is_compiled

    path = Path(model)
    if path.suffix == _TFLITE or (path.is_file() and path.suffix != ".py"):
        if technique is not None:
            raise BadInputError(f"--technique {technique} has no effect: {model} is a file", hint="give a model file")
        data = arguments.read_entry_point(path)
        return ProfiledModel(model, data, is_compiled(data))
    unused_options.refuse_models_folder(model, models)
    found = find(model, models)
    if found.tflite is not None:
        return ProfiledModel(found.name, found.file(found.tflite).read_bytes())
    leaf = technique or "ptq"
    return ProfiledModel(f"{found.name}-{leaf}", _int8(found, leaf, store), techniques=_stored(found, leaf, store))


def settings_for(loaded: ProfiledModel, vela: VelaOptions, settings: VelaSettings) -> VelaSettings:
    """The settings of a Vela output are those of its own accelerator, unless the user named one."""
    from hil.npu.vela_output import read_compiled

    if not loaded.is_compiled:
        return settings
    unused_options.warn_vela(vela, f"{loaded.name} is compiled already", only=("vela-option",))
    own = read_compiled(loaded.data).accelerator.name
    return settings if vela.accelerator else settings.for_accelerator(own)


def other_profile(against: str, vela: VelaOptions, settings: VelaSettings, models: Path, store: Path | None) -> Profile:
    """The profile to compare with: a stored one, or that of another model with the same settings."""
    from hil.harness.profile.stored_profile import read_profile

    path = Path(against)
    if path.suffix == ".json":
        return read_profile(path)
    loaded = load(against, None, models, store)
    return profile(loaded, settings_for(loaded, vela, settings))


def profile(loaded: ProfiledModel, settings: VelaSettings) -> Profile:
    """Compiles if need be, with lines on stderr while that takes long, and profiles."""
    from hil.harness.profile.profiled_model import profile_of
    from hil.harness.progress import LineProgress

    with contextlib.closing(LineProgress()) as progress, arguments.naming(loaded.name):
        return profile_of(loaded, settings, progress)


def _int8(model: Model, leaf: str, store: Path | None) -> bytes:
    from hil.harness.pipeline import Pipeline
    from hil.harness.pipeline.builders import TFLITE
    from hil.harness.progress import LineProgress

    with contextlib.closing(LineProgress()) as progress:
        return Pipeline(arguments.open_store(store), progress).int8(model, leaf).read(TFLITE)


def _stored(model: Model, leaf: str, store: Path | None) -> dict[str, bytes]:
    """The int8 files of other leaves that are in the store."""
    from hil.core.errors import NotStoredError
    from hil.harness.optimize.paths import PATHS
    from hil.harness.pipeline import Pipeline
    from hil.harness.pipeline.builders import TFLITE
    from hil.harness.store.found_store import FoundStore

    pipeline = Pipeline(FoundStore(arguments.open_store(store).root))
    found = {}
    for other in PATHS:
        if other != leaf:
            with contextlib.suppress(NotStoredError):
                found[other] = pipeline.int8(model, other).read(TFLITE)
    return found
