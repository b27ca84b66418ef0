"""The open Corstone-300 at work: lets the CPU run, serves the NPU, watches for the end.

    from hil.fvp.machine.start import start

    with start(line) as qemu, Machine(line, qemu) as machine:
        end = machine.run()

The loop sleeps until the CPU stops at an NPU register, or for a moment; then it takes what the UARTs sent and looks at
the limits.

With `open.samples=N` the run is done for N samples.  What a firmware does before it first looks at its inputs does not
depend on them: there the machine's state is saved (`starting_state`), and each further sample starts from it instead of
from a reset.  Nothing else is shared between samples.  With `open.store` the first one, too, starts from a state if an
earlier process has kept one that fits (`kept_states`).
"""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from hil.core.errors import BootError, FaultError, HilError, QemuEndedError
from hil.fvp.command_line.contract import CommandLine
from hil.fvp.machine import file_transfer, qemu, stepped_access
from hil.fvp.machine.memory import CpuView, GuestMemory
from hil.fvp.machine.npu_window import Device
from hil.fvp.machine.npu_work import NpuWork
from hil.fvp.machine.samples import SampleInputs
from hil.fvp.machine.starting_state import StartingState, StateContent
from hil.fvp.machine.time_limits import End, TimeLimits, TimeUpError
from hil.fvp.machine.uart import UartSink, settings
from hil.npu.accelerator import Accelerator

if TYPE_CHECKING:
    from hil.fvp.machine.heap import HeapInfo
    from hil.fvp.machine.kept_states import KeptState, KeptStates
    from hil.fvp.machine.semihosting import Semihosting
    from hil.npu.pmu_record import PmuRecord
    from hil.npu.registers import Events, NpuJob

_FIRST_TICK, _LAST_TICK, _TICKS = 0.0005, 0.005, 200
"""Seconds between looks at UARTs and limits: a 200th of the time that has passed, within these bounds."""


