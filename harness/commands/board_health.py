"""`hil boards health` and `hil boards check`: failures and quarantine of boards, and the check that lifts it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hil.harness.commands import arguments
from hil.harness.results.records import BOARD_CHECK

if TYPE_CHECKING:
    from hil.harness.board_check.check import CheckOutcome
    from hil.harness.results.board_health import StoredBoard


def health(
    name: Annotated[str | None, typer.Argument(metavar="BOARD", help="Only this board, day by day.")] = None,
    since: Annotated[str, typer.Option(metavar="30d", help="Failures of the last hours, days or weeks.")] = "30d",
    results: arguments.ResultsUrl = None,
    as_json: arguments.Json = False,
) -> None:
    """Show the boards of the results database: state, failures by cause, last check."""
    from hil.core.errors import BadInputError
    from hil.harness.results.board_health import board_health

    period = arguments.parse_period(since, "--since")
    opened = arguments.open_recorded(results)
    boards = board_health(opened, period)
    found = [board for board in boards if name in (None, board.name)]
    if name is not None and not found:
        known = ", ".join(board.name for board in boards) or "none"
        raise BadInputError(f"{opened.name} knows no board {name}", hint=f"boards: {known}")
    if as_json:
        print(json.dumps({"boards": [_document(board) for board in found]}))
    elif found:
        print(format_health(found, since, by_day=name is not None))
    else:
        print(f"{opened.name}: no boards")


def check(
    name: Annotated[str, typer.Argument(metavar="BOARD", help="virtual, a board, NAME@PORT, a TOML file, place:NAME.")],
    folder: Annotated[Path, typer.Option("--folder", metavar="FOLDER", help="Where your own boards are described.")] = (
        Path("boards")
    ),
    accept_cycles: Annotated[
        bool, typer.Option("--accept-cycles", help="Take its cycles as those that later checks expect.")
    ] = False,
    results: arguments.ResultsUrl = None,
    as_json: arguments.Json = False,
) -> None:
    """Check a board: identity, memory, a known model with known outputs and cycles; lifts its quarantine."""
    from hil.harness.board_check.check import check as check_board
    from hil.harness.board_check.check import record
    from hil.harness.results.quarantine import quarantined
    from hil.harness.results.recording import Recording
    from hil.targets import board_address
    from hil.targets.boards import Health

    board_address.check(name, folder)
    recording, session = Recording.of(results, BOARD_CHECK), Health()
    with recording.session(session, ignore_quarantine=True):
        outcome = check_board(name, recording.results, session, folder, accepts_cycles=accept_cycles)
        lifted = quarantined(recording.results).get(outcome.found.board, "") if recording.results else ""
    recording.deployment(*record(outcome.found))
    code = recording.finish(0)
    database = recording.results.name if recording.results else ""
    if as_json:
        print(json.dumps({**_outcome(outcome), "database": database, "lifted": lifted}))
    else:
        print(format_check(outcome, database, lifted))
    if code:
        raise typer.Exit(code)


def format_health(boards: Sequence[StoredBoard], since: str, *, by_day: bool) -> str:
    """Formats a row a board, or a row a day and cause of each, and a line a board in quarantine."""
    from hil.harness.text_table import Column, Row, format_table, wrap

    if by_day:
        names = ("day", "board", "serial number", "event", "cause", "times")
        columns = [Column(name, number=name == "times") for name in names]
        rows = [Row([*cells]) for board in boards for cells in _days(board)]
    else:
        names = ("board", "serial number", "state", "failures", "last failure", "last check")
        columns = [Column(name) for name in names]
        rows = [Row(_cells(board)) for board in boards]
    table = format_table(columns, rows, title=f"the last {since}") if rows else f"nothing in the last {since}"
    notes = [
        line
        for board in boards
        if board.since is not None
        for line in wrap(
            f"{board.name} is in quarantine since {board.since:%Y-%m-%d}: {board.reason}; "
            f"{BOARD_CHECK} {board.name} lifts it"
        )
    ]
    return "\n".join([table, *notes])


def format_check(outcome: CheckOutcome, database: str, lifted: str) -> str:
    """Formats a passed check, a line a step."""
    from hil.harness.text_table import wrap

    found = outcome.found
    shown = ("hardware", "firmware", "firmware_crc32", "serial_number", "npu", "npu_clock")
    about = ", ".join(f"{key} {found.identity[key]}" for key in shown if key in found.identity)
    lines = [f"{found.board} passed its health check: {about}"]
    if found.run is None:
        lines.append(f"identity alone: protocol {found.identity.get('protocol')} has no access to memory and NPU")
    else:
        lines.append(f"memory: {found.memory:,} bytes written and read")
        lines.append(f"outputs: {found.elements} elements of the known model equal those of the reference kernels")
    if found.cycles is not None:
        known = "the first of this board, code and Vela"
        if outcome.before is not None:
            known = f"{outcome.before.figure.value:,.10g} at the check of {outcome.before.started:%Y-%m-%d}"
        lines.append(f"cycles: {found.cycles.value:,.10g}; {known}")
    lines.append(f"recorded in {database}" if database else "recorded nowhere: no results database is named")
    if lifted:
        lines.append(f"its quarantine is lifted: {lifted}")
    return "\n".join(line for text in lines for line in wrap(text))


def _cells(board: StoredBoard) -> list[str]:
    causes = ", ".join(f"{cause} {count}" for cause, count in board.failures.items())
    times = (_day(board.last_failure), _day(board.last_check))
    return [board.name, board.serial, board.state, causes or "none", *times]


def _days(board: StoredBoard) -> list[tuple[str, ...]]:
    """A row a day, event and cause, the newest day first."""
    from hil.harness.results.board_health import cause_of, record_of

    counted: Counter[tuple[str, ...]] = Counter()
    for one in board.events:
        record = record_of(one)
        has_cause = record.event in ("failed", "lost", "recovered")
        cause = cause_of(record) if has_cause else ""
        counted[_day(one.at), board.name, record.serial, record.event, cause] += 1
    newest = sorted(counted.items(), key=lambda item: item[0][0], reverse=True)
    return [(*cells, str(count)) for cells, count in newest]


def _day(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d}" if at else ""


def _document(board: StoredBoard) -> dict[str, Any]:
    times = {name: at and at.isoformat() for name, at in vars(board).items() if name in _TIMES}
    events = [{"at": one.at.isoformat(), "run": one.run_id, **asdict(one.record)} for one in board.events]
    about = {name: getattr(board, name) for name in ("name", "serial", "state", "reason")}
    return {**about, **times, "failures": dict(board.failures), "events": events}


_TIMES = ("since", "last_failure", "last_check")


def _outcome(outcome: CheckOutcome) -> dict[str, Any]:
    found, before = outcome.found, outcome.before
    return {
        "board": found.board,
        "identity": dict(found.identity),
        "memory_bytes": found.memory,
        "output_elements": found.elements,
        "npu_cycles": found.cycles.as_json() if found.cycles else None,
        "before": {"run": before.run_id, "npu_cycles": before.figure.value} if before else None,
    }
