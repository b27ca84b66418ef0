"""A results database that fails: one line with the cause, the right exit code, and no password anywhere."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from hil.core.errors import BadInputError, HilError, ResultsError
from hil.harness.results import open_results
from hil.harness.results.address import parse_url
from hil.harness.results.database import Database
from hil.harness.results.lock_wait import LockWait
from hil.harness.results.records import DeploymentRecord, FigureRecord, RunRecord, TestRecord
from hil.harness.results.results import Results
from tests.support.own_mounts import run_with_mounts
from tests.support.postgresql import PASSWORD, QUOTED, Server

pytestmark = pytest.mark.xdist_group("postgresql")


@contextlib.contextmanager
def fails(kind: type[HilError], *parts: str) -> Iterator[None]:
    """One line of the error's own, of which nothing and no local variable of ours shows the password."""
    with pytest.raises(HilError) as raised:
        yield
    error = raised.value
    assert type(error) is kind, error
    assert len(str(error).splitlines()) == 1
    for part in parts:
        assert part in str(error)
    assert error.__suppress_context__ or error.__context__ is None
    frames = [frame for frame in traceback.walk_tb(error.__traceback__) if "hil" in frame[0].f_globals["__name__"]]
    summary = traceback.StackSummary.extract(iter(frames), capture_locals=True)
    for text in (str(error), repr(error), error.log, "".join(summary.format())):
        assert PASSWORD not in text
        assert QUOTED not in text
        assert "INSERT" not in text
        assert "SELECT" not in text


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://u:pass%3Aw%40rd%2F5%25@host/db", "results cannot be written to mysql"),
        ("postgresql+asyncpg://u:pass%3Aw%40rd%2F5%25@host/db", "cannot be written to postgresql+asyncpg"),
        ("postgresql://u:pass:w@rd/5%@host:port/db", "the results URL postgresql:... cannot be parsed"),
        ("postgresql:u:pass:w@rd/5%@host/db", "the results URL postgresql:... cannot be parsed"),
        ("postgresql://u:pass:w@rd/5%@host/db", "the results URL postgresql:... cannot be parsed"),
        ("postgresql://u:w@pass:w@rd/5%@host", "the results URL postgresql:... cannot be parsed"),
        ("sqlite:nightly.db", "the results URL sqlite:... cannot be parsed"),
        ("sqlite://", "a results database in memory ends with its process"),
        (":memory:", "a results database in memory ends with its process"),
        ("none/nightly.db", "there is no folder none"),
        ("sqlite:///none/nightly.db", "there is no folder none"),
        (".", "the results database . is a folder"),
        ("/dev/null", "the results database /dev/null is no file"),
        ("x" * 5000, f"the results database {'x' * 60}: File name too long"),
        ("file:nightly.db", "the results URL file:... cannot be parsed"),
        ("sqlite:///nightly.db?mode=ro&uri=true", "options of an SQLite file need its URI"),
    ],
)
def test_a_url_that_cannot_be_used_is_wrong_use(url: str, message: str) -> None:
    with fails(BadInputError, message):
        open_results(url)


def test_reading_makes_no_database(tmp_path: Path) -> None:
    with fails(BadInputError, "there is no results database"):
        open_results(str(tmp_path / "none.db"), create=False)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("this is a text\n" * 100)
    with fails(ResultsError, f"results database {tmp_path}/text.db: file is not a database (name another file)"):
        open_results(str(tmp_path / "text.db"))


