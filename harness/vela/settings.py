"""The settings of Vela's command line that decide its output, beside the model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hil.core.errors import BadInputError
from hil.core.npu_config import DEFAULT_NPU, NpuConfig
from hil.core.options import option


@dataclass(frozen=True)
class VelaSettings(NpuConfig):
    """The NPU to compile for, and further `options` of Vela: `("--optimise Size", "--arena-cache-size 65536")`."""

    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class NpuOptions:
    """The options by which a command line names an NPU and its memories; `accelerator` None is the default NPU."""

    accelerator: str | None = option(
        None, metavar="NAME", help=f"Vela's accelerator configuration ({DEFAULT_NPU.accelerator})."
    )
    memory_mode: str = option(
        DEFAULT_NPU.memory_mode, metavar="MODE", help=f"Vela's memory mode ({DEFAULT_NPU.memory_mode})."
    )
    system_config: str = option(
        DEFAULT_NPU.system_config, metavar="NAME", help=f"Vela's system configuration ({DEFAULT_NPU.system_config})."
    )
    vela_config: Path | None = option(
        None, metavar="FILE.ini", help="Configuration file with system configurations of your own."
    )

    def npu(self) -> NpuConfig:
        """The NPU; raises `BadInputError` for an accelerator that Vela does not know and an unreadable file."""
        from hil.npu.accelerator import Accelerator

        accelerator = Accelerator.from_name(self.accelerator or DEFAULT_NPU.accelerator).name
        text = read_config(self.vela_config) if self.vela_config else ""
        return NpuConfig(accelerator, self.memory_mode, self.system_config, text)


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
