"""The monitor's C parts as a library of this machine, and registers in place of the hardware."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable
from pathlib import Path

from hil.npu.registers import Registers
from hil.targets.firmware.build import SOURCES
from hil.targets.firmware.compilers import zig

NPU = 0x5810_2000
TICK_HZ = 1_000_000
SYSTICK_VALUE, ICSR = 0xE000_E018, 0xE000_ED04
SYSTICK_PENDING, WRAP = 1 << 26, 1 << 24
_PARTS = ("monitor/npu.c", "monitor/timer.c")
_INCLUDES = ("monitor", "protocol")


class Job(ctypes.Structure):
    """`hil_job`."""

    _fields_ = (
        ("stream_address", ctypes.c_uint32),
        ("stream_bytes", ctypes.c_uint32),
        ("bases", ctypes.c_uint64 * 8),
        ("region_config", ctypes.c_uint32),
        ("qconfig", ctypes.c_uint32),
        ("axi_limits", ctypes.c_uint32 * 4),
        ("events", ctypes.c_uint16 * 4),
        ("limit_ms", ctypes.c_uint32),
    )


class Result(ctypes.Structure):
    """`hil_result`."""

    _fields_ = (
        ("outcome", ctypes.c_uint8),
        ("npu_status", ctypes.c_uint32),
        ("qread", ctypes.c_uint32),
        ("cycles", ctypes.c_uint64),
        ("events", ctypes.c_uint32 * 4),
        ("ticks", ctypes.c_uint64),
        ("fault", ctypes.c_uint32 * 3),
        ("overflow", ctypes.c_uint32),
    )


def library(folder: Path) -> ctypes.CDLL:
    """`hardware.c` and the parts, built by zig for this machine; needs the wheel `ziglang`."""
    program, built = zig(), folder / "parts.so"
    assert program is not None
    sources = [Path(__file__).with_name("hardware.c"), *(SOURCES / part for part in _PARTS)]
    includes = [flag for name in _INCLUDES for flag in ("-I", str(SOURCES / name))]
    command = [
        program,
        "cc",
        "-shared",
        "-fPIC",
        "-O1",
        "-Wall",
        "-Wextra",
        "-Werror",
        *includes,
        *sources,
        "-o",
        built,
    ]
    subprocess.run([str(word) for word in command], check=True)
    return ctypes.CDLL(str(built))


class Hardware:
    """Registers of a CPU and an NPU.  `log` has the writes to the NPU in order, (offset, value).

    SysTick goes on by `step` at each look; the interrupt of a wrap is taken after the CPU could see it pending.
    """

    def __init__(self, parts: ctypes.CDLL, npu: Registers | Callable[[int], int], step: int = 1) -> None:
        self.log: list[tuple[int, int]] = []
        self.elapsed = 0
        self._npu, self._step, self._parts = npu, step, parts
        self._wraps = 0
        self._callbacks = (
            ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_uint32)(self._read),
            ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32)(self._write),
        )
        for name, callback in zip(("on_read", "on_write"), self._callbacks, strict=True):
            ctypes.c_void_p.in_dll(parts, name).value = ctypes.cast(callback, ctypes.c_void_p).value
        parts.timer_start()

    def run(self, **fields: object) -> Result:
        """`npu_run` of a job with `fields`."""
        job, result = Job(**fields), Result()
        self._parts.npu_run(NPU, TICK_HZ, ctypes.byref(job), ctypes.byref(result))
        return result

    def _read(self, address: int) -> int:
        if address == SYSTICK_VALUE:
            self.elapsed += self._step
            return -self.elapsed % WRAP
        if address == ICSR:
            return self._interrupt()
        offset = address - NPU
        return self._npu.read(offset) if isinstance(self._npu, Registers) else self._npu(offset)

    def _interrupt(self) -> int:
        if self.elapsed // WRAP == self._wraps:
            return 0
        self._wraps += 1
        self._parts.timer_wrapped()
        return SYSTICK_PENDING

    def _write(self, address: int, value: int) -> None:
        offset = address - NPU
        if 0 <= offset < 0x1000:
            self.log.append((offset, value))
            if isinstance(self._npu, Registers):
                self._npu.write(offset, 4, value)
