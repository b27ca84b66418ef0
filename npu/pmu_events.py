"""Events of the NPU's PMU by number, as a driver writes it into PMEVTYPER.

    >>> PmuEvent(0x23).name, event_name(0x23), event_name(0x99)
    ('NPU_ACTIVE', 'NPU_ACTIVE', '0x099')
    >>> find_event("mac_active") is find_event("0x30") is PmuEvent.MAC_ACTIVE
    True

Source: `pmu_event_type` of Vela's `ethos_u55_regs` (a test compares), which is the list of Arm's driver for the U55 and
the U65.
"""

from __future__ import annotations

from enum import IntEnum

from hil.core.errors import BadInputError


class PmuEvent(IntEnum):
    """Documented events: CC is the command stream's controller, WD the weight decoder, AO the output unit."""

    NO_EVENT = 0x00
    CYCLE = 0x11
    NPU_IDLE = 0x20
    CC_STALLED_ON_BLOCKDEP = 0x21
    CC_STALLED_ON_SHRAM_RECONFIG = 0x22
    NPU_ACTIVE = 0x23
    MAC_ACTIVE = 0x30
    MAC_ACTIVE_8BIT = 0x31
    MAC_ACTIVE_16BIT = 0x32
    MAC_DPU_ACTIVE = 0x33
    MAC_STALLED_BY_WD_ACC = 0x34
    MAC_STALLED_BY_WD = 0x35
    MAC_STALLED_BY_ACC = 0x36
    MAC_STALLED_BY_IB = 0x37
    MAC_ACTIVE_32BIT = 0x38
    MAC_STALLED_BY_INT_W = 0x39
    MAC_STALLED_BY_INT_ACC = 0x3A
    AO_ACTIVE = 0x40
    AO_ACTIVE_8BIT = 0x41
    AO_ACTIVE_16BIT = 0x42
    AO_STALLED_BY_OFMP_OB = 0x43
    AO_STALLED_BY_OFMP = 0x44
    AO_STALLED_BY_OB = 0x45
    AO_STALLED_BY_ACC_IB = 0x46
    AO_STALLED_BY_ACC = 0x47
    AO_STALLED_BY_IB = 0x48
    WD_ACTIVE = 0x50
    WD_STALLED = 0x51
    WD_STALLED_BY_WS = 0x52
    WD_STALLED_BY_WD_BUF = 0x53
    WD_PARSE_ACTIVE = 0x54
    WD_PARSE_STALLED = 0x55
    WD_PARSE_STALLED_IN = 0x56
    WD_PARSE_STALLED_OUT = 0x57
    WD_TRANS_WS = 0x58
    WD_TRANS_WB = 0x59
    WD_TRANS_DW0 = 0x5A
    WD_TRANS_DW1 = 0x5B
    AXI0_RD_TRANS_ACCEPTED = 0x80
    AXI0_RD_TRANS_COMPLETED = 0x81
    AXI0_RD_DATA_BEAT_RECEIVED = 0x82
    AXI0_RD_TRAN_REQ_STALLED = 0x83
    AXI0_WR_TRANS_ACCEPTED = 0x84
    AXI0_WR_TRANS_COMPLETED_M = 0x85
    AXI0_WR_TRANS_COMPLETED_S = 0x86
    AXI0_WR_DATA_BEAT_WRITTEN = 0x87
    AXI0_WR_TRAN_REQ_STALLED = 0x88
    AXI0_WR_DATA_BEAT_STALLED = 0x89
    AXI0_ENABLED_CYCLES = 0x8C
    AXI0_RD_STALL_LIMIT = 0x8E
    AXI0_WR_STALL_LIMIT = 0x8F
    AXI_LATENCY_ANY = 0xA0
    AXI_LATENCY_32 = 0xA1
    AXI_LATENCY_64 = 0xA2
    AXI_LATENCY_128 = 0xA3
    AXI_LATENCY_256 = 0xA4
    AXI_LATENCY_512 = 0xA5
    AXI_LATENCY_1024 = 0xA6
    ECC_DMA = 0xB0
    ECC_SB0 = 0xB1
    AXI1_RD_TRANS_ACCEPTED = 0x180
    AXI1_RD_TRANS_COMPLETED = 0x181
    AXI1_RD_DATA_BEAT_RECEIVED = 0x182
    AXI1_RD_TRAN_REQ_STALLED = 0x183
    AXI1_WR_TRANS_ACCEPTED = 0x184
    AXI1_WR_TRANS_COMPLETED_M = 0x185
    AXI1_WR_TRANS_COMPLETED_S = 0x186
    AXI1_WR_DATA_BEAT_WRITTEN = 0x187
    AXI1_WR_TRAN_REQ_STALLED = 0x188
    AXI1_WR_DATA_BEAT_STALLED = 0x189
    AXI1_ENABLED_CYCLES = 0x18C
    AXI1_RD_STALL_LIMIT = 0x18E
    AXI1_WR_STALL_LIMIT = 0x18F
    ECC_SB1 = 0x1B1


EVENT_BITS = 10
"""Width of the number in PMEVTYPER."""

COUNTER_BITS = 32
"""Width of an event counter, which counts at most one event a cycle: below so many bits of cycles none overflows."""


def event_name(number: int) -> str:
    """Name of an event, or the number where no event is documented under it."""
    return PmuEvent(number).name if number in PmuEvent._value2member_map_ else f"{number:#05x}"


def event_title(number: int) -> str:
    """Number and name of an event, as figures and warnings have it.

    >>> event_title(0x51), event_title(0x3FF)
    ('PMU event 0x51 (WD_STALLED)', 'PMU event 0x3ff')
    """
    named = number in PmuEvent._value2member_map_
    return f"PMU event {number:#x} ({PmuEvent(number).name})" if named else f"PMU event {number:#x}"


def find_event(text: str) -> int:
    """Number of an event given by name or number; raises `BadInputError` for a name that none has."""
    if text.upper() in PmuEvent.__members__:
        return PmuEvent[text.upper()]
    try:
        number = int(text, 0)
    except ValueError:
        from difflib import get_close_matches

        near = get_close_matches(text.upper(), PmuEvent.__members__)
        hint = f"did you mean {near[0]}?" if near else "such as MAC_ACTIVE, or a number"
        raise BadInputError(f"no PMU event is called {text!r}", hint=hint) from None
    if not 0 <= number < 1 << EVENT_BITS:
        raise BadInputError(f"PMU event {text} is no number of {EVENT_BITS} bits")
    return PmuEvent(number) if number in PmuEvent._value2member_map_ else number
