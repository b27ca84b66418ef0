"""The link on a pty and on TCP, with the board's real library at the other end."""

from __future__ import annotations

import os
import random
import socket
import struct
import threading
import time
import tty
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hil.core.errors import BadInputError, InfrastructureError
from hil.targets.link import (
    GarbageError,
    Image,
    Job,
    Link,
    LinkError,
    Outcome,
    RebootedError,
    RefusedError,
    SilentError,
    Status,
    UnpluggedError,
    open_channel,
)
from hil.targets.link.frames import FrameReader, frame
from hil.targets.link.values import JobResult
from hil.targets.link.wire import (
    NUMBERS,
    PROTOCOL,
    REGION,
    REPLY,
    REPLY_BIT,
    REQUEST,
    RESULT,
    Direction,
    Feature,
    RegionKind,
)
from tests.support.link.device import FAULTY, RAM, STATE, Device

DATA = random.Random(0).randbytes(100_000)


def test_a_board_says_what_it_is(link: Link) -> None:
    identity = link.identify()
    assert (identity.board, identity.firmware) == ("this machine", "hil host 1.0")
    assert (identity.npu_id, identity.npu_config, identity.timer_hz) == (0x10066001, 0x10000007, 1_000_000)
    assert identity.serial == "host 17"
    assert identity.image == Image(RAM, 5000, zlib.crc32(bytes(5000)))
    link.write(RAM + 4999, DATA[:2])
    image = link.identify().image
    assert image is not None
    assert image.crc == zlib.crc32(bytes(4999) + DATA[:1])
    ram, hole, state, _ = identity.regions
    assert (ram.name, ram.kind, ram.address, ram.size) == ("ram", RegionKind.DRAM, RAM, 1 << 20)
    assert (ram.writable, ram.npu_visible) == (True, True)
    assert (hole.writable, hole.npu_visible) == (True, False)
    assert not state.writable


def test_what_is_written_is_there_and_reads_back(link: Link, device: Device) -> None:
    told: list[tuple[int, int]] = []
    link.write(RAM + 3, DATA, progress=lambda done, total: told.append((done, total)))
    assert device.ram[3 : 3 + len(DATA)] == DATA
    assert not any(device.ram[3 + len(DATA) :])
    assert link.read(RAM + 3, len(DATA)) == DATA
    assert link.crc(RAM + 3, len(DATA)) == zlib.crc32(DATA)
    assert told[0] == (0, len(DATA))
    assert told[-1] == (len(DATA), len(DATA))
    assert told == sorted(told)


def test_what_is_there_already_is_not_sent_again(link: Link, device: Device) -> None:
    link.write(RAM, DATA)
    changed = bytearray(DATA)
    changed[50_000] ^= 1
    before = link.statistics.written_bytes
    link.write(RAM, DATA)
    assert link.statistics.written_bytes - before == link.statistics.lost_bytes
    link.write(RAM, bytes(changed))
    assert device.ram[: len(DATA)] == bytes(changed)
    assert link.statistics.written_bytes - before <= 512 + link.statistics.lost_bytes


def test_an_upload_that_was_cut_off_goes_on_with_another_link(device: Device) -> None:
    class Cut(Exception):  # noqa: N818
        pass

    def stop(done: int, _total: int) -> None:
        if done > 60_000:
            raise Cut

    with Link(open_channel(device.url, 4_000_000)) as first, pytest.raises(Cut):
        first.write(RAM, DATA, progress=stop)
    with Link(open_channel(device.url, 4_000_000)) as second:
        second.write(RAM, DATA)
        assert device.ram[: len(DATA)] == DATA
        assert second.statistics.written_bytes - second.statistics.lost_bytes <= len(DATA) - 60_000 + 512


def test_a_job_is_run_and_its_counters_come_back(link: Link, device: Device) -> None:
    link.write(RAM, DATA[:64])
    result = link.run(Job(RAM, 64, (), events=(11, 22)))
    assert (result.outcome, result.cycles, result.events) == (Outcome.DONE, zlib.crc32(DATA[:64]), (11, 22, 0, 0))
    assert result.overflow == 0
    wrapped = link.run(Job(RAM, 64, (0, 0, 0, 0, 0, 0, 0x8000_0004)))
    assert [wrapped.may_have_wrapped(place) for place in range(4)] == [False, False, True, False]
    assert wrapped.cycles_wrapped
    assert link.run_model().overflow == 0


