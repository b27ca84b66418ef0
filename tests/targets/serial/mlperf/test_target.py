"""A board with this firmware as a target: outputs that its print determines, accuracy, latency by its clock."""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hil.core.errors import BadInputError, InfrastructureError
from hil.core.measurement import Measurement, Trust
from hil.core.npu_config import DEFAULT_NPU
from hil.targets import create
from hil.targets.base import Deployable, Run
from hil.targets.boards import Board, BoardAccess, BoardLostError, Health, WrongBoardError
from hil.targets.boards.description import Reset
from hil.targets.serial import SerialOptions
from hil.targets.serial.mlperf.driver import MlperfDriver, connect
from tests.support import terminal_server

from .device import INPUT_BYTES, Device, on_pty, write_book

Built = Callable[[str], Path]


@contextmanager
def target(device: Device, **options: Any) -> Iterator[MlperfDriver]:
    quick = Reset((), boot_s=2.0)
    board = Board("kws_board", protocol="mlperf", port=device.port, reports="kws01", reset=quick)
    with MlperfDriver(BoardAccess(board, lambda: device.port), **{"windows": 3, "window_s": 0.1, **options}) as made:
        yield made


def figure(run: Run, name: str) -> Measurement:
    return next(measurement for measurement in run.measurements if measurement.name == name)


def test_outputs_are_the_models_and_time_is_the_boards(
    built: Built, carried: Path, classifier: bytes, inputs: np.ndarray[Any, Any], expected: Run
) -> None:
    with on_pty(built("own"), carried, BOARD_INFER_US=4000, BOARD_STEP_US=1000) as device, target(device) as board:
        run = board.run(Deployable(classifier, None), [inputs])
    assert np.array_equal(run.outputs[0], expected.outputs[0])
    assert run.printed[0].shape == (4, 12)
    assert run.identity["parity"].startswith("told by the print: steps of 0.001")
    latency = figure(run, "inference_ms")
    assert latency.trust is Trust.MEASURED
    assert 4.0 - 0.05 <= latency.value < 12
    assert "in steps of 1000 us" in latency.note
    assert figure(run, "recoveries").value == 0


def test_a_firmware_with_its_own_model_counts_no_events_and_runs_no_pieces(classifier: bytes) -> None:
    access = BoardAccess(Board("kws_board", protocol="mlperf", port="/dev/null", reports="kws01"), lambda: "/dev/null")
    with pytest.raises(BadInputError, match="--event MAC_ACTIVE"):
        MlperfDriver.of(access, DEFAULT_NPU, SerialOptions(events=("MAC_ACTIVE",)), Health())
    board = MlperfDriver.of(access, DEFAULT_NPU, SerialOptions(), Health())
    with pytest.raises(BadInputError, match="runs its model as a whole"):
        board.run_cut(Deployable(classifier, None), [], [])


def test_another_model_on_the_board_gives_no_mismatches_but_unknown_parity(
    built: Built, tmp_path: Path, classifier: bytes, inputs: np.ndarray[Any, Any]
) -> None:
    other = {sample.tobytes(): ["0.049"] * 11 + ["0.451"] for sample in inputs}
    book = write_book(tmp_path / "other", other)
    with on_pty(built("own"), book) as device, target(device) as board:
        run = board.run(Deployable(classifier, None), [inputs])
    assert run.outputs == ()
    assert run.identity["parity"].startswith("unknown: 48 of 48 printed outputs are none of the model's")
    assert run.printed[0].argmax(axis=1).tolist() == [11] * 4


def test_a_clock_that_disagrees_with_the_hosts_is_not_trusted(
    built: Built, carried: Path, classifier: bytes, inputs: np.ndarray[Any, Any]
) -> None:
    wrong = {"BOARD_INFER_US": 5000, "BOARD_CLOCK": 8}
    long = {"windows": 1, "window_s": 1.0}
    with on_pty(built("own"), carried, **wrong) as device, target(device, **long) as board:
        latency = figure(board.run(Deployable(classifier, None), [inputs[:1]]), "inference_ms")
    assert latency.trust is Trust.UNTRUSTED
    assert "s in a second of the host" in latency.note


