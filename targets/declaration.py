"""The declaration of a target: everything that commands, the pytest plugin and `hil doctor` need before it runs.

    from hil.core.options import option

    @dataclass(frozen=True)
    class EchoOptions:
        times: int = option(1, help="Samples given back (1).")

    TARGET = Declaration(
        name="echo",
        summary="gives back what it takes",
        implementation="hil_echo.target:EchoTarget",
        options=EchoOptions,
        latency=None,
    )

A target is registered by an entry point of the group `hil.targets` that names such a value; its module is imported when
a command line is set up, so it imports nothing heavy.  `implementation` is imported when the target is made.
`docs/adding-a-target.md` leads through it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from hil.core.measurement import Trust


class File(Enum):
    """The files that a target can run."""

    INT8 = "the int8 model"
    COMPILED = "an output of Vela"
    PROGRAM = "an ExecuTorch program"


class Role(Enum):
    """The part that a target plays when deployments are measured.

    Runs on oracle and stand-in depend on nothing but model and inputs, so the store caches them; a device always runs.
    """

    ORACLE = "the reference kernels, which every other target must match bit for bit"
    STAND_IN = "the executable NPU, which takes the whole test set where a device is too slow for it"
    DEVICE = "an FVP, a board, or anything else whose outputs are evidence"


@dataclass(frozen=True)
class NoOptions:
    """The options of a target that has none."""


@dataclass(frozen=True)
class Declaration:
    """One target.

    `implementation` is `module:class` of a `hil.targets.base.Target`, made with one argument, a value of the frozen
    dataclass `options` (see `hil.core.options`).  `takes` are the files that it runs; `samples` is how many run where
    the user does not say.  `latency` is the best trust that a latency of it can have, None if it has no latency.
    `cpu_kernels`: operators that the NPU does not take run on kernels of its own, which `hil diff` looks at one by one.
    `reports_arena`: it reports how much of its arena a model used.  `prints_outputs`: it may print real numbers as text
    instead of tensors.  `store` names the field of `options` that gets the folder of the store of artifacts, where the
    target keeps what makes later runs faster and changes no result; empty if it keeps nothing.
    """

    name: str
    summary: str
    implementation: str
    options: type[Any] = NoOptions
    takes: tuple[File, ...] = (File.INT8, File.COMPILED)
    samples: int = 8
    latency: Trust | None = None
    role: Role = Role.DEVICE
    cpu_kernels: bool = False
    reports_arena: bool = False
    prints_outputs: bool = False
    store: str = ""
