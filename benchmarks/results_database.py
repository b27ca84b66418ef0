"""The results database with 100,000 measurements, beside the same figures in plain tables and in JSON files.

    python -m benchmarks.results_database [--nights 100]

A night has 20 models by 5 paths with 10 figures each, two of them with 9 repetitions.  Everything is read as a
comparison needs it: the list of runs with their counts, all figures of all runs with identities, and one series.
`plain` is one table without keys and identities, read by the driver alone into tuples (`sqlite3`, `psycopg`); `files`
are JSON, one a run, as pytest-benchmark stores them.  PostgreSQL is a server on a private socket.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from hil.harness.results import open_results
from hil.harness.results.document import document
from hil.harness.results.records import DeploymentRecord, FigureRecord, RunRecord
from hil.harness.results.results import Results
from tests.support import postgresql

MODELS, PATHS, FIGURES, REPEATED, REPETITIONS = 20, 5, 10, 2, 9
IDENTITY = {f"input {number}": f"{number:064x}" for number in range(20)}
COLUMNS = ("run_id", "deployment", "name", "value", "unit", "trust", "note", "repetitions")


def record(results: Results, nights: int) -> None:
    """Writes the nights, a transaction a deployment."""
    for night in range(nights):
        run = results.begin(RunRecord("pytest", IDENTITY))
        for number in range(MODELS * PATHS):
            model, path = f"model{number // PATHS}", f"path{number % PATHS}"
            with run.transaction():
                deployment = run.deployment(DeploymentRecord(f"{model}-{path}", model, path, "sim", IDENTITY))
                run.measurements(deployment, [figure(night + number, n) for n in range(FIGURES)])
        run.finish(0)


def figure(value: int, number: int) -> FigureRecord:
    """One of the figures of a deployment."""
    if number < REPEATED:
        repetitions = tuple(value + n / 7 for n in range(REPETITIONS))
        return FigureRecord(f"latency{number}", value, "ms", "measured", repetitions)
    return FigureRecord(f"figure{number}", value, "bytes", "exact")


def rows(results: Results) -> Iterator[tuple[Any, ...]]:
    """The figures of all runs, flat."""
    for run in results.runs():
        for found in results.figures(run.id):
            for one in found.figures.values():
                repetitions = json.dumps(one.repetitions) if one.repetitions else None
                yield run.id, found.record.name, one.name, one.value, one.unit, one.trust, one.note, repetitions


def read_all(results: Results) -> int:
    """Reads all figures of all runs; returns their number."""
    return sum(len(found.figures) for run in results.runs() for found in results.figures(run.id))


def read_plain(connection: Any) -> int:
    """Reads the plain table, with its JSON, by the driver alone."""
    found = connection.execute(f"SELECT {', '.join(COLUMNS)} FROM plain").fetchall()
    return len([(*row[:-1], json.loads(row[-1] or "[]")) for row in found])


def read_files(folder: Path) -> int:
    """Reads a JSON file a run."""
    runs = [json.loads(file.read_bytes()) for file in folder.iterdir()]
    return sum(len(deployment["figures"]) for run in runs for deployment in run["deployments"])


def seconds(work: Callable[[], object], times: int = 3) -> float:
    """Shortest time of a few, in seconds."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return min(taken)


@contextlib.contextmanager
def plain(url: str, content: Iterator[tuple[Any, ...]]) -> Iterator[Any]:
    """A connection to a database in which the rows stand in a plain table."""
    create = f"CREATE TABLE plain ({', '.join(f'{name} {_type(name)}' for name in COLUMNS)})"
    if url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(f"{make_url(url).database}-plain")) as connection:
            connection.execute(create)
            connection.executemany(f"INSERT INTO plain VALUES ({', '.join('?' * len(COLUMNS))})", content)
            connection.commit()
            yield connection
        return
    import psycopg

    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute(create)
        with connection.cursor() as cursor, cursor.copy("COPY plain FROM STDIN") as copy:
            for row in content:
                copy.write_row(row)
        connection.commit()
        yield connection


def _type(name: str) -> str:
    return "double precision" if name == "value" else "text"


def report(kind: str, url: str, nights: int, folder: Path) -> None:
    """Prints a line a reading: seconds, and how they compare with the peers'."""
    results = open_results(url)
    writing = seconds(lambda: record(results, nights), times=1)
    deployments = nights * MODELS * PATHS
    print(f"{kind}: {deployments * FIGURES:,} measurements")
    print(f"  written            {1e3 * writing / deployments:8.2f} ms a transaction of {FIGURES}")
    for run in results.runs():
        (folder / run.id).write_text(json.dumps(document(results, run)))
    with plain(url, rows(results)) as connection:
        driver = seconds(lambda: read_plain(connection))
    files = seconds(lambda: read_files(folder))
    for name, work in (
        ("list of all runs", results.runs),
        ("all figures", lambda: read_all(results)),
        ("a series", lambda: results.history("model7", "path3", "sim", "latency0")),
    ):
        taken = seconds(work)
        print(f"  {name:18} {taken:8.3f} s, {taken / driver:6.3f} x plain, {taken / files:6.3f} x files", flush=True)
    results.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--nights", type=int, default=100)
    nights = parser.parse_args().nights
    with tempfile.TemporaryDirectory() as name, postgresql.server() as server:
        for kind, url in (("SQLite", f"sqlite:///{name}/results.db"), ("PostgreSQL", server.new_database())):
            folder = Path(name) / f"{kind} files"
            folder.mkdir()
            report(kind, url, nights, folder)


if __name__ == "__main__":
    main()
