"""The settings of Vela's command line that decide its output, beside the model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hil.core.errors import BadInputError
from hil.core.npu_config import DEFAULT_NPU, MEMORY_MODES, SYSTEM_CONFIGS, NpuConfig
from hil.core.options import option


@dataclass(frozen=True)
class VelaSettings(NpuConfig):
    """The NPU to compile for, and further `options` of Vela: `("--optimise Size", "--arena-cache-size 65536")`."""

    options: tuple[str, ...] = ()

    def identity(self) -> dict[str, str]:
        """The settings by name for records, without those that are not set."""
        config = hashlib.sha256(self.config_text.encode()).hexdigest() if self.config_text else ""
        found = {
            "accelerator": self.accelerator,
            "memory_mode": self.memory_mode,
            "system_config": self.system_config,
            "vela_options": " ".join(self.options),
            "vela_config_sha256": config,
        }
        return {name: value for name, value in found.items() if value}


def _usual(by_family: Mapping[str, str]) -> str:
    return ", ".join(f"{family} {name}" for family, name in by_family.items())


@dataclass(frozen=True)
class NpuOptions:
    """The options by which a command line names an NPU and its memories; None is the usual value (`NpuConfig`)."""

    accelerator: str | None = option(
        None, metavar="NAME", help=f"Vela's accelerator configuration ({DEFAULT_NPU.accelerator})."
    )
    memory_mode: str | None = option(None, metavar="MODE", help=f"Vela's memory mode ({_usual(MEMORY_MODES)}).")
    system_config: str | None = option(
        None, metavar="NAME", help=f"Vela's system configuration: clock and memories ({_usual(SYSTEM_CONFIGS)})."
    )
    vela_config: Path | None = option(
        None, metavar="FILE.ini", help="Configuration file with system configurations of your own."
    )

    def npu(self) -> NpuConfig:
        """The NPU; raises `BadInputError` for what Vela does not know or would refuse, and for an unreadable file."""
        from hil.npu.accelerator import Accelerator
        from hil.npu.timing.memory_system import check_memories, own_configuration

        accelerator = Accelerator.from_name(self.accelerator or DEFAULT_NPU.accelerator).name
        text = read_config(self.vela_config) if self.vela_config else own_configuration(self.system_config or "")
        npu = NpuConfig(accelerator, self.memory_mode or "", self.system_config or "", text)
        check_memories(npu)
        return npu


@dataclass(frozen=True)
class VelaOptions(NpuOptions):
    """`NpuOptions` with options of Vela's own, for a command that compiles."""

    vela_option: tuple[str, ...] = option(
        (), metavar="OPTION", help="Passed to Vela, such as '--optimise Size'; may be repeated."
    )

    def settings(self) -> VelaSettings:
        """The settings of Vela; raises as `npu`."""
        return VelaSettings(**vars(self.npu()), options=self.vela_option)


def read_config(path: Path) -> str:
    """The text of a user's Vela configuration; raises `BadInputError` if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"the Vela configuration {path} cannot be read: {error}") from error
