"""Check of a port before it is compiled: the definitions that the monitor needs, and the driver of its UART."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from hil.core.errors import BuildError
from hil.targets.firmware.compilers import Compiler

REQUIRED = (
    "PORT_BOARD",
    "PORT_CODE",
    "PORT_CODE_SIZE",
    "PORT_DATA",
    "PORT_DATA_SIZE",
    "PORT_CPU_HZ",
    "PORT_NPU_HZ",
    "PORT_NPU",
    "PORT_UART",
    "PORT_UART_BASE",
    "PORT_UART_HZ",
    "PORT_UART_BAUD",
    "PORT_UART_INTERRUPT",
    "PORT_REGIONS",
)
"""Macros of a port's header; docs/porting.md explains each."""
_HINT = "docs/porting.md explains each definition"


def check_port(header: Path, sources: Sequence[Path], compiler: Compiler, flags: Sequence[str], work: Path) -> None:
    """Raises `BuildError` that names what a port lacks: definitions of its header, or the driver of its UART.

    `flags` include the header; `sources` are the C files that are built with it.
    """
    (work / "port.c").touch()
    compiler.run(("-E", "-dM", *flags, "port.c", "-o", "port.txt"), work)
    defined = dict(re.findall(r"^#define (\w+) ?(.*)$", (work / "port.txt").read_text(errors="replace"), re.M))
    if lacking := [name for name in REQUIRED if not defined.get(name)]:
        raise BuildError(f"the port {header.name} lacks {', '.join(lacking)}", hint=_HINT)
    driver = defined["PORT_UART"]
    if not any(re.search(rf"\bstruct\s+uart\s+{re.escape(driver)}\s*=", source.read_text()) for source in sources):
        own = header.with_suffix(".c")
        lack = f"which {own.name} does not define" if own in sources else f"but there is no {own.name} beside it"
        raise BuildError(f"the port {header.name} names the UART driver {driver}, {lack}", hint=_HINT)
