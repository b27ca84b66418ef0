"""The target `fvp`: Arm's inference-runner firmware on a Corstone-300."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hil.core.measurement import Trust
from hil.core.options import option
from hil.targets.declaration import Declaration, File
from hil.targets.execution.options import events, jobs


@dataclass(frozen=True)
class FvpOptions:
    """Options of the target `fvp`.

    `engine` is `auto`, `arm`, `docker` or `open`; `executable` is Arm's FVP if it is not in a usual place.

    `parameters` are the FVP's, as `-C` takes them, besides those that a run needs.  `firmware` is the user's (see
    `hil.fvp.inference.firmware.load`); without, it is Arm's for the model's NPU and file.  `runner` says which of Arm's
    that must be.  `jobs` samples run at a time (None: as many as there are cores), `events` are counted beside the
    firmware's own, `time_limit_s` is for one of them, boot included: seconds that it computes, or waits.  In `store`, a
    store of artifacts, the open one keeps the states of booted machines (None: each run boots).
    """

    engine: str = option("auto", metavar="ENGINE", help="Which program plays the FVP: auto, arm, docker or open.")
    executable: Path | None = option(
        None,
        name="fvp-executable",
        metavar="FILE",
        help="Arm's FVP, or its folder (FVP_CORSTONE300, PATH, usual folders).",
    )
    parameters: tuple[str, ...] = option(
        (), name="fvp-parameter", metavar="NAME=VALUE", help="Passed to the FVP as -C; may be repeated."
    )
    firmware: Path | None = option(
        None, metavar="FILE", help="An ELF, or a TOML about one, for fvp (Arm's inference runner)."
    )
    runner: str = option(
        "",
        metavar="RUNTIME",
        help="Arm's inference runner: tflm or executorch (that of the model's file).",
        commands=("run",),
    )
    jobs: int | None = jobs()
    events: tuple[str, ...] = events()
    time_limit_s: float = 120.0
    store: Path | None = None


TARGET = Declaration(
    name="fvp",
    summary="Arm's firmware on a Corstone-300; cycles are simulated on Arm's FVP, modelled on the open one",
    implementation="hil.targets.fvp.target:FvpTarget",
    options=FvpOptions,
    takes=(File.INT8, File.COMPILED, File.PROGRAM),
    latency=Trust.SIMULATED,
    cpu_kernels=True,
    reports_arena=True,
    store="store",
)
