"""Forty nights of a made-up lab, written by the program's own writer: `kws` on `sim` and on a board, each event known.

The nights are those of June and July 2026; figures of the board have drawn noise of half a percent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import sqlalchemy

from hil.harness.results import DeploymentRecord, FigureRecord, RunRecord, open_results, schema
from hil.harness.results.records import BoardRecord, FailureRecord, LayerRecord, TestRecord, VerdictRecord
from hil.harness.results.results import Results

NIGHTS = 40
FIRST = datetime(2026, 6, 1, 2, 30, tzinfo=timezone.utc)
VELA, STEP, REPLACED, DEAD, SLOWER = 5, 12, 30, 34, 38
"""Nights of the events: another Vela; a slower board; another board; a dead board; a model with more cycles."""
BASELINE = 8
IDENTITY = {"vela": "5.1.0", "accelerator": "ethos-u55-128", "memory_mode": "Shared_Sram", "int8_sha256": "a" * 64}
IDENTITY |= {"recipe": '{"prune": {"sparsity": 0.5}}'}


@dataclass
class Lab:
    """The database at `url`, and the ids of its runs, the oldest first."""

    url: str
    ids: list[str] = field(default_factory=list)

    @property
    def results(self) -> Results:
        return open_results(self.url)

    def fill(self) -> Lab:
        drawn = np.random.default_rng(4).normal(0, 0.005, NIGHTS)
        for number in range(NIGHTS):
            self.night(number, 1.0 + float(drawn[number]))
        self.results.set_baseline("main", self.ids[BASELINE])
        return self

    def night(self, number: int, drawn: float = 1.0) -> str:
        """Writes a night of both targets, and dates it."""
        results = self.results
        run = results.begin(RunRecord("pytest", {"commit": f"{number:040x}"}, host="lab-1"))
        self.ids.append(run.id)
        identity = IDENTITY | ({"vela": "5.2.0"} if number >= VELA else {})
        cycles = 1_000 if number < SLOWER else 1_300
        identity |= {"int8_sha256": "b" * 64, "recipe": '{"prune": {"sparsity": 0.1}}'} if number >= SLOWER else {}
        exact = [FigureRecord("npu_cycles", cycles, "cycles", "modelled"), FigureRecord("sram", 512, "bytes", "exact")]
        with run.transaction():
            key = run.deployment(deployment("sim", identity))
            run.measurements(key, exact)
            run.layers(
                key,
                [LayerRecord("CONV_2D 0", "net/a;net/b", 600, "MACs"), LayerRecord("SOFTMAX 1", "out", cycles - 600)],
            )
            if number == DEAD:
                self._dies(run)
            else:
                board = "desk 2" if number >= REPLACED else "desk"
                ms = drawn * (1.0 if number < STEP else 1.1)
                self._board(run, {**identity, "board": board, "serial_number": board[-4:]}, ms)
            run.test(TestRecord("t.py::test_holds", "passed"))
        run.finish(0)
        self.date(run.id, FIRST + timedelta(days=number))
        return run.id

    def date(self, run_id: str, started: datetime) -> None:
        """Sets the time at which a run began."""
        engine = sqlalchemy.create_engine(f"sqlite:///{self.url}")
        with engine.begin() as connection:
            connection.execute(schema.runs.update().where(schema.runs.c.id == run_id).values(started=started))
        engine.dispose()

    def verdict(self, run_id: str, against: str, details: dict[str, Any], verdict: str = "worse") -> None:
        """Stores the verdict on the cycles of `sim`."""
        record = VerdictRecord(
            *("kws-pqat", "sim", "npu_cycles", verdict, against, 1_300, 1_000, "cycles", "exact"), "", details
        )
        self.results.join(run_id).verdict(record)

    def _board(self, run: Any, identity: dict[str, str], ms: float) -> None:
        several = tuple(ms * scale for scale in (0.999, 1.0, 1.001))
        key = run.deployment(deployment("serial", identity))
        run.measurements(key, [FigureRecord("latency", ms, "ms", "measured", several)])
        run.board(BoardRecord(identity["board"], identity["serial_number"], "identified"))

    def _dies(self, run: Any) -> None:
        log = "\x1b[31mno answer\x1b[0m\n"
        run.failure(FailureRecord("t.py::t", "kws-pqat", "BoardLostError", True, "desk 2 is lost", log, "desk 2"))


def deployment(target: str, identity: dict[str, str]) -> DeploymentRecord:
    return DeploymentRecord("kws-pqat", "kws", "pqat", target, {"target": target, **identity})
