"""The target of the exchanges: `sim`, whose runs the store keeps, or the target that the two runs were made on.

    with open_target(registry.declaration("fvp"), options, pipeline) as target:
        run = target.run(deployable, inputs, origin)
        run.identity, run.measurements

A measured figure differs from session to session, so a device that measures is power-cycled or reset between any two
runs.  Modelled and simulated figures do not need that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from hil.core.arrays import Array
from hil.core.measurement import Measurement, Trust
from hil.harness.pipeline import Pipeline
from hil.harness.store.store import Origin
from hil.targets import registry
from hil.targets.base import Deployable, Run, Target
from hil.targets.declaration import Declaration, Role


class ExchangeTarget(Protocol):
    """A target on which exchanges run."""

    name: str

    def run(self, model: Deployable, inputs: Sequence[Array], origin: Origin) -> Run:
        """Runs an exchange; raises as `Target.run`."""
        ...


class StandInTarget:
    """`sim`: its runs depend on nothing but model and inputs, and come from the store."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.name = registry.with_role(Role.STAND_IN).name
        self._pipeline = pipeline

    def run(self, model: Deployable, inputs: Sequence[Array], origin: Origin) -> Run:
        """See `ExchangeTarget.run`."""
        return self._pipeline.outputs(self.name, model, inputs, origin)


class DeviceTarget:
    """An FVP or a board; where it measures, an exchange takes `sessions` sessions, and its figures are their medians.

    The caller closes `target`.
    """

    def __init__(self, target: Target, sessions: int = 1) -> None:
        self.name = target.name
        self._target = target
        self._sessions = sessions
        self._measures = False

    def run(self, model: Deployable, inputs: Sequence[Array], origin: Origin) -> Run:
        """See `ExchangeTarget.run`."""
        first = self._session(model, inputs)
        further = range(self._sessions - 1) if self._measures else ()
        return _joined([first, *(self._session(model, inputs) for _ in further)])

    def _session(self, model: Deployable, inputs: Sequence[Array]) -> Run:
        if self._measures:
            getattr(self._target, "restart", self._target.close)()
        run = self._target.run(model, inputs)
        self._measures = any(one.trust is Trust.MEASURED for one in run.measurements)
        return run


@contextmanager
def open_target(
    declared: Declaration, options: Any, pipeline: Pipeline, sessions: int = 1
) -> Iterator[StandInTarget | DeviceTarget]:
    """The target of a declaration for as long as it is wanted; raises at once what keeps it from being used."""
    if declared.role is Role.STAND_IN:
        yield StandInTarget(pipeline)
        return
    target = registry.make(declared, options, pipeline.store.root)
    try:
        target.identity()
        yield DeviceTarget(target, sessions)
    finally:
        target.close()


def _joined(sessions: Sequence[Run]) -> Run:
    """The first session with each measured figure as the median of the sessions' medians."""
    values = {one.name: [_median(run, one) for run in sessions] for one in sessions[0].measurements}
    measurements = tuple(
        replace(one, value=float(np.median(values[one.name])), repetitions=tuple(values[one.name]))
        if one.trust is Trust.MEASURED
        else one
        for one in sessions[0].measurements
    )
    return replace(sessions[0], measurements=measurements)


def _median(run: Run, figure: Measurement) -> float:
    found = next(one for one in run.measurements if one.name == figure.name)
    return float(np.median(found.repetitions or (found.value,)))
