"""Series of a report, of a stored deployment or of many nights; both have the same id."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from hil.harness.comparison.direction import lower_is_better
from hil.harness.report.content import Series
from hil.harness.results.nights import PLACE, NightlyFigure
from hil.harness.results.records import DeploymentRecord

_DIGITS = 12
_Key = tuple[str, str, str, str, str, str, str, str, str]
"""Model, path, target, accelerator, memory mode, board, figure, unit, trust."""


def series_of(record: DeploymentRecord, figure: str, unit: str, trust: str) -> Series:
    """Returns the series that a figure of a deployment belongs to."""
    accelerator, memory_mode, board = (record.identity.get(name, "") for name in PLACE)
    of = (record.model, record.path, record.target)
    return _series((*of, accelerator, memory_mode, board, figure, unit, trust), record.identity)


def series_of_nights(found: NightlyFigure) -> Series:
    """Returns the series of a figure over nights."""
    identity = found.identities[int(found.runs[-1])]
    key = (found.model, found.path, found.target, *found.place, found.figure, found.unit, found.trust)
    return _series(key, identity)


def _series(key: _Key, identity: Mapping[str, str]) -> Series:
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:_DIGITS]
    return Series(name, *key, lower_is_better(key[6], identity))
