"""The results database: every run with its identity, figures, verdicts and failures, on SQLite or PostgreSQL.

    results = open_results("nightly.db")      # or sqlite:///nightly.db, or postgresql+psycopg://lab@db/hil
    run = results.begin(RunRecord("pytest", identity={"vela": "5.2.0"}))
    kws = run.deployment(DeploymentRecord("kws-pqat", model="kws", path="pqat", target="sim", identity={}))
    run.measurements(kws, [FigureRecord("npu_cycles", 83_112, "cycles", "modelled")])
    run.finish(0)

`records` has the values that go in and come out, `schema` the tables, `migrations` the way from one schema to the
next, `database` the connection and its errors, `writer`, `reader` and `retention` what is done with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.harness.results.records import DeploymentRecord, FigureRecord, RunRecord

if TYPE_CHECKING:
    from hil.harness.results.results import Results

__all__ = ["DeploymentRecord", "FigureRecord", "RunRecord", "open_results"]


def open_results(url: str, *, create: bool = True) -> Results:
    """Opens a results database by its URL or the path of an SQLite file; creates or upgrades its schema.

    With `create` False, an SQLite file must exist.  Raises `BadInputError` for a URL that cannot be used and
    `ResultsError` for a database that fails.  Nothing heavy is imported before the call.
    """
    from hil.harness.results.address import parse_url
    from hil.harness.results.database import Database
    from hil.harness.results.results import Results

    try:
        address = parse_url(url)
    finally:
        del url  # a traceback with local variables would show its password
    return Results(Database(address, create=create))
