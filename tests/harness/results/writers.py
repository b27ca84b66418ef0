"""Processes that write at once, the last of which is killed; prints what each has committed.

    python writers.py URL WRITERS TESTS

Every second process writes into one run together, as the workers of pytest-xdist do; each other one has its own.  A
line is `RUN NODEID` after each commit.  The processes are forked, so that they start at the same moment.
"""

from __future__ import annotations

import importlib
import os
import select
import signal
import sys

from hil.harness.results import open_results
from hil.harness.results.records import DeploymentRecord, FigureRecord, RunRecord, TestRecord

FIGURES = 10


def write(url: str, number: int, tests: int, shared: str, endless: bool) -> None:
    """Writes `tests` tests, or goes on until it is killed."""
    results = open_results(url)
    run = results.join(shared) if shared else results.begin(RunRecord(f"writer {number}"))
    test = 0
    while endless or test < tests:
        nodeid = f"test_{number}.py::test_{test}"
        with run.transaction():
            deployment = run.deployment(DeploymentRecord(nodeid, "kws", "pqat", "sim", {"writer": str(number)}))
            run.measurements(deployment, [FigureRecord(f"f{n}", test, "cycles", "exact") for n in range(FIGURES)])
            run.test(TestRecord(nodeid, "passed"))
        os.write(1, f"{run.id} {nodeid}\n".encode())
        if endless:
            os.write(4, b".")
        test += 1
    if not shared:
        run.finish(0)


def fork(url: str, writers: int, tests: int) -> None:
    """Starts the writers, kills the last one when it has committed a few tests, and waits for the others."""
    for module in ("hil.harness.results.results", "alembic.command", "psycopg"):
        importlib.import_module(module)  # once, and not in each fork
    reader, writer = os.pipe()
    os.dup2(writer, 4)
    shared_reader, shared_writer = os.pipe()
    children = []
    for number in range(writers):
        if (pid := os.fork()) == 0:
            shared = os.read(shared_reader, 26).decode() if number % 2 else ""
            write(url, number, tests, shared, endless=number == writers - 2)
            os._exit(0)
        children.append(pid)
    results = open_results(url)
    run = results.begin(RunRecord("shared"))
    assert len(run.id) == 26, run.id
    os.write(shared_writer, run.id.encode() * (writers // 2))
    for _ in range(tests // 2):
        select.select([reader], [], [])
        os.read(reader, 1)
    os.kill(children[-2], signal.SIGKILL)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    run.finish(0)
    assert codes == [0] * (writers - 2) + [-signal.SIGKILL, 0], codes


if __name__ == "__main__":
    fork(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
