"""The wire between host and board: every number of it, once.

    python -m hil.targets.link.header > targets/firmware/protocol/hil_wire.h      # the same for C

A frame is `0x00 COBS(body) 0x00`; body = header, payload, CRC-32 of both (zlib's).  All integers are little endian.

=========  =================================================
request    command u8, sequence u8 (1..255), session u16
reply      command | 0x80, sequence u8, session u16, status u8
=========  =================================================

The session is a random number that IDENTIFY brings: a board that was reset in the meantime holds another one (0) and
answers NO_SESSION.  A frame that is damaged gets no answer: the host's timer sends it again.  A repeated request
(same sequence and CRC as one of the last WINDOW_MAX that were executed) gets the stored reply and is not executed
again. Sequence 0 with command HELLO is what a board sends by itself when it starts.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any

PROTOCOL = 1
"""Version of all this; the host refuses a board of another one."""

REPLY_BIT = 0x80
DELIMITER = 0x00
CRC_BYTES = 4
SMALLEST_FRAME = 256
"""Body bytes, from command to CRC, that every board takes."""
TEXT_BYTES = 40
"""Longest firmware, board, region or buffer name."""
WINDOW_MAX = 8
"""Most unanswered requests a board may announce; it stores the replies of so many."""
REGIONS_MAX = 251
"""Most regions: their parts of the identity lie between the others."""
KEPT_BYTES = 64
"""Longest reply body, without CRC, that is stored: all of commands that change something."""
BLOCKS_MAX = 128
"""Most CRCs in one answer."""
CRC_RANGE_MAX = 65536
"""Most bytes that one CRC request covers, so that its time is limited."""
JOB_LIMIT_MS_MAX = 600_000
"""Longest time limit of a job; 0 is none, and refused."""
BASES = 8
AXI_LIMITS = 4
EVENTS = 4


class Command(IntEnum):
    """Commands of the host; HELLO is the board's own."""

    HELLO = 0  # only as 0x80, sequence 0, session 0: the board has started
    IDENTIFY = 1  # part u8 -> that part of the identity; the request's session becomes the board's
    WRITE = 2  # address u32, data
    READ = 3  # address u32, size u32 -> data
    CRC = 4  # address u32, size u32, block u32, start u32 -> CRC-32 of each block, each going on from start
    RUN = 5  # JOB -> ACCEPTED, then RESULT
    RESET = 6  # answered first
    DESCRIBE = 7  # index u8 -> BUFFER and its name: inputs and outputs of a linked-in model
    MODEL = 8  # limit_ms u32, flags u32 -> ACCEPTED, then RESULT


class Status(IntEnum):
    """The first byte of a reply's payload."""

    OK = 0
    ACCEPTED = 1  # the job has begun; its RESULT follows under the same sequence
    NO_SESSION = 2  # this board holds another session: it was reset, or is another board
    BAD_LENGTH = 3
    BAD_ADDRESS = 4  # not within one announced region, or not writable
    BAD_VALUE = 5
    UNSUPPORTED = 6
    NO_NPU = 7
    FAULT = 8  # a bus fault, survived; the payload is a FAULT
    BUSY = 9


class Outcome(IntEnum):
    """Outcome of a job."""

    DONE = 0
    TIME_LIMIT = 1
    NPU_BUS_FAULT = 2
    NPU_PARSE_ERROR = 3
    NPU_OTHER_FAULT = 4  # watchdog, ECC, a branch that failed: see the NPU's STATUS
    NPU_STUCK = 5  # did not come out of its reset
    CPU_FAULT = 6  # a fault of the CPU, survived
    MODEL_FAILED = 7  # the application's own code, in npu_status


class Part(IntEnum):
    """Parts of the identity; regions follow from REGION on, one each.  Short, for a bad cable carries short frames."""

    NUMBERS = 0
    FIRMWARE = 1
    BOARD = 2
    REGION = 3
    IMAGE = 254  # IMAGE, with Feature.IMAGE
    SERIAL = 255  # a text, with Feature.SERIAL


class Feature(IntFlag):
    """Commands, and parts of the identity or of results, that not every board offers."""

    RUN = 1
    RESET = 2
    MODEL = 4
    SERIAL = 8
    IMAGE = 16
    OVERFLOW = 32  # a RESULT is followed by OVERFLOW


class RegionKind(IntEnum):
    """Kind of memory of a region."""

    CODE = 0
    SRAM = 1
    DRAM = 2
    FLASH = 3


class RegionFlag(IntFlag):
    """Permitted uses of a region."""

    WRITABLE = 1
    NPU_VISIBLE = 2


