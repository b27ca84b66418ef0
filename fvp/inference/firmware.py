"""The firmware that runs models on a Corstone-300, and where it wants its data.

    firmware = runner("ethos-u55")
    firmware.path, firmware.sha256, firmware.layout.model

Arm's *inference runner* (ml-embedded-evaluation-kit: TFLM, CMSIS-NN with Helium, the Ethos-U driver) is in the PyPI
wheel `mlia-ethos-u`, ready built.  It takes a model at a fixed address of DDR, all inputs one after the other without
padding at another, runs one inference, copies all outputs, likewise, to a third, and ends with the byte EOT on UART
0.  The wheel has a second one for the U55, which runs ExecuTorch programs (`.pte`) in the same way.

A user's own firmware does the same at other addresses: `firmware_description` reads them from a small TOML.

Sources of the addresses: `build_configuration.cmake` and `UseCaseHandler.cc` of ml-embedded-evaluation-kit, the
program headers of the ELF files; tests compare with what the firmware prints.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path

from hil.core.errors import BadInputError, UnavailableError

DISTRIBUTION = "mlia-ethos-u"

TFLM, EXECUTORCH = "tflm", "executorch"
RUNTIMES = {TFLM: "TFLite", EXECUTORCH: "ExecuTorch"}
"""Runtimes of runners: each with the kind of model that it runs."""

_RUNNER = "resources/backends/applications/inference_runner-sse-300-26.03.0-{}-{}-Default-noTA"
_ELF = "mlek_inference_runner.axf"
_HINT = f"pip install {DISTRIBUTION}"


@dataclass(frozen=True)
class MemoryRange:
    """`size` bytes of memory from `address`."""

    address: int
    size: int


@dataclass(frozen=True)
class FirmwareLayout:
    """Addresses of a runner firmware's data.

    Inputs and outputs lie one after the other, without padding, in the model's order.  `fast` is the memory beside the
    arena that the driver gives to a model of Vela's memory mode Dedicated_Sram; None if it gives none.  `scratch` is
    the NPU's own in a runner that has it apart from the arena (ExecuTorch's).
    """

    model: MemoryRange
    inputs: MemoryRange
    outputs: MemoryRange
    arena: MemoryRange
    fast: MemoryRange | None = None
    scratch: MemoryRange | None = None


@dataclass(frozen=True)
class Firmware:
    """A runner: its ELF file, the file's SHA-256 (hexadecimal), its layout, and the NPU that its driver is for.

    `memory_modes` are those of Vela's for which its memories are set up.  `metrics`: it prints the `<metrics>` record;
    `completed` is the text on its UART that says that an inference went well, empty if its end says so.  `runtime` is
    one of `RUNTIMES`.
    """

    path: Path
    sha256: str
    layout: FirmwareLayout
    npu: str = "ethos-u55"
    memory_modes: tuple[str, ...] = ("Shared_Sram", "Sram_Only")
    metrics: bool = True
    completed: str = "Inference completed."
    runtime: str = TFLM


_DATA = FirmwareLayout(
    model=MemoryRange(0x9000_0000, 32 << 20),
    inputs=MemoryRange(0x9200_0000, 16 << 20),
    outputs=MemoryRange(0x9300_0000, 16 << 20),
    arena=MemoryRange(0x3100_0000, 2 << 20),
)
RUNNERS = {
    "ethos-u55": Firmware(Path(_RUNNER.format(TFLM, "ethos-U55")), "", _DATA),
    "ethos-u65": Firmware(
        Path(_RUNNER.format(TFLM, "ethos-U65")),
        "",
        replace(_DATA, arena=MemoryRange(0x7000_0000, 2 << 20), fast=MemoryRange(0x3100_0000, 384 << 10)),
        "ethos-u65",
        ("Dedicated_Sram", "Dedicated_Sram_256KB", "Dedicated_Sram_512KB"),
    ),
}
"""Arm's TFLM runners for the Corstone-300 by their NPU; `path` is the folder in the wheel's package."""
EXECUTORCH_RUNNERS = {
    "ethos-u55": Firmware(
        Path(_RUNNER.format(EXECUTORCH, "ethos-U55")),
        "",
        replace(_DATA, scratch=MemoryRange(0x9400_0000, 32 << 20)),
        runtime=EXECUTORCH,
    )
}
"""Arm's ExecuTorch runners likewise."""


def known_runner(npu: str, runtime: str = TFLM) -> Firmware:
    """Describes Arm's runner for `npu`; raises `BadInputError` if there is none."""
    runners = EXECUTORCH_RUNNERS if runtime == EXECUTORCH else RUNNERS
    if npu not in runners:
        kind, known = "" if runtime == TFLM else f"{RUNTIMES[runtime]} ", ", ".join(runners)
        raise BadInputError(f"there is no {kind}inference runner for {npu}", hint=f"there is one for {known}")
    return runners[npu]


def runner(npu: str = "ethos-u55", runtime: str = TFLM) -> Firmware:
    """Arm's inference runner for `npu` with `runtime`.

    Raises `UnavailableError` if its wheel is not installed, `BadInputError` if there is none for that NPU.
    """
    known = known_runner(npu, runtime)
    # Finding the package does not import it: that would cost a second.
    spec = importlib.util.find_spec("mlia")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / known.path / _ELF
        if path.is_file():
            return replace(known, path=path, sha256=sha256_of(path))
    raise UnavailableError(f"Arm's inference runner ({_ELF}) is not installed", hint=_HINT)


def sha256_of(path: Path) -> str:
    """The file's hash, hexadecimal."""
    return _sha256(path, path.stat().st_mtime_ns)


@functools.lru_cache(8)
def _sha256(path: Path, changed: int) -> str:
    """The file's hash; `changed` is its time of change, for the cache alone."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
