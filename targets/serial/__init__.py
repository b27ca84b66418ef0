"""The target `serial`: a board at the other end of a serial line, or a virtual one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hil.core.measurement import Trust
from hil.core.options import option
from hil.targets.declaration import Declaration, File
from hil.targets.execution.options import events, keep_state


@dataclass(frozen=True)
class SerialOptions:
    """Options of the target `serial`.

    `board` is `virtual`, a described board, a TOML file, `place:NAME` or `tag:KEY=VALUE` (None: `HIL_BOARD`).

    After `warmups` runs, `repetitions` are measured; `events` are PMU events that are counted beside the usual ones, by
    as many inferences as the four counters need; `limit_ms` is the time limit of one job on the NPU.  `folder` has
    the user's own descriptions of boards.
    """

    board: str | None = option(
        None, metavar="NAME", help="For serial: virtual, a described board, or its TOML file (HIL_BOARD)."
    )
    repetitions: int = option(10, minimum=1, metavar="N", help="Measured runs on serial (10).")
    keep_state: bool = keep_state()
    events: tuple[str, ...] = events()
    warmups: int = 2
    limit_ms: int = 10_000
    folder: Path | None = None


TARGET = Declaration(
    name="serial",
    summary="a board over a serial line, or a virtual board; cycles are measured on hardware",
    implementation="hil.targets.serial.target:SerialTarget",
    options=SerialOptions,
    takes=(File.COMPILED,),
    latency=Trust.MEASURED,
    prints_outputs=True,
)