class Machine:
    """One Corstone-300 round a started QEMU, from its reset to its end; a context manager that closes its files.

    `accesses` is how often the CPU reached the NPU's registers, `exit_code` what the firmware gave to a semihosting
    exit, `pmu_records` what the PMU's counters did not show, by sample.  `restored` if it starts from a kept state,
    `spoiled` if its QEMU failed to read one: it cannot run, and a new one boots with `finds` False.  Raises
    `BadInputError` for files that cannot be read or written.
    """

    def __init__(self, line: CommandLine, started: qemu.Qemu, *, finds: bool = True) -> None:
        self._made = time.monotonic()
        self._qemu = started
        self._inputs = SampleInputs(line)
        accelerator = Accelerator.from_name(f"{line.npu}-{line.macs}")
        self.restored = self.spoiled = False
        self.accesses = self.exit_code = 0
        self.pmu_records: list[PmuRecord] = []
        self._line = line
        self._limits = TimeLimits(line)
        self._begins = 0.0
        self._heap: HeapInfo | None = None
        self._states = _kept_states(line, self._inputs)
        self._content: StateContent | None = None
        with contextlib.ExitStack() as stack:
            repeats = self._inputs.watched is not None
            self._sinks = {uart.number: UartSink(uart, repeats) for uart in settings(line)}
            for sink in self._sinks.values():
                stack.callback(sink.close)
            self._semihosting = line.flag("cpu0.semihosting-enable")
            self._host = _host(line, stack) if self._semihosting else None
            self._memory = GuestMemory(self._qemu.ddr, self._qemu.qtest)
            self._device = Device(accelerator, self._job, self._interrupt)
            self._start = StartingState(self._qemu, self._device, self._sinks, self._limits)
            self._work = NpuWork(line, accelerator, self._memory, keeps=self._states is not None)
            self._load(self._states.find() if self._states and finds else None)
            self._closing = stack.pop_all()

    def __enter__(self) -> Machine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    @property
    def simulated_seconds(self) -> float:
        """The time the CPU ran, for all samples."""
        return self._limits.total_seconds

    def _load(self, found: KeptState | None) -> None:
        loaded = [data for _, data in self._inputs.first]
        self._work.begin(loaded, found)
        try:
            self._qemu.gdb.connect()
            for dump in self._line.dumps:
                file_transfer.check(self._memory, "--dump", dump.address, dump.size)
            for window in qemu.NPU_WINDOWS:
                self._qemu.gdb.watch(window, qemu.NPU_WINDOW)
            if found is not None:
                self._adopt(found)
                return
            for address, data in self._inputs.first:
                file_transfer.load(self._memory, address, data)
            if self._inputs.watched:
                self._qemu.gdb.watch(*self._inputs.watched)
            self._heap = self._asked_heap() if self._semihosting else None
        except QemuEndedError:
            raise BootError(f"QEMU did not start ({qemu.how_ended(*self._qemu.ended())})") from None

    def _adopt(self, found: KeptState) -> None:
        """Starts from `found` if QEMU can."""
        assert self._states is not None
        try:
            self._begins = self._start.adopt(found.content)
        except FaultError as error:
            self._states.refuse(str(error))
            self.spoiled = True
            return
        self._memory.write(*self._inputs.of(0))
        self.restored = True

    def _asked_heap(self) -> HeapInfo | None:
        from hil.fvp.machine import heap

        addresses, application = heap.asked(self._line), self._line.application
        if addresses is None or application is None:
            return None
        gdb = self._qemu.gdb
        return heap.HeapInfo(gdb, CpuView(self._memory, gdb), application, addresses)

    def run(self) -> End:
        """Runs to the end; then the memory is saved as the command line asks.

        Raises `FaultError` if the CPU locked up, QEMU was killed or hangs, or the NPU met an error; what the UARTs sent
        until then is passed on.
        """
        try:
            return self._run()
        except QemuEndedError:
            raise self._killed(*self._gone()) from None

    def _run(self) -> End:
        saved: list[list[bytes]] = [[] for _ in self._line.dumps]
        for sample in range(self._inputs.samples):
            if sample == 0:
                self._limits.begin(self._begins)
            else:
                self._start_again(sample)
            try:
                end = self._loop()
            except HilError:
                self._drain()
                raise
            self.pmu_records.append(self._device.pmu_record)
            for pieces, dump in zip(saved, self._line.dumps, strict=True):
                pieces.append(self._saved(dump.address, dump.size, end))
            if end is not End.UART or self._start.board is None:
                break  # Firmware that gives up before it reads its inputs gives up for every sample.
        for pieces, dump in zip(saved, self._line.dumps, strict=True):
            file_transfer.save(dump.file, pieces)
        if path := self._line.text("open.pmu_file"):
            restored = [self.restored or number > 0 for number in range(len(self.pmu_records))]
            records = [{**r.as_json(), "restored": at} for r, at in zip(self.pmu_records, restored, strict=True)]
            file_transfer.save(Path(path), [json.dumps(records).encode()])
        if end is End.UART:
            self._keep_for_later()
        return end

    def _keep_for_later(self) -> None:
        if self._states is not None and self._content is not None:
            from hil.fvp.machine.kept_states import KeptState

            self._states.keep(KeptState(self._content, *self._work.jobs()), time.monotonic() - self._made)

    def _loop(self) -> End:
        gdb, limits, looked = self._qemu.gdb, self._limits, 0.0
        try:
            self._resume()
            while True:
                tick = min(max(limits.elapsed / _TICKS, _FIRST_TICK), _LAST_TICK)
                stopped = gdb.stopped(tick)
                if not stopped or limits.elapsed - looked > tick:  # Firmware may poll the NPU for ever.
                    looked = limits.elapsed
                    if end := self._ended():
                        if stopped:
                            gdb.reason()
                            limits.stands_still()
                        return end
                if stopped:
                    limits.stands_still()
                    if end := self._serve(gdb.reason()):
                        return end
        except TimeUpError:
            return End.TIME_LIMIT
        except QemuEndedError:
            return self._qemu_ended()

    def _serve(self, reason: str) -> End | None:
        """Does what the CPU stopped for and lets it go on."""
        gdb = self._qemu.gdb
        if reason.startswith("F"):
            assert self._host is not None  # Without semihosting QEMU makes no such calls.
            gdb.answer(self._host.serve(reason, CpuView(self._memory, gdb)))
            self._limits.goes_on()
        elif reason.startswith("W"):
            return self._qemu_ended()
        elif self._inputs.is_hit(reason):
            self._keep()
            self._resume()
        elif self._heap is not None and self._heap.is_hit(reason):
            self._resume(self._heap.serve(gdb.registers()[0]))
        else:
            self._resume(*stepped_access.serve(self._device, gdb, self._memory))
            self.accesses += 1
        return None

    def _resume(self, changed: dict[int, int] | None = None, xpsr: int | None = None) -> None:
        self._qemu.gdb.resume(changed, xpsr)
        self._limits.goes_on()

    def _stop(self) -> None:
        if self._limits.running:
            self._qemu.gdb.interrupt()
            self._limits.stands_still()

    def _interrupt(self, level: bool) -> None:
        self._qemu.qtest.interrupt(qemu.NPU_INTERRUPT, level)

    def _job(self, job: NpuJob) -> Events:
        self._keep()  # It may read the inputs where they are.
        with self._limits.guarding():
            return self._work.run(job)

    def _keep(self) -> None:
        """Saves the state for further samples, if there are any and it is not saved yet; the CPU stands still."""
        if not self._start.missing:
            return
        self._start.take()
        if self._inputs.watched:
            self._qemu.gdb.unwatch(*self._inputs.watched)
        if self._states is not None:
            self._content = self._start.content()

    def _start_again(self, sample: int) -> None:
        self._stop()
        begins = self._start.restore()
        self._memory.write(*self._inputs.of(sample))
        self._limits.begin(begins)

    def _ended(self) -> End | None:
        if self._drain():
            self._qemu.qtest.wake()
        if any(sink.ended for sink in self._sinks.values()):
            return End.UART
        return self._limits.reached()

    def _drain(self) -> bool:
        """True if input waits for a UART."""
        waiting = [sink.drain(self._qemu.uarts[number]) for number, sink in self._sinks.items()]
        return any(waiting)

    def _qemu_ended(self) -> End:
        code, messages = self._gone()
        if self._semihosting and code >= 0:
            self.exit_code = code
            return End.EXIT
        raise self._killed(code, messages)

    def _gone(self) -> tuple[int, str]:
        """Exit code and errors of a QEMU that ended."""
        self._drain()
        self._limits.stands_still()
        return self._qemu.ended()

    @staticmethod
    def _killed(code: int, messages: str) -> FaultError:
        return FaultError(qemu.why_ended(code, messages), log=messages)

    def _saved(self, address: int, size: int, end: End) -> bytes:
        if end is End.EXIT:
            if not self._memory.is_mapped(address, size):
                raise FaultError(f"{address:#010x} is not in DDR and is gone with the firmware's exit")
        else:
            self._stop()
        return self._memory.read(address, size)


def _host(line: CommandLine, stack: contextlib.ExitStack) -> Semihosting:
    from hil.fvp.machine.semihosting import serving  # Most runs have none.

    return stack.enter_context(serving(line))


def _kept_states(line: CommandLine, inputs: SampleInputs) -> KeptStates | None:
    """The kept states that may serve this run; None if no store is named, or a state could hold anything of this run.

    That is what is typed into a UART, and inputs in a memory that has further addresses, which nobody watches.
    """
    store = line.text("open.store")
    if not store or any(uart.first_port is not None for uart in settings(line)):
        return None
    if inputs.watched is None or not GuestMemory.is_mapped(*inputs.watched):
        return None
    from hil.fvp.machine import kept_states
    from hil.fvp.machine.state_recipe import recipe_of

    try:
        return kept_states.KeptStates(Path(store), recipe_of(line, inputs))
    except OSError as error:
        kept_states.warn(f"no state is kept: {error.filename} cannot be read: {error.strerror}")
        return None
