"""The configuration of an NPU and of the memories around it, in Vela's words: one value from the option to the record.

>>> NpuConfig("ethos-u55-256").memory_mode
'Shared_Sram'
>>> NpuConfig("ethos-u65-256").system_config
'Ethos_U65_High_End'
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TypeVar

from hil.core.errors import BadInputError

SYSTEM_CONFIGS = {"ethos-u55": "Ethos_U55_High_End_Embedded", "ethos-u65": "Ethos_U65_High_End"}
"""The usual system configuration of Vela's own file by family: that of Arm's MLIA for the same accelerator."""

MEMORY_MODES = {"ethos-u55": "Shared_Sram", "ethos-u65": "Dedicated_Sram"}
"""The usual memory mode by family: a U65 has its arena in DRAM, as in MLIA and in Arm's inference runner for it."""

C = TypeVar("C", bound="NpuConfig")


@dataclass(frozen=True)
class NpuConfig:
    """Every input beside the model and Vela's options that decides a command stream and its modelled cycles.

    `accelerator` is Vela's accelerator configuration, `memory_mode` and `system_config` name sections of a Vela
    configuration file (empty: those usual for the accelerator's family); `config_text` is the text of the user's
    (empty: Vela's own `Arm/vela.ini`).  Raises `BadInputError` for a system configuration of another family.
    """

    accelerator: str = "ethos-u55-128"
    memory_mode: str = ""
    system_config: str = ""
    config_text: str = ""

    def __post_init__(self) -> None:
        usual = {"memory_mode": MEMORY_MODES, "system_config": SYSTEM_CONFIGS}
        for name, by_family in usual.items():
            object.__setattr__(self, name, getattr(self, name) or by_family.get(self.family, ""))
        made_for = re.match(r"Ethos_U\d+(?=_)", self.system_config)
        if made_for and made_for[0].lower().replace("_", "-") != self.family:
            hint = f"usual for it is {SYSTEM_CONFIGS[self.family]}" if self.family in SYSTEM_CONFIGS else ""
            raise BadInputError(f"{self.system_config} is no system configuration of {self.accelerator}", hint=hint)

    @property
    def family(self) -> str:
        """The accelerator without its MAC units: `ethos-u55` or `ethos-u65`."""
        return self.accelerator.rpartition("-")[0]

    @property
    def title(self) -> str:
        """The names, for a heading: "ethos-u55-128, Shared_Sram, Ethos_U55_High_End_Embedded"."""
        return f"{self.accelerator}, {self.memory_mode}, {self.system_config}"

    @property
    def plain(self) -> NpuConfig:
        """The NPU alone, equal to that of any other subclass."""
        return NpuConfig(self.accelerator, self.memory_mode, self.system_config, self.config_text)

    def for_accelerator(self: C, accelerator: str) -> C:
        """The same configuration of another accelerator; one of another family has the memories usual there."""
        if accelerator.rpartition("-")[0] == self.family:
            return replace(self, accelerator=accelerator)
        return replace(self, accelerator=accelerator, memory_mode="", system_config="")


DEFAULT_NPU = NpuConfig()
"""The configuration of a run that names none."""
