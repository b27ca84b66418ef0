"""The driver of boards with MLPerf Tiny's firmware: such a board runs the model that it carries, not ours.

    from hil.targets.board_address import reach

    with reach("kws_board") as access:
        run = MlperfDriver(access).run(Deployable(int8=int8, compiled=None), [x])
    run.printed               # what the board printed, (samples, outputs)
    run.outputs               # the quantized outputs where the print identifies them, else empty
    run.identity["parity"]    # which of both, and why

The model on the board is whatever its maker put there.  That it is the int8 model of the deployment shows, if at all,
by its outputs: where the print distinguishes int8 values they are compared bit by bit like any target's, else nothing
is said of parity.  Accuracy counts on the printed numbers either way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import AnswerError, BadInputError
from hil.core.measurement import Measurement, Trust
from hil.core.npu_config import NpuConfig
from hil.targets.base import CutRun, Deployable, Progress, Run
from hil.targets.boards import Board, BoardAccess, Health, Recovery, WrongBoardError
from hil.targets.boards.port_lock import Say
from hil.targets.boards.serial_line import open_line
from hil.targets.execution.signature import Signature, check_inputs, read_signature, require_runnable
from hil.targets.link import GarbageError
from hil.targets.mlperf_link.commands import MlperfClient
from hil.targets.mlperf_link.replies import Profile, Results
from hil.targets.serial import SerialOptions
from hil.targets.serial.mlperf import latency
from hil.targets.serial.mlperf.encoding import encode
from hil.targets.serial.mlperf.printed_outputs import Recovered, recover

WINDOWS = 5
WINDOW_S = 0.5


class MlperfDriver:
    """`access` reaches the board, whose port is this run's until `close`; `windows` of `window_s` time an inference."""

    def __init__(
        self,
        access: BoardAccess,
        *,
        windows: int = WINDOWS,
        window_s: float = WINDOW_S,
        first_limit_s: float = latency.FIRST_LIMIT_S,
        health: Health | None = None,
        say: Say | None = None,
    ) -> None:
        if windows < 1 or not 0 < window_s <= 600:
            raise BadInputError(f"{windows} windows of {window_s:g} s: at least 1, and at most 600 s long")
        self._access = access
        self._windows = windows
        self._window_s = window_s
        self._first_limit_s = first_limit_s
        self._recovery = Recovery(access, connect, health=health, say=say)
        self._is_verified = True

    @classmethod
    def of(cls, access: BoardAccess, npu: NpuConfig, options: SerialOptions, health: Health) -> MlperfDriver:
        """See `hil.targets.serial.driver.Driver.of`; the measured runs are windows.

        Raises `BadInputError` for events to count.
        """
        if options.events:
            raise BadInputError(f"--event {options.events[0]}: MLPerf Tiny's firmware counts no events of an NPU")
        return cls(access, windows=options.repetitions, health=health)

    @staticmethod
    def check(model: Deployable, inputs: Sequence[Array]) -> None:
        """See `Driver.check`; refuses a model of more than one input or output."""
        check_inputs(_signature(model), inputs)

    def __enter__(self) -> MlperfDriver:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the board."""
        self._recovery.close()

    def identity(self) -> dict[str, str]:
        """The board, and what it says of its firmware and model."""
        found = self._recovery.attempt(lambda client: _identity(self._access.board, client.profile()))
        detail = f"firmware {found['firmware']}, model {found['model']}"
        self._recovery.health.identified(self._access.board.name, "", detail)  # The protocol has no serial number.
        return found

    def run(self, model: Deployable, inputs: Sequence[Array], *, progress: Progress | None = None) -> Run:
        """See `Target.run`; raises `BadInputError` for a model of more than one input or output."""
        signature = _signature(model)
        samples = check_inputs(signature, inputs)
        identity = self.identity()
        data = [encode(identity["model"], signature.inputs[0], sample) for sample in inputs[0]]
        results = []
        for number, sample in enumerate(data):
            results.append(self._recovery.attempt(self._classifier(sample)))
            if progress:
                progress(number + 1, samples)
        taken = self._recovery.attempt(self._timer(data[0]))
        if taken is None:
            identity["timestamps"] = "pulses of a pin (energy mode): no latency over the line"
        printed, resolution = _printed(results, self._access.board)
        found = recover(signature.outputs[0], printed, resolution)
        identity |= _parity(found)
        if not self._is_verified:
            identity["inputs"] = "not read back: the firmware cannot print its buffer"
        return Run(
            (found.values,) if found.values is not None else (),
            (*(latency.measurements(taken) if taken else ()), self._recoveries()),
            identity,
            "\n".join(f"sample {number}: {list(result.values)}" for number, result in enumerate(results)),
            (printed,),
        )

    def run_cut(self, model: Deployable, inputs: Sequence[Array], pieces: Sequence[Sequence[bytes]]) -> CutRun:
        """Raises `BadInputError`: the model is part of the firmware."""
        board = self._access.board.name
        raise BadInputError(f"{board}: MLPerf Tiny's firmware runs its model as a whole", hint="flash the monitor")

    def _classifier(self, sample: bytes) -> Callable[[MlperfClient], Results]:
        def classify(client: MlperfClient) -> Results:
            try:
                client.load(sample)
                self._is_verified = client.is_verified
                first = client.infer(1, 0, self._first_limit_s).results
            except AnswerError as error:
                hint = "is the deployment's model the one that the board carries?"
                raise AnswerError(
                    str(error.args[0]), answer=error.answer, hint=hint, transcript=error.transcript
                ) from None
            if client.results() != first:
                raise GarbageError("the results differ when they are asked for again", transcript=client.transcript)
            return first

        return classify

    def _timer(self, sample: bytes) -> Callable[[MlperfClient], latency.TimedWindows | None]:
        def take(client: MlperfClient) -> latency.TimedWindows | None:
            client.load(sample)
            return latency.measure(client, windows=self._windows, window_s=self._window_s)

        return take

    def _recoveries(self) -> Measurement:
        return Measurement("recoveries", self._recovery.recoveries, "recoveries", Trust.EXACT, "of the board, this run")


def connect(board: Board, find: Callable[[], str]) -> MlperfClient:
    """A client that answers; raises `WrongBoardError` if the board is described as another."""
    client = MlperfClient(open_line(board, find), sync_s=max(board.reset.boot_s, 2.0))
    try:
        name = client.sync()
        if board.reports and board.reports not in (name, client.profile().model):
            raise WrongBoardError(f"{board.name}: {name} answered, {board.reports!r} is described")
    except BaseException:
        client.close()
        raise
    return client


def _signature(model: Deployable) -> Signature:
    data = model.int8 if model.int8 is not None else model.compiled
    if data is None:
        raise BadInputError("there is no model to compare the board with")
    signature = read_signature(data)
    require_runnable(signature)
    for kind, specs in (("input", signature.inputs), ("output", signature.outputs)):
        if len(specs) != 1:
            raise BadInputError(f"the model has {len(specs)} {kind}s, the MLPerf Tiny protocol knows one")
    return signature


def _identity(board: Board, profile: Profile) -> dict[str, str]:
    return {
        "board": board.name,
        "protocol": "mlperf",
        "firmware": profile.firmware,
        "model": profile.model,
        "npu": f"as described: {board.npu.accelerator}; this protocol does not tell",
    }


def _parity(found: Recovered) -> dict[str, str]:
    return {"parity": found.reason if found.values is not None else f"unknown: {found.reason}"}


def _printed(results: Sequence[Results], board: Board) -> tuple[Array, float]:
    """Real numbers (samples, outputs) and how far each may be from what the board has."""
    if len({len(result.values) for result in results}) != 1:
        raise GarbageError(f"{board.name} prints another number of outputs for one sample than for another")
    return np.array([result.values for result in results], np.float64), max(result.resolution for result in results)
