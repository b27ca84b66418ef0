"""Reads a board's TOML file.

    board = read_board(Path("boards/desk.toml"))

    based_on = "mps3_an547"             # desk.toml: another file's keys, with these in their place
    [port]
    vid = 0x0403
    pid = 0x6014
    serial = "FT4XYZ"

The keys and their meaning are in docs/boards.md.  A file may start programs (`[power]`, `[reset] command`,
`[flash] command`), so it is to be trusted like code; it starts them without a shell.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from hil.core.errors import BadInputError
from hil.core.npu_config import NpuConfig
from hil.core.toml_table import TomlTable, parse_toml
from hil.npu.accelerator import ALL
from hil.targets.boards.description import (
    PROTOCOLS,
    WAYS,
    Board,
    BoardMemory,
    FirmwarePort,
    Flasher,
    Power,
    Reset,
    Usb,
)
from hil.targets.firmware.compilers import CPUS, DEFAULT_CPU

ACCELERATORS = tuple(accelerator.name for accelerator in ALL)
_HIGHEST_HZ = 4_000_000_000
_END = 1 << 32
_DEEPEST = 8
_ELF = "elf"
_AT_PORT = ("port", "serial")
T = TypeVar("T")


def read_board(path: Path, find: Callable[[str], Path] | None = None) -> Board:
    """The board that a file describes, named like it.

    `find` gives the file of the board that `based_on` names.  Raises `BadInputError` that names file and key.
    """
    top = TomlTable(_merged(path, find, _DEEPEST), str(path))
    protocol = top.text("protocol", "hil", PROTOCOLS)
    board = Board(
        name=path.stem,
        title=top.text("title"),
        protocol=protocol,
        reports=top.text("reports"),
        npu=_npu(top),
        **_port(top.table("port")),
        **_clocks(top.table("clocks")),
        memory=_memory(top.table("memory")),
        reset=_reset(top.table("reset"), ("protocol",) if protocol == "hil" else ()),
        power=_power(top.table("power")) if "power" in top else None,
        flasher=_flasher(top.table("flash")) if "flash" in top else None,
        firmware=_firmware(top.table("firmware"), path.parent) if "firmware" in top else None,
        source=path,
    )
    top.end()
    _check_ways(top, board)
    return board


def _npu(top: TomlTable) -> NpuConfig:
    accelerator = top.text("accelerator", None, ACCELERATORS)
    memory_mode, system_config = top.text("memory_mode"), top.text("system_config")
    try:
        return NpuConfig(accelerator, memory_mode, system_config)
    except BadInputError as error:
        raise top.error("system_config", str(error.args[0]), error.hint) from None


def _port(keys: TomlTable) -> dict[str, Any]:
    """The port: a path, an URL, or its identity on the USB bus; or nothing, and the user names it."""
    path, url = keys.text("path"), keys.text("url")
    if (path and url) or ((path or url) and "vid" in keys):
        raise keys.error("url" if url else "path", "one of path, url and vid with pid")
    if url and "://" not in url:
        raise keys.error("url", f"{url!r} is no URL such as rfc2217://host:port or socket://host:port")
    usb, details = None, ("serial", "description", "interface")
    if sum(name in keys for name in ("vid", "pid", *details)):  # sum asks for all, so that a misspelled one is known
        vid, pid = (keys.whole(name, 0, 0xFFFF) for name in ("vid", "pid"))
        usb = Usb(vid, pid, *(keys.text(name) or None for name in details))
    baud = keys.whole("baud", 300, 20_000_000, 115_200)
    lines = tuple((line, keys.switch(line)) for line in ("dtr", "rts") if line in keys)
    return _ended(keys, {"port": path or url, "usb": usb, "baud": baud, "lines": lines})


def _clocks(keys: TomlTable) -> dict[str, Any]:
    clocks = {name: keys.whole(name, 1, _HIGHEST_HZ, 0) if name in keys else 0 for name in ("cpu_hz", "npu_hz")}
    return _ended(keys, clocks)


def _memory(keys: TomlTable) -> tuple[BoardMemory, ...]:
    found = []
    for name, table in keys.tables():
        address = table.whole("address", 0, _END - 1)
        size = table.whole("size", 1, _END - address)
        found.append(_ended(table, BoardMemory(name, address, size)))
    found.sort(key=lambda memory: memory.address)
    for before, after in pairwise(found):
        if before.address + before.size > after.address:
            raise keys.error(after.name, f"overlaps {before.name}")
    return tuple(found)


def _reset(keys: TomlTable, ways: tuple[str, ...]) -> Reset:
    usual = Reset()
    made = Reset(
        ways=keys.words("ways", ways, WAYS),
        pulse_s=keys.seconds("pulse_s", 0.001, 10, usual.pulse_s),
        boot_s=keys.seconds("boot_s", 0.1, 600, usual.boot_s),
        command=keys.words("command", placeholders=_AT_PORT),
        limit_s=keys.seconds("limit_s", 0.1, 3600, usual.limit_s),
    )
    if len(set(made.ways)) != len(made.ways):
        raise keys.error("ways", "names a way twice")
    if ("command" in made.ways) != bool(made.command):
        raise keys.error("command", "the way 'command' and the key 'command' go together")
    return _ended(keys, made)


def _power(keys: TomlTable) -> Power:
    made = Power(
        off=keys.words("off", placeholders=_AT_PORT),
        on=keys.words("on", placeholders=_AT_PORT),
        pause_s=keys.seconds("pause_s", 0, 600, 2.0),
        limit_s=keys.seconds("limit_s", 0.1, 3600, 30.0),
    )
    for name in ("off", "on"):
        if not getattr(made, name):
            raise keys.error(name, "is missing or empty: a command as a list of strings")
    return _ended(keys, made)


def _flasher(keys: TomlTable) -> Flasher:
    made = Flasher(
        pyocd=keys.text("pyocd"),
        probe=keys.text("probe"),
        pack=keys.text("pack"),
        command=keys.words("command", placeholders=(_ELF, *_AT_PORT)),
        limit_s=keys.seconds("limit_s", 1, 7200, 300.0),
    )
    if bool(made.pyocd) == bool(made.command):
        raise keys.error("pyocd", "either pyocd, the name of a target, or command")
    if made.command and (made.probe or made.pack):
        raise keys.error("probe" if made.probe else "pack", "goes with pyocd, not with command")
    for name in ("pyocd", "probe", "pack"):
        if getattr(made, name).startswith("-"):
            raise keys.error(name, "begins with -, as options do")
    return _ended(keys, made)


def _firmware(keys: TomlTable, folder: Path) -> FirmwarePort:
    port = keys.text("port", None)
    made = FirmwarePort(
        port=str(folder / port) if Path(port).suffix == ".h" else port,
        cpu=keys.text("cpu", DEFAULT_CPU, CPUS),
    )
    return _ended(keys, made)


def _check_ways(top: TomlTable, board: Board) -> None:
    if "power" in board.reset.ways and board.power is None:
        raise top.error("reset.ways", "names 'power', but there is no table [power]")
    if "protocol" in board.reset.ways and board.protocol != "hil":
        raise top.error("reset.ways", f"'protocol': the protocol {board.protocol} knows no reset")


def _ended(keys: TomlTable, made: T) -> T:
    keys.end()
    return made


def _merged(path: Path, find: Callable[[str], Path] | None, left: int) -> dict[str, Any]:
    """The file's keys over those of the file it is based on."""
    values = parse_toml(path, "board")
    base = values.pop("based_on", None)
    if base is None:
        return values
    if not isinstance(base, str) or find is None:
        raise BadInputError(f"{path}: based_on: {base!r} is no board")
    if left == 0:
        raise BadInputError(f"{path}: based_on: more than {_DEEPEST} boards, each based on another")
    return _over(_merged(find(base), find, left - 1), values)


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Merges two tables; of the tables in them only [memory], [clocks] and [reset], the others are replaced whole."""
    made = {**below, **above}
    for name in ("memory", "clocks", "reset"):
        if isinstance(below.get(name), dict) and isinstance(above.get(name), dict):
            made[name] = {**below[name], **above[name]}
    return made
