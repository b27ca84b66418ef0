"""QMP, QEMU's control protocol: commands and answers as JSON, a line each.

    client = QmpClient(QemuSocket(sock, pid, patience_s))
    client.ask("query-status")
    client.ask_all(Command("stop"), Command("query-status"))     # in one write

Source: QEMU's "QMP protocol specification".
"""

from __future__ import annotations

import json
import select
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from hil.core.errors import FaultError
from hil.fvp.machine.qemu_socket import QemuSocket


class Command(NamedTuple):
    """A command by its name; in names of `arguments`, _ becomes -."""

    name: str
    arguments: Mapping[str, Any] = MappingProxyType({})

    @property
    def line(self) -> bytes:
        """The command as it is sent."""
        words = {name.replace("_", "-"): value for name, value in self.arguments.items()}
        return json.dumps({"execute": self.name, "arguments": words}).encode() + b"\n"


class QmpClient:
    """One side of a connection; QEMU must answer by when it is first used."""

    def __init__(self, connection: QemuSocket) -> None:
        self._connection = connection
        self._received = bytearray()
        self._version = ""

    @property
    def version(self) -> str:
        """QEMU's version and package, as it says them itself."""
        self.ask_all()
        return self._version

    def ask(self, command: str, **arguments: Any) -> Any:
        """Runs `command` and returns its result; raises `FaultError`.  In names of arguments, _ becomes -."""
        return self.ask_all(Command(command, arguments))[0]

    def ask_all(self, *commands: Command) -> list[Any]:
        """Runs `commands`, sent together, and returns their results; raises `FaultError` for the first refused one."""
        greets = not self._version
        asked = [Command("qmp_capabilities"), *commands] if greets else list(commands)
        self._connection.send(b"".join(command.line for command in asked))
        if greets:
            self._version = json.dumps(self._line()["QMP"]["version"], sort_keys=True)
        return [self._answer(command.name) for command in asked][greets:]

    def _answer(self, command: str) -> Any:
        while True:
            answer = self._line()
            if "error" in answer:
                raise FaultError(f"QEMU refused {command!r}: {answer['error'].get('desc')}")
            if "return" in answer:
                return answer["return"]

    def command(self, line: str) -> None:
        """Does a command of QEMU's human monitor; raises `FaultError` with what it complains of."""
        said = self.ask("human-monitor-command", command_line=line)
        if said:
            raise FaultError(f"QEMU refused {line!r}: {said.strip()}")

    def fileno(self) -> int:
        """The descriptor to wait on for events."""
        return self._connection.fileno()

    def events(self) -> list[str]:
        """Names of the events that came since the last command; does not wait."""
        names = []
        while self._received.count(b"\n") or select.select([self._connection], [], [], 0)[0]:
            names.append(str(self._line().get("event")))
        return names

    def wait_for(self, event: str, **data: str) -> None:
        """Waits for an event with these data."""
        while True:
            told = self._line()
            if told.get("event") == event and data.items() <= told["data"].items():
                return

    def _line(self) -> dict[str, Any]:
        while (end := self._received.find(b"\n")) < 0:
            self._received += self._connection.receive()
        line = self._received[:end]
        del self._received[: end + 1]
        answer = json.loads(line)
        assert isinstance(answer, dict)
        return answer
