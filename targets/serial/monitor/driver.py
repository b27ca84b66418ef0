"""The driver of boards with this project's monitor firmware.

NPU operators run on the board, all others on the host's reference kernels; so the figures are the NPU's share of an
inference.  Weights and command streams go up once, then each sample's inputs up and its outputs down.  Time is taken
after the last sample, in jobs of their own.  A board that falls silent is reset and the sample runs again
(`boards.recovery`).
"""

from __future__ import annotations

from collections.abc import Sequence

from hil.core.arrays import Array
from hil.core.errors import BadInputError
from hil.core.measurement import Measurement, Trust
from hil.core.npu_config import NpuConfig
from hil.npu.accelerator import VIRTUAL_ID_WORD
from hil.npu.timing.memory_system import MemorySystem
from hil.targets.base import CutRun, Deployable, Progress, Run
from hil.targets.boards import BoardAccess, Health, Recovery
from hil.targets.boards.identity import accelerator
from hil.targets.boards.ports import usb_serial
from hil.targets.counters import requested
from hil.targets.execution.graph import cached_graph
from hil.targets.execution.interpreter import interpreter_version
from hil.targets.execution.placement import check_accelerator, model_file
from hil.targets.execution.signature import check_inputs, read_signature, require_runnable
from hil.targets.link import Identity, Link
from hil.targets.serial import SerialOptions
from hil.targets.serial.monitor.cut_inference import CutInference
from hil.targets.serial.monitor.figures import figures, missing_figures
from hil.targets.serial.monitor.resumable_run import ResumableRun, RunPlan, clocks


class MonitorDriver:
    """See `hil.targets.serial.driver.Driver`."""

    def __init__(self, access: BoardAccess, npu: NpuConfig, options: SerialOptions, health: Health) -> None:
        self._access = access
        self._npu = npu
        self._options = options
        self._recovery = Recovery.of(access, health=health)

    @classmethod
    def of(cls, access: BoardAccess, npu: NpuConfig, options: SerialOptions, health: Health) -> MonitorDriver:
        """See `Driver.of`."""
        return cls(access, npu, options, health)

    @staticmethod
    def check(model: Deployable, inputs: Sequence[Array]) -> None:
        """See `Driver.check`; refuses a model of which nothing is on the NPU, and one for another accelerator."""
        data = model_file(model)
        signature = read_signature(data)
        require_runnable(signature)
        check_inputs(signature, inputs)
        if not signature.compiled:
            raise BadInputError("nothing of the model is on the NPU, so a board has nothing to run", hint="use sim")
        check_accelerator(data, model.npu.accelerator)

    def close(self) -> None:
        """Closes and unlocks the port."""
        self._recovery.close()

    def identity(self) -> dict[str, str]:
        """Board, port, firmware, NPU and its clock."""
        return self._identity(self._recovery.attempt(Link.identify))

    def run(self, model: Deployable, inputs: Sequence[Array], *, progress: Progress | None = None) -> Run:
        """See `Target.run`.

        Also raises `JobError` for a job that the NPU did not finish, `BoardLostError` for a board that does not come
        back.  A board with another NPU is refused before anything is written to it.
        """
        self.check(model, inputs)
        data, options = model_file(model), self._options
        plan = self._plan(model)
        work = ResumableRun(plan, inputs, len(inputs[0]), progress)
        series = self._recovery.attempt(work.do)
        assert work.identity is not None, "the work was done"
        is_virtual = self._is_virtual(work.identity)
        cpu_operators = len(read_signature(data).cpu_operators)
        identity = self._identity(work.identity) | {"memory_mode": model.npu.memory_mode}
        if cpu_operators:
            identity["cpu_engine"] = f"tensorflow {interpreter_version('tensorflow')}, reference kernels, on the host"
        if options.keep_state:
            identity["state"] = "kept"
        counted = figures(series, clocks(work.identity, plan, virtual=is_virtual), virtual=is_virtual)
        return Run(
            work.outputs,
            (*counted, *_exact(cpu_operators, self._recovery.recoveries)),
            identity,
            missing=missing_figures(series, virtual=is_virtual),
        )

    def run_cut(self, model: Deployable, inputs: Sequence[Array], pieces: Sequence[Sequence[bytes]]) -> CutRun:
        """See `CutsStreams`; a board that has to be recovered begins anew."""
        self.check(model, inputs)
        plan = self._plan(model)
        work = CutInference(plan, [array[:1] for array in inputs], pieces)
        cut = self._recovery.attempt(work.do)
        assert work.identity is not None, "the work was done"
        is_virtual = self._is_virtual(work.identity)
        return CutRun(
            cut.outputs,
            cut.pieces,
            cut.whole,
            cut.start,
            clocks(work.identity, plan, virtual=is_virtual).npu_hz,
            Trust.MODELLED if is_virtual else Trust.MEASURED,
            self._identity(work.identity) | {"memory_mode": model.npu.memory_mode},
        )

    def _plan(self, model: Deployable) -> RunPlan:
        options = self._options
        return RunPlan(
            cached_graph(model_file(model)),
            MemorySystem.of(model.npu),
            self._access.board,
            options.repetitions,
            options.warmups,
            options.limit_ms,
            options.keep_state,
            requested(options.events),
        )

    def _is_virtual(self, identity: Identity) -> bool:
        """True for a simulated board, whatever its name and port."""
        return self._access.is_virtual or identity.npu_id == VIRTUAL_ID_WORD

    def _identity(self, identity: Identity) -> dict[str, str]:
        """The board's part of a record; the port of a virtual board is another one in every run.

        What the firmware does not report is left out.  `usb_serial` is a number of the port, not of the board.
        """
        board, is_virtual, port = self._access.board, self._is_virtual(identity), self._access.find()
        clock = f"{(board.npu_hz or identity.npu_hz) / 1e6:g} MHz"
        if is_virtual:
            clock = f"{MemorySystem.of(self._npu).clock_hz / 1e6:g} MHz, modelled"
        found = {
            "board": board.name,
            "port": port,
            "usb_serial": usb_serial(port),
            "firmware": identity.firmware,
            "firmware_crc32": f"{identity.image.crc:08x}" if identity.image else "",
            "hardware": f"{identity.board}, virtual" if is_virtual else identity.board,
            "serial_number": identity.serial,
            "npu": accelerator(identity) or "none",
            "npu_clock": clock,
            "cpu_clock": f"{identity.cpu_hz / 1e6:g} MHz",
        }
        shown = (f"{name} {found[name]}" for name in ("hardware", "firmware", "firmware_crc32") if found[name])
        self._recovery.health.identified(board.name, identity.serial, ", ".join(shown))
        return {name: value for name, value in found.items() if value}


def _exact(cpu_operators: int, recoveries: int) -> tuple[Measurement, ...]:
    note = "run on the host's reference kernels, not in the figures"
    return (
        Measurement("cpu_operators", cpu_operators, "operators", Trust.EXACT, note),
        Measurement("recoveries", recoveries, "recoveries", Trust.EXACT, "of the board, since it is in use"),
    )
