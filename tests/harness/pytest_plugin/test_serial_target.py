"""`pytest --target serial` as a user runs it: a virtual board for the session, and nothing of it left."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from hil.core.errors import UnavailableError
from hil.fvp.machine import qemu
from hil.harness.results import open_results
from hil.harness.results.records import BoardRecord
from hil.targets.firmware.build import build

from .blob_suite import repository, run, table


@pytest.fixture(scope="module", autouse=True)
def parts(missing: Callable[[object], NoReturn]) -> None:
    """QEMU, and a compiler for the firmware."""
    try:
        qemu.version()
        build()
    except UnavailableError as error:
        missing(error)


def _left_of(store: Path, seconds: float = 60.0) -> list[str]:
    """Processes with the firmware of `store` in their command line, which have had time to end."""
    until = time.monotonic() + seconds
    while True:
        left = []
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = file.read_bytes().split(b"\0")
            except OSError:
                continue
            if any(word.startswith(f"{store}/firmware/".encode()) for word in words):
                left.append(file.parent.name)
        if not left or time.monotonic() > until:
            return left
        time.sleep(0.05)


def test_the_virtual_board_lives_as_long_as_the_session(tmp_path: Path, store: Path) -> None:
    done = run(repository(tmp_path), store, "--target", "serial", "--board", "virtual", "--technique", "ptq",
               "--samples", "2", "--results=nightly.db")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    head = done.stdout.split("collected")[0]
    for part in (
        "target serial",
        "board virtual",
        "port /dev/pts/",
        "firmware ethosu-hil monitor",
        "firmware_crc32 ",
        "serial_number 525400123456",
        "npu_clock 500 MHz",
    ):
        assert part in head
    assert table(done)["ptq"].mismatches == ["0", "0"]
    assert "cycles and ms are modelled" in done.stdout
    results = open_results(str(tmp_path / "nightly.db"))
    (event,) = results.board_events("virtual")
    assert isinstance(event.record, BoardRecord)
    assert (event.record.event, event.record.serial) == ("identified", "525400123456")
    (deployment,) = results.figures(event.run_id)
    identity = deployment.record.identity
    assert identity["serial_number"] == event.record.serial
    assert f"firmware_crc32 {identity['firmware_crc32']}" in event.record.detail
    assert not _left_of(store)


def test_each_worker_of_xdist_has_a_board_of_its_own(tmp_path: Path, store: Path) -> None:
    tests = "".join(
        f"def test_{name}(bench, parity, budget):\n    assert parity.mismatches == 0\n    budget.check()\n"
        f"    open('port-{name}', 'w').write(bench.target.identity()['port'])\n"
        for name in ("one", "two")
    )
    folder = repository(tmp_path, {"test_deployment.py": tests})
    done = run(folder, store, "--target", "serial", "--board", "virtual", "--technique", "ptq", "--samples", "2",
               "-n", "2", plugins=("xdist",))  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "port-one").read_text() != (folder / "port-two").read_text()
    assert not _left_of(store)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--target", "serial"), "no board is named"),
        (("--target", "serial", "--board", "nobody"), "no board is called 'nobody'"),
        (("--target", "sim", "--board", "virtual"), "no option of target sim"),
        (("--target", "serial", "--board", "virtual", "--repetitions", "0"), "--repetitions 0: at least 1"),
    ],
)
def test_wrong_use_is_one_line(
    tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.delenv("HIL_BOARD", raising=False)
    done = run(repository(tmp_path), store, *arguments)
    assert done.returncode == 4, done.stdout + done.stderr
    assert message in done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout


GONE = """
based_on = "mps3_an547"
[port]
path = "/dev/ttyUSB99"
[reset]
boot_s = 0.2
"""


def test_a_board_that_is_not_there_is_no_regression(
    tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HIL_BOARD", "gone")
    done = run(repository(tmp_path, {"boards/gone.toml": GONE}), store, "--target", "serial", "--technique", "ptq")
    assert done.returncode == 6, done.stdout + done.stderr
    assert "not usable" in done.stdout
    assert "Traceback" not in done.stderr + done.stdout


def test_hil_run_and_hil_boards_virtual_work_together(tmp_path: Path, blobs_int8: Path) -> None:
    command = [sys.executable, "-m", "hil.harness.cli"]
    board = subprocess.Popen(
        [*command, "boards", "virtual", "--tcp", "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert board.stdout is not None
        url = board.stdout.readline().strip()
        words = [*command, "run", str(blobs_int8), "--target", "serial", "--board", f"mps3_an547@{url}", "--json"]
        done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        record = json.loads(done.stdout)
        assert {m["trust"] for m in record["measurements"]} == {"modelled", "untrusted", "exact"}
        assert record["identity"]["port"] == url
        refused = subprocess.run(
            [*words, "--accelerator", "ethos-u55-32"], capture_output=True, text=True, cwd=tmp_path
        )
        assert (refused.returncode, "nothing was written to it" in refused.stderr) == (2, True)
    finally:
        board.terminate()
        board.wait(600)
        board.stdout.close()
