"""The numbers of the wire are the same on both sides, and its frames say when they are damaged."""

from __future__ import annotations

import random

import pytest

from hil.targets.link import Job, frames, wire
from hil.targets.link.header import header
from hil.targets.link.pace import SMALLEST_CHUNK, ChunkSize, Pace
from hil.targets.link.transcript import Transcript
from tests.support.link.device import PROTOCOL


def test_the_c_header_is_the_one_that_is_generated() -> None:
    assert (PROTOCOL / "hil_wire.h").read_text() == header()


def test_a_job_lies_in_its_payload_where_the_header_says() -> None:
    payload = Job(0x70000010, 64, tuple(range(1, 9)), events=(5, 6, 7, 8), limit_ms=1234).pack()
    at = wire.JOB.offsets
    assert len(payload) == wire.JOB.size
    assert payload[at["bases"] + 56 : at["bases"] + 64] == (8).to_bytes(8, "little")
    assert payload[at["limit_ms"] : at["limit_ms"] + 4] == (1234).to_bytes(4, "little")


@pytest.mark.parametrize("size", [1, 4, 253, 254, 255, 508, 509, 4096])
def test_a_frame_comes_out_however_it_is_cut_and_whatever_is_before(size: int) -> None:
    body = random.Random(size).randbytes(size - 1) + b"\0"
    wire_bytes = b"\x17noise" + frames.frame(body) + frames.frame(body)
    assert len(frames.frame(body)) <= frames.encoded_size(size + wire.CRC_BYTES)
    for step in (1, 7, len(wire_bytes)):
        reader = frames.FrameReader(frames.encoded_size(5000))
        pieces = [wire_bytes[start : start + step] for start in range(0, len(wire_bytes), step)]
        assert [found for piece in pieces for found in reader.take(piece)] == [None, body, body]


def test_no_damage_of_a_byte_passes() -> None:
    body = bytes(range(40))
    good = frames.frame(body)
    for index in range(len(good)):
        for bad in (good[:index] + good[index + 1 :], good[:index] + bytes([good[index] ^ 0x41]) + good[index + 1 :]):
            found = list(frames.FrameReader(1000).take(bad + b"\0"))
            assert [item for item in found if item is not None] in ([], [body])
            assert body not in found or index in (0, len(good) - 1)


def test_an_endless_frame_takes_no_memory_and_the_next_one_is_read() -> None:
    reader = frames.FrameReader(100)
    for _ in range(1000):
        assert list(reader.take(b"x" * 90)) == []
        assert len(reader._rest) <= 190
    assert list(reader.take(frames.frame(b"next"))) == [None, b"next"]


def test_chunks_grow_on_a_good_line_and_shrink_on_a_bad_one() -> None:
    chunk = ChunkSize(4000)
    for _ in range(10):
        chunk.survived(chunk.size)
    assert chunk.size == 4000
    for _ in range(4):
        chunk.lost(4000)  # four that were under way together count once
    assert chunk.size == 2000
    chunk.lost(10)
    assert chunk.size > 1900
    for _ in range(20):
        chunk.lost(chunk.size)
    assert chunk.size == SMALLEST_CHUNK


def test_time_limits_learn_and_back_off_within_bounds() -> None:
    pace = Pace()
    for _ in range(50):
        pace.answered(0.001)
    calm = pace.limit(0.0)
    assert calm < 0.05
    for _ in range(50):
        pace.missed()
    assert calm < pace.limit(0.0) < 20 * calm
    pace.answered(0.001)
    assert pace.limit(0.0) == pytest.approx(calm, rel=0.5)


def test_a_transcript_is_bounded() -> None:
    transcript = Transcript()
    for _ in range(1000):
        transcript.sent(bytes([wire.Command.WRITE, 1, 0, 0]) + bytes(60000))
    assert len(transcript.text) < 10_000
    assert "WRITE #1" in transcript.text
