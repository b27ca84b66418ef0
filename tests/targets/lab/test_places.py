"""Places of a real coordinator: acquiring, waiting, and release of everything after every kind of end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from hil.core.errors import BadInputError, QuarantinedError, UnavailableError
from hil.targets.board_address import reach
from hil.targets.boards import BoardLostError, InUseError, PortError, ResetError
from hil.targets.lab import LabError
from hil.targets.lab.installation import find_python
from hil.targets.serial import SerialOptions
from hil.targets.serial.target import SerialTarget

from .lab import Lab, serial_port

_HOLD = """
import sys, time
from hil.targets.board_address import reach
with reach(sys.argv[1]) as access:
    print(access.board.name, flush=True)
    if sys.argv[2] == "fail": raise ValueError("a test's own")
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def switch() -> Iterator[list[str]]:
    """A network power switch: the requests that came."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(500 if "broken" in self.path else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Logs nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        asked.append(f"http://127.0.0.1:{server.server_address[1]}")
        yield asked
        server.shutdown()


@pytest.fixture(scope="module")
def places(lab: Lab, switch: list[str]) -> Lab:
    """Two places alike, one that can be switched, one without a port."""

    def power(name: str) -> dict[str, object]:
        return {"NetworkPowerPort": {"model": "simplerest", "host": f"{switch[0]}/{name}/{{value}}", "index": 1}}

    lab.export(
        {
            "desk1": serial_port(5001),
            "desk2": serial_port(5002),
            "switched": {**serial_port(5003, "rfc2217"), **power("relay")},
            "stuck": {**serial_port(5004), **power("broken")},
            "bare": power("none"),
        }
    )
    desk = {"hil_board": "mps3_an547", "site": "here", "floor": "2"}
    other = {"hil_board": "mps3_an552"}
    bare = {"hil_board": "mps3_an547", "site": "there"}
    lab.add({"desk1": desk, "desk2": desk, "switched": other, "stuck": other, "bare": bare, "empty": {}})
    return lab


def test_a_place_is_a_board_for_as_long_as_it_is_wanted(places: Lab) -> None:
    with reach("place:desk1") as access:
        assert access.board.name == "desk1"
        assert (access.board.npu.accelerator, access.board.reports) == ("ethos-u55-128", "mps3_an547")
        assert access.find() == "socket://127.0.0.1:5001"
        assert list(access.ways) == ["protocol"]
        assert places.holder("desk1")
    assert not places.holder("desk1")


def test_what_stands_at_a_place_may_be_described_in_the_users_folder(places: Lab, tmp_path: Path) -> None:
    (tmp_path / "mps3_an547.toml").write_text('accelerator = "ethos-u55-256"\n')
    with reach("place:desk1", tmp_path) as access:
        assert access.board.npu.accelerator == "ethos-u55-256"


def test_tags_give_each_process_a_place_of_its_own(places: Lab) -> None:
    with ExitStack() as stack:
        held = [stack.enter_context(reach("tag:hil_board=mps3_an547,site=here")).board.name for _ in range(2)]
        assert held == ["desk1", "desk2"]
        with pytest.raises(InUseError, match=r"desk1 is acquired by .*; desk2 is acquired by"):
            stack.enter_context(reach("tag:site=here"))
    assert not places.holder("desk2")


def test_a_board_in_quarantine_leaves_its_work_to_another_place(places: Lab) -> None:
    """No board answers at either place: the one that was tried says so."""

    def tried(address: str, *quarantined: str) -> str:
        target = SerialTarget(SerialOptions(board=address))
        target.quarantine(dict.fromkeys(quarantined, "3 failures"))
        with contextlib.closing(target), pytest.raises((BoardLostError, QuarantinedError)) as caught:
            target.identity()
        return str(caught.value)

    both = "tag:hil_board=mps3_an547,site=here"
    assert tried(both, "desk1").startswith("desk2 is lost: ")
    expected = "desk1 is in quarantine: 3 failures (hil boards check place:desk1 lifts it)"
    assert tried(both, "desk1", "desk2") == tried("place:desk1", "desk1") == expected
    assert not places.holder("desk1")


def test_a_run_waits_for_a_place_that_another_one_holds(places: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIL_LAB_PATIENCE", "20")
    first = reach("place:desk1")
    first.__enter__()
    release = threading.Timer(1.5, lambda: first.__exit__(None, None, None))
    release.start()
    began = time.monotonic()
    with reach("place:desk1") as access:
        assert access.board.name == "desk1"
        assert time.monotonic() - began > 1
    release.join()


def test_power_and_serial_port_are_labgrids(places: Lab, switch: list[str]) -> None:
    with reach("place:switched") as access:
        assert access.find() == "rfc2217://127.0.0.1:5003"
        assert list(access.ways) == ["protocol", "power"]
        access.ways["power"]()
    assert switch[-2:] == ["/relay/0", "/relay/1"]
    with reach("place:stuck") as access, pytest.raises(ResetError, match="labgrid: HTTPError: 500"):
        access.ways["power"]()


def test_drivers_of_the_environment_file_are_used(places: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on, off = tmp_path / "on", tmp_path / "off"
    drivers = {"ExternalPowerDriver": {"cmd_on": f"touch {on}", "cmd_off": f"touch {off}", "delay": 0.1}}
    targets = {"main": {"resources": {"RemotePlace": {"name": "desk1"}}, "drivers": drivers}}
    (tmp_path / "env.yaml").write_text(json.dumps({"targets": targets}))
    monkeypatch.setenv("LG_ENV", str(tmp_path / "env.yaml"))
    with reach("place:desk1") as access:
        assert list(access.ways) == ["protocol", "reset", "power"]
        access.ways["power"]()
        assert on.exists()
        assert off.exists()
        on.unlink()
        access.ways["reset"]()
        assert on.exists()
        assert access.find() == "socket://127.0.0.1:5001"


@pytest.mark.parametrize("how", ["fail", "interrupt", "kill"])
def test_a_place_is_released_however_the_run_ends(places: Lab, how: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, "place:desk2", how],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # a job in the background has none
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline().strip() == "desk2"
        if how != "fail":
            assert places.holder("desk2")
            os.kill(run.pid, signal.SIGINT if how == "interrupt" else signal.SIGKILL)
        run.wait(600)
    assert run.returncode != 0
    places.wait_until_free("desk2")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("place:nowhere", "no place of the lab fits; its places are: bare, desk1, desk2, empty, stuck, switched"),
        ("tag:site=moon", "no place of the lab fits"),
        ("tag:site", "'site' is no tag"),
        ("place:", "no place is named"),
        ("place:empty", "does not say which board stands there"),
    ],
)
def test_what_is_no_place_is_wrong_use(places: Lab, name: str, why: str) -> None:
    with pytest.raises(BadInputError, match=why), reach(name):
        pass
    assert not places.holder("empty")


def test_a_place_without_a_port_is_infrastructure(places: Lab) -> None:
    with reach("place:bare") as access, pytest.raises(PortError, match="bare has 0 serial ports"):
        access.find()


def test_an_exporter_that_goes_away_takes_the_port_with_it(places: Lab) -> None:
    places.export({"moved": serial_port(5005)})
    places.add({"moved": {"hil_board": "mps3_an547"}}, f"exporter{len(places.processes) - 1}")
    with reach("place:moved") as access:
        assert access.find() == "socket://127.0.0.1:5005"
        places.processes[-1].terminate()
        places.processes[-1].wait(600)
        _until(lambda: _gone(access.find))
    assert not places.holder("moved")


def test_a_lab_without_coordinator_is_told(labgrid: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LG_COORDINATOR", "127.0.0.1:1")
    with pytest.raises(LabError, match=r"no coordinator at 127\.0\.0\.1:1"), reach("place:desk1"):
        pass


def test_labgrid_that_is_not_there_is_told_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIL_LABGRID", "/nowhere")
    with pytest.raises(UnavailableError, match=r"/nowhere is no Python.*pip install labgrid"):
        find_python()


def test_a_python_without_labgrid_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    monkeypatch.setenv("HIL_LABGRID", str(tmp_path / "bare"))
    with pytest.raises(LabError, match="ended at 'start': ModuleNotFoundError"), reach("place:desk1"):
        pass


def test_what_labgrid_has_left_is_ended_with_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program, child = tmp_path / "python", tmp_path / "child"
    program.write_text(f"#!/bin/sh\nsleep 3600 >/dev/null &\necho $! > {child}\n")
    program.chmod(0o755)
    monkeypatch.setenv("HIL_LABGRID", str(program))
    began = time.monotonic()
    with pytest.raises(LabError, match="ended at 'start'"), reach("place:desk1"):
        pass
    assert time.monotonic() - began < 600
    while (state := _state(int(child.read_text()))) not in ("", "Z"):
        assert time.monotonic() - began < 600, f"the child is there, in state {state}"
        time.sleep(0.05)


def test_what_is_no_program_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "python").write_text("text")
    monkeypatch.setenv("HIL_LABGRID", str(tmp_path / "python"))
    with pytest.raises(LabError, match="cannot be started"), reach("place:desk1"):
        pass


def _state(process: int) -> str:
    """State of a process in the letters of `ps`; empty if there is no such process."""
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2]
    except OSError:
        return ""


def _gone(find: Callable[[], str]) -> bool:
    try:
        find()
    except PortError:
        return True
    return False


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)
