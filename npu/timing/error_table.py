"""Error table of the timing model: networks on which modelled figures were compared with those of Arm's FVP.

    >>> worst = max(HELD_AGAINST, key=lambda point: abs(point.error_percent))
    >>> worst.network, worst.accelerator, worst.error_percent
    ('ad_medium', 'ethos-u55-256', -3.4)

The FVP calls its NPU "cycle approximate"; nothing was compared with silicon.  Errors are of the modelled figure against
the FVP's, positive where the model needs more, in Shared_Sram: with the timing adapters of Ethos_U55_High_End_Embedded,
and without them, which is Ethos_U55_No_Adapters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hil.npu.timing.memory_system import WITHOUT_ADAPTERS

CYCLES = "NPU ACTIVE cycles"
REFERENCE = "Arm's FVP"


@dataclass(frozen=True)
class ErrorPoint:
    """Error of a modelled `figure` of `network` on `accelerator`, in percent of the reference's."""

    network: str
    accelerator: str
    figure: str
    error_percent: float
    memory_mode: str = "Shared_Sram"
    system_config: str = "Ethos_U55_High_End_Embedded"


def _cycles(network: str, errors: tuple[float, ...], **memories: str) -> tuple[ErrorPoint, ...]:
    return tuple(
        ErrorPoint(network, f"ethos-u55-{macs}", CYCLES, error, **memories)
        for macs, error in zip((32, 64, 128, 256), errors, strict=True)
    )


HELD_AGAINST = (
    *_cycles("ad_medium", (-1.0, -0.3, -3.0, -3.4)),
    *_cycles("MicroNet-M", (-0.8, -1.1, -0.3, -0.2)),
    *_cycles("MobileNetV2", (-0.4, 0.2, -0.3, 0.5)),
    *_cycles("vww4", (1.6, 0.2, -2.8, -1.9)),
    *_cycles("ad_medium", (-0.3, -0.3, -2.0, -1.7), system_config=WITHOUT_ADAPTERS),
    *_cycles("MicroNet-M", (-0.8, -1.0, -0.3, 3.2), system_config=WITHOUT_ADAPTERS),
    *_cycles("MobileNetV2", (0.2, 0.5, -0.4, 0.4), system_config=WITHOUT_ADAPTERS),
    *_cycles("vww4", (1.8, 0.5, 0.2, -2.4), system_config=WITHOUT_ADAPTERS),
    ErrorPoint("MicroNet-M", "ethos-u55-128", "AXI0 beats", 0.0),
    ErrorPoint("MicroNet-M", "ethos-u55-128", "AXI1 beats", 0.0),
)
"""Points of `python -m benchmarks.timing_error`."""
_USUAL = ("Shared_Sram", "Ethos_U55_High_End_Embedded")


def points_of(
    accelerator: str, memory_mode: str = "", system_config: str = "", points: Iterable[ErrorPoint] = HELD_AGAINST
) -> tuple[ErrorPoint, ...]:
    """Points of an accelerator's cycles in these memories; those in the usual memories if none are in these."""
    found = [point for point in points if point.accelerator == accelerator and point.figure == CYCLES]
    for memories in ((memory_mode, system_config), _USUAL):
        if chosen := tuple(point for point in found if (point.memory_mode, point.system_config) == memories):
            return chosen
    return ()


def error_sentence(accelerator: str, memory_mode: str, system_config: str) -> str:
    """Sentence on the error of modelled cycles: range over the points of the accelerator, and what they do not cover.

    >>> error_sentence("ethos-u55-128", "Shared_Sram", "Ethos_U55_High_End_Embedded")
    "cycles are modelled: -3.0 % to -0.3 % against Arm's FVP, on 4 networks"
    >>> error_sentence("ethos-u55-128", "Shared_Sram", "Ethos_U55_No_Adapters")
    "cycles are modelled: -2.0 % to +0.2 % against Arm's FVP, on 4 networks"
    >>> error_sentence("ethos-u65-256", "Dedicated_Sram", "Ethos_U65_High_End")
    'cycles are modelled, for ethos-u65-256 never compared with the FVP'
    """
    found = points_of(accelerator, memory_mode, system_config)
    if not found:
        return f"cycles are modelled, for {accelerator} never compared with the FVP"
    text = f"cycles are modelled: {error_range(found)}"
    if (found[0].memory_mode, found[0].system_config) != (memory_mode, system_config):
        text += ", in other memories than these"
    return text


def error_range(points: Sequence[ErrorPoint]) -> str:
    """Range of the errors of `points`, one or more, and on how many networks it is."""
    errors = [point.error_percent for point in points]
    networks = len({point.network for point in points})
    return f"{min(errors):+.1f} % to {max(errors):+.1f} % against {REFERENCE}, on {networks} networks"
