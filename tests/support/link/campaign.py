"""Transfers and uploads over a bad line, and their results."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hil.targets.link import Link, LinkError, open_channel
from hil.targets.link.transfers import CRC_BLOCK
from tests.support.link.device import RAM, Device
from tests.support.link.proxy_process import Proxied

HANG_UPS = 3e-6
RAM_BYTES = 1 << 20
BAUD = 4_000_000
"""For the link's timers: what the proxy gives without pacing is more, but not by much."""


@dataclass
class Row:
    """The result of one setting."""

    kind: str
    rate: float
    window: int
    done: int = 0
    wrong: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    took_s: float = 0.0
    payload_bytes: int = 0
    sent_bytes: int = 0
    twice_bytes: int = 0
    cuts: int = 0
    hung_up: int = 0
    hit: int = 0
    seen: int = 0

    def add_counts(self, proxied: Proxied) -> None:
        """Adds the counts of the proxy."""
        self.hung_up += proxied.counts["hung_up"]
        for way in ("to_board", "to_host"):
            self.hit += proxied.counts[way]["hit"]
            self.seen += proxied.counts[way]["seen"]

    def line(self) -> str:
        """For the table."""
        errors = ", ".join(f"{count} {name}" for name, count in sorted(self.errors.items())) or "0"
        share = self.hit / max(1, self.seen)
        return (
            f"{self.kind:9} {self.rate:8.2%} {share:8.3%} {self.window:6} {self.done:6} {self.wrong:6} {errors:>8} "
            f"{self.hung_up:8} {self.cuts:5} {self.took_s / max(1, self.done) * 1e3:9.1f} {self.slowest_s:8.2f} "
            f"{self.sent_bytes / max(1, self.payload_bytes):7.3f} {self.twice_bytes:6}"
        )


def transfers(program: Path, rate: float, window: int, count: int, seed: int) -> Row:
    """`count` writes, each read back."""
    row, chance = Row("transfer", rate, window), random.Random(f"{seed} {rate} {window}")
    with Device(program, "tcp", ram_bytes=RAM_BYTES, window=window) as device:
        expected = bytearray(RAM_BYTES)
        with (
            Proxied(device.tcp_port, "tcp", rate=rate, hang_ups=HANG_UPS if rate else 0.0, seed=seed) as proxied,
            Link(open_channel(proxied.url, BAUD)) as link,
        ):
            for _ in range(count):
                data = chance.randbytes(chance.randint(64, 1024))
                start = chance.randrange(RAM_BYTES - len(data))
                began = time.monotonic()
                try:
                    link.write(RAM + start, data)
                    expected[start : start + len(data)] = data
                    row.wrong += link.read(RAM + start, len(data)) != data
                except LinkError as error:
                    row.errors[type(error).__name__] += 1
                    expected[start : start + len(data)] = device.ram[start : start + len(data)]
                row.slowest_s = max(row.slowest_s, time.monotonic() - began)
                row.took_s += time.monotonic() - began
                row.done += 1
                row.payload_bytes += len(data)
            row.sent_bytes = link.statistics.written_bytes
        row.add_counts(proxied)
        row.wrong += device.ram[:] != bytes(expected)
    return row


class _CutError(Exception):
    """Ends an upload where the campaign wants it."""


def uploads(program: Path, rate: float, window: int, models: list[bytes], seed: int) -> Row:
    """Each model to a board of its own."""
    row = Row("upload", rate, window)
    for number, model in enumerate(models):
        chance = random.Random(f"{seed} {rate} {window} {number}")
        with Device(program, "tcp", ram_bytes=RAM_BYTES, window=window) as device:
            hang_ups = HANG_UPS if rate else 0.0
            with Proxied(device.tcp_port, "tcp", rate=rate, hang_ups=hang_ups, seed=seed + number) as proxied:
                began = time.monotonic()
                try:
                    _upload(row, device, proxied.url, model, chance)
                except LinkError as error:
                    row.errors[type(error).__name__] += 1
                else:
                    row.wrong += device.ram[: len(model)] != model or any(device.ram[len(model) :])
                row.slowest_s = max(row.slowest_s, time.monotonic() - began)
                row.took_s += time.monotonic() - began
            row.add_counts(proxied)
        row.done += 1
        row.payload_bytes += len(model)
    return row


def _upload(row: Row, device: Device, url: str, model: bytes, chance: random.Random) -> None:
    """One model, through as many links as it takes."""
    ends = [*sorted(chance.randrange(len(model)) for _ in range(chance.randint(0, 3))), len(model) + 1]
    for end in ends:

        def stop(done: int, _all: int, end: int = end) -> None:
            if done >= end:
                raise _CutError

        with Link(open_channel(url, BAUD)) as link:
            link.identify()
            missing = sum(
                len(block) for start, block in _blocks(model) if device.ram[start : start + len(block)] != block
            )
            try:
                link.write(RAM, model, progress=stop)
            except _CutError:
                row.cuts += 1
            sent = link.statistics.written_bytes
            row.sent_bytes += sent
            row.twice_bytes += max(0, sent - link.statistics.lost_bytes - missing)


def _blocks(model: bytes) -> Iterator[tuple[int, bytes]]:
    for start in range(0, len(model), CRC_BLOCK):
        yield start, model[start : start + CRC_BLOCK]
