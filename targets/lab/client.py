"""The lab as this process sees it: an agent in labgrid's own environment that holds a place.

    with Lab() as lab:
        held = lab.acquire(place="desk1", patience_s=60)
        lab.url()                   # "socket://lab:4001"
        lab.way("power")()

The agent is no child to be killed with us: it ends when its input does, and releases the place before.  That happens
when `Lab` closes, on an error and Ctrl-C alike, and when this process is killed.  Only if the agent itself is killed,
or its machine dies, does the place stay acquired: `labgrid-client -p PLACE release`.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hil.core.errors import BadInputError, HilError, InUseError, LabError, PortError, ResetError
from hil.targets.lab.installation import find_python

START_S = 60.0
ANSWER_S = 30.0
POWER_S = 180.0
"""A driver may wait between off and on, or for a slow switch."""
_END_S = 15.0
_LAST_WORDS_S = 2.0
_AGENT = Path(__file__).with_name("agent.py")
_KINDS: dict[str, type[HilError]] = {"input": BadInputError, "busy": InUseError, "port": PortError}


@dataclass(frozen=True)
class Held:
    """A place that is ours: its name, its tags, and the ways of resetting its board that labgrid offers."""

    place: str
    tags: Mapping[str, str]
    ways: tuple[str, ...]


class Lab:
    """A session with the coordinator (`LG_COORDINATOR`); one place at most."""

    def __init__(self) -> None:
        command = [str(find_python()), "-u", "-I", str(_AGENT)]
        pipe = subprocess.PIPE
        # A session of its own: Ctrl-C is for us, and we tell the agent.
        try:
            self._agent = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, start_new_session=True
            )
        except OSError as error:
            raise LabError(f"{command[0]} cannot be started: {error.strerror}") from None
        self._answers: queue.Queue[str | None] = queue.Queue()
        self._said: deque[str] = deque(maxlen=100)
        self._readers = [threading.Thread(target=read, daemon=True) for read in (self._listen, self._keep_errors)]
        for reader in self._readers:
            reader.start()
        try:
            self._answer("start", START_S)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def acquire(
        self,
        *,
        place: str = "",
        tags: Mapping[str, str] | None = None,
        without: Collection[str] = (),
        patience_s: float = 0.0,
    ) -> Held:
        """The place `place`, or the first free one that has all `tags` and is not among `without`.

        Waits up to `patience_s` seconds.  Raises `BadInputError` if the lab has none such, `InUseError` if none becomes
        free in time, `LabError` if the lab fails.
        """
        wanted: dict[str, Any] = {"place": place} if place else {"tags": dict(tags or {})}
        request = {"do": "acquire", "patience_s": patience_s, "without": sorted(without), **wanted}
        found = self._ask(request, patience_s + ANSWER_S)
        return Held(found["place"], found["tags"], tuple(found["ways"]))

    def url(self) -> str:
        """The place's serial port for pyserial, as it is now; raises `PortError` if it is not available."""
        return str(self._ask({"do": "port"}, ANSWER_S)["url"])

    def way(self, name: str) -> Callable[[], None]:
        """The function that resets the board by `power` or `reset`; it raises `ResetError`."""

        def reset() -> None:
            try:
                self._ask({"do": name}, POWER_S)
            except LabError as error:
                raise ResetError(f"labgrid: {error.args[0]}", log=error.log) from None

        return reset

    def close(self) -> None:
        """Releases the place and ends the agent; does nothing the second time."""
        with contextlib.suppress(OSError):
            if self._agent.stdin and not self._agent.stdin.closed:
                self._agent.stdin.close()
        try:
            self._agent.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._agent.kill()
            self._agent.wait()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._agent.pid, signal.SIGKILL)  # What it has left would hold its output open.
        for reader in self._readers:
            reader.join(_LAST_WORDS_S)

    def _ask(self, request: dict[str, Any], limit_s: float) -> dict[str, Any]:
        try:
            assert self._agent.stdin is not None
            self._agent.stdin.write(json.dumps(request) + "\n")
            self._agent.stdin.flush()
        except (OSError, ValueError):
            raise LabError("labgrid's agent has ended", log="\n".join(self._said)) from None
        return self._answer(str(request["do"]), limit_s)

    def _answer(self, what: str, limit_s: float) -> dict[str, Any]:
        try:
            line = self._answers.get(timeout=limit_s)
        except queue.Empty:
            self._agent.terminate()
            raise LabError(f"labgrid did not {what} within {limit_s:g} s", log="\n".join(self._said)) from None
        if line is None:
            self._readers[1].join(_LAST_WORDS_S)
            why = f": {self._said[-1]}" if self._said else ""
            raise LabError(f"labgrid's agent ended at '{what}'{why}", log="\n".join(self._said))
        found: dict[str, Any] = json.loads(line)
        if "error" in found:
            kind = _KINDS.get(found["kind"], LabError)
            raise kind(found["error"], log="\n".join(self._said))
        return found

    def _listen(self) -> None:
        assert self._agent.stdout is not None
        with self._agent.stdout as stream:
            for line in stream:
                self._answers.put(line)
        self._answers.put(None)

    def _keep_errors(self) -> None:
        assert self._agent.stderr is not None
        with self._agent.stderr as stream:
            self._said.extend(line.rstrip() for line in stream)
