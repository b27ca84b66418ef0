"""`hil boards check` and `health` with a virtual board: a dead one comes into quarantine, and a check takes it out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from typer.testing import CliRunner

from hil.core.errors import BadInputError, CheckError, QuarantinedError, UnavailableError
from hil.core.measurement import Measurement, Trust
from hil.fvp.virtual_board.process import VirtualBoard
from hil.harness.board_check import check as board_check
from hil.harness.cli import app
from hil.harness.comparison.dependencies import differences, part_of
from hil.harness.results import open_results
from hil.harness.results.quarantine import parse_rule, quarantine
from hil.harness.results.records import BoardRecord, RunRecord
from hil.targets import create
from hil.targets.base import Deployable
from hil.targets.board_event import EventKind
from hil.targets.boards import Health
from hil.targets.boards.virtual import start

SERIAL, OTHER_SERIAL = "020000000017", "020000000018"
MODEL = Path(board_check.__file__).with_name("known_model.tflite")


@pytest.fixture(scope="module")
def virtual(missing: Callable[[object], NoReturn]) -> Iterator[VirtualBoard]:
    try:
        with start(tcp=0, serial_number=SERIAL) as board:
            yield board
    except UnavailableError as error:
        missing(error)


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, virtual: VirtualBoard) -> Path:
    """The description of a board that is as a real one: found by its port, and dead while it has no power."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HIL_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setenv("HIL_RESULTS", "nightly.db")
    monkeypatch.setenv("COLUMNS", "80")
    virtual.switch(on=True)
    return describe(tmp_path, virtual)


def describe(folder: Path, board: VirtualBoard) -> Path:
    path = folder / "desk.toml"
    path.write_text(f'based_on = "mps3_an547"\n[port]\nurl = "{board.url}"\n[reset]\nboot_s = 20\n')
    return path


def hil(*words: str, code: int = 0) -> str:
    """Output of the command; an error that ends it is raised."""
    done = CliRunner().invoke(app, words)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.stdout


def failing_nights(number: int) -> None:
    results = open_results("nightly.db")
    for _ in range(number):
        run = results.begin(RunRecord("pytest"))
        run.board(BoardRecord("desk", SERIAL, "lost", "SilentError: nothing came; tried: again, protocol"))
        quarantine(results, run, parse_rule(None))
        run.finish(6)


def run_desk() -> str:
    return hil("run", str(MODEL), "--target", "serial", "--board", "desk.toml", "--repetitions", "1")


def test_a_board_is_checked_quarantined_and_lifted(virtual: VirtualBoard, desk: Path) -> None:
    first = json.loads(hil("boards", "check", "desk.toml", "--json"))
    assert first["identity"]["serial_number"] == SERIAL
    assert (first["before"], first["output_elements"], first["lifted"]) == (None, 40, "")
    assert first["memory_bytes"] == 5 * 2 * 2 * 1024
    failing_nights(3)
    with pytest.raises(QuarantinedError) as caught:
        run_desk()
    assert caught.value.exit_code == 3
    assert "desk is in quarantine: 3 failures in 7 days, in 3 runs (SilentError 3), since 20" in str(caught.value)
    assert "hil boards check desk.toml lifts it" in str(caught.value)
    health = hil("boards", "health")
    assert max(map(len, health.splitlines())) <= 80
    assert "quarantined" in health
    assert "desk is in quarantine since" in health
    virtual.switch(on=False)
    desk.write_text(desk.read_text().replace("boot_s = 20", "boot_s = 1"))
    with pytest.raises(Exception, match="desk is lost: SilentError"):
        hil("boards", "check", "desk.toml")
    with pytest.raises(QuarantinedError):
        run_desk()
    virtual.switch(on=True)
    describe(desk.parent, virtual)
    passed = hil("boards", "check", "desk.toml")
    assert "desk passed its health check: hardware mps3_an547, virtual, firmware" in passed
    assert f"; {first['npu_cycles']['value']:,} at the check of 20" in passed
    assert "its quarantine is lifted: 3 failures in 7 days" in passed.replace("\n  ", " ")
    assert f"serial_number {SERIAL}" in run_desk()
    (board,) = json.loads(hil("boards", "health", "desk", "--since", "1d", "--json"))["boards"]
    assert (board["name"], board["serial"], board["state"]) == ("desk", SERIAL, "ok")
    assert board["failures"] == {"SilentError": 4}
    events = [event["event"] for event in board["events"]]
    assert events == [
        *("identified", "checked", "lost", "lost", "lost", "quarantined", "lost", "identified", "checked"),
        "identified",
    ]
    by_day = hil("boards", "health", "desk")
    assert [*by_day.splitlines()[1].split()] == ["day", "board", "serial", "number", "event", "cause", "times"]
    assert max(map(len, by_day.splitlines())) <= 80
    results = open_results("nightly.db")
    assert [run.exit_code for run in results.runs()] == [0, 0, 3, 3, 3, 6, 6, 6, 0]
    assert results.run("latest").record.kind == "hil run", "a check is no run of models"


