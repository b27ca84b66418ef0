"""The firmware that runs models on a Corstone-300, and where it wants its data.

    firmware = runner()
    firmware.path, firmware.sha256, firmware.layout.model

Arm's *inference runner* (ml-embedded-evaluation-kit: TFLM, CMSIS-NN with Helium, the Ethos-U driver) is in the PyPI
wheel `mlia-ethos-u`, ready built.  It takes a model at a fixed address of DDR, all inputs one after the other without
padding at another, runs one inference, copies all outputs, likewise, to a third, and ends with the byte EOT on UART
0.

Sources of the addresses: `build_configuration.cmake` and `UseCaseHandler.cc` of ml-embedded-evaluation-kit; tests
compare with what the firmware prints.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from hil.npu.errors import UnavailableError

DISTRIBUTION = "mlia-ethos-u"

_RUNNER = "resources/backends/applications/inference_runner-sse-300-26.03.0-tflm-ethos-U55-Default-noTA"
_ELF = "mlek_inference_runner.axf"
_HINT = f"pip install {DISTRIBUTION}"


@dataclass(frozen=True)
class Region:
    """`size` bytes of memory from `address`."""

    address: int
    size: int


@dataclass(frozen=True)
class Layout:
    """Where a runner firmware has its data.

    Inputs and outputs lie one after the other, without padding, in the model's order.
    """

    model: Region
    inputs: Region
    outputs: Region
    arena: Region


RUNNER_LAYOUT = Layout(
    model=Region(0x9000_0000, 32 << 20),
    inputs=Region(0x9200_0000, 16 << 20),
    outputs=Region(0x9300_0000, 16 << 20),
    arena=Region(0x3100_0000, 2 << 20),
)
"""Layout of Arm's inference runner for the Corstone-300."""


@dataclass(frozen=True)
class Firmware:
    """A runner: its ELF file, the file's SHA-256 (hexadecimal), and its layout."""

    path: Path
    sha256: str
    layout: Layout


def runner() -> Firmware:
    """Arm's inference runner (TFLM, Ethos-U55); raises `UnavailableError` if its wheel is not installed."""
    # Finding the package does not import it: that would cost a second.
    spec = importlib.util.find_spec("mlia")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / _RUNNER / _ELF
        if path.is_file():
            return Firmware(path, _sha256(path, path.stat().st_mtime_ns), RUNNER_LAYOUT)
    raise UnavailableError(f"Arm's inference runner ({_ELF}) is not installed", hint=_HINT)


@functools.lru_cache(8)
def _sha256(path: Path, changed: int) -> str:
    """The file's hash; `changed` is its time of change, for the cache alone."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
