"""The ports and the application in docs/porting.md build as they stand there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from hil.targets.boards import find_board
from hil.targets.boards.description import FirmwarePort
from hil.targets.firmware.build import SOURCES, build
from hil.targets.firmware.port_check import REQUIRED
from tests.support.link.device import PROTOCOL, WARNINGS, compiler

PAGE = (Path(__file__).parents[3] / "docs" / "porting.md").read_text()
HEADER, DRIVER, APPLICATION, ALIF = re.findall(r"```c\n(.*?)```", PAGE, re.DOTALL)
THEIRS = """
#include <string.h>
#include "hil_link.h"
#define FREE_ADDRESS 0x31000000u
#define FREE_BYTES 4096u
#define NPU_BASE 0x400E1000u
#define NPU_HZ 400000000u
#define CPU_HZ 400000000u
extern void board_init(void);
extern uint64_t cycles_now(void);
extern void cache_invalidate(uint32_t, uint32_t), cache_clean(uint32_t, uint32_t);
extern size_t uart_take(void *, uint8_t *, size_t);
extern bool uart_send(void *, const uint8_t *, size_t);
"""


@pytest.mark.usefixtures("zig_wheel")
@pytest.mark.parametrize(("header", "driver"), [(HEADER, ""), (ALIF, DRIVER)], ids=["first", "alif"])
def test_a_port_on_the_page_builds(tmp_path: Path, header: str, driver: str) -> None:
    port = tmp_path / "port.h"
    port.write_text(header)
    if driver:
        port.with_suffix(".c").write_text(driver)
    built = build(str(port), "zig", tmp_path / "kept")
    assert built.text < 8 << 10  # What the page says is enough.


def test_the_application_on_the_page_compiles_without_warnings(tmp_path: Path) -> None:
    source = tmp_path / "application.c"
    source.write_text(THEIRS + APPLICATION)
    folders = ("-I", str(PROTOCOL), "-I", str(SOURCES / "monitor"))
    command = [*compiler(), *WARNINGS, *folders, "-c", str(source), "-o", str(tmp_path / "application.o")]
    assert subprocess.run(command).returncode == 0


def test_the_description_on_the_page_describes_the_port_on_it(tmp_path: Path) -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "desk.toml").write_text(text)
    board = find_board(str(tmp_path / "desk.toml"))
    assert board.firmware == FirmwarePort(str(tmp_path / "my_board.h"), "cortex-m55")
    assert f'#define PORT_BOARD "{board.reports}"' in HEADER


def test_the_page_explains_every_definition_that_a_port_needs() -> None:
    assert not [name for name in REQUIRED if f"#define {name} " not in HEADER]
