"""A database of the first schema is opened by this program with nothing lost, by several processes at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import alembic.config
import alembic.migration
import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.script import ScriptDirectory

from hil.harness.results import migrations, open_results, schema
from hil.harness.results.records import AcknowledgedRecord, BoardRecord, FigureRecord, RunRecord
from hil.harness.results.upgrade import migrate

pytestmark = pytest.mark.xdist_group("postgresql")

FIRST_SCHEMA = """
INSERT INTO runs VALUES ('old-1', 'pytest', 'lab', '{"vela": "5.1.0"}', '["pytest"]',
    '2026-01-02 03:04:05.000006', '2026-01-02 04:00:00.000000', 0);
INSERT INTO runs VALUES ('old-2', 'pytest', 'lab', '{}', '[]', '2026-01-03 03:04:05.000000', NULL, NULL);
INSERT INTO deployments VALUES ('d', 'old-1', 'kws-pqat', 'kws', 'pqat', 'sim', '{"accelerator": "ethos-u55-128"}');
INSERT INTO measurements VALUES ('d', 'latency', 'old-1', 1.5, 'ms', 'measured', '', '1.5 1.25');
INSERT INTO failures VALUES ('f', 'old-1', '2026-01-02 03:30:00.000000', 't', '', 'b1', 'HangError', '1', 'm', 'l');
INSERT INTO board_events VALUES ('e', 'old-1', '2026-01-02 03:31:00.000000', 'b1', '0123', 'reset', '');
INSERT INTO baselines VALUES ('main', 'old-1', '2026-01-02 05:00:00.000000')
"""
OPEN = """
import os, sys
import hil.harness.results.results, alembic.command
from hil.harness.results import open_results
reader, writer = os.pipe()
children = []
for number in range(6):
    if (pid := os.fork()) == 0:
        os.close(writer)
        os.read(reader, 1)  # all at once: when the parent closes its end
        os.write(1, b"%d\\n" % len(open_results(sys.argv[1]).runs()))
        os._exit(0)
    children.append(pid)
os.close(writer)
sys.exit(sum(os.waitpid(pid, 0)[1] for pid in children))
"""


@pytest.fixture
def old(results_url: str) -> str:
    """URL of a database that was made by revision 0001."""
    engine = sqlalchemy.create_engine(results_url)
    with engine.begin() as connection:
        migrate(connection, "0001")
        for statement in FIRST_SCHEMA.split(";\n"):
            connection.exec_driver_sql(statement)
    engine.dispose()
    return results_url


def test_nothing_of_the_first_schema_is_lost(old: str) -> None:
    results = open_results(old)
    second, first = results.runs()
    assert first.record == RunRecord("pytest", {"vela": "5.1.0"}, ("pytest",), "lab")
    assert (first.state, first.exit_code, second.state) == ("finished", 0, "unfinished")
    assert f"{results.run('main').started:%F %T.%f %z}".endswith(":05.000006 +0000")
    (deployment,) = results.figures("old-1")
    assert dict(deployment.figures) == {"latency": FigureRecord("latency", 1.5, "ms", "measured", (1.5, 1.25))}
    failure, reset = results.board_events("b1")
    assert failure.record.kind == "HangError"
    assert reset.record == BoardRecord("b1", "0123", "reset")
    run = results.join("old-1")
    run.board(BoardRecord("b1", "0123", "reset", "", "second session"))
    results.acknowledge(AcknowledgedRecord("kws", "pqat", "sim", "latency", "old-1"))
    assert results.board_events("b1")[-1].record.session == "second session"


def test_processes_that_open_an_old_database_at_once_take_turns(old: str) -> None:
    done = subprocess.run([sys.executable, "-c", OPEN, old], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "2\n" * 6


def test_the_migrations_make_the_tables_that_the_code_uses(results_url: str) -> None:
    open_results(results_url).close()
    with sqlalchemy.create_engine(results_url).connect() as connection:
        options = {"version_table": schema.VERSION_TABLE, "compare_type": True}
        context = alembic.migration.MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, schema.metadata) == []
    assert ScriptDirectory(str(Path(migrations.__path__[0]))).get_current_head() == schema.REVISION
