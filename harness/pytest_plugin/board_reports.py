"""Events of boards in the reports of tests, and the boards in quarantine, which a session leaves alone.

The process that reports the run reads the quarantine from the results database and writes the events into it; in
between, they travel in the input of pytest-xdist's workers and in the properties of the reports.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest

from hil.harness.pytest_plugin.options import QUARANTINE

if TYPE_CHECKING:
    from hil.harness.results.records import BoardRecord
    from hil.targets.base import Target, UsesBoards

BOARDS = "hil_boards"
"""Property with the events of a report."""
QUARANTINED = pytest.StashKey[Mapping[str, str]]()
"""Boards in quarantine, each with the reason."""
_TARGET: pytest.StashKey[UsesBoards] = pytest.StashKey()


def share_quarantine(config: pytest.Config, node: Any) -> None:
    """Gives the boards in quarantine to a worker of pytest-xdist."""
    node.workerinput[QUARANTINE] = json.dumps(config.stash.get(QUARANTINED, {}))


def begin_use(config: pytest.Config, target: Target) -> None:
    """Lets a target leave the boards in quarantine alone, and its events come with the reports from now on."""
    from hil.targets.base import UsesBoards

    if isinstance(target, UsesBoards):
        given: dict[str, str] = json.loads(getattr(config, "workerinput", {}).get(QUARANTINE, "{}"))
        target.quarantine(config.stash.get(QUARANTINED, given))
        config.stash[_TARGET] = target


def take_events(config: pytest.Config) -> list[tuple[str, object]]:
    """Returns the property with what happened to boards since the last report, if anything did."""
    target = config.stash.get(_TARGET, None)
    events = target.take_events() if target is not None else ()
    return [(BOARDS, json.dumps([asdict(one) for one in events]))] if events else []


def records_of_boards(report: pytest.TestReport) -> Sequence[BoardRecord]:
    """Returns the events of a report."""
    found = [one for name, value in report.user_properties if name == BOARDS for one in json.loads(str(value))]
    if not found:
        return []
    from hil.harness.results.records import BoardRecord

    return [BoardRecord(one["board"], one["serial"], one["kind"], one["detail"], one["session"]) for one in found]
