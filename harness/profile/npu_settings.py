"""Settings of Vela that fit together: accelerators, memory modes and system configurations of a family.

    [settings.title for settings in all_settings()]      # those of every U55 and U65 that Vela takes

`hil.npu.timing.memory_system` knows which memories fit an accelerator.
"""

from __future__ import annotations

from collections.abc import Iterator

from hil.core.errors import BadInputError
from hil.harness.vela.settings import VelaSettings
from hil.npu.accelerator import ALL
from hil.npu.timing.memory_system import check_memories, section_names

OPTIMISE = "--optimise"
STRATEGIES = ("Performance", "Size")
"""Values of Vela's option `--optimise`, its usual one first."""


def memory_modes(settings: VelaSettings) -> tuple[str, ...]:
    """Memory modes of the configuration file that fit the accelerator and system configuration."""
    return tuple(mode for mode in section_names(settings, "Memory_Mode") if _fits(settings, memory_mode=mode))


def all_settings(config_text: str = "", options: tuple[str, ...] = ()) -> Iterator[VelaSettings]:
    """Every setting that fits, with each strategy of `--optimise` unless `options` name one."""
    strategies = [()] if _names_strategy(options) else [(f"{OPTIMISE} {strategy}",) for strategy in STRATEGIES]
    for accelerator in ALL:
        usual = VelaSettings(accelerator.name, config_text=config_text)
        for system_config in section_names(usual, "System_Config"):
            for memory_mode in section_names(usual, "Memory_Mode"):
                if _fits(usual, memory_mode=memory_mode, system_config=system_config):
                    for strategy in strategies:
                        yield VelaSettings(
                            accelerator.name, memory_mode, system_config, config_text, (*options, *strategy)
                        )


def other_strategy(options: tuple[str, ...]) -> str:
    """The option of the strategy that is not Vela's usual one; empty if `options` name one."""
    return "" if _names_strategy(options) else f"{OPTIMISE} {STRATEGIES[1]}"


def _names_strategy(options: tuple[str, ...]) -> bool:
    return any(OPTIMISE in option for option in options)


def _fits(settings: VelaSettings, **names: str) -> bool:
    try:
        check_memories(VelaSettings(**{**vars(settings.plain), **names}))
    except BadInputError:
        return False
    return True