@pytest.mark.parametrize("cycles", [(1 << 32) - 1, 1 << 32])
def test_a_firmware_that_reports_no_overflow_is_held_to_the_cycles(cycles: int) -> None:
    """An event counter counts at most one event a cycle."""
    payload = RESULT.pack(
        outcome=0, npu_status=0, qread=0, cycles=cycles, events=(1, 2, 3, 4), ticks=0,
        fault_address=0, fault_status=0, fault_pc=0,
    )  # fmt: skip
    older = JobResult.parse(payload, Feature.RUN)
    assert older.overflow is None
    assert older.may_have_wrapped(0) == (cycles == 1 << 32)
    assert not JobResult.parse(payload + bytes(4), Feature.OVERFLOW).may_have_wrapped(0)
    with pytest.raises(struct.error):
        JobResult.parse(payload, Feature.OVERFLOW)


def test_a_long_job_is_waited_for_and_run_once(device: Device) -> None:
    with Link(open_channel(device.url, 4_000_000), silence_s=1.0) as link:
        result = link.run(Job(RAM, 64, (0, 0, 0, 0, 0, 0, 0, 2000)))
        assert result.ticks == 2_000_000
        assert link.read(STATE, 4) == b"\1\0\0\0"


def test_a_linked_in_model_is_described_and_run(link: Link) -> None:
    given, taken = link.buffers()
    assert (given.name, given.direction, given.size) == ("input", Direction.INPUT, 64)
    link.write(given.address, bytes(range(64)))
    assert link.run_model().outcome == Outcome.DONE
    assert link.read(taken.address, taken.size) == bytes(range(1, 65))


def test_a_fault_of_the_bus_is_told_and_survived(link: Link) -> None:
    with pytest.raises(RefusedError, match=r"READ: FAULT at 0x90000030") as error:
        link.read(FAULTY, 4)
    assert error.value.status == Status.FAULT
    assert "READ" in error.value.transcript
    with pytest.raises(RefusedError, match="BAD_ADDRESS"):
        link.write(STATE, b"x")
    link.write(RAM, b"works")


def test_a_board_that_was_reset_is_noticed_and_must_be_identified(link: Link, device: Device) -> None:
    for order in ("silent", "reset"):
        link.identify()
        link.write(RAM, b"gone")
        device.tell(order)
        with pytest.raises(RebootedError):
            link.run(Job(RAM, 64, ()))
        with pytest.raises(RebootedError):
            link.write(RAM, b"x")
    link.identify()
    assert link.read(RAM, 4) == b"\0\0\0\0"


def test_a_reset_that_was_asked_for_is_no_error(link: Link, device: Device) -> None:
    link.write(RAM, b"gone")
    link.reset()
    assert link.identify().board == "this machine"
    assert link.read(RAM, 4) == b"\0\0\0\0"


def test_a_port_that_comes_back_under_another_name_is_found(program: Path) -> None:
    with (
        Device(program, "pty") as device,
        Link(open_channel(device.url, find=lambda: device.url)) as link,
    ):
        link.write(RAM, b"kept")
        old = device.url
        device.tell("port")
        assert link.read(RAM, 4) == b"kept"
        assert device.url != old
        assert link.statistics.reopened == 1


def test_a_port_that_stays_away_is_an_error(link: Link, device: Device) -> None:
    link.identify()
    device.stop()
    with pytest.raises(UnpluggedError) as error:
        link.read(RAM, 4)
    assert "the port is gone" in error.value.transcript


@pytest.mark.parametrize("url", ["/dev/no-such-port", "socket://127.0.0.1:1", "rfc2217://127.0.0.1:1"])
def test_a_port_that_does_not_open_is_a_typed_error(url: str) -> None:
    with pytest.raises(UnpluggedError):
        open_channel(url)


@pytest.mark.parametrize("url", ["spy:///dev/null?file=written", "loop://", "http://host"])
def test_other_urls_of_pyserial_are_refused(url: str) -> None:
    with pytest.raises(BadInputError):
        open_channel(url)


