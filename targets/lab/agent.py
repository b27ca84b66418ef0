"""Holds a place of a labgrid lab for another process: run by the Python that has labgrid, spoken to in lines of JSON.

    -> {"do": "acquire", "place": "desk1", "patience_s": 60}        or "tags": {"board": "an547"}, "without": ["desk2"]
    <- {"place": "desk1", "tags": {...}, "ways": ["power"]}
    -> {"do": "port"}
    <- {"url": "socket://lab:4001"}
    -> {"do": "power"}
    <- {}

An answer is one object, `{"error": "...", "kind": "..."}` where a request failed.  The end of its input is the order to
release the place and to end: it comes when the other process closes the pipe, and also when that process is killed.

labgrid and this project's own dependencies cannot share an environment (labgrid brings its own `serial`), so this file
imports nothing of the project.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import select
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from typing import Any

import grpc
from labgrid import Environment
from labgrid.exceptions import NoDriverFoundError
from labgrid.remote.client import ClientSession, Error, find_role_by_place, start_session
from labgrid.remote.generated import labgrid_coordinator_pb2 as messages

USUAL_COORDINATOR = "127.0.0.1:20408"
SERIAL = "NetworkSerialPort"
_POWER = (
    "NetworkPowerPort", "PDUDaemonPort", "TasmotaPowerPort", "NetworkUSBPowerPort", "NetworkSiSPMPowerPort",
    "NetworkYKUSHPowerPort", "NetworkSysfsGPIO",
)  # fmt: skip
"""Resources that `labgrid-client power` finds a driver for."""
_RETRY_S = 0.5
_AVAILABLE_S = 10.0
_PULSE_S = 0.5


class LabRefusalError(Exception):
    """A request that cannot be done; `kind` is the kind of error that the caller is to raise."""

    def __init__(self, message: str, kind: str = "lab") -> None:
        super().__init__(message)
        self.kind = kind


class Agent:
    """One session with the coordinator, and at most one place."""

    def __init__(self, address: str, environment: str | None) -> None:
        env = Environment(environment) if environment else None
        self.session: ClientSession = start_session(address, extra={"env": env})
        self.place: Any = None

    def acquire(self, request: dict[str, Any]) -> dict[str, Any]:
        """The first free place that fits, waited for up to `patience_s` seconds."""
        end = time.monotonic() + request["patience_s"]
        while True:
            self._sync()
            fitting = [place for place in self.session.places.values() if _fits(place, request)]
            if not fitting:
                known = ", ".join(sorted(self.session.places)) or "none"
                raise LabRefusalError(f"no place of the lab fits; its places are: {known}", "input")
            for place in sorted(fitting, key=lambda place: str(place.name)):
                if _is_free(place) and self._take(place):
                    return self._held()
            if time.monotonic() >= end:
                raise LabRefusalError("; ".join(f"{place.name} is {_use(place)}" for place in fitting), "busy")
            if select.select([sys.stdin], [], [], _RETRY_S)[0]:
                raise EOFError  # Whoever wanted the place has gone, or wants something else.

    def port(self, _: dict[str, Any]) -> dict[str, Any]:
        """URL of the place's serial port, as it is now."""
        self._sync()
        ports = [entry for (_, cls), entry in self._resources().items() if cls == SERIAL]
        if len(ports) != 1:
            raise LabRefusalError(f"{self.place.name} has {len(ports)} serial ports, not one", "port")
        if not ports[0].avail or not ports[0].args.get("port"):
            raise LabRefusalError(f"the serial port of {self.place.name} is not available", "port")
        from labgrid.resource import NetworkSerialPort
        from labgrid.util.proxy import proxymanager

        arguments = dict(ports[0].args)
        resource = NetworkSerialPort(None, None, **arguments)
        resource.extra = ports[0].extra
        host, port = proxymanager.get_host_and_port(resource)
        scheme = {"raw": "socket", "rfc2217": "rfc2217"}[resource.protocol]
        return {"url": f"{scheme}://{host}:{port}"}

    def power(self, _: dict[str, Any]) -> dict[str, Any]:
        """Off and on, by labgrid's driver for the place."""
        self._command("power", action="cycle", delay=None)
        return {}

    def reset(self, _: dict[str, Any]) -> dict[str, Any]:
        """By the environment's reset driver, else a pulse of the digital output called `reset`."""
        target = self._target()
        if _has(target, "ResetProtocol"):
            target.get_driver("ResetProtocol").reset()
            return {}
        self._command("digital_io", action="high", io="reset")
        time.sleep(_PULSE_S)
        self._command("digital_io", action="low", io="reset")
        return {}

    def release(self) -> None:
        """Gives the place back; nothing is left to be done where there is no coordinator any more."""
        place, self.place = self.place, None
        if place is not None:
            self._call(self.session.stub.ReleasePlace, messages.ReleasePlaceRequest(placename=place.name))

    def _take(self, place: Any) -> bool:
        """Acquires the place; False if it was not free any more.  The coordinator decides between two at a time."""
        try:
            self._call(self.session.stub.AcquirePlace, messages.AcquirePlaceRequest(placename=place.name))
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                raise
            return False
        self.place = place
        return True

    def _held(self) -> dict[str, Any]:
        place, end = self.place, time.monotonic() + _AVAILABLE_S
        self._sync()
        while time.monotonic() < end and not all(entry.avail for entry in self._resources().values()):
            time.sleep(0.1)
            self._sync()
        kinds = {cls for _, cls in self._resources()}
        names = {name for name, _ in self._resources()}
        target = self._target()
        ways = []
        if "reset" in names or (_has(target, "ResetProtocol")):
            ways.append("reset")
        if kinds & set(_POWER) or (_has(target, "PowerProtocol")):
            ways.append("power")
        return {"place": place.name, "tags": dict(place.tags), "ways": ways}

    def _resources(self) -> dict[tuple[str, str], Any]:
        found = {}
        for path in self.place.acquired_resources:
            exporter, group, cls, name = path
            entry = self.session.resources.get(exporter, {}).get(group, {}).get(name)
            if entry is not None and entry.data:
                match = self.place.getmatch(path)
                found[(match.rename if match and match.rename else name, cls)] = entry
        return found

    def _target(self) -> Any:
        """The place's target in the user's environment file (LG_ENV), with the drivers that it names; None without."""
        env = self.session.env
        role = find_role_by_place(env.config.get_targets(), self.place.name) if env else None
        if role is None:
            return None
        self.session._prepare_manager()
        return env.get_target(role)

    def _command(self, command: str, *, action: str, delay: float | None = None, io: str | None = None) -> None:
        """Runs the command of `labgrid-client` by that name."""
        self.session.args = Namespace(place=self.place.name, action=action, delay=delay, name=io, state=None)
        getattr(self.session, command)()

    def _sync(self) -> None:
        if not self.session.loop.run_until_complete(self.session.sync_with_coordinator()):
            raise LabRefusalError("the coordinator is gone", "gone")

    def _call(self, method: Callable[[Any], Any], request: Any) -> None:
        async def call() -> None:
            await asyncio.wait_for(method(request), 10.0)

        self.session.loop.run_until_complete(call())


