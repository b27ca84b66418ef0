"""The open results database: runs are begun, found, compared, named and pruned."""

from __future__ import annotations

import platform
import re
from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from hil.core.errors import BadInputError
from hil.harness.results import reader, retention, schema
from hil.harness.results.database import Database, clean, upsert
from hil.harness.results.location import hide_passwords
from hil.harness.results.reader import MOST_NAME
from hil.harness.results.records import (
    AcknowledgedRecord,
    Baseline,
    DeploymentFigures,
    FailureRecord,
    HistoryPoint,
    RunRecord,
    StoredEvent,
    StoredRun,
    TestRecord,
    VerdictRecord,
)
from hil.harness.results.retention import Rule
from hil.harness.results.upgrade import upgrade
from hil.harness.results.writer import Run, new_run_id, now

if TYPE_CHECKING:
    from hil.harness.results.nights import Nights

LATEST = "latest"
_ID = re.compile(r"\d{8}-\d{6}-\w{10}")


class Results:
    """One database, its schema created or upgraded; every method raises `ResultsError` where the database fails."""

    def __init__(self, database: Database) -> None:
        upgrade(database)
        self._database = database

    @property
    def name(self) -> str:
        """Path or URL of the database, without a password."""
        return self._database.name

    def close(self) -> None:
        """Closes the connection."""
        self._database.close()

    # -- writing

    def begin(self, record: RunRecord) -> Run:
        """Adds a run, unfinished until its `finish`; passwords of URLs in its command are left out."""
        started = now()
        row = {
            **asdict(record),
            "id": new_run_id(started),
            "identity": dict(record.identity),
            "command": [hide_passwords(word) for word in record.command],
            "host": record.host or platform.node(),
            "started": started,
        }
        self._database.write(lambda connection: upsert(connection, schema.runs, [clean(row)]))
        return Run(self._database, str(row["id"]))

    def join(self, run_id: str) -> Run:
        """Returns a run that another process has begun, to write into it."""
        return Run(self._database, run_id)

    def acknowledge(self, record: AcknowledgedRecord) -> None:
        """Marks a change point as seen."""
        row = clean({**asdict(record), "at": now()})
        self._database.write(lambda connection: upsert(connection, schema.acknowledged, [row]))

    def set_baseline(self, name: str, run_id: str) -> None:
        """Names a run; the name moves if another run has it.

        Raises `BadInputError` for what is no name, and for a run that is not there, or was just removed.
        """
        check_baseline_name(name)
        row = clean({"name": name, "run_id": run_id, "created": now()})
        of_run = select(schema.runs.c.id).where(schema.runs.c.id == row["run_id"])

        def work(connection: Connection) -> None:
            if connection.scalar(of_run.with_for_update(read=True, key_share=True)) is None:
                raise BadInputError(f"no run {run_id}: it cannot be the baseline {name}")
            upsert(connection, schema.baselines, [row])

        self._database.write(work)

    def delete_baseline(self, name: str) -> None:
        """Takes the name from its run, which stays; raises `BadInputError` for no baseline."""
        named = schema.baselines.c.name == clean(name)
        deleted = self._database.write(
            lambda connection: connection.execute(schema.baselines.delete().where(named)).rowcount
        )
        if not deleted:
            raise BadInputError(f"no baseline {name}", hint=reader.names_hint(self.baselines()))

    def prune(self, rule: Rule, *, dry_run: bool = False) -> tuple[StoredRun, ...]:
        """Removes the runs that a rule names, but no baseline; returns them."""
        return retention.prune(self._database, rule, dry_run=dry_run)

    # -- reading

    def runs(self, limit: int | None = None, model: str = "") -> tuple[StoredRun, ...]:
        """Returns runs, the newest first; with `model`, only those that have a deployment of it."""
        return self._database.read(lambda connection: reader.runs(connection, limit, clean(model)))

    def run(self, name: str) -> StoredRun:
        """Returns the run of an id, a unique prefix of one, `latest`, or the name of a baseline.

        Raises `BadInputError` where there is no such run, or several.
        """
        return self._database.read(lambda connection: reader.run(connection, clean(name)))

    def run_before(self, run_id: str) -> str | None:
        """Returns the id of the newest finished run before another that has a deployment in common with it."""
        return self._database.read(lambda connection: reader.run_before(connection, run_id))

    def figures(self, run_id: str) -> tuple[DeploymentFigures, ...]:
        """Returns the deployments of a run with their figures, by name."""
        return self._database.read(lambda connection: reader.figures(connection, run_id))

    def verdicts(self, run_id: str) -> tuple[VerdictRecord, ...]:
        """Returns the verdicts on the figures of a run."""
        return self._database.read(lambda connection: reader.verdicts(connection, run_id))

    def judged(self, deployment: str, target: str, figure: str, verdict: str) -> frozenset[str]:
        """Returns the ids of the runs in which a figure of a deployment got a verdict."""
        return self._database.read(lambda connection: reader.judged(connection, deployment, target, figure, verdict))

    def tests(self, run_id: str) -> tuple[TestRecord, ...]:
        """Returns the finished tests of a run, by node id."""
        return self._database.read(lambda connection: reader.tests(connection, run_id))

    def failures(self, run_id: str) -> tuple[FailureRecord, ...]:
        """Returns the failures of a run in the order of their time."""
        return self._database.read(lambda connection: reader.failures(connection, run_id))

    def board_events(self, board: str = "", run_id: str = "", *, failures: bool = True) -> tuple[StoredEvent, ...]:
        """Returns the events of a board (or run, or all) in the order of their time.

        With `failures`, those of tests that name a board are among them.
        """
        return self._database.read(
            lambda connection: reader.board_events(connection, clean(board), run_id, failures=failures)
        )

    def history(
        self, model: str, path: str, target: str, figure: str, limit: int | None = None
    ) -> tuple[HistoryPoint, ...]:
        """Returns a figure of all runs, or of the `limit` newest ones, the oldest first."""
        model, path, target, figure = (clean(name) for name in (model, path, target, figure))
        return self._database.read(lambda connection: reader.history(connection, model, path, target, figure, limit))

    def nights(
        self,
        figures: Collection[str],
        *,
        start: datetime | None = None,
        until: datetime | None = None,
        also: Collection[str] = (),
        models: Collection[str] = (),
    ) -> Nights:
        """Returns runs of a period with figures by name over them, as `hil.harness.results.nights.read_nights`."""
        from hil.harness.results.nights import read_nights

        return self._database.read(
            lambda connection: read_nights(
                connection, figures, start=start, until=until, also=also, models=clean([*models])
            )
        )

    def baselines(self) -> tuple[Baseline, ...]:
        """Returns the baselines by name."""
        return self._database.read(reader.baselines)

    def acknowledged(self) -> Sequence[AcknowledgedRecord]:
        """Returns the change points that were acknowledged."""
        return self._database.read(reader.acknowledged)


def check_baseline_name(name: str) -> None:
    """Raises `BadInputError` for `latest`, an id of a run, and an empty, long or unprintable text."""
    if not name.strip() or name == LATEST or not name.isprintable() or _ID.fullmatch(name):
        raise BadInputError(f"a baseline cannot be named {name[:MOST_NAME]!r}")
    if len(name) > MOST_NAME:
        raise BadInputError(f"the name of a baseline has at most {MOST_NAME} characters, not {len(name):,}")