def test_values_that_cannot_be_are_refused_before_anything_is_sent(link: Link) -> None:
    for action in (
        lambda: link.read(2**32 - 1, 2),
        lambda: link.write(-1, b"x"),
        lambda: link.run(Job(RAM, 64, (1 << 64,))),
        lambda: link.run(Job(RAM, 64, (), limit_ms=0)),
        lambda: open_channel("/dev/null", baud=0),
    ):
        with pytest.raises(BadInputError):
            action()
    assert link.statistics.frames_sent == 0


@pytest.fixture
def pretender() -> Iterator[Callable[[Callable[[bytes], bytes]], str]]:
    """A pty at whose other end a function answers."""
    ends: list[int] = []
    threads: list[threading.Thread] = []

    def start(answer: Callable[[bytes], bytes]) -> str:
        front, back = os.openpty()
        tty.setraw(back)
        ends.extend((front, back))

        def serve() -> None:
            try:
                while data := os.read(front, 4096):
                    os.write(front, answer(data))
            except OSError:
                return

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        return os.ttyname(back)

    yield start
    for end in reversed(ends):
        os.close(end)
    for thread in threads:
        thread.join(5)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (lambda data: b"", SilentError),
        (lambda data: b"\xffU-Boot 2024.01\r\n", GarbageError),
        (lambda data: data, (SilentError, GarbageError)),  # a loop instead of a board
        (lambda data: b"\0" * len(data), GarbageError),
        (lambda data: b"x" * 5000, GarbageError),  # never the end of a frame
    ],
    ids=["silent", "console", "loop", "zeros", "endless"],
)
def test_what_is_no_board_of_ours_is_told(
    pretender: Callable[[Callable[[bytes], bytes]], str], answer: Callable[[bytes], bytes], kind: type[LinkError]
) -> None:
    with Link(open_channel(pretender(answer), 4_000_000), silence_s=1.5) as link:
        with pytest.raises(kind) as error:
            link.identify()
        assert "IDENTIFY" in error.value.transcript
        assert error.value.exit_code == 3


def test_a_line_that_takes_nothing_ends_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        channel = open_channel(f"socket://127.0.0.1:{server.getsockname()[1]}", 4_000_000)
        with Link(channel, silence_s=0.3, patience_s=0.5) as link, pytest.raises(SilentError):
            link.identify()


def test_a_port_that_is_looked_for_may_take_a_while_to_be_found_again(program: Path) -> None:
    """A search (by USB identity) reports in its own words that there is no port yet."""
    gone = 0.0

    def find() -> str:
        if time.monotonic() < gone:
            raise InfrastructureError("no such port")
        return device.url

    with Device(program, "pty") as device, Link(open_channel(device.url, find=find), reopen_s=60) as link:
        link.write(RAM, b"kept")
        gone = time.monotonic() + 0.5
        device.tell("port")
        assert link.read(RAM, 4) == b"kept"


@pytest.mark.parametrize(("number", "value"), [("regions", 254), ("largest_read", 0)])
def test_a_board_that_announces_what_cannot_be_is_garbage(number: str, value: int) -> None:
    numbers = dict.fromkeys(NUMBERS.offsets, 1) | {"protocol": PROTOCOL, "largest_frame": 1024, "largest_read": 1024}
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            client, reader = server.accept()[0], FrameReader(4096)
            with client:
                while data := client.recv(4096):
                    for body in filter(None, reader.take(data)):
                        asked = REQUEST.unpack(body[: REQUEST.size])
                        head = REPLY.pack(**asked | {"command": asked["command"] | REPLY_BIT, "status": Status.OK})
                        told = NUMBERS.pack(**numbers | {number: value}), b"name", b"name"
                        part = body[REQUEST.size]
                        region = REGION.pack(kind=1, flags=3, address=RAM, size=4096)
                        client.sendall(frame(head + (told[part] if part < 3 else region)))

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            url = f"socket://127.0.0.1:{server.getsockname()[1]}"
            with Link(open_channel(url)) as link, pytest.raises(GarbageError, match="the board announces"):
                link.identify()
        finally:
            thread.join()
