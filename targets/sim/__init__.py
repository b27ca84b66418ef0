"""The target `sim`: Vela's command stream on the executable NPU, in process."""

from __future__ import annotations

from dataclasses import dataclass

from hil.core.measurement import Trust
from hil.targets.declaration import Declaration, Role
from hil.targets.execution.options import events, jobs, keep_state


@dataclass(frozen=True)
class SimOptions:
    """Options of the target `sim`; `events` are PMU events to count.

    At most `jobs` threads share the samples (None: as many as there are cores), fewer where more do not pay.
    """

    keep_state: bool = keep_state()
    jobs: int | None = jobs()
    events: tuple[str, ...] = events()


TARGET = Declaration(
    name="sim",
    summary="the executable NPU, in process; cycles are modelled",
    implementation="hil.targets.sim.target:SimTarget",
    options=SimOptions,
    samples=500,
    latency=Trust.MODELLED,
    role=Role.STAND_IN,
)
