"""The target `host`: the int8 model on TensorFlow's reference kernels, the oracle of all other targets."""

from __future__ import annotations

from dataclasses import dataclass

from hil.core.options import option
from hil.targets.declaration import Declaration, File, Role
from hil.targets.execution.options import keep_state


@dataclass(frozen=True)
class HostOptions:
    """Options of the target `host`; `interpreter` is one of `hil.targets.execution.interpreter.INTERPRETERS`."""

    keep_state: bool = keep_state()
    interpreter: str = option(
        "tensorflow",
        help="Which kernels host runs: tensorflow (the oracle), litert, tflite-runtime or tflite-micro.",
        commands=("run",),
    )


TARGET = Declaration(
    name="host",
    summary="TensorFlow's reference kernels on this machine, the oracle",
    implementation="hil.targets.host.target:HostTarget",
    options=HostOptions,
    takes=(File.INT8,),
    samples=500,
    role=Role.ORACLE,
)
