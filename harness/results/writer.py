"""Writing a run: each call, or each `with run.transaction()`, is one transaction.

    run = Run(database, run_id)
    with run.transaction():                       # all of a finished test, or nothing of it
        kws = run.deployment(record)
        run.measurements(kws, figures)
        run.test(TestRecord("test_kws.py::test_latency", "passed", 1.5))

Statements are collected and sent at once, so that the database is locked for as long as the writing takes.  All keys
follow from the records or are drawn here: workers need not ask each other, and what was sent twice is there once.
"""

from __future__ import annotations

import hashlib
import json
import math
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import Table, Update, update

from hil.harness.results import schema
from hil.harness.results.database import Database, clean, upsert
from hil.harness.results.location import hide_passwords
from hil.harness.results.records import (
    BoardRecord,
    DeploymentRecord,
    FailureRecord,
    FigureRecord,
    LayerRecord,
    MissingRecord,
    TestRecord,
    VerdictRecord,
)

LOG_CHARACTERS = 100_000
"""Characters of a failure's log that are stored, from its end; the bundle has the whole."""


class Run:
    """A run that is being written; unfinished until `finish`.  Threads may share it."""

    def __init__(self, database: Database, run_id: str) -> None:
        self.id = run_id
        self._database = database
        self._lock = threading.RLock()
        self._collected: list[tuple[Table | Update, Sequence[Mapping[str, Any]]]] | None = None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Collects what is written inside, and writes it as one; nothing of it if an exception leaves the block."""
        with self._lock:
            if self._collected is not None:
                yield
                return
            self._collected = []
            try:
                yield
                collected = self._collected
            finally:
                self._collected = None
            self._send(collected)

    def deployment(self, record: DeploymentRecord) -> str:
        """Adds a deployment, or replaces its identity and gates; returns its id.

        The id follows from the run, the name, the target and the accelerator: the rest of the identity may become known
        when the deployment runs.
        """
        accelerator = record.identity.get("accelerator", "")
        deployment_id = _digest(self.id, record.name, record.target, accelerator)
        fields = {"identity": dict(record.identity), "gates": dict(record.gates)}
        row = {**asdict(record), **fields, "id": deployment_id, "run_id": self.id}
        self._write(schema.deployments, [row])
        return deployment_id

    def measurements(self, deployment_id: str, figures: Sequence[FigureRecord]) -> None:
        """Adds figures of a deployment; one that was written before is replaced."""
        belongs = {"deployment_id": deployment_id, "run_id": self.id}
        rows = {figure.name: belongs | _measurement(figure) for figure in figures}
        self._write(schema.measurements, [rows[name] for name in sorted(rows)])

    def layers(self, deployment_id: str, layers: Sequence[LayerRecord]) -> None:
        """Adds the layers of a deployment in order; those that were written before are replaced."""
        row = {"deployment_id": deployment_id, "run_id": self.id, "layers": [asdict(one) for one in layers]}
        self._write(schema.layers, [row])

    def missing(self, deployment_id: str, figures: Sequence[MissingRecord]) -> None:
        """Adds the figures of a deployment that have no value; those that were written before are replaced."""
        row = {"deployment_id": deployment_id, "run_id": self.id, "figures": [asdict(one) for one in figures]}
        self._write(schema.missing, [row])

    def verdict(self, record: VerdictRecord) -> None:
        """Adds the verdict on a figure; one against the same run is replaced."""
        self._write(schema.verdicts, [{**asdict(record), "run_id": self.id, "details": dict(record.details)}])

    def test(self, record: TestRecord) -> None:
        """Adds a finished test; of one that ran again, the last outcome stays."""
        self._write(schema.tests, [{**asdict(record), "run_id": self.id, "ended": now()}])

    def failure(self, record: FailureRecord) -> None:
        """Adds a failure; of a log longer than `LOG_CHARACTERS`, the end."""
        texts = {"message": hide_passwords(record.message), "log": hide_passwords(record.log[-LOG_CHARACTERS:])}
        self._write(schema.failures, [{**asdict(record), **texts, **self._event()}])

    def board(self, record: BoardRecord) -> None:
        """Adds an event of a board."""
        self._write(schema.board_events, [{**asdict(record), **self._event()}])

    def finish(self, exit_code: int) -> None:
        """Marks the run as finished."""
        values = {"finished": now(), "exit_code": exit_code}
        self._write(update(schema.runs).where(schema.runs.c.id == self.id).values(values), [{}])

    def _event(self) -> dict[str, Any]:
        return {"id": secrets.token_hex(16), "run_id": self.id, "at": now()}

    def _write(self, into: Table | Update, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            with self.transaction():
                assert self._collected is not None
                self._collected.append((into, [clean(row) for row in rows]))

    def _send(self, collected: Sequence[tuple[Table | Update, Sequence[Mapping[str, Any]]]]) -> None:
        if not collected:
            return

        def work(connection: Any) -> None:
            for into, rows in collected:
                if isinstance(into, Update):
                    connection.execute(into)
                else:
                    upsert(connection, into, rows)

        self._database.write(work)


def new_run_id(started: datetime) -> str:
    """Returns a text that sorts by time and is unique: `20261114-231502-417k7q2mx9`, in UTC to the millisecond."""
    letters = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: none is taken for another
    drawn = "".join(secrets.choice(letters) for _ in range(7))
    return f"{started.astimezone(timezone.utc):%Y%m%d-%H%M%S}-{started.microsecond // 1000:03}{drawn}"


def now() -> datetime:
    """Returns the time in UTC."""
    return datetime.now(timezone.utc)


def _measurement(figure: FigureRecord) -> dict[str, Any]:
    value = float(figure.value)
    return {
        "name": figure.name,
        "value": None if math.isnan(value) else value,
        "unit": figure.unit,
        "trust": str(getattr(figure.trust, "value", figure.trust)),
        "note": figure.note,
        "repetitions": " ".join(repr(float(one)) for one in figure.repetitions),
    }


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
