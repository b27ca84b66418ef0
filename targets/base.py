"""The protocol `Target`: the one interface between the harness and the places where a model runs.

    from hil.targets import create

    target = create("sim")
    run = target.run(Deployable(compiled=vela_bytes, int8=int8_bytes, npu=NpuConfig("ethos-u55-128")), [x])
    run.outputs[0].shape            # (samples, ...)

A target takes quantized arrays with a leading sample axis and gives the same back, with what it could measure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from hil.core.arrays import Array
from hil.core.errors import UnknownParityError
from hil.core.measurement import Measurement, MissingFigure, Trust
from hil.core.npu_config import DEFAULT_NPU, NpuConfig
from hil.targets.board_event import BoardEvent

Progress = Callable[[int, int], None]
"""Called with (samples done, samples in all)."""


@dataclass(frozen=True)
class Deployable:
    """A model ready for a target.

    `int8` is the quantized TFLite file before Vela, `compiled` is Vela's output for it, or an ExecuTorch program (a
    `.pte`, for a target that takes `File.PROGRAM`); at least one is given.
    `compiled` is None for a model that is to run on CPU kernels.  `npu` is the NPU it was compiled for.
    """

    int8: bytes | None
    compiled: bytes | None
    npu: NpuConfig = DEFAULT_NPU


@dataclass(frozen=True)
class Run:
    """Result of a run: one array per model output, in the model's order, each with a leading sample axis.

    `measurements` hold per-inference figures, `missing` those that have no value, and why; `identity` all that a number
    of this run depends on (engine, versions, firmware hash ...), `log` the target's own text (UART).  A board that
    prints real numbers instead of giving its tensors has them in `printed`; its `outputs` are empty where the numbers
    do not tell which quantized values they are (`identity["parity"]` says why).
    """

    outputs: tuple[Array, ...]
    measurements: tuple[Measurement, ...] = ()
    identity: dict[str, str] = field(default_factory=dict)
    log: str = ""
    printed: tuple[Array, ...] = ()
    missing: tuple[MissingFigure, ...] = ()

    def require_outputs(self, name: str) -> None:
        """Raises `UnknownParityError`, about `name`, for a run whose print does not tell the quantized outputs."""
        if self.printed and not self.outputs:
            reason = self.identity.get("parity", "unknown").removeprefix("unknown: ")
            raise UnknownParityError(f"{name}: parity with the int8 model is unknown: {reason}")


@dataclass(frozen=True)
class CutRun:
    """An inference whose command streams ran piece by piece, NPU operators alone; cycles are by repetition.

    `pieces` are by stream and piece, `whole` those of the streams uncut, `start` those of a job without an operation.
    `clock_hz` is the NPU's; `outputs` are those of both runs, which are equal.
    """

    outputs: tuple[Array, ...]
    pieces: tuple[tuple[tuple[int, ...], ...], ...]
    whole: tuple[int, ...]
    start: tuple[int, ...]
    clock_hz: float
    trust: Trust
    identity: dict[str, str] = field(default_factory=dict)


class Target(Protocol):
    """A place where a model runs."""

    name: str

    def identity(self) -> dict[str, str]:
        """Engine and version, for the run's header and every record; raises `UnavailableError` if it cannot run."""
        ...

    def run(self, model: Deployable, inputs: Sequence[Array], *, progress: Progress | None = None) -> Run:
        """Runs every sample from a fresh state.

        `inputs`: one array per model input in the model's order, the tensor's dtype, shape (samples, *tensor shape
        without a leading batch of 1).  Raises `BadInputError` for arrays or models it cannot take,
        `InfrastructureError` when the target failed.
        """
        ...

    def close(self) -> None:
        """Releases the target's resources, such as a board; a second call does nothing."""
        ...


@runtime_checkable
class CutsStreams(Protocol):
    """A target that can run the command streams of a model piece by piece."""

    def run_cut(self, model: Deployable, inputs: Sequence[Array], pieces: Sequence[Sequence[bytes]]) -> CutRun:
        """Runs the first sample of `inputs` uncut and cut, and measures both.

        `pieces` are the streams of each NPU operator, in order, as `hil.npu.stream.pieces` cuts them.  Raises
        `MismatchError` if the outputs differ, and what `Target.run` raises.
        """
        ...


@runtime_checkable
class UsesBoards(Protocol):
    """A target that runs on boards, whose health the results database keeps over sessions."""

    def quarantine(self, boards: Mapping[str, str]) -> None:
        """Leaves `boards`, by name with the reason, alone: a run on one of them raises `QuarantinedError`."""
        ...

    def take_events(self) -> tuple[BoardEvent, ...]:
        """Returns what happened to boards since the last call."""
        ...
