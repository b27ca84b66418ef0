"""Content of a report: plain values, without the database they were read from and without the page they are shown on.

One function reads it from the database; the page and the Markdown are made of it.

Nights are positions in `Content.runs`, the oldest first.  Texts are as they were recorded: names, logs and reasons from
outside, which a renderer must escape.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Night:
    """A run; `state` is `finished` or `unfinished`, `exit_code` None for an unfinished one."""

    id: str
    started: datetime
    kind: str
    host: str
    state: str
    exit_code: int | None


@dataclass(frozen=True)
class Series:
    """One figure of one deployment at one place: accelerator, memory mode and board are part of it."""

    id: str
    model: str
    path: str
    target: str
    accelerator: str
    memory_mode: str
    board: str
    figure: str
    unit: str
    trust: str
    lower_is_better: bool

    @property
    def deployment(self) -> str:
        return f"{self.model}-{self.path}"


@dataclass(frozen=True)
class Point:
    """The figure in the night `run`; `low` and `high` are the smallest and largest repetition, where it has several."""

    run: int
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class ChangePoint:
    """The night `run` is the first at another level; `cause` has a line a field that differs from the night before."""

    run: int
    before: float
    after: float
    cause: tuple[str, ...]
    is_acknowledged: bool


@dataclass(frozen=True)
class Mark:
    """Something that the figure depends on changed in the night `run`: `vela 5.1.0 -> 5.2.0`, `board serial ...`."""

    run: int
    part: str
    text: str


@dataclass(frozen=True)
class Trend:
    """A series over the nights, thinned.

    `band` is the range within which a measured figure of the newest nights is noise, None for an exact figure;
    `baselines` are (name, night) of the baselines that hold it; `nights` is the number of nights before thinning.
    """

    series: Series
    points: tuple[Point, ...]
    nights: int
    band: tuple[float, float] | None = None
    changes: tuple[ChangePoint, ...] = ()
    marks: tuple[Mark, ...] = ()
    baselines: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Finding:
    """The verdict on one figure of the newest run: one of `hil.harness.comparison.comparison.Outcome`.

    Figures that are the same are left out, unless an exact one changed within its gate.  `before` is the baseline's
    value, `after` the run's, None where there is none.  `since` is the night since which it is so, None where that is
    not known.  `cause` has a line a difference between the two runs that the figure depends on, and the shares that an
    exchange found, where there was one; `reason` is the rule or why there is no figure.  `fails`: a gate fails by it.
    """

    series: Series
    outcome: str
    before: float | None
    after: float | None
    relative: float | None
    reason: str
    cause: tuple[str, ...]
    since: int | None
    fails: bool


@dataclass(frozen=True)
class Failure:
    """A failed test or deployment of the newest run.

    `first_operator` is the first operator that differs from the reference kernels, for a failed parity; `log` is the
    end of the log, of at most 20,000 characters without terminal codes.
    """

    test: str
    deployment: str
    board: str
    kind: str
    is_infrastructure: bool
    message: str
    first_operator: str
    log: str


@dataclass(frozen=True)
class BoardEvent:
    """An event of a board in the night `run`: `failed`, `quarantined`, `checked` ..., with its cause."""

    at: datetime
    run: int | None
    event: str
    cause: str
    detail: str


@dataclass(frozen=True)
class BoardHealth:
    """A board: `state` is `ok` or `quarantined`, with the reason; `failures` counts those of the period by cause."""

    name: str
    serial: str
    state: str
    reason: str
    failures: tuple[tuple[str, int], ...]
    events: tuple[BoardEvent, ...]


@dataclass(frozen=True)
class Leaf:
    """The newest figures of one technique of a model on a target, with those of its limits that fail."""

    path: str
    figures: tuple[tuple[str, float, str], ...]
    fails: tuple[str, ...] = ()


@dataclass(frozen=True)
class Leaves:
    """All leaves of a model at one place, which a table and a picture compare; `figures` are (name, value, unit)."""

    model: str
    target: str
    accelerator: str
    leaves: tuple[Leaf, ...]
    memory_mode: str = ""
    board: str = ""


@dataclass(frozen=True)
class LayerChange:
    """A layer with its modelled cycles in the baseline and in the run, None where one has no such layer."""

    layer: str
    before: int | None
    after: int | None
    bound: str


@dataclass(frozen=True)
class LayerChanges:
    """The layers of a deployment of the run in order, then those that its baseline alone has."""

    deployment: str
    target: str
    layers: tuple[LayerChange, ...]


@dataclass(frozen=True)
class Content:
    """A whole report.

    `verdict` is `worse`, `failed` (a test failed, but no figure is worse), `not run`, `unknown`, `good` or `empty` (no
    run, or one without deployments); `sentence` says it to people.  `baseline` is the name or id of the run that was
    compared with, empty for none.
    `thinning` states the rule by which nights were left out of the trends, empty where none were.
    `database` is its path or URL without a password.
    """

    verdict: str
    sentence: str
    made: datetime
    database: str
    baseline: str
    runs: tuple[Night, ...] = ()
    run: int | None = None
    findings: tuple[Finding, ...] = ()
    trends: tuple[Trend, ...] = ()
    leaves: tuple[Leaves, ...] = ()
    failures: tuple[Failure, ...] = ()
    boards: tuple[BoardHealth, ...] = ()
    identity: tuple[tuple[str, str], ...] = field(default=())
    thinning: str = ""
    profiles: tuple[LayerChanges, ...] = ()
