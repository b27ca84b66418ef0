"""QMP, QEMU's control protocol: commands and answers as JSON, a line each.

    client = QmpClient(QemuSocket(sock, pid, patience_s))
    client.ask("query-status")

Source: QEMU's "QMP protocol specification".
"""

from __future__ import annotations

import json
import select
from typing import Any

from hil.core.errors import FaultError
from hil.fvp.machine.qemu_socket import QemuSocket


class QmpClient:
    """One side of a connection; QEMU must answer by when it is first used."""

    def __init__(self, connection: QemuSocket) -> None:
        self._connection = connection
        self._received = bytearray()
        self._greeted = False

    def ask(self, command: str, **arguments: Any) -> Any:
        """Runs `command` and returns its result; raises `FaultError`.  In names of arguments, _ becomes -."""
        if not self._greeted:
            self._greeted = True
            self._line()
            self.ask("qmp_capabilities")
        words = {name.replace("_", "-"): value for name, value in arguments.items()}
        self._connection.send(json.dumps({"execute": command, "arguments": words}).encode() + b"\n")
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