def test_another_programs_tables_are_left_alone(results_url: str) -> None:
    import sqlalchemy

    engine = sqlalchemy.create_engine(results_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE runs (x INTEGER)")
    with fails(ResultsError, "it has another program's tables: runs"):
        open_results(results_url)


def test_a_schema_that_is_newer(results_url: str) -> None:
    import sqlalchemy

    results = open_results(results_url)
    with sqlalchemy.create_engine(results_url).begin() as connection:
        connection.exec_driver_sql("UPDATE hil_schema SET version_num = '0099'")
    results.close()
    with fails(ResultsError, "its schema 0099 is newer than this program's", "(pip install --upgrade ethosu-hil)"):
        open_results(results_url)


def test_a_run_that_was_pruned_under_its_writer(results_url: str) -> None:
    run = open_results(results_url).join("20261114-000000-000none123")
    with fails(ResultsError, "the run is no longer there: it was pruned"):
        run.test(TestRecord("t.py::a", "passed"))


def test_sqlite_locked_for_good(tmp_path: Path) -> None:
    url = parse_url(str(tmp_path / "x.db"))
    results = Results(Database(url, patience_s=0.1))
    with contextlib.closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with fails(ResultsError, "database is locked (another program has locked it and does nothing with it"):
            results.begin(RunRecord("pytest"))
        assert results.runs() == ()  # readers do not wait for a writer
        other.execute("COMMIT")
        results.begin(RunRecord("pytest"))


def test_sqlite_without_a_write_ahead_log(tmp_path: Path) -> None:
    """The VFS unix-dotfile cannot share memory, as some file systems cannot."""
    url = f"sqlite:///file:{tmp_path}/x.db?vfs=unix-dotfile&uri=true"
    results = open_results(url)
    results.begin(RunRecord("pytest")).finish(0)
    assert results.run("latest").exit_code == 0
    results.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_a_busy_database_is_waited_for_as_long_as_somebody_makes_progress(tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    wait = LockWait(file, patience_s=0.03)
    for size in range(6):
        file.with_name("x.db-wal").write_bytes(bytes(size))
        assert wait.again()
    while wait.again():
        pass


WRITE = """
import sys
from hil.core.errors import HilError
from hil.harness.results import open_results
from hil.harness.results.records import FailureRecord, RunRecord
try:
    results = open_results(sys.argv[1])
    print(len(results.runs()))
    run = results.begin(RunRecord("pytest"))
    for n in range(200):
        run.failure(FailureRecord(f"t{n}", "", "HangError", True, "", "x" * 9000))
except HilError as error:
    print(type(error).__name__, error)
"""


def test_a_full_disk_and_what_was_written_before_is_read_from_it_read_only(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    script = f"{WRITE}\nprint(open_results('disk/x.db').run('latest').failures > 0)"
    program = [sys.executable, "-c", script, "disk/x.db"]
    done = run_with_mounts("mount -t tmpfs -o size=600k tmpfs disk", program, tmp_path)
    assert done.returncode == 0, done.stderr
    none, line, readable = done.stdout.splitlines()
    assert (none, readable) == ("0", "True")
    assert line.startswith("ResultsError results database disk/x.db: database or disk is full (make room"), line


def test_a_read_only_database_is_read(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    open_results(str(tmp_path / "disk" / "x.db")).begin(RunRecord("pytest"))
    read_only = "mount --bind -o ro disk disk && mount -o remount,bind,ro disk"
    for name, first in (("x.db", "1"), ("new.db", "")):
        done = run_with_mounts(read_only, [sys.executable, "-c", WRITE, f"disk/{name}"], tmp_path)
        *runs, line = done.stdout.splitlines()
        assert runs == [first] * bool(first)
        assert line.startswith(f"ResultsError results database disk/{name}: "), line
        assert "(let the user of this run write the file and its folder)" in line


def test_wrong_password_role_database_and_server(postgresql: Server, tmp_path: Path) -> None:
    with fails(ResultsError, "password authentication failed for user", "://hil:***@/postgres"):
        open_results(postgresql.url("postgres", password=f"{QUOTED}x"))
    with fails(ResultsError, "password authentication failed", "://hil:***@/postgres?host="):
        open_results(f"postgresql://hil@/postgres?host={postgresql.folder}&password={QUOTED}x")
    with fails(ResultsError, 'database "none" does not exist (createdb makes a database'):
        open_results(postgresql.url("none"))
    with fails(ResultsError, "No such file or directory"):
        open_results(f"postgresql://hil:{QUOTED}@/hil?host={tmp_path}")
    with fails(ResultsError, "Connection refused (start the server, or correct host and port)"):
        open_results(f"postgresql://hil:{QUOTED}@127.0.0.1:1/hil")
    with fails(ResultsError, "nowhere.invalid"):
        open_results(f"postgres://hil:{QUOTED}@nowhere.invalid/hil")


def test_a_role_that_may_only_read(postgresql: Server) -> None:
    url = postgresql.new_database()
    database = str(make_url(url).database)
    postgresql.execute(f"DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'")
    as_reader = postgresql.url(database, role="reader")
    with fails(ResultsError, "permission denied for schema public (grant this role"):
        open_results(as_reader)
    open_results(url).begin(RunRecord("pytest"))
    postgresql.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader", database)
    results = open_results(as_reader)
    assert len(results.runs()) == 1
    with fails(ResultsError, "permission denied for table runs"):
        results.begin(RunRecord("pytest"))


def test_postgresql_locked_for_good(postgresql: Server) -> None:
    url = postgresql.new_database()
    results = Results(Database(parse_url(url), patience_s=0.1))
    with postgresql.connect(str(make_url(url).database)) as other:
        other.execute("BEGIN")
        other.execute("LOCK TABLE runs")
        with fails(ResultsError, "lock timeout (another session has locked its tables: end that one)"):
            results.begin(RunRecord("pytest"))


def test_a_server_that_is_restarted_and_one_that_is_gone(postgresql: Server) -> None:
    results = open_results(postgresql.new_database())
    run = results.begin(RunRecord("pytest"))
    postgresql.stop()
    try:
        with fails(ResultsError, "results database postgresql+psycopg://hil:***@/test_"):
            run.test(TestRecord("t.py::a", "passed"))
    finally:
        postgresql.start()
    run.test(TestRecord("t.py::b", "passed"))
    postgresql.stop()
    postgresql.start()
    run.finish(0)
    assert [test.nodeid for test in results.tests(run.id)] == ["t.py::b"]


def test_without_psycopg() -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from hil.core.errors import ResultsError\n"
        "from hil.harness.results import open_results\n"
        "try: open_results('postgresql://u:secret@h/db')\n"
        "except ResultsError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == (
        "results database postgresql+psycopg://u:***@h/db: psycopg is not installed "
        '(pip install "ethosu-hil[postgresql]" installs it)\n'
    )


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("UPDATE deployments SET identity = 'no JSON'", "a value in it is damaged: Expecting value"),
        ("UPDATE measurements SET repetitions = '1 x'", "a value in it is damaged: could not convert string to float"),
        ("UPDATE measurements SET value = 'x'", "a value in it is damaged: could not convert string to float"),
        ("UPDATE runs SET started = 'x'", "a value in it is damaged: Invalid isoformat string"),
    ],
)
def test_a_file_that_somebody_has_edited_is_damaged(tmp_path: Path, damage: str, message: str) -> None:
    results = _edited(tmp_path, damage)
    with fails(ResultsError, message):
        results.figures(results.run("latest").id)


def test_what_belongs_to_nothing_is_left_out(tmp_path: Path) -> None:
    results = _edited(tmp_path, "DELETE FROM deployments")
    assert results.figures(results.run("latest").id) == ()
    results = _edited(tmp_path, "DELETE FROM runs")
    with fails(BadInputError, "no run main"):
        results.run("main")


def _edited(folder: Path, statement: str) -> Results:
    """A database with one figure, in which a statement was run by hand: SQLite enforces no keys there."""
    (folder / "edited.db").unlink(missing_ok=True)
    results = open_results(str(folder / "edited.db"))
    run = results.begin(RunRecord("pytest"))
    run.measurements(run.deployment(DeploymentRecord("d", "m", "ptq", "sim")), [FigureRecord("f", 1, "", "exact")])
    results.set_baseline("main", run.id)
    with contextlib.closing(sqlite3.connect(folder / "edited.db")) as connection:
        connection.execute(statement)
        connection.commit()
    return results
