"""`hil firmware build`: the built file, its cache, its output, and its errors."""

from __future__ import annotations

import graphlib
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from hil.core.errors import (
    EXIT_INFRASTRUCTURE,
    EXIT_USAGE,
    BadInputError,
    BuildError,
    InfrastructureError,
    UnavailableError,
)
from hil.targets.firmware.build import DEFAULT_BOARD, SOURCES, boards, build, port
from hil.targets.firmware.compilers import find_compiler

from .conftest import COMPILERS

pytestmark = pytest.mark.usefixtures("zig_wheel")
PART = 0x1_0000
MEMORIES = {"mps3": (0x1000_0000, 0x3000_0000), "numaker": (0x10_0000, 0x2000_0000)}
"""Addresses of code and of data, by the first word of a port's name."""


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("board", boards())
def test_it_fits_its_memory_and_is_the_same_every_time(tmp_path: Path, board: str, compiler: str) -> None:
    code, data = MEMORIES[board.partition("_")[0]]
    one, other = (build(board, compiler, tmp_path / name) for name in ("one", "other"))
    assert one.sha256 == other.sha256 == hashlib.sha256(one.elf.read_bytes()).hexdigest()
    with one.elf.open("rb") as stream:
        elf = ELFFile(stream)
        loaded = [part for part in elf.iter_segments() if part["p_type"] == "PT_LOAD" and part["p_memsz"]]
        assert elf["e_entry"] & ~1 in range(code, code + PART)
    for part in loaded:
        ranges = [(code, part["p_paddr"], part["p_filesz"])] if part["p_filesz"] else []
        ranges += [] if part["p_flags"] & 1 else [(data, part["p_vaddr"], part["p_memsz"])]
        assert all(base <= start <= start + size <= base + PART for base, start, size in ranges)
    assert one.text + one.data < 16 << 10
    assert one.bss < PART


def test_its_files_use_each_other_without_a_circle(tmp_path: Path) -> None:
    compiler, header = find_compiler("zig"), port(DEFAULT_BOARD)
    flags = ["-ffreestanding", "-include", str(header), "-I", str(header.parent), '-DFIRMWARE_VERSION="0"']
    for folder in (SOURCES / "monitor", SOURCES / "protocol"):
        flags += ["-I", str(folder), "-I", str(folder / "freestanding")]
    defined: dict[str, str] = {}
    used: dict[str, set[str]] = {}
    for source in (path for path in SOURCES.rglob("*.c") if path.parent.name != "ports"):
        compiler.run([*flags, "-c", str(source), "-o", "object.o"], tmp_path)
        with (tmp_path / "object.o").open("rb") as stream:
            symbols = [*ELFFile(stream).get_section_by_name(".symtab").iter_symbols()]
        names = {symbol.name for symbol in symbols if symbol["st_shndx"] == "SHN_UNDEF"}
        shared = [symbol for symbol in symbols if symbol["st_info"]["bind"] != "STB_LOCAL" and symbol.name not in names]
        defined.update({symbol.name: source.stem for symbol in shared})
        used[source.stem] = names
    graph = {file: {defined[name] for name in names if name in defined} for file, names in used.items()}
    assert "line" in graph["main"]
    assert [*graphlib.TopologicalSorter(graph).static_order()]


def test_what_was_built_is_kept_and_built_again_when_damaged(tmp_path: Path) -> None:
    first = build(compiler="zig", folder=tmp_path)
    made = first.elf.stat().st_mtime_ns
    assert build(compiler="zig", folder=tmp_path).elf.stat().st_mtime_ns == made
    first.elf.write_bytes(first.elf.read_bytes()[:-1])
    again = build(compiler="zig", folder=tmp_path)
    assert (again.sha256, len(list(tmp_path.iterdir()))) == (first.sha256, 1)


def test_a_changed_port_is_built_anew(tmp_path: Path) -> None:
    port = tmp_path / "mine.h"
    port.write_text('#include "mps3_an547.h"\n')
    first = build(str(port), "zig", tmp_path / "kept")
    port.write_text('#include "mps3_an547.h"\n#undef PORT_CPU_HZ\n#define PORT_CPU_HZ 25000000\n')
    assert build(str(port), "zig", tmp_path / "kept").sha256 != first.sha256