def test_a_replaced_board_is_another_identity_and_its_cycles_are_recorded_anew(desk: Path) -> None:
    before = json.loads(hil("boards", "check", "desk.toml", "--json"))["identity"]
    with start(tcp=0, serial_number=OTHER_SERIAL) as other:
        describe(desk.parent, other)
        found = json.loads(hil("boards", "check", "desk.toml", "--json"))
    assert found["before"] is None
    after = found["identity"]
    assert differences("latency", before, after) == {"serial_number": (SERIAL, OTHER_SERIAL)}
    assert differences("latency", before, after, {"board"}) == {}
    assert part_of("firmware_crc32") == "firmware"


def test_other_outputs_and_other_cycles_fail_the_check() -> None:
    hil("boards", "check", "desk.toml")
    results = open_results("nightly.db")
    newest = results.runs()[0]
    (deployment,) = results.figures(newest.id)
    run = results.join(newest.id)
    cycles = deployment.figures["npu_cycles"]
    run.measurements(deployment.id, [type(cycles)("npu_cycles", cycles.value + 1, "cycles", "modelled")])
    with pytest.raises(CheckError, match=rf"cycles, {cycles.value + 1:,.10g} on 20.*; at most 0% may change"):
        hil("boards", "check", "desk.toml")
    assert results.runs()[0].exit_code == 3
    hil("boards", "check", "desk.toml", "--accept-cycles")
    hil("boards", "check", "desk.toml")
    assert [event.record.event for event in results.board_events("desk")].count("failed") == 1
    wrong = board_check.known_model()
    wrong.outputs[0][0, 0] += 1
    health = Health()
    with pytest.raises(CheckError, match="desk failed its health check: 1 of 40 output elements of the known model"):
        board_check.check("desk.toml", None, health, known=wrong)
    assert [event.kind for event in health.take_events()] == [EventKind.IDENTIFIED, EventKind.FAILED]


def test_measured_cycles_may_change_within_the_bound(desk: Path) -> None:
    found = json.loads(hil("boards", "check", "desk.toml", "--json"))
    results = open_results("nightly.db")
    (point,) = results.history(board_check.NAME, "int8", "serial", "npu_cycles")
    assert point.figure.value == found["npu_cycles"]["value"]
    known = point.figure.value
    for change, fails in ((1.019, False), (1.021, True)):
        measured = Measurement("npu_cycles", known * change, "cycles", Trust.MEASURED)
        assert bool(board_check.changed(measured, point)) is fails


def test_the_known_outputs_are_those_of_the_reference_kernels() -> None:
    known = board_check.known_model()
    (found,) = create("host").run(Deployable(known.int8, None), known.inputs).outputs
    assert (found == known.outputs[0]).all()


def test_wrong_names_are_one_line() -> None:
    with pytest.raises(BadInputError, match="no board is called 'dsek'"):
        hil("boards", "check", "dsek")
    open_results("nightly.db")
    with pytest.raises(BadInputError, match=r"nightly\.db knows no board shelf"):
        hil("boards", "health", "shelf")
    with pytest.raises(BadInputError, match="--since yesterday: a number"):
        hil("boards", "health", "--since", "yesterday")
    assert hil("boards", "health") == "nightly.db: no boards\n"
