"""The Ethos-U on the machine's bus: the window of its registers.

    device = Device(accelerator, run, irq)
    device.serve(code, registers, xpsr)     # does one load or store of the CPU; gives the registers it changes

The driver writes where the command stream and the eight memory regions lie, and starts the NPU: then `run` does it
(see `jobs`).  Until then nothing of the arithmetic is needed, so a firmware's driver can find and set up its NPU while
NumPy is still being imported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hil.core.errors import FaultError
from hil.fvp.machine.gdb import PC
from hil.fvp.machine.load_store import decode as decode_access
from hil.fvp.machine.load_store import next_xpsr
from hil.fvp.machine.qemu import NPU_WINDOW, NPU_WINDOWS
from hil.npu.accelerator import ID_WORD, Accelerator
from hil.npu.pmu_record import PmuRecord
from hil.npu.registers import Events, NpuJob, Registers


class Device:
    """One NPU; `run` does a job, `irq` is called with the level of the interrupt line.

    With `tolerant`, an error of a job is only to be seen in the registers, as in hardware.  `id_word` is register ID.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        run: Callable[[NpuJob], Events],
        irq: Callable[[bool], None],
        *,
        tolerant: bool = False,
        id_word: int = ID_WORD,
    ) -> None:
        self.accelerator = accelerator
        self._tolerant = tolerant
        self._registers = Registers(accelerator, run, irq, id_word)

    def state(self) -> dict[str, Any]:
        """The registers' state, for `restore`."""
        return self._registers.state()

    def restore(self, state: dict[str, Any]) -> None:
        """Brings back a state; the interrupt line is the machine's to restore."""
        self._registers.restore(state)

    @property
    def pmu_record(self) -> PmuRecord:
        """Returns what the counters of the PMU do not show (see `PmuRecord`)."""
        return self._registers.pmu_record

    def serve(self, code: bytes, registers: Sequence[int], xpsr: int) -> tuple[dict[int, int], int | None]:
        """Does the load or store `code` (4 bytes from PC) of a CPU with `registers` (r0 to r15) and `xpsr`.

        Gives the registers that it changes, PC included, and xPSR if it changes.  Raises `FaultError` if it does not
        reach the NPU's registers, or, unless it is tolerant, the NPU met an error in what it was to run.
        """
        access = decode_access(code)
        address = access.address(registers)
        changed: dict[int, int] = {}
        for index, register in enumerate(access.registers):
            offset = self._offset(address + index * access.width, registers[PC])
            if access.is_load:
                changed[register] = access.loaded(self._registers.read(offset, access.width))
            else:
                self._registers.write(offset, access.width, registers[register])
        self._check()
        base = access.written_base(registers)
        if base is not None:
            changed[access.base] = base
        changed[PC] = registers[PC] + access.size
        after = next_xpsr(xpsr)
        return changed, None if after == xpsr else after

    def contents(self) -> bytes:
        """All registers as a CPU reads them."""
        return b"".join(self._registers.read(at, 4).to_bytes(4, "little") for at in range(0, NPU_WINDOW, 4))

    def put(self, offset: int, data: bytes) -> None:
        """Writes `data` at byte `offset`, in words where it can; raises `FaultError` like `serve`."""
        while data:
            size = next(size for size in (4, 2, 1) if offset % size == 0 and len(data) >= size)
            self._registers.write(offset, size, int.from_bytes(data[:size], "little"))
            offset, data = offset + size, data[size:]
        self._check()

    def _check(self) -> None:
        if self._registers.fault is not None and not self._tolerant:
            raise FaultError(f"the NPU met an error: {self._registers.fault}")

    @staticmethod
    def _offset(address: int, pc: int) -> int:
        for window in NPU_WINDOWS:
            if window <= address < window + NPU_WINDOW:
                return address - window
        raise FaultError(f"the instruction at {pc:#010x} reaches {address:#010x}, beyond the NPU's registers")
