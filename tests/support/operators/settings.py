"""Settings of a compilation: accelerator, memory mode, compiler (Vela has two), goal of its optimisation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from hil.harness.vela.settings import VelaSettings
from hil.npu import accelerator
from tests.support.operators.case import Case

ACCELERATORS = tuple(member.name for member in accelerator.ALL)
MODES = ("Sram_Only", "Shared_Sram", "Dedicated_Sram")
LEGACY = "--debug-force-legacy-core"
COMPILERS = {"regor": (), "regor-size": ("--optimise Size",), "legacy": (LEGACY,)}
COMPILERS["legacy-size"] = (LEGACY, "--optimise Size")

WITH_DRAM = Path(__file__).with_name("with_dram.ini").read_text()
"""A user's configuration: Vela has none of its own with which a U55 takes a dedicated SRAM."""


ALL_SETTINGS = len(MODES) * len(COMPILERS)
"""Ways to compile a case for an accelerator."""

SETTINGS = 2
"""Number of these ways that the whole run takes for each case and accelerator, by turns."""

_FAST_CASES = 2
"""Cases a cell in the fast part."""


@dataclass(frozen=True, order=True)
class Setting:
    """One way to compile a case; `mode` is one of `MODES`, `compiler` a name of `COMPILERS`."""

    accelerator: str
    mode: str
    compiler: str

    def vela(self) -> VelaSettings:
        """The same for Vela."""
        options = COMPILERS[self.compiler]
        if self.mode != "Dedicated_Sram":
            return VelaSettings(self.accelerator, self.mode, self._system("Embedded"), options=options)
        if self.accelerator.startswith("ethos-u55"):
            return VelaSettings(self.accelerator, "Dedicated", "With_Dram", WITH_DRAM, options)
        return VelaSettings(self.accelerator, "Dedicated_Sram_256KB", self._system("High_End"), options=options)

    def _system(self, kind: str) -> str:
        u55 = self.accelerator.startswith("ethos-u55")
        return "Ethos_U55_High_End_Embedded" if u55 else f"Ethos_U65_{kind}"


Pair = tuple[Case, Setting]


def settings_of(case: Case, accelerator_name: str, count: int) -> Iterator[Setting]:
    """`count` of all settings for an accelerator, which ones by turns over cases and accelerators.

    The smaller counts are contained in the larger.
    """
    every = [Setting(accelerator_name, mode, compiler) for compiler, mode in product(COMPILERS, MODES)]
    start = case.number + ACCELERATORS.index(accelerator_name)
    for turn in range(min(count, len(every))):
        yield every[(start + 5 * turn) % len(every)]  # 5 has no factor in common with 12: no setting comes twice.


def fast(cases: Sequence[Case]) -> Iterator[Pair]:
    """A few cases for each operator, type and accelerator, spread over the cases, under one setting each."""
    cells: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        cells.setdefault((case.operator, case.dtype), []).append(case)
    for members in cells.values():
        for place, name in enumerate(ACCELERATORS):
            picked = {(len(members) * turn // _FAST_CASES + place) % len(members) for turn in range(_FAST_CASES)}
            for index in sorted(picked):
                yield from ((members[index], setting) for setting in settings_of(members[index], name, 1))


def full(cases: Sequence[Case], count: int) -> Iterator[Pair]:
    """Every case on every accelerator, under `count` of all settings each."""
    for case in cases:
        for name in ACCELERATORS:
            yield from ((case, setting) for setting in settings_of(case, name, count))
