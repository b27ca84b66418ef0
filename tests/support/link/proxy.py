"""A proxy between host and board: paces bytes to a baud rate, spoils them, and hangs up.

    python -m tests.support.link.proxy pty|tcp PORT [--baud 921600] [--rate 0.01] [--hang-ups 1e-5] [--seed 1]

PORT is the board's, on loopback.  Prints the URL to open instead; ends with its standard input, and then prints what
it did as JSON.  Pacing lets a byte out when its last bit would have been sent, and takes in what a small FIFO holds.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import random
import select
import socket
import sys
import time
import tty
from collections import deque

from tests.support.link.faults import Counts, Faults

FIFO_BYTES = 1024
SLICE_BYTES = 32
_READ_BYTES = 4096


class Line:
    """One direction: bytes with the time at which they come out."""

    def __init__(self, baud: float, faults: Faults) -> None:
        self._byte_s = 10 / baud if baud else 0.0
        self._faults = faults
        self._queue: deque[tuple[float, bytes]] = deque()
        self._free = 0.0
        self.held = 0

    @property
    def counts(self) -> Counts:
        """Counts of the faults in the bytes."""
        return self._faults.counts

    @property
    def room(self) -> int:
        """Bytes it takes now."""
        return FIFO_BYTES - self.held if self._byte_s else _READ_BYTES

    @property
    def next_at(self) -> float | None:
        """Time at which the next bytes come out."""
        return self._queue[0][0] if self._queue else None

    def put(self, data: bytes) -> None:
        """Takes bytes in."""
        self._free = max(self._free, time.monotonic())
        for piece, wait in self._faults.apply(data):
            step = SLICE_BYTES if self._byte_s else len(piece) or 1
            for start in range(0, len(piece), step):
                part = piece[start : start + step]
                self._free += len(part) * self._byte_s
                self._queue.append((self._free, part))
                self.held += len(part)
            self._free += wait

    def take(self) -> bytes:
        """Bytes that come out now."""
        out = bytearray()
        now = time.monotonic()
        while self._queue and self._queue[0][0] <= now:
            out += self._queue.popleft()[1]
        self.held -= len(out)
        return bytes(out)

    def clear(self) -> None:
        """Drops all bytes on the line."""
        self._queue.clear()
        self.held = 0
        self._free = 0.0


class Proxy:
    """The board at `board`, hosts at `listener` or `front`."""

    def __init__(
        self, board: socket.socket, listener: socket.socket | None, front: int | None, lines: tuple[Line, Line]
    ):
        self._board = board
        self._listener = listener
        self._front = front
        self._client: socket.socket | None = None
        self._to_board, self._to_host = lines
        self.hung_up = 0

    def run(self, hang_ups: float, chance: random.Random) -> None:
        """Until standard input ends; each byte ends the connection with the probability `hang_ups`."""
        while True:
            readable = self._wait()
            if 0 in readable:
                return
            if self._listener is not None and self._listener.fileno() in readable:
                self._accept()
                continue
            if self._front in readable and self._front is not None:
                self._take_in(self._front, self._to_board)
            if self._board.fileno() in readable:
                self._take_in(self._board.fileno(), self._to_host)
            out = [(self._board.fileno(), self._to_board.take()), (self._front, self._to_host.take())]
            for descriptor, data in out:
                if data and descriptor is not None:
                    self._write(descriptor, data)
            moved = sum(len(data) for _, data in out)
            if hang_ups and self._client is not None and chance.random() < hang_ups * moved:
                self.hung_up += 1
                self._hang_up()

    def _wait(self) -> list[int]:
        due = [at for at in (self._to_board.next_at, self._to_host.next_at) if at is not None]
        timeout = max(0.0, min(due) - time.monotonic()) if due else None
        watched = [0, *([self._listener.fileno()] if self._listener is not None else [])]
        if self._front is not None and self._to_board.room > 0:
            watched.append(self._front)
        if self._to_host.room > 0:
            watched.append(self._board.fileno())
        return select.select(watched, [], [], timeout)[0]

    def _take_in(self, descriptor: int, line: Line) -> None:
        try:
            data = os.read(descriptor, max(1, line.room))
        except OSError:
            data = b""
        if data:
            line.put(data)
        elif descriptor == self._front:
            self._hang_up()
        else:
            raise SystemExit("the board is gone")

    def _write(self, descriptor: int, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(descriptor, data) :]
            except OSError:
                if descriptor == self._front:
                    self._hang_up()
                return

    def _accept(self) -> None:
        assert self._listener is not None
        self._hang_up()
        self._client, _ = self._listener.accept()
        self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._front = self._client.fileno()

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = self._front = None
            self._to_board.clear()
            self._to_host.clear()


def main() -> int:
    """Opens both sides, prints the URL, and works until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("pty", "tcp"))
    parser.add_argument("port", type=int)
    parser.add_argument("--baud", type=float, default=0.0)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--hang-ups", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    lines = [Line(options.baud, Faults(options.rate, f"{options.seed} {way}")) for way in ("to board", "to host")]
    with contextlib.ExitStack() as stack:
        board = stack.enter_context(socket.create_connection(("127.0.0.1", options.port)))
        board.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener = front = None
        if options.kind == "tcp":
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            print(f"socket://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        else:
            front, other = os.openpty()
            tty.setraw(other)
            print(os.ttyname(other), flush=True)
        proxy = Proxy(board, listener, front, (lines[0], lines[1]))
        proxy.run(options.hang_ups, random.Random(options.seed))
    counts = {"to_board": dataclasses.asdict(lines[0].counts), "to_host": dataclasses.asdict(lines[1].counts)}
    print(json.dumps({**counts, "hung_up": proxy.hung_up}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