class Direction(IntEnum):
    """The side that fills a buffer of a linked-in model."""

    INPUT = 0
    OUTPUT = 1


class Element(IntEnum):
    """Element types of a linked-in model's buffers."""

    INT8 = 0
    UINT8 = 1
    INT16 = 2
    INT32 = 3
    FLOAT32 = 4


@dataclass(frozen=True)
class Field:
    """A number, or `count` of them, of `struct` format B, H, I or Q."""

    name: str
    format: str
    count: int = 1


class Payload:
    """Fields without gaps, as they lie in a payload; the C side reads them by their `offsets`."""

    def __init__(self, name: str, *fields: Field) -> None:
        self.name = name
        self.fields = fields
        self._struct = struct.Struct("<" + "".join(f"{field.count}{field.format}" for field in fields))
        self.size = self._struct.size
        sizes = [field.count * struct.calcsize("<" + field.format) for field in fields]
        self.offsets = {field.name: sum(sizes[:index]) for index, field in enumerate(fields)}

    def pack(self, **values: Any) -> bytes:
        """The bytes of one value, or one sequence, a field.  Raises `struct.error` for what does not fit."""
        flat: list[int] = []
        for field in self.fields:
            value = values.pop(field.name)
            flat += [value] if field.count == 1 else list(value)
        assert not values, f"{self.name} has no {', '.join(values)}"
        return self._struct.pack(*flat)

    def unpack(self, data: bytes) -> dict[str, Any]:
        """The fields of `size` bytes.  Raises `struct.error` if there are more or fewer."""
        flat = iter(self._struct.unpack(data))
        return {
            field.name: next(flat) if field.count == 1 else tuple(next(flat) for _ in range(field.count))
            for field in self.fields
        }


REQUEST = Payload("REQUEST", Field("command", "B"), Field("sequence", "B"), Field("session", "H"))
REPLY = Payload("REPLY", *REQUEST.fields, Field("status", "B"))
RANGE = Payload("RANGE", Field("address", "I"), Field("size", "I"))
CHECK = Payload("CHECK", *RANGE.fields, Field("block", "I"), Field("start", "I"))
NUMBERS = Payload(
    "NUMBERS",
    Field("protocol", "B"),
    Field("window", "B"),
    Field("regions", "B"),
    Field("features", "B"),
    Field("buffers", "B"),  # of a linked-in model
    Field("largest_frame", "I"),  # body bytes, from command to CRC
    Field("largest_read", "I"),  # bytes
    Field("cpu_hz", "I"),
    Field("npu_hz", "I"),  # 0 = no NPU
    Field("timer_hz", "I"),
    Field("npu_id", "I"),  # registers as read; 0 = no NPU
    Field("npu_config", "I"),
)
IMAGE = Payload("IMAGE", *RANGE.fields, Field("crc", "I"))  # CRC-32 of the code and constants that run
REGION = Payload("REGION", Field("kind", "B"), Field("flags", "B"), *RANGE.fields)
BUFFER = Payload("BUFFER", Field("direction", "B"), Field("element", "B"), *RANGE.fields)
JOB = Payload(
    "JOB",
    Field("stream_address", "I"),
    Field("stream_bytes", "I"),
    Field("bases", "Q", BASES),
    Field("region_config", "I"),
    Field("qconfig", "I"),
    Field("axi_limits", "I", AXI_LIMITS),
    Field("events", "H", EVENTS),
    Field("limit_ms", "I"),
    Field("flags", "I"),  # none yet; anything but 0 is BAD_VALUE
)
MODEL_JOB = Payload("MODEL_JOB", Field("limit_ms", "I"), Field("flags", "I"))
FAULT = Payload("FAULT", Field("address", "I"), Field("status", "I"), Field("pc", "I"))
RESULT = Payload(
    "RESULT",
    Field("outcome", "B"),
    Field("npu_status", "I"),
    Field("qread", "I"),
    Field("cycles", "Q"),  # PMCCNTR
    Field("events", "I", EVENTS),
    Field("ticks", "Q"),  # of the board's timer, round the run
    Field("fault_address", "I"),  # with CPU_FAULT: its address, status (CFSR) and the instruction's address
    Field("fault_status", "I"),
    Field("fault_pc", "I"),
)
OVERFLOW = Payload("OVERFLOW", Field("counters", "I"))  # PMOVSSET after the run: bits 0 to 3 of events, 31 of cycles
LAYOUTS = (REQUEST, REPLY, RANGE, CHECK, NUMBERS, IMAGE, REGION, BUFFER, JOB, MODEL_JOB, FAULT, RESULT, OVERFLOW)
