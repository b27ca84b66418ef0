"""The firmware's commands, on stock QEMU: memory, refusals, faults, resets, NPUs that are missing or stuck."""

from __future__ import annotations

import os
import struct
import sys
import time
import zlib
from pathlib import Path

import pytest

from hil.npu import registers
from hil.targets.firmware.build import build
from hil.targets.firmware.load_image import LoadImage
from hil.targets.link import Job, Link, Outcome, RebootedError, RefusedError, Status

from .conftest import COMPILERS, Boot

HOLE = 0x5999_0000
BUS_FAULT_PRECISE = 1 << 9
CONFIG = 0x1807
IN_RESET = 1 << 3
DDR = 0x7000_0000


def _port(folder: Path, name: str, text: str) -> str:
    """The header of a user's own port."""
    path = folder / f"{name}.h"
    path.write_text(f'#include "mps3.h"\n#define PORT_BOARD "{name}"\n{text}\n')
    return str(path)


def _region(name: str, address: int, size: int) -> str:
    return f'REGION("{name}", SRAM, {address:#x}, {size:#x}, WRITABLE | NPU_VISIBLE)'


@pytest.mark.parametrize("compiler", COMPILERS)
def test_every_byte_of_every_region_can_be_reached_and_none_beside(boot: Boot, built: Path, compiler: str) -> None:
    link = boot(compiler=compiler).link
    identity = link.identify()
    assert identity.serial == "525400123456"  # of QEMU's Ethernet chip
    assert identity.image is not None
    firmware = build(compiler=compiler, folder=built)
    assert f"{identity.image.crc:08x}" == firmware.crc32
    assert identity.image.crc == LoadImage.of(firmware.elf.read_bytes()).crc(
        identity.image.address, identity.image.size
    )
    assert (identity.board, identity.cpu_hz, identity.timer_hz) == ("mps3_an547", 32_000_000, 32_000_000)
    assert (identity.npu_hz, identity.npu_id, identity.npu_config) == (0, 0, 0)
    regions = {region.name: region for region in identity.regions}
    assert regions["ddr"].address == DDR  # secure: at 0x60000000 is other memory
    ends = {region.address + region.size for region in identity.regions}
    starts = {region.address for region in identity.regions}
    for region in identity.regions:
        first, last = os.urandom(9), os.urandom(9)
        end = region.address + region.size
        link.write(region.address, first)
        link.write(end - 9, last)
        assert link.read(region.address, 9) == first
        assert link.read(end - 9, 9) == last
        assert link.crc(end - 9, 9) == zlib.crc32(last)
        if end not in starts:
            _refused(link, end, 1)
        if region.address not in ends:
            _refused(link, region.address - 1, 1)
        _refused(link, end - 9, 10)
        _refused(link, region.address, region.size + 1)


def _refused(link: Link, address: int, size: int) -> None:
    for command in (lambda: link.read(address, min(size, 64)), lambda: link.write(address, b"x" * min(size, 64))):
        if size <= 64:
            with pytest.raises(RefusedError) as refused:
                command()
            assert refused.value.status is Status.BAD_ADDRESS
    with pytest.raises(RefusedError):
        link.run(Job(stream_address=address, stream_bytes=size, bases=()))


def test_its_own_code_stack_and_data_are_not_for_the_host(boot: Boot) -> None:
    link = boot().link
    for address in (
        0x1000_0000,
        0x0000_0000,
        0x3000_0000,
        0x3000_FFFF,
        0x2000_0000,
        0x5930_3000,
        0xE000_ED00,
        0xFFFF_FFFC,
    ):
        with pytest.raises(RefusedError) as refused:
            link.write(address, bytes(1 if address == 0x3000_FFFF else 4))
        assert refused.value.status is Status.BAD_ADDRESS
    assert link.identify().board == "mps3_an547"


def test_more_bytes_than_one_frame_has_come_back_as_they_went(boot: Boot) -> None:
    link = boot().link
    data = os.urandom(9_001)
    link.write(DDR + 3, data)
    assert link.read(DDR + 3, len(data)) == data
    assert link.crc(DDR + 3, len(data)) == zlib.crc32(data)


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for a process's time")
def test_a_board_that_waits_sleeps(boot: Boot) -> None:
    """A QEMU that spins would take a core from the tests of a whole lab."""
    booted = boot()
    booted.link.identify()
    before = _cpu_seconds(booted.pid)
    time.sleep(0.5)
    assert _cpu_seconds(booted.pid) - before < 0.1
    assert booted.link.read(DDR, 4) == bytes(4)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_reset_begins_anew_and_keeps_the_memory(boot: Boot) -> None:
    link = boot().link
    link.write(DDR, b"stays")
    link.reset()
    link.identify()
    assert link.read(DDR, 5) == b"stays"


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_bus_fault_is_told_and_survived(boot: Boot, tmp_path: Path, compiler: str) -> None:
    """A port that announces what is not there, such as DDR that a board does not carry."""
    text = f"#define PORT_REGIONS {_region('hole', HOLE, 0x1000)}, {_region('ddr', DDR, 0x1000)}"
    link = boot(_port(tmp_path, "a_hole", text), compiler).link
    for command in (lambda: link.read(HOLE, 4), lambda: link.write(HOLE, b"1234"), lambda: link.crc(HOLE + 8, 4)):
        with pytest.raises(RefusedError, match="0x59990") as refused:
            command()
        assert refused.value.status is Status.FAULT
        link.write(DDR, b"goes on")  # in the same session: it was not reset
        assert link.read(DDR, 7) == b"goes on"


