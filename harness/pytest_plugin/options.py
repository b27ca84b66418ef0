"""The command-line options that `pytest` gets, and the one value they are read into.

    pytest --target fvp --model fashion_cnn --technique pcqat --samples 4

Every option has a name that no other plugin uses (`--hil-target`) and a short one (`--target`).  pytest dies at its
start when two plugins register the same name, and other plugins do want `--target`; so the short names are added last,
after the conftest files were read, and each only if it is still free.  `pytest --help` shows what is there.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hil.core.errors import BadInputError

GROUP = "hil"
# name, then what argparse is told
_TABLE: dict[str, dict[str, Any]] = {
    "target": {"metavar": "TARGET", "help": "run only tests of deployments, on host, sim, fvp or serial (sim)"},
    "engine": {"default": "auto", "metavar": "ENGINE", "help": "what plays the FVP: auto, arm, docker or open (auto)"},
    "fvp-executable": {
        "metavar": "FILE",
        "help": "Arm's FVP, or its folder (FVP_CORSTONE300, PATH, the usual folders)",
    },
    "fvp-parameter": {
        "action": "append",
        "default": [],
        "metavar": "NAME=VALUE",
        "help": "passed to the FVP as -C; may be repeated",
    },
    "firmware": {"metavar": "FILE", "help": "an ELF, or a TOML about one, for target fvp (Arm's inference runner)"},
    "board": {"metavar": "NAME", "help": "for target serial: virtual, a described board, or its TOML file (HIL_BOARD)"},
    "repetitions": {"type": int, "metavar": "N", "help": "measured runs on target serial (10)"},
    "accelerator": {
        "default": "ethos-u55-128",
        "metavar": "NAME",
        "help": "Vela's accelerator configuration (ethos-u55-128)",
    },
    "memory-mode": {"default": "Shared_Sram", "metavar": "MODE", "help": "Vela's memory mode (Shared_Sram)"},
    "system-config": {
        "default": "Ethos_U55_High_End_Embedded",
        "metavar": "NAME",
        "help": "Vela's system configuration (Ethos_U55_High_End_Embedded)",
    },
    "vela-config": {"metavar": "FILE.ini", "help": "configuration file with system configurations of your own"},
    "vela-option": {"action": "append", "default": [], "metavar": "OPTION", "help": "passed to Vela; may be repeated"},
    "model": {"action": "append", "default": [], "metavar": "NAME", "help": "only this model; may be repeated"},
    "technique": {
        "action": "append",
        "default": [],
        "metavar": "NAME",
        "help": "only this leaf of the deployment tree; may be repeated",
    },
    "samples": {
        "type": int,
        "metavar": "N",
        "help": "samples that run on the target (fvp, serial: 8, sim and host: 500)",
    },
    "store": {"metavar": "FOLDER", "help": "folder of artifacts (HIL_STORE, or the user's cache folder)"},
    "models": {"metavar": "FOLDER", "help": "folder of model files (models)"},
}


def register(parser: pytest.Parser) -> None:
    """Adds the long names."""
    group = parser.getgroup(GROUP, "hardware in the loop: optimized models on an Ethos-U")
    for name, attributes in _TABLE.items():
        group.addoption(f"--hil-{name}", dest=_dest(name), **attributes)


def register_short(parser: pytest.Parser) -> None:
    """Adds each short name that nobody else has taken."""
    taken = {name for group in parser._groups for option in group.options for name in option.names()}
    group = parser.getgroup(GROUP)
    for name, attributes in _TABLE.items():
        if f"--{name}" not in taken:
            group.addoption(f"--{name}", dest=_dest(name), **{**attributes, "help": f"same as --hil-{name}"})


def values_of_short(args: Sequence[str]) -> set[str]:
    """What follows our short names in `args`: not paths of tests, as pytest believes until it knows these names."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name in _TABLE:
        parser.add_argument(f"--{name}", action="append", nargs="?", default=[])
    known, _ = parser.parse_known_args(args)
    return {value for values in vars(known).values() for value in values}


@dataclass(frozen=True)
class Options:
    """What the user asked for; `target` is None when tests of deployments were not asked for in particular."""

    target: str | None
    engine: str
    fvp_executable: Path | None
    fvp_parameters: tuple[str, ...]
    firmware: Path | None
    board: str | None
    repetitions: int | None
    accelerator: str
    memory_mode: str
    system_config: str
    vela_config: Path | None
    vela_options: tuple[str, ...]
    models: tuple[str, ...]
    techniques: tuple[str, ...]
    samples: int | None
    store: Path | None
    folder: Path

    def of_target(self) -> dict[str, Any]:
        """What of these the target itself takes."""
        if self.target == "serial":
            return {"board": self.board, **({"repetitions": self.repetitions} if self.repetitions else {})}
        if self.target != "fvp":
            return {}
        return {
            "engine": self.engine,
            "executable": self.fvp_executable,
            "parameters": self.fvp_parameters,
            "firmware": self.firmware,
        }


OPTIONS = pytest.StashKey[Options]()
"""Where a session keeps them."""


def read(config: pytest.Config) -> Options:
    """The options of this run; raises `BadInputError` for a value that cannot be meant."""

    def get(name: str) -> Any:
        return config.getoption(_dest(name))

    if get("samples") is not None and get("samples") < 1:
        raise BadInputError(f"--samples {get('samples')}: at least 1")
    if get("repetitions") is not None and get("repetitions") < 1:
        raise BadInputError(f"--repetitions {get('repetitions')}: at least 1")
    if get("board") and get("target") != "serial":
        theirs = of_another_plugin(config)
        raise BadInputError(
            f"--board {get('board')}: only --target serial has boards, the target is {get('target') or 'sim'}",
            hint=f"--target is another plugin's option here: --hil-target {theirs}" if theirs else "",
        )
    vela_config = config.invocation_params.dir / get("vela-config") if get("vela-config") else None
    if vela_config and not vela_config.is_file():
        raise BadInputError(f"--vela-config: no file {vela_config}")
    store = Path(get("store")) if get("store") else None
    if store and store.is_file():
        raise BadInputError(f"--store: {store} is no folder")
    return Options(
        target=get("target"),
        engine=get("engine"),
        fvp_executable=config.invocation_params.dir / get("fvp-executable") if get("fvp-executable") else None,
        fvp_parameters=tuple(get("fvp-parameter")),
        firmware=config.invocation_params.dir / get("firmware") if get("firmware") else None,
        board=get("board"),
        repetitions=get("repetitions"),
        accelerator=get("accelerator"),
        memory_mode=get("memory-mode"),
        system_config=get("system-config"),
        vela_config=vela_config,
        vela_options=tuple(get("vela-option")),
        models=tuple(get("model")),
        techniques=tuple(get("technique")),
        samples=get("samples"),
        store=store,
        folder=config.invocation_params.dir / get("models")
        if get("models")
        else config.rootpath / config.getini("hil_models"),
    )


def of_another_plugin(config: pytest.Config) -> str:
    """The target of ours that `--target` names where that option is another plugin's; empty if there is none."""
    from hil.targets import NAMES

    theirs = config.getoption("target", default=None)  # ours lies under another name, see _dest
    return theirs if theirs in NAMES else ""


def _dest(name: str) -> str:
    return f"hil_{name.replace('-', '_')}"
