"""The application in the docs compiles as it stands there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.support.link.device import PROTOCOL, WARNINGS, compiler

PAGE = Path(__file__).parents[3] / "docs" / "link.md"
THEIRS = """
#include "hil_link.h"
#define IO_ADDRESS 0x31000000u
#define IO_BYTES 4096u
#define FLASH_ADDRESS 0x10000000u
#define FLASH_BYTES 4096u
extern const char chip_number[];
extern uint32_t timer_ticks(void);
extern int interpreter_invoke(void);
extern size_t uart_take(void *, uint8_t *, size_t);
extern bool uart_send(void *, const uint8_t *, size_t);
extern bool memory_read(void *, uint32_t, uint8_t *, uint32_t, hil_fault *);
extern bool memory_write(void *, uint32_t, const uint8_t *, uint32_t, hil_fault *);
"""


def test_the_application_in_the_docs_compiles_without_warnings(tmp_path: Path) -> None:
    (example,) = re.findall(r"```c\n(.*?)```", PAGE.read_text(), re.DOTALL)
    source = tmp_path / "application.c"
    source.write_text(THEIRS + example)
    command = [*compiler(), *WARNINGS, "-I", str(PROTOCOL), "-c", str(source), "-o", str(tmp_path / "application.o")]
    assert subprocess.run(command).returncode == 0
