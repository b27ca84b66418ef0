"""The C library, as a program that ends at undefined behaviour, against malformed and hostile requests."""

from __future__ import annotations

import random
import socket
import subprocess
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hil.targets.link import frames
from hil.targets.link.values import Job
from hil.targets.link.wire import BLOCKS_MAX, CHECK, JOB, RANGE, REPLY, REQUEST, Command, Status
from tests.support.link.device import FAULTY, HOLE, RAM, STATE, Device, build

SESSION = 77
RAM_BYTES = 1 << 16


class Raw:
    """Frames to the board and back, without a link's care."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._reader = frames.FrameReader(100_000)
        self._found: list[bytes] = []

    def send(self, command: int, sequence: int, payload: bytes = b"", session: int = SESSION) -> None:
        head = REQUEST.pack(command=command, sequence=sequence, session=session)
        self.socket.sendall(frames.frame(head + payload))

    def receive(self) -> tuple[int, int, int, bytes]:
        """Command, sequence, status and payload of the next reply."""
        while not self._found:
            data = self.socket.recv(65536)
            assert data, "the board is gone"
            self._found += [body for body in self._reader.take(data) if body is not None]
        body = self._found.pop(0)
        head = REPLY.unpack(body[: REPLY.size])
        return head["command"], head["sequence"], head["status"], body[REPLY.size :]

    def ask(self, command: int, sequence: int, payload: bytes = b"") -> tuple[int, bytes]:
        """Status and payload of the answer, which must be to this request."""
        self.send(command, sequence, payload)
        answered, number, status, answer = self.receive()
        assert (answered, number) == (command | 0x80, sequence)
        return status, answer


@contextmanager
def raw_board(program: Path, largest_frame: int = 1024) -> Iterator[tuple[Raw, Device]]:
    with Device(program, "tcp", ram_bytes=RAM_BYTES, largest_frame=largest_frame) as device:
        raw = Raw(device.tcp_port)
        with raw.socket:
            assert raw.ask(Command.IDENTIFY, 1, b"\0")[0] == Status.OK
            yield raw, device


@pytest.fixture
def board(program: Path) -> Iterator[tuple[Raw, Device]]:
    """An identified board with 64 KB of RAM, and a connection to it."""
    with raw_board(program) as both:
        yield both


def write(address: int, data: bytes) -> bytes:
    return address.to_bytes(4, "little") + data


@pytest.mark.parametrize(
    ("address", "size", "status"),
    [
        (RAM, 16, Status.OK),
        (RAM + RAM_BYTES - 16, 16, Status.OK),
        (RAM + RAM_BYTES - 15, 16, Status.BAD_ADDRESS),
        (RAM - 1, 16, Status.BAD_ADDRESS),
        (RAM + RAM_BYTES, 16, Status.BAD_ADDRESS),
        (0, 16, Status.BAD_ADDRESS),
        (RAM, 0, Status.BAD_ADDRESS),
        (0xFFFFFFF0, 16, Status.OK),  # the last bytes there are
        (0xFFFFFFF1, 16, Status.BAD_ADDRESS),  # round the end of the address space
        (STATE, 65, Status.BAD_ADDRESS),  # longer than its region, into the next one
        (RAM, 0xFFFFFFFF, Status.BAD_VALUE),
        (RAM, 1025, Status.BAD_VALUE),  # more than the board's buffer
        (FAULTY - 8, 16, Status.FAULT),
    ],
)
def test_a_read_stays_within_its_region(board: tuple[Raw, Device], address: int, size: int, status: Status) -> None:
    got, data = board[0].ask(Command.READ, 2, RANGE.pack(address=address, size=size))
    assert got == status
    assert len(data) == {Status.OK: 16, Status.FAULT: 12}.get(status, 0)


@pytest.mark.parametrize(
    ("address", "size", "status"),
    [
        (RAM + RAM_BYTES - 4, 4, Status.OK),
        (RAM + RAM_BYTES - 3, 4, Status.BAD_ADDRESS),
        (RAM - 4, 8, Status.BAD_ADDRESS),
        (0xFFFFFFFE, 4, Status.BAD_ADDRESS),
        (STATE, 4, Status.BAD_ADDRESS),  # not writable
        (FAULTY, 4, Status.FAULT),
        (RAM, 0, Status.BAD_LENGTH),
    ],
)
def test_a_write_stays_within_its_region(board: tuple[Raw, Device], address: int, size: int, status: Status) -> None:
    raw, device = board
    before = device.ram[:]
    assert raw.ask(Command.WRITE, 2, write(address, b"\x5a" * size))[0] == status
    changed = [index for index in range(RAM_BYTES) if device.ram[index] != before[index]]
    assert changed == (list(range(RAM_BYTES - 4, RAM_BYTES)) if status == Status.OK else [])


@pytest.mark.parametrize("command", [*sorted(set(Command) - {Command.WRITE, Command.RESET}), 99, 127])
@pytest.mark.parametrize("size", [0, 1, 3, 7, 9, 15, 17, 111, 113, 500])
def test_a_payload_of_a_wrong_length_is_refused(program: Path, command: int, size: int) -> None:
    with raw_board(program) as (raw, _):
        status, _ = raw.ask(command, 2, bytes([200]) * size)
        assert status in (Status.BAD_LENGTH, Status.UNSUPPORTED, Status.BAD_VALUE)
        assert status != Status.BAD_VALUE or (command in (Command.IDENTIFY, Command.DESCRIBE) and size == 1)


def test_crcs_of_blocks_are_zlibs_and_bounded(board: tuple[Raw, Device]) -> None:
    raw, device = board
    device.ram[:] = random.Random(1).randbytes(RAM_BYTES)
    status, data = raw.ask(Command.CRC, 2, CHECK.pack(address=RAM + 1, size=1000, block=300, start=5))
    blocks = [device.ram[1 + start : 1 + min(start + 300, 1000)] for start in range(0, 1000, 300)]
    assert (status, data) == (Status.OK, b"".join(zlib.crc32(block, 5).to_bytes(4, "little") for block in blocks))
    for size, block in ((BLOCKS_MAX + 1, 1), (1 << 30, 1 << 30), (16, 0)):
        assert raw.ask(Command.CRC, 3, CHECK.pack(address=RAM, size=size, block=block, start=0))[0] == Status.BAD_VALUE
    assert raw.ask(Command.CRC, 4, CHECK.pack(address=HOLE, size=64, block=16, start=0))[0] == Status.FAULT
    assert raw.ask(Command.CRC, 5, CHECK.pack(address=RAM, size=0, block=16, start=0))[0] == Status.BAD_ADDRESS


def test_a_frame_that_is_too_long_is_dropped_and_the_next_one_answered(board: tuple[Raw, Device]) -> None:
    raw, device = board
    largest = 1024 - REQUEST.size - 4 - 4
    assert raw.ask(Command.WRITE, 2, write(RAM, b"a" * largest))[0] == Status.OK
    raw.send(Command.WRITE, 3, write(RAM, b"b" * (largest + 1)))
    raw.send(Command.WRITE, 3, write(RAM, b"c" * 100_000))
    assert raw.ask(Command.READ, 4, RANGE.pack(address=RAM, size=1))[1] == b"a"
    assert device.ram[:largest] == b"a" * largest


def test_a_job_that_comes_again_is_answered_again_and_not_run_again(board: tuple[Raw, Device]) -> None:
    raw, _ = board
    job = Job(RAM, 64, ()).pack()
    raw.send(Command.RUN, 2, job)
    assert raw.receive()[2] == Status.ACCEPTED
    first = raw.receive()
    for number in range(3, 10):
        assert raw.ask(Command.WRITE, number, write(RAM + 100, b"x"))[0] == Status.OK
    raw.send(Command.RUN, 2, job)
    assert raw.receive() == first
    assert raw.ask(Command.READ, 10, RANGE.pack(address=STATE, size=4))[1] == b"\1\0\0\0"
    raw.send(Command.RUN, 11, job)  # another number is another job
    assert [raw.receive()[2] for _ in range(2)] == [Status.ACCEPTED, Status.OK]
    assert raw.ask(Command.READ, 12, RANGE.pack(address=STATE, size=4))[1] == b"\2\0\0\0"


def test_the_same_job_is_run_again_when_its_number_has_come_round(board: tuple[Raw, Device]) -> None:
    """255 requests later, most of them reads: the answer of the first run would be that of another sample."""
    raw, _ = board
    job = Job(RAM, 64, ()).pack()
    for _ in range(2):
        raw.send(Command.RUN, 2, job)
        assert [raw.receive()[2] for _ in range(2)] == [Status.ACCEPTED, Status.OK]
        for number in (*range(3, 256), 1):
            status, runs = raw.ask(Command.READ, number, RANGE.pack(address=STATE, size=4))
            assert status == Status.OK
    assert runs == b"\2\0\0\0"


@pytest.mark.parametrize(
    ("at", "value", "status"),
    [
        ("limit_ms", 0, Status.BAD_VALUE),
        ("limit_ms", 600_001, Status.BAD_VALUE),
        ("flags", 1, Status.BAD_VALUE),
        ("stream_address", RAM + RAM_BYTES - 63, Status.BAD_ADDRESS),
        ("stream_bytes", 0, Status.BAD_ADDRESS),
        ("stream_address", HOLE, Status.BAD_ADDRESS),  # the NPU does not see it
    ],
)
def test_a_job_that_cannot_be_is_refused_before_it_begins(
    board: tuple[Raw, Device], at: str, value: int, status: Status
) -> None:
    job = bytearray(Job(RAM, 64, ()).pack())
    job[JOB.offsets[at] : JOB.offsets[at] + 4] = value.to_bytes(4, "little")
    assert board[0].ask(Command.RUN, 2, bytes(job))[0] == status


def test_requests_of_another_session_are_not_executed(board: tuple[Raw, Device]) -> None:
    raw, device = board
    raw.send(Command.WRITE, 2, write(RAM, b"old"), session=SESSION - 1)
    assert raw.receive()[2] == Status.NO_SESSION
    device.tell("silent")
    assert raw.ask(Command.WRITE, 3, write(RAM, b"new"))[0] == Status.NO_SESSION
    assert device.ram[:3] == b"\0\0\0"


def test_replies_that_are_echoed_and_numbers_that_are_reserved_get_no_answer(board: tuple[Raw, Device]) -> None:
    raw, _ = board
    raw.send(Command.WRITE | 0x80, 2, write(RAM, b"x"))
    raw.send(Command.WRITE, 0, write(RAM, b"x"))
    raw.send(Command.IDENTIFY, 3, b"\0", session=0)
    assert raw.ask(Command.READ, 4, RANGE.pack(address=RAM, size=1)) == (Status.OK, b"\0")


def test_random_bytes_change_nothing(board: tuple[Raw, Device]) -> None:
    raw, device = board
    chance = random.Random(3)
    good = frames.frame(REQUEST.pack(command=Command.WRITE, sequence=9, session=SESSION) + write(RAM, b"evil" * 20))
    for _ in range(300):
        spoilt = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            spoilt[chance.randrange(2, len(spoilt) - 1)] ^= chance.randrange(1, 256)
        noise = chance.randbytes(chance.randint(0, 3000))
        raw.socket.sendall((bytes(spoilt) if bytes(spoilt) != good else b"") + noise)
    assert raw.ask(Command.READ, 10, RANGE.pack(address=RAM, size=4)) == (Status.OK, b"\0\0\0\0")
    assert not any(device.ram[:])


def test_a_board_that_cannot_work_is_not_started(tmp_path: Path) -> None:
    """`hil_link_start` refuses configurations that would let it overrun, and touches nothing."""
    source = tmp_path / "refuses.c"
    source.write_text(
        """
        #include "hil_link.h"
        static size_t receive(void *c, uint8_t *b, size_t n) { (void)c; (void)b; return 0 * n; }
        static bool send(void *c, const uint8_t *b, size_t n) { (void)c; (void)b; (void)n; return false; }
        static bool get(void *c, uint32_t a, uint8_t *b, uint32_t n, hil_fault *f) {
            (void)c; (void)a; (void)b; (void)n; (void)f; return false; }
        static bool put(void *c, uint32_t a, const uint8_t *b, uint32_t n, hil_fault *f) {
            (void)c; (void)a; (void)b; (void)n; (void)f; return false; }
        int main(void) {
            static uint8_t memory[HIL_SMALLEST_FRAME];
            static hil_link link;
            hil_board good = {.firmware = "f", .board = "b", .window = 1,
                              .receive = receive, .send = send, .read = get, .write = put};
            hil_board none = good, wide = good, deaf = good, lost = good;
            none.window = 0; wide.window = HIL_WINDOW_MAX + 1; deaf.receive = NULL; lost.region_count = 1;
            if (hil_link_start(&link, &good, memory, sizeof memory - 1)) return 1;
            if (hil_link_start(&link, &none, memory, sizeof memory)) return 2;
            if (hil_link_start(&link, &wide, memory, sizeof memory)) return 3;
            if (hil_link_start(&link, &deaf, memory, sizeof memory)) return 4;
            if (hil_link_start(&link, &lost, memory, sizeof memory)) return 5;
            if (link.board) return 6;
            return hil_link_start(&link, &good, memory, sizeof memory) && !hil_link_poll(&link) ? 0 : 7;
        }
        """
    )
    assert subprocess.run([build(tmp_path, source, checked=True)]).returncode == 0
