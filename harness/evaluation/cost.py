"""Cost: cycles and time of an inference, bytes of SRAM and flash, each with its trust.

    latency, memory = latency_of(run, summary, "sim"), memory_of(summary, run)
    latency.ms, latency.cycles, latency.trust         # 0.24, 118976, Trust.MODELLED
    memory.sram_bytes, memory.flash_bytes, memory.encoded_weight_bytes

A latency is of the whole inference.  If Vela left operators on the CPU, of a simulator, whose cycles mean nothing, or
with target serial of the host, the NPU's share is still given as `npu_ms`, but `ms` refuses: no gate can pass on a
number that leaves part of the work out.
"""

from __future__ import annotations

from dataclasses import dataclass

from hil.core.errors import UntrustedError
from hil.core.measurement import Trust
from hil.harness.vela.compiler import VelaSummary
from hil.targets.base import Run


@dataclass(frozen=True)
class Latency:
    """One inference: `cycles` of the NPU at `clock_hz`; `cpu_operators` ran elsewhere and are not in it.

    `clock` is the clock with its source, for people: "500 MHz of Ethos_U55_High_End_Embedded".  `repetitions` are the
    cycles of the single runs, of a target that repeats them.
    """

    cycles: int
    clock_hz: float
    trust: Trust
    cpu_operators: int
    clock: str = ""
    repetitions: tuple[float, ...] = ()

    @property
    def npu_ms(self) -> float:
        """Time of the NPU's share in milliseconds."""
        return 1e3 * self.cycles / self.clock_hz

    @property
    def ms(self) -> float:
        """Time of the whole inference in milliseconds; `UntrustedError` if part of it did not run on the NPU."""
        if self.cpu_operators:
            raise UntrustedError(
                f"{self.cpu_operators} operators run on the CPU, whose time is not in the NPU's cycles",
                hint="use latency.npu_ms for the NPU's share",
            )
        return self.npu_ms


@dataclass(frozen=True)
class Clock:
    """Clock of an NPU in Hz, and its source."""

    hz: float
    source: str

    def __str__(self) -> str:
        return f"{self.hz / 1e6:g} MHz {self.source}"


def clock_of(run: Run, summary: VelaSummary, system_config: str = "") -> Clock:
    """The clock of the measured NPU; if the target does not report it, that of Vela's system configuration."""
    reported = next((m for m in run.measurements if m.name == "npu_clock"), None)
    if reported is not None:
        return Clock(reported.value, reported.note)
    return Clock(summary.clock_hz, f"of {system_config or 'the system configuration'}")


@dataclass(frozen=True)
class WholeLatency:
    """One inference as a board times it as a whole: `ms`, which leaves nothing out; nothing counts the NPU's cycles.

    `repetitions` are the milliseconds of the single measurements.
    """

    ms: float
    trust: Trust
    repetitions: tuple[float, ...] = ()

    @property
    def cycles(self) -> int:
        """Raises `UntrustedError`: the board counts no cycles."""
        raise UntrustedError("the board times whole inferences and counts no cycles", hint="use latency.ms")

    @property
    def npu_ms(self) -> float:
        """Raises `UntrustedError`: the NPU's share is unknown."""
        raise UntrustedError("the board times whole inferences, not the NPU's share", hint="use latency.ms")


@dataclass(frozen=True)
class Memory:
    """Bytes, as Vela placed and encoded them (exact); `arena_used_bytes` is the target's report, None without one.

    `flash_bytes` is the read-only data (weights, scales, tables); it lies in DRAM where the memory mode has no flash.
    """

    sram_bytes: int
    flash_bytes: int
    encoded_weight_bytes: int
    arena_used_bytes: int | None = None


def latency_of(run: Run, summary: VelaSummary, target: str, system_config: str = "") -> Latency | WholeLatency:
    """Latency from the cycles that the target counted, at its clock (`clock_of`), or from a board's own time."""
    whole = next((m for m in run.measurements if m.name == "inference_ms"), None)
    if whole is not None and whole.trust is not Trust.UNTRUSTED:
        return WholeLatency(whole.value, whole.trust, whole.repetitions)
    cycles = next((m for m in run.measurements if m.name == "npu_cycles"), None)
    if cycles is None or cycles.trust is Trust.UNTRUSTED:
        counted = cycles or whole
        why = f": {counted.note}" if counted is not None and counted.note else ""
        raise UntrustedError(f"{target} measures no latency{why}", hint="use sim, fvp or a board")
    clock = clock_of(run, summary, system_config)
    operators = len(summary.cpu_operators)
    return Latency(int(cycles.value), clock.hz, cycles.trust, operators, str(clock), cycles.repetitions)


def memory_of(summary: VelaSummary, run: Run | None) -> Memory:
    """Vela's bytes, with the arena that the target reports if it ran."""
    arena = next((int(m.value) for m in run.measurements if m.name == "arena_used_bytes"), None) if run else None
    return Memory(summary.sram_bytes, summary.flash_bytes, summary.weights_encoded, arena)
