"""The link: a board's commands as methods, whatever the channel does to the bytes.

Every method ends in bounded time, with the right result or a `LinkError`.  The first one identifies the board if
`identify` was not called.  After a `RebootedError` the board must be identified again: what was in its memory is lost.

A write asks for the CRCs of what is there in blocks, sends the blocks that differ, and asks again: an upload that was
cut off, even by another process, goes on where it was.
"""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections.abc import Callable
from typing import TypeVar

from hil.core.errors import BadInputError, GarbageError, LinkError, RebootedError
from hil.targets.link import frames, wire
from hil.targets.link.channel import Channel
from hil.targets.link.exchange import Exchange, LinkWork, Request, Statistics
from hil.targets.link.pace import SMALLEST_CHUNK, ChunkSize
from hil.targets.link.transfers import CRC_BLOCK, CRC_BYTE_S, CrcCheck, One, Progress, Read, Write
from hil.targets.link.values import Buffer, Identity, Image, Job, JobResult, Region, text
from hil.targets.link.wire import Command, Feature, Part

LARGEST_FRAME = 65536
"""Bytes of a body that this side ever sends or takes, whatever a board announces."""
CHUNK_S = 0.5
"""A frame takes the line for no longer."""

_ROUNDS = 4
_JOB_MARGIN_S = 5.0
_IMAGE_S = 2.0
"""Time that a board may take for the CRC of what it runs: some MB of a linked-in model on a slow CPU."""

_Value = TypeVar("_Value")


