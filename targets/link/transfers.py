"""Pieces of work for an exchange: one request, reads and CRCs and writes of ranges in chunks that fit the channel."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from hil.targets.link.exchange import Request
from hil.targets.link.pace import ChunkSize
from hil.targets.link.wire import CHECK, CRC_BYTES, CRC_RANGE_MAX, RANGE, Command

Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all)."""

CRC_BYTE_S = 2e-6
"""Seconds that a slow board may take for the CRC of a byte: some 50 cycles of 25 MHz."""
CRC_BLOCK = 512
"""Bytes of a block that is sent, or found to be there already, as a whole."""


class One:
    """A request that is repeated as it is; `answer` is its answer's payload."""

    def __init__(self, request: Request) -> None:
        self._request: Request | None = request
        self.answer = b""

    def next(self) -> Request | None:
        """The request, once."""
        request, self._request = self._request, None
        return request

    def done(self, request: Request, payload: bytes) -> None:
        """Keeps the answer."""
        self.answer = payload

    def lost(self, request: Request) -> bool:
        """The same again."""
        return False


class _Chunks:
    """Ranges `(start, size)` of a whole, cut as `chunk` says when their turn comes, cut again when they are lost."""

    def __init__(self, ranges: Sequence[tuple[int, int]], chunk: ChunkSize, unit: int = 1) -> None:
        self._todo = deque(ranges)
        self._chunk = chunk
        self._unit = unit  # bytes of the whole that cost one byte of a frame
        self._under_way: dict[int, tuple[int, int]] = {}

    def cut(self, most: int) -> tuple[int, int] | None:
        """The next range, of `most` bytes at most, whose request is then to be given to `track`."""
        if not self._todo:
            return None
        start, size = self._todo.popleft()
        here = min(size, most)
        if here < size:
            self._todo.appendleft((start + here, size - here))
        return start, here

    def track(self, request: Request, piece: tuple[int, int]) -> Request:
        self._under_way[id(request)] = piece
        return request

    def finish(self, request: Request) -> tuple[int, int]:
        """The range of a request that was answered."""
        start, size = self._under_way.pop(id(request))
        self._chunk.survived(size // self._unit)
        return start, size

    def lost(self, request: Request) -> bool:
        """Takes the range back if it can be cut smaller now."""
        size = self._under_way[id(request)][1]
        self._chunk.lost(size // self._unit)
        if size // self._unit <= self._chunk.size:
            return False
        self._todo.appendleft(self._under_way.pop(id(request)))
        return True


class Read:
    """`data` is filled with the board's memory from `address` on."""

    def __init__(self, address: int, size: int, chunk: ChunkSize) -> None:
        self._address = address
        self._chunk = chunk
        self._chunks = _Chunks([(0, size)], chunk)
        self.data = bytearray(size)

    def next(self) -> Request | None:
        """The next chunk's request."""
        if (piece := self._chunks.cut(self._chunk.size)) is None:
            return None
        start, size = piece
        payload = RANGE.pack(address=self._address + start, size=size)
        return self._chunks.track(Request(Command.READ, payload, answer_bytes=size), piece)

    def done(self, request: Request, payload: bytes) -> None:
        """Stores a chunk."""
        start, size = self._chunks.finish(request)
        if len(payload) != size:
            raise ValueError(f"the board gives {len(payload)} bytes where {size} were asked for")
        self.data[start : start + size] = payload

    def lost(self, request: Request) -> bool:
        """Smaller chunks, if that helps."""
        return self._chunks.lost(request)


class CrcCheck:
    """`crcs` are the CRCs of the board's memory, one each block of `CRC_BLOCK` bytes (the last may be shorter)."""

    def __init__(self, address: int, size: int, chunk: ChunkSize, most_blocks: int) -> None:
        self._address = address
        self._chunk = chunk
        self._most = min(most_blocks * CRC_BLOCK, CRC_RANGE_MAX)
        self._chunks = _Chunks([(0, size)], chunk, CRC_BLOCK // CRC_BYTES)
        self.crcs = [0] * _blocks(size)

    def next(self) -> Request | None:
        """The next blocks' request: as many as their CRCs fit into a chunk."""
        blocks = max(1, self._chunk.size // CRC_BYTES)
        if (piece := self._chunks.cut(min(self._most, blocks * CRC_BLOCK))) is None:
            return None
        start, size = piece
        payload = CHECK.pack(address=self._address + start, size=size, block=CRC_BLOCK, start=0)
        request = Request(Command.CRC, payload, CRC_BYTES * _blocks(size), work_s=size * CRC_BYTE_S)
        return self._chunks.track(request, piece)

    def done(self, request: Request, payload: bytes) -> None:
        """Stores the CRCs."""
        start, size = self._chunks.finish(request)
        if len(payload) != CRC_BYTES * _blocks(size):
            raise ValueError(f"the board gives {len(payload)} bytes for the CRCs of {_blocks(size)} blocks")
        first = start // CRC_BLOCK
        for index in range(_blocks(size)):
            piece = payload[CRC_BYTES * index : CRC_BYTES * (index + 1)]
            self.crcs[first + index] = int.from_bytes(piece, "little")

    def lost(self, request: Request) -> bool:
        """Fewer blocks, if that helps."""
        return self._chunks.lost(request)


class Write:
    """Sends `ranges` of `data` to the board's memory from `address` on; `before` bytes are there already."""

    def __init__(
        self,
        address: int,
        data: bytes,
        ranges: Sequence[tuple[int, int]],
        chunk: ChunkSize,
        progress: Progress | None,
    ) -> None:
        self._address = address
        self._data = data
        self._chunk = chunk
        self._chunks = _Chunks(ranges, chunk)
        self._progress = progress
        self._there = len(data) - sum(size for _, size in ranges)

    def next(self) -> Request | None:
        """The next chunk's request."""
        if (piece := self._chunks.cut(self._chunk.size)) is None:
            return None
        start, size = piece
        payload = (self._address + start).to_bytes(4, "little") + self._data[start : start + size]
        return self._chunks.track(Request(Command.WRITE, payload), piece)

    def done(self, request: Request, payload: bytes) -> None:
        """Counts a chunk."""
        self._there += self._chunks.finish(request)[1]
        if self._progress is not None:
            self._progress(self._there, len(self._data))

    def lost(self, request: Request) -> bool:
        """Smaller chunks, if that helps."""
        return self._chunks.lost(request)


def _blocks(size: int) -> int:
    return -(-size // CRC_BLOCK)
