"""The model that `hil profile` profiles: an int8 file, a Vela output, a model file on a path, or a stored profile.

    profile_of(ProfiledModel("resnet8.tflite", int8), settings)

An int8 model is compiled first, with the mapping of operations to its operators.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hil.harness.profile.compiled_profile import profile_compiled, source_of
from hil.harness.profile.cpu_reasons import cpu_reasons
from hil.harness.profile.profile import Profile
from hil.harness.say import Say
from hil.harness.vela.compiler import Compiled, compile_model
from hil.harness.vela.settings import VelaSettings


@dataclass(frozen=True)
class ProfiledModel:
    """Bytes of an int8 model or of a Vela output (`is_compiled`) under the name for its reader.

    `techniques` are int8 files of the same model on other paths, by technique.
    """

    name: str
    data: bytes
    is_compiled: bool = False
    techniques: Mapping[str, bytes] = field(default_factory=dict)


def profile_of(model: ProfiledModel, settings: VelaSettings, say: Say | None = None) -> Profile:
    """Compiles if need be, and profiles; `say` is called while Vela takes long."""
    if model.is_compiled:
        return profile_compiled(model.data, settings, model.name)
    compiled = compile_model(model.data, settings, name=model.name, say=say)
    return profile_of_compiled(compiled, model.data, settings, model.name, say)


def profile_of_compiled(
    compiled: Compiled, int8: bytes, settings: VelaSettings, name: str, say: Say | None = None
) -> Profile:
    """Profiles what was compiled of `int8` with its mapping."""
    source = source_of(compiled, int8, cpu_reasons(int8, compiled, settings, say))
    return profile_compiled(compiled.model, settings, name, source, settings.options)