FAULTY_UART = """
#include "uart.h"
#define FAULT (*(volatile uint32_t *)0x59990000)
static uint32_t magic;
static void start(uint32_t base, uint32_t hz, uint32_t baud) { cmsdk_uart.start(base, hz, baud); }
static bool take(uint32_t base, uint8_t *byte)
{
    bool taken = cmsdk_uart.take(base, byte);
    if (taken && magic < 8) /* it stays at 8: an X may stand in the request that follows, too */
        magic = *byte == 'X' ? magic + 1 : 0;
    if (magic == 8 && IN_INTERRUPT)
        FAULT;
    return taken;
}
static bool put(uint32_t base, uint8_t byte)
{
    if (magic == 8)
        FAULT;
    return cmsdk_uart.put(base, byte);
}
extern const struct uart faulty_uart;
const struct uart faulty_uart = {.start = start, .take = take, .put = put};
"""


@pytest.mark.parametrize("in_interrupt", [0, 1])
def test_a_fault_outside_commands_resets_and_says_hello(boot: Boot, tmp_path: Path, in_interrupt: int) -> None:
    """A port with a driver of its own, which faults at some magic bytes: the board must come back by itself."""
    text = f"#undef PORT_UART\n#define PORT_UART faulty_uart\n#define IN_INTERRUPT {in_interrupt}\n"
    port = _port(tmp_path, "faulty", f"{text}#define PORT_REGIONS {_region('ddr', DDR, 0x1000)}")
    Path(port).with_suffix(".c").write_text(FAULTY_UART)
    link = boot(port).link
    link.identify()
    link._channel.send(b"X" * 8)
    with pytest.raises(RebootedError):
        link.read(DDR, 4)
    assert link.identify().board == "faulty"


NPU_IN_RAM = 0x3130_0000
"""RAM in place of the NPU's registers: an NPU of which nothing ever changes."""


def _still_npu(boot: Boot, folder: Path, base: int, status: int) -> Link:
    text = f"#undef PORT_NPU\n#define PORT_NPU {base:#x}\n"
    text += f"#define PORT_REGIONS {_region('isram1', 0x3120_0000, 0x20_0000)}, {_region('ddr', DDR, 0x1000)}"
    link = boot(_port(folder, "still", text)).link
    words = {registers.STATUS: status, registers.PROT: 1, registers.CONFIG: CONFIG}
    link.write(base, b"".join(struct.pack("<I", words.get(offset, 0)) for offset in range(0, 0x40, 4)))
    with pytest.raises(RefusedError) as refused:  # It has looked for an NPU when it started.
        link.run(Job(stream_address=DDR, stream_bytes=4, bases=()))
    assert refused.value.status is Status.NO_NPU
    link.reset()
    assert link.identify().npu_config == CONFIG
    return link


def test_a_stuck_npu_ends_at_the_time_limit(boot: Boot, tmp_path: Path) -> None:
    link = _still_npu(boot, tmp_path, NPU_IN_RAM, registers.RUNNING)
    result = link.run(Job(stream_address=DDR, stream_bytes=4, bases=(DDR,), limit_ms=50))
    assert (result.outcome, result.npu_status) == (Outcome.TIME_LIMIT, registers.RUNNING)
    assert 0.050 < result.ticks / link.identify().timer_hz < 1
    assert link.read(NPU_IN_RAM + registers.QSIZE, 4) == struct.pack("<I", 4)
    assert link.read(NPU_IN_RAM + registers.BASEP[0], 8) == struct.pack("<Q", DDR)


def test_an_npu_that_stays_in_reset_is_told(boot: Boot, tmp_path: Path) -> None:
    link = _still_npu(boot, tmp_path, NPU_IN_RAM, IN_RESET)
    assert link.run(Job(stream_address=DDR, stream_bytes=4, bases=())).outcome is Outcome.NPU_STUCK


def test_a_fault_in_the_middle_of_a_run_is_told_and_survived(boot: Boot, tmp_path: Path) -> None:
    """RAM ends within the NPU's registers, before those of the PMU."""
    base = 0x3140_0000 - 0x100
    link = _still_npu(boot, tmp_path, base, registers.RUNNING)
    result = link.run(Job(stream_address=DDR, stream_bytes=4, bases=()))
    assert result.outcome is Outcome.CPU_FAULT
    assert result.fault_address == base + registers.PMCNTENCLR
    assert result.fault_status & BUS_FAULT_PRECISE
    assert 0x1000_0000 <= result.fault_pc < 0x1001_0000
    link.write(DDR, b"goes on")
    assert link.read(DDR, 7) == b"goes on"


REFUSED = {
    "a stream that is not aligned": Job(stream_address=DDR + 4, stream_bytes=4, bases=()),
    "half a word": Job(stream_address=DDR, stream_bytes=6, bases=()),
    "non-secure memory": Job(stream_address=DDR, stream_bytes=4, bases=(0x6000_0000,)),
    "the monitor's own memory": Job(stream_address=DDR, stream_bytes=4, bases=(DDR, 0x3000_0000)),
    "beyond 32 bits": Job(stream_address=DDR, stream_bytes=4, bases=(0, 0, 0, 0, 0, 0, 0, 1 << 32 | DDR)),
    "the end of a region": Job(stream_address=DDR, stream_bytes=4, bases=(DDR + 0x1000,)),
}


def test_a_job_that_cannot_be_is_refused(boot: Boot, tmp_path: Path) -> None:
    link = _still_npu(boot, tmp_path, NPU_IN_RAM, registers.RUNNING)
    for what, job in REFUSED.items():
        with pytest.raises(RefusedError) as refused:
            link.run(job)
        assert refused.value.status is Status.BAD_VALUE, what
