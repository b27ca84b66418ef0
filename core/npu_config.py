"""The configuration of an NPU and of the memories around it, in Vela's words: one value from the option to the record.

>>> NpuConfig("ethos-u55-256").memory_mode
'Shared_Sram'
"""

from __future__ import annotations

from dataclasses import dataclass

SYSTEM_CONFIGS = {"ethos-u55": "Ethos_U55_High_End_Embedded", "ethos-u65": "Ethos_U65_High_End"}
"""Vela's own default of the system configuration, by family."""

MEMORY_MODES = {"ethos-u55": "Shared_Sram", "ethos-u65": "Dedicated_Sram"}
"""Vela's own default of the memory mode, by family."""


@dataclass(frozen=True)
class NpuConfig:
    """Every input beside the model and Vela's options that decides a command stream and its modelled cycles.

    `accelerator` is Vela's accelerator configuration, `memory_mode` and `system_config` name sections of a Vela
    configuration file; `config_text` is the text of the user's (empty: Vela's own `Arm/vela.ini`).
    """

    accelerator: str = "ethos-u55-128"
    memory_mode: str = MEMORY_MODES["ethos-u55"]
    system_config: str = SYSTEM_CONFIGS["ethos-u55"]
    config_text: str = ""

    @property
    def family(self) -> str:
        """The accelerator without its MAC units: `ethos-u55` or `ethos-u65`."""
        return self.accelerator.rpartition("-")[0]


DEFAULT_NPU = NpuConfig()
"""The configuration of a run that names none."""
