"""Runs the health check of a board and writes it into the results database, where it lifts a quarantine.

    from hil.harness.results import open_results

    outcome = check("desk", open_results("nightly.db"), Health())
    outcome.found.cycles, outcome.before            # the NPU's cycles, and those of the last passed check

A passed check is a run with the deployment `board-check` and its figures.  The cycles of the known model are compared
with the last passed check of the same board: serial number, code, NPU, its clock, memory mode and Vela.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import CheckError
from hil.core.measurement import Measurement, Trust
from hil.core.npu_config import DEFAULT_NPU, NpuConfig
from hil.harness.leaves import GIVEN
from hil.harness.results.records import DeploymentRecord, FigureRecord, HistoryPoint
from hil.harness.vela.compiler import compile_model, vela_version
from hil.harness.vela.settings import VelaSettings
from hil.targets import board_address
from hil.targets.base import Deployable
from hil.targets.boards import Health
from hil.targets.serial.board_check import BoardCheck, check_board

if TYPE_CHECKING:
    from hil.harness.results.results import Results

NAME = "board-check"
"""The deployment in the results database."""
TARGET = "serial"
BOUND = 0.02
"""Largest change of measured cycles since the last passed check; modelled ones must be the same."""
_SAME = ("board", "serial_number", "firmware", "firmware_crc32", "hardware", "npu", "npu_clock", "memory_mode", "vela")


@dataclass(frozen=True)
class KnownModel:
    """An int8 model, its inputs, and the outputs of the reference kernels."""

    int8: bytes
    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]


@dataclass(frozen=True)
class CheckOutcome:
    """A passed check; `before` is the last one of the same board and firmware, None for the first."""

    found: BoardCheck
    before: HistoryPoint | None


def known_model() -> KnownModel:
    """Returns the model that comes with this package."""
    folder = files(__package__)
    samples = np.load(io.BytesIO((folder / "known_samples.npz").read_bytes()))
    return KnownModel((folder / "known_model.tflite").read_bytes(), (samples["inputs"],), (samples["outputs"],))


def check(
    address: str,
    results: Results | None,
    health: Health,
    folder: Path | None = None,
    known: KnownModel | None = None,
    *,
    accepts_cycles: bool = False,
) -> CheckOutcome:
    """Checks the board at `address` with the model `known`, by default this package's; `health` gets the events.

    With `accepts_cycles`, its cycles are taken as they are, and later checks are compared with them.

    Raises `CheckError` for a board that failed, and what keeps it from being reached or from running a model.
    """
    model = known or known_model()

    def compiled_for(npu: NpuConfig) -> Deployable:
        settings = VelaSettings(**asdict(npu))
        return Deployable(
            model.int8, compile_model(model.int8, settings, name="the known model", mapped=False).model, settings
        )

    with board_address.reach(address, folder, npu=DEFAULT_NPU) as access:
        found = check_board(access, compiled_for, model.inputs, model.outputs, health)
    before = _last(results, identity_of(found)) if results is not None and found.run is not None else None
    if not accepts_cycles and (why := changed(found.cycles, before)):
        error = CheckError(
            f"{found.board} failed its health check: {why}", hint="--accept-cycles, if that is as it should be"
        )
        health.failed(found.board, error)
        raise error
    health.passed(found.board, f"npu_cycles {found.cycles.value:.10g}" if found.cycles else "identified")
    return CheckOutcome(found, before)


def identity_of(found: BoardCheck) -> dict[str, str]:
    """Returns the identity of a check's deployment."""
    return {**found.identity, "target": TARGET, "vela": vela_version()}


def record(found: BoardCheck) -> tuple[DeploymentRecord, list[FigureRecord]]:
    """Returns the deployment and the figures of a passed check."""
    figures = [FigureRecord.of(one) for one in (found.run.measurements if found.run else ())]
    return DeploymentRecord(f"{NAME}-{GIVEN}", NAME, GIVEN, TARGET, identity_of(found)), figures


def _last(results: Results, identity: Mapping[str, str]) -> HistoryPoint | None:
    """The newest figure of a board that reports the same."""
    points = results.history(NAME, GIVEN, TARGET, "npu_cycles")
    same = [one for one in points if all(one.identity.get(name, "") == identity.get(name, "") for name in _SAME)]
    return same[-1] if same else None


def changed(cycles: Measurement | None, before: HistoryPoint | None) -> str:
    """Returns why the cycles are not those of the last check; empty text if they are, or one of both has none."""
    if before is None or cycles is None:
        return ""
    value, known = cycles.value, before.figure.value
    bound = BOUND if cycles.trust is Trust.MEASURED else 0.0
    if abs(value - known) <= bound * known:
        return ""
    return f"{value:,.10g} cycles, {known:,.10g} on {before.started:%Y-%m-%d}; at most {bound:.0%} may change"