def test_a_port_is_built_anew_when_a_header_that_it_includes_has_changed(tmp_path: Path) -> None:
    port, pins = tmp_path / "mine.h", tmp_path / "pins.h"
    port.write_text('#include "mps3_an547.h"\n#include "pins.h"\n')
    pins.write_text("#undef PORT_CPU_HZ\n#define PORT_CPU_HZ 25000000\n")
    first = build(str(port), "zig", tmp_path / "kept")
    pins.write_text("#undef PORT_CPU_HZ\n#define PORT_CPU_HZ 20000000\n")
    assert build(str(port), "zig", tmp_path / "kept").sha256 != first.sha256


def test_another_baud_rate_is_another_firmware(tmp_path: Path) -> None:
    usual, same, faster = (build(compiler="zig", folder=tmp_path, baud=baud) for baud in (None, 115_200, 921_600))
    assert usual.sha256 == same.sha256 != faster.sha256
    with pytest.raises(BuildError, match="too high"):
        build(compiler="zig", folder=tmp_path, baud=2_000_000)


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_port_that_does_not_compile_is_told_in_one_line(tmp_path: Path, compiler: str) -> None:
    port = tmp_path / "bad.h"
    port.write_text('#include "mps3_an547.h"\n#undef PORT_UART_BASE\n#define PORT_UART_BASE nowhere\n')
    with pytest.raises(BuildError, match="nowhere") as told:
        build(str(port), compiler, tmp_path / "kept")
    assert told.value.exit_code == EXIT_USAGE
    assert "\n" not in str(told.value)
    assert not list((tmp_path / "kept").iterdir())


OWN_UART = '#include "mps3_an547.h"\n#undef PORT_UART\n#define PORT_UART my_uart\n'
LACKING = {
    '#define PORT_BOARD "x"\n#define PORT_NPU 1\n': "lacks PORT_CODE, PORT_CODE_SIZE, .*PORT_REGIONS .*porting.md",
    '#include "mps3_an547.h"\n#undef PORT_NPU\n': "the port mine.h lacks PORT_NPU ",
    OWN_UART: "names the UART driver my_uart, but there is no mine.c beside it",
    '#include "mps3_an547.h"\n#undef PORT_CODE\n#define PORT_CODE 0x10000100\n': "must be a multiple of 2,048",
    '#include "mps3_an547.h"\n#undef PORT_DATA_SIZE\n#define PORT_DATA_SIZE 0x4000\n': "will not fit in .*'data'",
}


@pytest.mark.parametrize(("text", "lack"), LACKING.items(), ids=range(len(LACKING)))
def test_what_a_port_lacks_is_one_line(tmp_path: Path, text: str, lack: str) -> None:
    port = tmp_path / "mine.h"
    port.write_text(text)
    with pytest.raises(BuildError, match=lack) as told:
        build(str(port), "zig", tmp_path / "kept")
    assert "\n" not in str(told.value)


def test_a_c_file_without_the_ports_driver_is_named(tmp_path: Path) -> None:
    port = tmp_path / "mine.h"
    port.write_text(OWN_UART)
    port.with_suffix(".c").write_text("int other;\n")
    with pytest.raises(BuildError, match=r"the UART driver my_uart, which mine\.c does not define"):
        build(str(port), "zig", tmp_path / "kept")


def test_a_cpu_that_the_firmware_does_not_know_is_named_with_those_it_knows() -> None:
    with pytest.raises(BadInputError, match=r"CPU cortex-m0 .*cortex-m4, .*cortex-m33, .*cortex-m85"):
        build(cpu="cortex-m0")


def test_what_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInputError, match="mps3_an547"):
        build("no_board", folder=tmp_path)
    with pytest.raises(BadInputError, match="zig"):
        find_compiler("icc")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="apt-get install gcc-arm-none-eabi") as told:
        find_compiler("gcc")
    assert told.value.exit_code == EXIT_INFRASTRUCTURE


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InfrastructureError, match="cannot be kept"):
        build(compiler="zig", folder=tmp_path / "file" / "below")


def test_the_command_writes_the_elf_and_says_its_sizes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hil.harness.cli", "firmware", "build", "--compiler", "zig", "-o", "out.elf"]
    done = subprocess.run([*command, "--json"], capture_output=True, cwd=tmp_path, check=True)
    told = json.loads(done.stdout)
    assert told["sha256"] == hashlib.sha256((tmp_path / "out.elf").read_bytes()).hexdigest()
    assert (told["board"], told["elf"]) == ("mps3_an547", "out.elf")
    assert told["text"] > told["data"] > 0
    done = subprocess.run([*command, "--board", "nothing"], capture_output=True, cwd=tmp_path)
    assert (done.returncode, done.stderr.count(b"\n")) == (EXIT_USAGE, 1)
