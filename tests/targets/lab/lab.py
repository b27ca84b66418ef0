"""A lab on loopback: labgrid's own coordinator and exporter, and places whose boards are TCP ports.

with running(folder) as lab:
    lab.export({"desk1": serial_port(5000)})
    lab.add({"desk1": {"hil_board": "mps3_an547", "site": "here"}})
    lab.holder("desk1")
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hil.core.lifeline import through
from hil.targets.lab.installation import find_python

_START_S = 30.0


@dataclass
class Lab:
    """Processes of labgrid; `address` is the coordinator's."""

    folder: Path
    address: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def client(self, *words: str) -> str:
        """Runs `labgrid-client` and returns its output."""
        environment = {**os.environ, "LG_COORDINATOR": self.address}
        command = [_program("client"), *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def export(self, places: dict[str, dict[str, object]]) -> None:
        """Exports a group of resources for each place."""
        name = f"exporter{len(self.processes)}"
        file = self.folder / f"{name}.yaml"
        file.write_text(json.dumps(places))  # JSON is YAML, too
        self.start("exporter", "-c", self.address, "-n", name, "--hostname", "127.0.0.1", str(file))
        for place, resources in places.items():
            self.wait_for("resources", *(f"{name}/{place}/{cls}" for cls in resources))

    def add(self, places: dict[str, dict[str, str]], exporter: str = "exporter1") -> None:
        """Places with the exported resources of their name, and their tags."""
        wanted = {name: {"match": f"{exporter}/{name}/*", "tags": tags} for name, tags in places.items()}
        command = [find_python(), Path(__file__).with_name("places.py"), self.address]
        subprocess.run(command, input=json.dumps(wanted), text=True, check=True)

    def holder(self, place: str) -> str:
        """The user who has acquired a place; empty if it is free."""
        lines = self.client("-p", place, "show").splitlines()
        told = next(line for line in lines if "acquired:" in line).partition("acquired:")[2].strip()
        return "" if told == "None" else told

    def wait_until_free(self, place: str, limit_s: float = 120.0) -> None:
        """Waits until a place is free; fails if it is not released in time."""
        end = time.monotonic() + limit_s
        while self.holder(place):
            assert time.monotonic() < end, f"{place} is still acquired by {self.holder(place)}"
            time.sleep(0.2)

    def wait_for(self, command: str, *wanted: str) -> None:
        """Waits until the client lists all names; fails if it does not in time."""
        end = time.monotonic() + _START_S
        while not all(word in (listed := self._listed(command)) for word in wanted):
            assert time.monotonic() < end, listed
            time.sleep(0.1)

    def start(self, program: str, *words: str) -> subprocess.Popen[bytes]:
        """A process of labgrid that ends with the lab."""
        log = (self.folder / f"{program}{len(self.processes)}.log").open("wb")
        with log:
            command = through(os.getpid(), [_program(program), *words])
            self.processes.append(subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log))
        return self.processes[-1]

    def _listed(self, command: str) -> str:
        with contextlib.suppress(AssertionError):
            return self.client(command)
        return ""


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Lab]:
    """A coordinator with nothing in it, whose state is in `folder`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    lab = Lab(folder, address)
    try:
        lab.start("coordinator", "-l", address)
        end = time.monotonic() + _START_S
        while not _answers(address):
            assert time.monotonic() < end, "no coordinator"
            time.sleep(0.05)
        yield lab
    finally:
        for process in reversed(lab.processes):
            process.terminate()
        for process in lab.processes:
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def serial_port(port: int, protocol: str = "raw") -> dict[str, object]:
    """A resource: a TCP port of this machine."""
    return {"NetworkSerialPort": {"host": "127.0.0.1", "port": port, "protocol": protocol}}


def _answers(address: str) -> bool:
    host, _, port = address.partition(":")
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
        return True
    return False


def _program(name: str) -> str:
    return str(find_python().with_name(f"labgrid-{name}"))


__all__: Sequence[str] = ("Lab", "running", "serial_port")
