"""The board's library as a checked program of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hil.targets.link import Link, open_channel
from tests.support.link.device import Device, build_device


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`device.c`, with undefined behaviour ending it."""
    return build_device(tmp_path_factory.mktemp("device"), checked=True)


@pytest.fixture(params=[("pty", 1), ("tcp", 4)], ids=["pty", "tcp-window-4"])
def device(program: Path, request: pytest.FixtureRequest) -> Iterator[Device]:
    """A board on a pty that takes one request, or on TCP that takes four."""
    kind, window = request.param
    with Device(program, kind, window=window) as device:
        yield device


@pytest.fixture
def link(device: Device) -> Iterator[Link]:
    """A link to the board, which is a process of a machine that may be busy; a port that is gone stays away."""
    channel = open_channel(device.url, 4_000_000, find=lambda: device.url)
    with Link(channel, silence_s=60, reopen_s=0.5) as link:
        yield link