class Link:
    """A board at the other end of `channel`.

    `silence_s` without any frame is a `SilentError` or `GarbageError`; a port that is gone may come back for
    `reopen_s`; an operation may take `patience_s` and `slowness` times what its bytes take at the baud rate.
    """

    def __init__(
        self,
        channel: Channel,
        *,
        silence_s: float = 5.0,
        reopen_s: float = 5.0,
        patience_s: float = 30.0,
        slowness: float = 20.0,
    ) -> None:
        self._channel = channel
        self._exchange = Exchange(channel, silence_s, reopen_s)
        self._patience_s = patience_s
        self._slowness = slowness
        self._identity: Identity | None = None
        self._rebooted = False
        self._writes = ChunkSize(SMALLEST_CHUNK)
        self._reads = ChunkSize(SMALLEST_CHUNK)

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()

    @property
    def transcript(self) -> str:
        """The last frames and events, one a line."""
        return self._exchange.transcript.text

    @property
    def statistics(self) -> Statistics:
        """The transcript of the wire since the link was opened."""
        return self._exchange.statistics

    def identify(self) -> Identity:
        """Reads the board's identity and begins a session, by which a reset of the board shows afterwards."""
        self._exchange.begin_session()
        numbers = self._parsed(wire.NUMBERS.unpack, self._part(Part.NUMBERS))
        if numbers["protocol"] != wire.PROTOCOL:
            message = f"{self._channel.name}: the board speaks version {numbers['protocol']} of the protocol"
            raise self._garbage(f"{message}, not {wire.PROTOCOL}", hint="flash this version's firmware")
        smallest = min(numbers["largest_frame"], numbers["largest_read"])
        if smallest < wire.SMALLEST_FRAME or not 1 <= numbers["window"] <= wire.WINDOW_MAX:
            raise self._garbage(f"{self._channel.name}: the board announces buffers that cannot be")
        if numbers["regions"] > wire.REGIONS_MAX:
            raise self._garbage(f"{self._channel.name}: the board announces more regions than can be asked for")
        count, features = numbers.pop("regions"), Feature(numbers["features"])
        identity = Identity(
            **{**numbers, "features": features},
            firmware=text(self._part(Part.FIRMWARE)),
            board=text(self._part(Part.BOARD)),
            regions=tuple(self._parsed(Region.parse, self._part(Part.REGION + index)) for index in range(count)),
            serial=text(self._part(Part.SERIAL)) if Feature.SERIAL in features else "",
            image=self._image() if Feature.IMAGE in features else None,
        )
        self._negotiate(identity)
        return identity

    def write(self, address: int, data: bytes, progress: Progress | None = None) -> None:
        """Puts `data` into the board's memory; what is there already is not sent, and `progress` counts it as done."""
        self._check_range(address, len(data))
        identity = self._ready()
        if not data:
            return
        limit_s = self._limit(len(data))
        if len(data) <= CRC_BLOCK:
            self._perform(Write(address, data, [(0, len(data))], self._writes, progress), limit_s)
            return
        for _ in range(_ROUNDS):
            missing = self._missing(identity, address, data)
            there = len(data) - sum(size for _, size in missing)
            if progress is not None:
                progress(there, len(data))
            if not missing:
                return
            self._perform(Write(address, data, missing, self._writes, progress), limit_s)
        message = f"{self._channel.name}: memory at {address:#010x} does not keep what is written"
        raise LinkError(message, hint="is it RAM, and free?", transcript=self.transcript)

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes of the board's memory."""
        self._check_range(address, size)
        self._ready()
        if size == 0:
            return b""
        work = Read(address, size, self._reads)
        self._perform(work, self._limit(size))
        return bytes(work.data)

    def crc(self, address: int, size: int) -> int:
        """CRC-32, as zlib's, of `size` bytes of the board's memory."""
        self._check_range(address, size)
        self._ready()
        crc = 0
        for start in range(0, size, wire.CRC_RANGE_MAX):
            here = min(size - start, wire.CRC_RANGE_MAX)
            payload = wire.CHECK.pack(address=address + start, size=here, block=here, start=crc)
            answer = self._ask(Request(Command.CRC, payload, wire.CRC_BYTES, work_s=here * CRC_BYTE_S))
            (crc,) = self._parsed(struct.Struct("<I").unpack, answer)
        return crc

    def run(self, job: Job) -> JobResult:
        """Runs a command stream; how it ended is in the result's `outcome`.

        Raises `BadInputError` for values that no register holds, `RefusedError` with NO_NPU, BAD_ADDRESS or BAD_VALUE.
        """
        try:
            payload = job.pack()
        except struct.error as error:
            raise BadInputError(f"no such job: {error}") from None
        return self._job(Command.RUN, payload, job.limit_ms)

    def buffers(self) -> tuple[Buffer, ...]:
        """Inputs and outputs of the model that is linked into the firmware; none if it is a monitor."""
        return tuple(self._buffer(index) for index in range(self._ready().buffers))

    def _buffer(self, index: int) -> Buffer:
        answer = self._ask(Request(Command.DESCRIBE, bytes([index]), wire.BUFFER.size + wire.TEXT_BYTES))
        return self._parsed(Buffer.parse, answer)

    def run_model(self, limit_ms: int = 10_000) -> JobResult:
        """Runs the model that is linked into the firmware, on its `buffers`."""
        return self._job(Command.MODEL, wire.MODEL_JOB.pack(limit_ms=limit_ms, flags=0), limit_ms)

    def reset(self) -> None:
        """Resets the board; it must then be identified anew."""
        self._ready()
        with contextlib.suppress(RebootedError):  # the answer was lost, the reset was not
            self._ask(Request(Command.RESET))
        self._identity, self._rebooted = None, False

    def _job(self, command: Command, payload: bytes, limit_ms: int) -> JobResult:
        if not 0 < limit_ms <= wire.JOB_LIMIT_MS_MAX:
            raise BadInputError(f"a time limit of {limit_ms} ms", hint=f"1 to {wire.JOB_LIMIT_MS_MAX}")
        features = self._ready().features
        work_s = limit_ms / 1000 + _JOB_MARGIN_S
        work = One(Request(command, payload, wire.RESULT.size + wire.OVERFLOW.size, work_s=work_s, job=True))
        self._perform(work, self._limit(0) + work_s)
        return self._parsed(lambda answer: JobResult.parse(answer, features), work.answer)

    def _missing(self, identity: Identity, address: int, data: bytes) -> list[tuple[int, int]]:
        """Ranges of `data` that are not on the board, in whole blocks."""
        most_blocks = min(wire.BLOCKS_MAX, identity.largest_read // wire.CRC_BYTES)
        check = CrcCheck(address, len(data), self._reads, most_blocks)
        self._perform(check, self._limit(len(data)))
        ranges: list[tuple[int, int]] = []
        for index, crc in enumerate(check.crcs):
            start = index * CRC_BLOCK
            block = data[start : start + CRC_BLOCK]
            if zlib.crc32(block) == crc:
                continue
            if ranges and sum(ranges[-1]) == start:
                ranges[-1] = (ranges[-1][0], ranges[-1][1] + len(block))
            else:
                ranges.append((start, len(block)))
        return ranges

    def _negotiate(self, identity: Identity) -> None:
        most = frames.largest_body(int(CHUNK_S * self._channel.baud / 10)) - frames.OVERHEAD
        body = min(identity.largest_frame, LARGEST_FRAME) - frames.OVERHEAD
        self._writes = ChunkSize(max(frames.OVERHEAD, min(most, body - 4)))
        self._reads = ChunkSize(max(frames.OVERHEAD, min(most, identity.largest_read, LARGEST_FRAME)))
        self._exchange.reader.room = frames.encoded_size(LARGEST_FRAME + frames.REPLY_OVERHEAD)
        self._exchange.window = identity.window
        self._identity, self._rebooted = identity, False

    def _ready(self) -> Identity:
        if self._rebooted:
            message = f"{self._channel.name}: the board was reset and is not identified since"
            raise RebootedError(message, transcript=self.transcript)
        return self._identity if self._identity is not None else self.identify()

    def _image(self) -> Image:
        return Image(**self._parsed(wire.IMAGE.unpack, self._part(Part.IMAGE, work_s=_IMAGE_S)))

    def _part(self, part: int, work_s: float = 0.0) -> bytes:
        return self._ask(Request(Command.IDENTIFY, bytes([part]), wire.NUMBERS.size, work_s=work_s))

    def _ask(self, request: Request) -> bytes:
        work = One(request)
        self._perform(work, self._limit(len(request.payload) + request.answer_bytes) + request.work_s)
        return work.answer

    def _perform(self, work: LinkWork, limit_s: float) -> None:
        try:
            self._exchange.perform(work, limit_s)
        except RebootedError:
            self._rebooted = True
            raise
        except ValueError as error:
            raise self._garbage(f"{self._channel.name}: {error}") from None

    def _limit(self, size: int) -> float:
        return self._patience_s + self._slowness * size * 10 / self._channel.baud

    def _parsed(self, parse: Callable[[bytes], _Value], payload: bytes) -> _Value:
        try:
            return parse(payload)
        except (struct.error, ValueError) as error:
            raise self._garbage(f"{self._channel.name}: the board's answer makes no sense: {error}") from None

    def _garbage(self, message: str, hint: str = "") -> GarbageError:
        return GarbageError(message, hint=hint, transcript=self.transcript)

    def _check_range(self, address: int, size: int) -> None:
        if not 0 <= address <= address + size <= 2**32:
            raise BadInputError(f"{size} bytes at {address:#x} are not within 32 bits of address")