def _has(target: Any, protocol: str) -> bool:
    """True if an environment's target names a driver that speaks `protocol`."""
    if target is None:
        return False
    try:
        target.get_driver(protocol, activate=False)
    except NoDriverFoundError:
        return False
    return True


def _fits(place: Any, request: dict[str, Any]) -> bool:
    if place.name in request.get("without", ()):
        return False
    if "place" in request:
        return request["place"] in (place.name, *place.aliases)
    return all(place.tags.get(key) == value for key, value in request["tags"].items())


def _is_free(place: Any) -> bool:
    return place.acquired is None and (not place.reservation or place.reservation == os.environ.get("LG_TOKEN"))


def _use(place: Any) -> str:
    return f"acquired by {place.acquired}" if place.acquired else "reserved" if place.reservation else "free"


def _serve(agent: Agent, answers: Any) -> None:
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(agent, request["do"])(request)
        except LabRefusalError as error:
            answer = {"error": str(error), "kind": error.kind}
        except (Error, grpc.aio.AioRpcError) as error:
            answer = {"error": str(error).strip() or type(error).__name__, "kind": "lab"}
        except EOFError:
            return
        except Exception as error:  # drivers raise whatever their libraries do
            answer = {"error": f"{type(error).__name__}: {error}", "kind": "lab"}
        print(json.dumps(answer), file=answers, flush=True)


def _end(*_: object) -> None:
    raise SystemExit(0)


def main() -> None:
    """Serves until the end of its input."""
    answers, sys.stdout = sys.stdout, sys.stderr  # labgrid prints what it does
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    signal.signal(signal.SIGTERM, _end)
    address = os.environ.get("LG_COORDINATOR", USUAL_COORDINATOR)
    try:
        agent = Agent(address, os.environ.get("LG_ENV"))
    except Exception as error:  # what labgrid raises where there is no coordinator differs between its versions
        print(json.dumps({"error": f"no coordinator at {address}: {error}", "kind": "gone"}), file=answers, flush=True)
        return
    print(json.dumps({}), file=answers, flush=True)
    try:
        _serve(agent, answers)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        agent.release()


if __name__ == "__main__":
    main()
