"""Arguments that several commands take, written once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from hil.harness.store.store import Store
    from hil.harness.vela.settings import VelaSettings

DEFAULT_ACCELERATOR = "ethos-u55-128"

Json = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of a table.")]
StoreFolder = Annotated[
    Path | None, typer.Option("--store", metavar="FOLDER", help="Folder of artifacts (HIL_STORE, or the user's cache).")
]
ModelsFolder = Annotated[Path, typer.Option("--models", metavar="FOLDER", help="Folder of model files.")]
Accelerator = Annotated[str, typer.Option(help="Vela's accelerator configuration.")]
Inputs = Annotated[
    Path | None, typer.Option(metavar="IN.npz", help="Arrays by tensor name, or one array; random without.")
]
MemoryMode = Annotated[str, typer.Option(help="Vela's memory mode.")]
SystemConfig = Annotated[str, typer.Option(help="Vela's system configuration.")]
VelaConfig = Annotated[
    Path | None, typer.Option(metavar="FILE.ini", help="Configuration file with system configurations of your own.")
]
VelaOption = Annotated[
    list[str] | None, typer.Option(metavar="OPTION", help="Passed to Vela, such as '--optimise Size'; may be repeated.")
]
Engine = Annotated[str, typer.Option(help="Which program plays the FVP: auto, arm, docker or open.")]
FvpExecutable = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Arm's FVP, or its folder (FVP_CORSTONE300, PATH, usual folders).")
]
FvpParameter = Annotated[
    list[str] | None, typer.Option(metavar="NAME=VALUE", help="Passed to the FVP as -C; may be repeated.")
]
Firmware = Annotated[
    Path | None, typer.Option(metavar="FILE", help="An ELF, or a TOML about one, for fvp (Arm's inference runner).")
]


Cpu = Annotated[bool, typer.Option("--cpu", help="Do not compile: run on the target's CPU kernels.")]


Board = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="For serial: virtual, a described board, or its TOML file (HIL_BOARD)."),
]
Repetitions = Annotated[int | None, typer.Option(min=1, metavar="N", help="Measured runs on serial (10).")]


def serial_options(board: str | None, repetitions: int | None, target: str) -> dict[str, Any]:
    """What the target `serial` is made with; raises `BadInputError` if another one is asked for a board."""
    from hil.core.errors import BadInputError

    if target != "serial" and (board or repetitions):
        name = f"--board {board}" if board else f"--repetitions {repetitions}"
        raise BadInputError(f"{name}: only serial has boards, this is {target}", hint="--target serial")
    return {"board": board, **({"repetitions": repetitions} if repetitions else {})}


def fvp_options(
    engine: str, executable: Path | None, parameters: list[str] | None, firmware: Path | None
) -> dict[str, Any]:
    """What the target `fvp` is made with."""
    return {"engine": engine, "executable": executable, "parameters": tuple(parameters or ()), "firmware": firmware}


def refuse_firmware(firmware: Path | None, target: str) -> None:
    """Raises `BadInputError` for a firmware that the target would not run."""
    from hil.core.errors import BadInputError

    if firmware and target != "fvp":
        raise BadInputError(f"--firmware {firmware}: only fvp runs firmware")


def open_store(folder: Path | None) -> Store:
    """The store at `folder`, or the default one."""
    from hil.harness.store.store import Store, default_root

    return Store(folder or default_root())


def vela_settings(
    accelerator: str, memory_mode: str, system_config: str, config: Path | None, options: list[str] | None
) -> VelaSettings:
    """What the user asked of Vela."""
    from hil.harness.vela.settings import VelaSettings, read_config

    text = read_config(config) if config else ""
    return VelaSettings(accelerator, memory_mode, system_config, text, tuple(options or ()))


def read_model(path: Path) -> bytes:
    """The bytes of a file that the user named; `BadInputError` if there is none."""
    from hil.core.errors import BadInputError

    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror}") from error
