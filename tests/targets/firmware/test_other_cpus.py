"""The monitor on other CPUs than the Cortex-M55, built from ports of one's own, on machines of stock QEMU."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from hil.targets.link import RefusedError, Status

from .conftest import Boot


@dataclass(frozen=True)
class Machine:
    """A QEMU machine: its CPU, its memory for code and data, its CMSDK UART, and an address where nothing is."""

    name: str
    cpu: str
    code: int
    data: int
    uart: int
    interrupt: int
    memory: int
    hole: int


MACHINES = (
    Machine("mps2-an386", "cortex-m4", 0, 0x2000_0000, 0x4000_4000, 0, 0x2100_0000, 0x5999_0000),
    Machine("mps2-an505", "cortex-m33", 0x1000_0000, 0x3800_0000, 0x5020_0000, 32, 0x3000_0000, 0x5999_0000),
)
PORT = """
#define PORT_BOARD "{name}"
#define PORT_CODE {code:#x}
#define PORT_CODE_SIZE 0x10000
#define PORT_DATA {data:#x}
#define PORT_DATA_SIZE 0x10000
#define PORT_CPU_HZ 25000000
#define PORT_NPU_HZ 25000000
#define PORT_NPU STARTED
#define PORT_UART cmsdk_uart
#define PORT_UART_BASE {uart:#x}
#define PORT_UART_HZ 25000000
#define PORT_UART_BAUD 115200
#define PORT_UART_INTERRUPT {interrupt}
#define STARTED {memory:#x}
#define PORT_REGIONS                                                    \\
    REGION("memory", SRAM, {memory:#x}, 0x4000, WRITABLE | NPU_VISIBLE), \\
    REGION("hole", SRAM, {hole:#x}, 0x1000, WRITABLE)
"""
CONFIG = 0x10000027
"""CONFIG of an NPU: the port puts it into RAM where the NPU's registers would be."""
START = f"""
#include "monitor.h"
#include "registers.h"
void port_start(void) {{ register_write(STARTED + 0x28, {CONFIG:#x}u); }}
"""


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.cpu)
def test_a_port_runs_on_another_cpu_and_starts_its_board_first(boot: Boot, tmp_path: Path, machine: Machine) -> None:
    header = tmp_path / f"{machine.cpu}.h"
    header.write_text(PORT.format(**machine.__dict__))
    header.with_suffix(".c").write_text(START)
    link = boot(str(header), cpu=machine.cpu, machine=machine.name).link
    identity = link.identify()
    assert (identity.board, identity.npu_config) == (machine.name, CONFIG)  # Its clock was on before it was read.
    link.write(machine.memory + 0x100, b"of another CPU")
    assert link.read(machine.memory + 0x100, 14) == b"of another CPU"
    with pytest.raises(RefusedError) as refused:
        link.read(machine.hole, 4)
    assert refused.value.status is Status.FAULT
    assert link.read(machine.memory + 0x100, 14) == b"of another CPU"
