"""A virtual board as a process of its own, as `virtual` starts it.

    python -m hil.fvp.virtual_board.child monitor.elf --tcp 5000

It prints its port's URL when the CPU runs, takes `off` and `on` from its standard input, a line each, answers each with
`done`, and ends when its input ends: with its parent, however that ends.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from hil.core.npu_config import NpuConfig
from hil.fvp.command_line import contract, elf
from hil.fvp.command_line.exit_code import report_error
from hil.fvp.virtual_board.board import Hardware, SimulatedBoard
from hil.fvp.virtual_board.serial_port import PtyPort, TcpPort
from hil.npu.accelerator import Accelerator
from hil.npu.timing.memory_system import MemorySystem

_NAME = "virtual board"


def main() -> int:
    """Runs until the input ends; gives the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides what it means.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # Threads cost more than they give on matrices this small.
    parser = argparse.ArgumentParser()
    parser.add_argument("firmware", type=Path)
    parser.add_argument("--tcp", type=int)
    parser.add_argument("--serial-number", default="")
    parser.add_argument("--accelerator", required=True)
    parser.add_argument("--system-config", required=True)
    parser.add_argument("--memory-mode", required=True)
    parser.add_argument("--vela-config", type=Path)
    given = parser.parse_args()
    try:
        elf.check(given.firmware, "the firmware")
        accelerator = Accelerator.from_name(given.accelerator)
        text = given.vela_config.read_text() if given.vela_config else ""
        memory = MemorySystem.of(NpuConfig(given.accelerator, given.memory_mode, given.system_config, text))
        _serve(Hardware(given.firmware, accelerator, memory, given.serial_number), given.tcp)
    except Exception as error:
        return report_error(_NAME, error)
    return contract.EXIT_OK


def _serve(hardware: Hardware, tcp: int | None) -> None:
    port = PtyPort() if tcp is None else TcpPort(tcp)
    with SimulatedBoard(hardware, port) as board:
        print(port.url, flush=True)
        while True:
            board.serve(sys.stdin.fileno())
            words = os.read(sys.stdin.fileno(), 1 << 10).split()  # The parent waits for the answer to each.
            if not words:
                return
            board.switch(on=words[-1] == b"on")
            print("done", flush=True)


if __name__ == "__main__":
    sys.exit(main())
