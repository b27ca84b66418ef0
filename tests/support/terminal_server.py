"""A terminal server with a board on it: RFC 2217 on loopback, whose DTR or RTS is the board's reset.

    python terminal_server.py FIRMWARE dtr|rts

Prints its TCP port.  While the line is asserted the board is held in reset; when it is let go it starts.  One client at
a time; ends with its standard input.
"""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
import sys

from serial import rfc2217


class Wiring:
    """The serial port of `PortManager`: accepts all settings; one line resets the board."""

    cts = dsr = cd = True
    ri = False
    bytesize, parity, stopbits, baudrate = 8, "N", 1, 115200
    xonxoff = rtscts = dsrdtr = break_condition = False

    def __init__(self, firmware: str, line: str) -> None:
        self.firmware, self.line = firmware, line
        self.levels = {"dtr": False, "rts": False}
        self.board: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self.stop()
        self.board = subprocess.Popen([self.firmware], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)

    def stop(self) -> None:
        if self.board is not None:
            self.board.kill()
            self.board.wait()
            self.board = None

    def get_settings(self) -> dict[str, object]:
        return {}

    def apply_settings(self, settings: dict[str, object]) -> None:
        pass

    def reset_input_buffer(self) -> None:
        pass

    def reset_output_buffer(self) -> None:
        pass

    def _set(self, line: str, level: bool) -> None:
        before, self.levels[line] = self.levels[line], level
        if line == self.line and before != level:
            if level:
                self.stop()
            else:
                self.start()

    dtr = property(lambda self: self.levels["dtr"], lambda self, level: self._set("dtr", level))
    rts = property(lambda self: self.levels["rts"], lambda self, level: self._set("rts", level))


class Connection:
    """A client's socket as `PortManager` writes to it."""

    def __init__(self, client: socket.socket) -> None:
        self.client = client

    def write(self, data: bytes) -> None:
        self.client.sendall(data)


def serve(client: socket.socket, wiring: Wiring) -> bool:
    """Until the client goes (True) or standard input ends (False)."""
    manager = rfc2217.PortManager(wiring, Connection(client))
    while True:
        board = wiring.board
        said = [board.stdout] if board and board.stdout else []
        ready = select.select([client, sys.stdin, *said], [], [], 1)[0]
        if sys.stdin in ready:
            return False
        if client in ready:
            data = client.recv(4096)
            if not data:
                return True
            typed = b"".join(manager.filter(data))
            if typed and wiring.board and wiring.board.stdin:
                wiring.board.stdin.write(typed)
        elif said and said[0] in ready:
            client.sendall(b"".join(manager.escape(said[0].read(4096))))


def main() -> None:
    wiring = Wiring(*sys.argv[1:])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        going = True
        while going:
            if sys.stdin in select.select([listener, sys.stdin], [], [])[0]:
                break
            client, _ = listener.accept()
            with client, contextlib.suppress(ConnectionError):
                going = serve(client, wiring)
    wiring.stop()


if __name__ == "__main__":
    main()