def test_energy_mode_gives_outputs_and_says_why_there_is_no_latency(
    built: Built, carried: Path, classifier: bytes, inputs: np.ndarray[Any, Any], expected: Run
) -> None:
    with on_pty(built("own"), carried, BOARD_ENERGY=1) as device, target(device) as board:
        run = board.run(Deployable(classifier, None), [inputs])
    assert np.array_equal(run.outputs[0], expected.outputs[0])
    assert [measurement.name for measurement in run.measurements] == ["recoveries"]
    assert "energy mode" in run.identity["timestamps"]


def test_a_reboot_costs_a_sample_that_is_done_again(
    built: Built, tmp_path: Path, carried: Path, classifier: bytes, inputs: np.ndarray[Any, Any], expected: Run
) -> None:
    once = {"BOARD_REBOOT": 9, "BOARD_ONCE": tmp_path / "rebooted"}
    with on_pty(built("own"), carried, **once) as device, target(device) as board:
        run = board.run(Deployable(classifier, None), [inputs])
    assert (tmp_path / "rebooted").exists()
    assert np.array_equal(run.outputs[0], expected.outputs[0])
    assert figure(run, "recoveries").value == 1


def test_a_dead_board_is_lost_and_stays_so(
    built: Built, carried: Path, classifier: bytes, inputs: np.ndarray[Any, Any]
) -> None:
    with on_pty(built("own"), carried) as device, target(device) as board:
        board.identity()
        device.kill()
        for _ in range(2):
            with pytest.raises(BoardLostError) as lost:
                board.run(Deployable(classifier, None), [inputs])
        assert isinstance(lost.value, InfrastructureError)
        assert "out of order" in str(lost.value)


def test_the_wrong_board_is_told_before_anything_is_loaded(built: Built, carried: Path) -> None:
    lost = pytest.raises((WrongBoardError, BoardLostError), match="'kws01' is described")
    with on_pty(built("own"), carried, BOARD_MODEL="ic01") as device, target(device) as board, lost:
        board.identity()


def test_lines_that_hold_the_board_in_reset_are_kept_low(built: Built, carried: Path, tmp_path: Path) -> None:
    """Over a terminal server, whose DTR is the board's reset: a pty has no such line."""
    start = tmp_path / "start"
    start.write_text(f"#!/bin/sh\nexec {shlex.quote(str(built('own')))} {shlex.quote(str(carried))}\n")
    start.chmod(0o755)
    program = [sys.executable, terminal_server.__file__, start, "dtr"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = f"rfc2217://127.0.0.1:{server.stdout.readline().strip()}"
        board = Board("kws_board", protocol="mlperf", port=url, reports="kws01", lines=(("dtr", False),))
        with contextlib.closing(connect(board, lambda: url)) as client:
            assert client.profile().model == "kws01"
        server.stdin.close()  # type: ignore[union-attr]


def test_the_target_serial_takes_a_described_board_of_this_protocol(
    built: Built, tmp_path: Path, carried: Path, classifier: bytes, inputs: np.ndarray[Any, Any], expected: Run
) -> None:
    with on_pty(built("own"), carried) as device:
        description = f'protocol = "mlperf"\naccelerator = "ethos-u55-128"\n[port]\npath = "{device.port}"\n'
        file = tmp_path / "kws_board.toml"
        file.write_text(description)
        serial = create("serial", board=str(file), repetitions=2)
        try:
            assert serial.identity()["model"] == "kws01"
            assert np.array_equal(serial.run(Deployable(classifier, None), [inputs]).outputs[0], expected.outputs[0])
        finally:
            serial.close()


def test_a_model_of_two_inputs_is_refused(built: Built, carried: Path, classifier: bytes) -> None:
    refused = pytest.raises(BadInputError, match="1 inputs")
    with on_pty(built("own"), carried) as device, target(device) as board, refused:
        board.run(Deployable(classifier, None), [np.zeros((1, INPUT_BYTES), np.int8)] * 2)
