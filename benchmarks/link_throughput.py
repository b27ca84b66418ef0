"""Share of a channel's raw rate that the link's payload has.

    python -m benchmarks.link_throughput [--runs 3]

The board is its own library, built for this machine, behind a proxy that paces bytes as a serial line of a baud rate
does, on a pty and on TCP.  The raw rate is that of bare bytes through the same proxy, measured by turns with the link,
to a program that counts them, or from one that gives them.  Printed is the best of the runs, in KB/s.
Ends with 1 if less than 85 % is left on a line that is limited.
"""

from __future__ import annotations

import argparse
import os
import random
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from hil.targets.link import Link, open_channel
from tests.support.link.device import RAM, Device, build_device
from tests.support.link.proxy_process import Proxied

BAUDS = (115_200, 921_600, 0)
WINDOWS = (1, 4)
SECONDS = 2.0
LEAST = 0.85
_UNLIMITED_BYTES = 4_000_000
_CHANNEL_BAUD = 40_000_000


class Sink:
    """A board that only counts received bytes, and answers with as many bytes as its first four say."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        client, _ = self._server.accept()
        with client:
            while head := client.recv(8, socket.MSG_WAITALL):
                left, answer = int.from_bytes(head[:4], "little"), int.from_bytes(head[4:], "little")
                while left > 0:
                    left -= len(client.recv(min(left, 65536)))
                client.sendall(bytes(answer))

    def close(self) -> None:
        """Ends the board; its client must be gone."""
        self._server.close()


def raw(kind: str, baud: int, size: int) -> tuple[float, float]:
    """Bytes a second of bare bytes, to the board and from it."""
    sink = Sink()
    with Proxied(sink.port, kind, baud=baud) as proxied:
        channel = open_channel(proxied.url, baud or _CHANNEL_BAUD)
        rates = []
        for there, back in ((size, 1), (0, size)):
            began = time.perf_counter()
            channel.send(there.to_bytes(4, "little") + back.to_bytes(4, "little"))
            for start in range(0, there, 4096):
                channel.send(bytes(min(4096, there - start)))
            while back > 0:
                back -= len(channel.receive(5.0))
            rates.append(size / (time.perf_counter() - began))
        channel.close()
    sink.close()
    return rates[0], rates[1]


def linked(program: Path, kind: str, baud: int, window: int, size: int) -> tuple[float, float]:
    """Bytes a second of payload, written (with the CRCs before and after) and read."""
    data = random.Random(size).randbytes(size)
    with (
        Device(program, "tcp", ram_bytes=max(size, 1 << 20), window=window) as device,
        Proxied(device.tcp_port, kind, baud=baud) as proxied,
        Link(open_channel(proxied.url, baud or _CHANNEL_BAUD)) as link,
    ):
        link.identify()
        writing = timed(lambda: link.write(RAM, data))
        reading = timed(lambda: link.read(RAM, size))
        if device.ram[:size] != data:
            raise SystemExit("the link did not write what it should")
    return size / writing, size / reading


def timed(action: Callable[[], object]) -> float:
    """Seconds that `action` takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def main() -> int:
    """Prints the table and gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of line time, a run")
    options = parser.parse_args()
    print("port       baud  window   raw to  from    written        read")
    with tempfile.TemporaryDirectory() as folder:
        program = build_device(Path(folder))
        kinds = ("pty", "tcp") if os.name == "posix" else ("tcp",)
        left = [measure(program, kind, baud, options.runs, options.seconds) for kind in kinds for baud in BAUDS if baud]
        for kind in kinds:
            measure(program, kind, 0, options.runs, options.seconds)
    return 1 if min(left) < LEAST else 0


def measure(program: Path, kind: str, baud: int, runs: int, seconds: float) -> float:
    """Prints a line a window; the least share of the raw rate that is left."""
    size = int(baud / 10 * seconds) if baud else _UNLIMITED_BYTES
    results: dict[int, list[tuple[float, float]]] = {window: [] for window in (0, *WINDOWS)}
    for _ in range(runs):
        for window, found in results.items():
            found.append(linked(program, kind, baud, window, size) if window else raw(kind, baud, size))
    best = {window: [max(way) / 1e3 for way in zip(*found, strict=True)] for window, found in results.items()}
    shares = []
    for window in WINDOWS:
        written, read = (best[window][way] / best[0][way] for way in (0, 1))
        shares += [written, read]
        print(
            f"{kind:5} {baud or 'unlimited':>9} {window:7} {best[0][0]:8.1f} {best[0][1]:7.1f} "
            f"{best[window][0]:8.1f} {written:4.0%} {best[window][1]:8.1f} {read:4.0%}",
            flush=True,
        )
    return min(shares)


if __name__ == "__main__":
    sys.exit(main())
