"""Values that go over the wire: a board's identity, jobs, and their results."""

from __future__ import annotations

from dataclasses import dataclass

from hil.npu.pmu_events import COUNTER_BITS
from hil.npu.registers import CYCLE_COUNTER
from hil.targets.link import wire
from hil.targets.link.wire import Direction, Element, Feature, Outcome, RegionFlag, RegionKind


@dataclass(frozen=True)
class Region:
    """Memory of the board that is free for the host; `size` in bytes."""

    name: str
    kind: RegionKind
    address: int
    size: int
    writable: bool
    npu_visible: bool

    @classmethod
    def parse(cls, payload: bytes) -> Region:
        """From a part of IDENTIFY's answer.  Raises `ValueError` or `struct.error` if it is malformed."""
        fields = wire.REGION.unpack(payload[: wire.REGION.size])
        flags = RegionFlag(fields["flags"])
        return cls(
            name=text(payload[wire.REGION.size :]),
            kind=RegionKind(fields["kind"]),
            address=fields["address"],
            size=fields["size"],
            writable=RegionFlag.WRITABLE in flags,
            npu_visible=RegionFlag.NPU_VISIBLE in flags,
        )


@dataclass(frozen=True)
class Image:
    """The code and constants that a board runs: where they lie, in bytes, and their CRC-32 as the board computed it."""

    address: int
    size: int
    crc: int


@dataclass(frozen=True)
class Identity:
    """A board's identity, as its firmware reports it.

    `serial` is the board's own serial number and `image` what it runs; empty and None if the firmware does not report
    them.

    Clocks are in Hz (`npu_hz` 0: no NPU); `npu_id`, `npu_config` are the NPU's registers as read; `largest_frame` and
    `largest_read` are in bytes; `window` is the number of unanswered requests that the board takes, `buffers` how many
    inputs and outputs a linked-in model has.
    """

    protocol: int
    firmware: str
    board: str
    cpu_hz: int
    npu_hz: int
    timer_hz: int
    npu_id: int
    npu_config: int
    largest_frame: int
    largest_read: int
    window: int
    buffers: int
    features: Feature
    regions: tuple[Region, ...]
    serial: str = ""
    image: Image | None = None


@dataclass(frozen=True)
class Buffer:
    """An input or output of a model that is linked into the firmware; `size` in bytes."""

    name: str
    direction: Direction
    element: Element
    address: int
    size: int

    @classmethod
    def parse(cls, payload: bytes) -> Buffer:
        """From DESCRIBE's answer.  Raises `ValueError` or `struct.error` if it is malformed."""
        fields = wire.BUFFER.unpack(payload[: wire.BUFFER.size])
        return cls(
            name=text(payload[wire.BUFFER.size :]),
            direction=Direction(fields["direction"]),
            element=Element(fields["element"]),
            address=fields["address"],
            size=fields["size"],
        )


@dataclass(frozen=True)
class Job:
    """A command stream to run: all addresses are the NPU's, registers as the driver would write them.

    `events` are numbers of PMU events, counted beside the cycles.
    """

    stream_address: int
    stream_bytes: int
    bases: tuple[int, ...]
    region_config: int = 0x5553
    qconfig: int = 2
    axi_limits: tuple[int, ...] = (0x0F1F0000,) * wire.AXI_LIMITS
    events: tuple[int, ...] = ()
    limit_ms: int = 10_000
    flags: int = 0

    def pack(self) -> bytes:
        """The payload of RUN; missing bases and events are 0."""
        return wire.JOB.pack(
            stream_address=self.stream_address,
            stream_bytes=self.stream_bytes,
            bases=_filled(self.bases, wire.BASES),
            region_config=self.region_config,
            qconfig=self.qconfig,
            axi_limits=self.axi_limits,
            events=_filled(self.events, wire.EVENTS),
            limit_ms=self.limit_ms,
            flags=self.flags,
        )


@dataclass(frozen=True)
class JobResult:
    """Result of a job: `cycles` of the NPU's clock, `ticks` of the board's timer round the whole run.

    `overflow` are the counters that wrapped, as the NPU's PMOVSSET has them; None if the firmware does not report them
    (`may_have_wrapped`).  The three `fault_` fields are of the CPU, and 0 where there was no fault.
    """

    outcome: Outcome
    npu_status: int
    qread: int
    cycles: int
    events: tuple[int, ...]
    ticks: int
    fault_address: int
    fault_status: int
    fault_pc: int
    overflow: int | None = None

    @property
    def cycles_wrapped(self) -> bool:
        """True if the cycle counter wrapped."""
        return bool((self.overflow or 0) & CYCLE_COUNTER)

    def may_have_wrapped(self, place: int) -> bool:
        """True if the counter of the event at `place` wrapped, or may have: it counts at most one event a cycle."""
        if self.overflow is None:
            return bool(self.cycles >> COUNTER_BITS)
        return bool(self.overflow >> place & 1)

    @classmethod
    def parse(cls, payload: bytes, features: Feature) -> JobResult:
        """From the answer of RUN or MODEL of a board with `features`.

        Raises `ValueError` or `struct.error` if it is malformed.
        """
        overflow = None
        if Feature.OVERFLOW in features:
            payload, rest = payload[: wire.RESULT.size], payload[wire.RESULT.size :]
            overflow = wire.OVERFLOW.unpack(rest)["counters"]
        fields = wire.RESULT.unpack(payload)
        return cls(**{**fields, "outcome": Outcome(fields["outcome"])}, overflow=overflow)


def text(data: bytes) -> str:
    """A name as the board gives it; what is not printable ASCII is shown as `?`, for it ends up in terminals."""
    return "".join(chr(byte) if 32 <= byte < 127 else "?" for byte in data[: wire.TEXT_BYTES])


def _filled(values: tuple[int, ...], count: int) -> tuple[int, ...]:
    return values + (0,) * (count - len(values))
