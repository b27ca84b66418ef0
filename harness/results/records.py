"""Records of the results database: the values that go in and come out.

Texts are of any length; times are in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from hil.core.measurement import Measurement, MissingFigure


BOARD_CHECK = "hil boards check"
"""Kind of a run that checks a board and no model of a repository; `latest` is never one of these."""


SELECTION = "selection"
"""Field of the identity of a run of which the user chose some tests: what a baseline has beside them is not missing."""


@dataclass(frozen=True)
class RunRecord:
    """A run: one session of pytest, one `hil tree`, one `hil run`.

    `kind` is the program (`pytest`, `hil tree`), `identity` what all its deployments depend on, `command` its command
    line, `host` the machine's name (empty: this one's).
    """

    kind: str
    identity: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    host: str = ""


@dataclass(frozen=True)
class DeploymentRecord:
    """A model by a path of techniques on a target; `identity` is every input that can change its figures.

    `gates` are those that the run set for it, figure -> text (`hil.harness.comparison.gates`).
    """

    name: str
    model: str
    path: str
    target: str
    identity: Mapping[str, str] = field(default_factory=dict)
    gates: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FigureRecord:
    """One measurement: `value` in `unit` with its trust (`hil.core.measurement.Trust`).

    `repetitions` are all values of a repeated measurement, in the order of their measurement.
    """

    name: str
    value: float
    unit: str
    trust: str
    repetitions: tuple[float, ...] = ()
    note: str = ""

    @classmethod
    def of(cls, found: Measurement) -> FigureRecord:
        """Returns the record of a measurement."""
        return cls(found.name, found.value, found.unit, found.trust.value, found.repetitions, found.note)


@dataclass(frozen=True)
class MissingRecord:
    """A figure that was asked for and has no value, with the reason (`hil.core.measurement.Missing`)."""

    name: str
    reason: str
    note: str = ""

    @classmethod
    def of(cls, found: MissingFigure) -> MissingRecord:
        """Returns the record of a figure without a value."""
        return cls(found.name, found.reason.value, found.note)


@dataclass(frozen=True)
class LayerRecord:
    """A layer of a deployment: operator and index (`CONV_2D 5`), output tensor, modelled cycles, what bounds it."""

    title: str
    name: str
    cycles: int
    bound: str = ""


@dataclass(frozen=True)
class VerdictRecord:
    """The verdict on one figure of a deployment against the run `against`, decided by `rule`.

    `value` and `reference` are the two figures in `unit`, None where one is missing; `details` is any JSON object.
    """

    deployment: str
    target: str
    figure: str
    verdict: str
    against: str = ""
    value: float | None = None
    reference: float | None = None
    unit: str = ""
    rule: str = ""
    message: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FailureRecord:
    """A failure by the class of its error (`kind`); `deployment` and `board` are names (empty: none).

    `operator` is the first one that differs from the reference kernels, of a mismatch whose bundle names it.
    """

    test: str
    deployment: str
    kind: str
    infrastructure: bool
    message: str
    log: str = ""
    board: str = ""
    operator: str = ""


@dataclass(frozen=True)
class TestRecord:
    """The outcome of one test by its node id: `passed`, `failed`, `skipped`, `error`; its duration in seconds."""

    __test__: ClassVar[bool] = False  # pytest takes a class of this name for tests

    nodeid: str
    outcome: str
    seconds: float = 0.0


@dataclass(frozen=True)
class BoardRecord:
    """An event of a board (`identified`, `failed`, `quarantined`, ...) in a session of it (empty: not known)."""

    name: str
    serial: str
    event: str
    detail: str = ""
    session: str = ""


@dataclass(frozen=True)
class Series:
    """One figure of a deployment, over runs."""

    model: str
    path: str
    target: str
    figure: str

    def __str__(self) -> str:
        return f"{self.model}-{self.path} {self.target} {self.figure}"


@dataclass(frozen=True)
class AcknowledgedRecord:
    """A change point that somebody has seen and accepts: the series of a figure, and the run in which it changed."""

    model: str
    path: str
    target: str
    figure: str
    run_id: str
    note: str = ""

    @property
    def series(self) -> Series:
        return Series(self.model, self.path, self.target, self.figure)


@dataclass(frozen=True)
class StoredRun:
    """A run as it is in the database, with the number of its deployments, figures, tests by outcome, and failures.

    `finished` and `exit_code` are None for a run that did not come to its end: killed, or still running.
    `infrastructure` is the number of failures of the target or its surroundings.
    """

    id: str
    record: RunRecord
    started: datetime
    finished: datetime | None
    exit_code: int | None
    deployments: int = 0
    figures: int = 0
    tests: Mapping[str, int] = field(default_factory=dict)
    failures: int = 0
    infrastructure: int = 0

    @property
    def state(self) -> str:
        """`finished` or `unfinished`."""
        return "unfinished" if self.finished is None else "finished"


@dataclass(frozen=True)
class DeploymentFigures:
    """A deployment of a run and its figures by name, and its layers in order, where its profile was asked for.

    `missing` are the figures that were asked for and have no value.
    """

    id: str
    record: DeploymentRecord
    figures: Mapping[str, FigureRecord]
    layers: tuple[LayerRecord, ...] = ()
    missing: tuple[MissingRecord, ...] = ()


@dataclass(frozen=True)
class HistoryPoint:
    """One figure of one run in a series, with the identities of run and deployment."""

    run_id: str
    started: datetime
    finished: bool
    run_identity: Mapping[str, str]
    deployment_id: str
    identity: Mapping[str, str]
    figure: FigureRecord


@dataclass(frozen=True)
class StoredEvent:
    """A failure or an event of a board, with its run and time."""

    run_id: str
    at: datetime
    record: FailureRecord | BoardRecord


@dataclass(frozen=True)
class Baseline:
    """A run by name."""

    name: str
    run_id: str
    created: datetime
