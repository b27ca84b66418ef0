"""The error family: every error that this project raises on purpose, in one tree.

    HilError                            exit 1  a gate or parity failed
    ├── MismatchError                           outputs differ from the reference kernels'
    ├── UnknownParityError                      a board's print does not determine its quantized outputs
    ├── UntrustedError                          a latency gate was put on a figure that says nothing of the chip
    ├── NoReferenceError                        a drop was asked of a model that came without its Keras model
    ├── GoneError                               an input of an earlier run is no longer there
    ├── BadInputError                   exit 2  what the user gave cannot be used
    │   └── StreamError                         a command stream, weight stream or compiled file is malformed
    ├── OptimizeError                   exit 2  a technique does not take this model
    │   ├── LostError                   exit 1  zeros or clusters that a technique promised are gone
    │   ├── ConvertError                exit 2  the Keras model did not become a fully quantized TFLite model
    │   └── CrashError                  exit 2  the process of a step crashed, hung or ran out of memory
    ├── CompileError                    exit 2  Vela gave up on the model
    ├── BuildError                      exit 2  the firmware's sources do not compile
    └── InfrastructureError             exit 3  the target or its surroundings failed; never a regression
        ├── UnavailableError                    something needed is not on this machine
        │   └── NotStoredError                  an artifact is not in the store, and must not be made
        ├── NoMemoryError                       the machine has no more memory
        ├── ArchiveError                        a download is not what was asked for
        ├── JobError                            a command stream did not run to its end on a board
        ├── CounterError                        a counter of the device wrapped
        ├── AnswerError                         MLPerf Tiny's firmware refused a command
        ├── ResultsError                        the results database failed, is newer than this program, or no database
        ├── WorkerError                         a worker process failed to do a request
        │   └── WorkerDiedError                 it ended while it worked on one
        ├── FvpError                            a firmware run on a Corstone-300 failed
        │   ├── BootError                       simulator or firmware did not start: look at the executable
        │   ├── HangError                       no end within its time: look at the end of the UART log
        │   ├── FaultError                      firmware or simulated hardware met an error
        │   │   ├── QemuEndedError              QEMU closed a connection
        │   │   └── QemuHangsError              QEMU is there and answers no more
        │   ├── ProtocolError                   the firmware ended well, but its record cannot be read
        │   └── StoppedError                    whoever started the run ended it
        ├── BoardError                          a board failed, beyond its link
        │   ├── PortError                       no serial port, or several, match the description: look at the cable
        │   ├── InUseError                      another run holds the port
        │   ├── WrongBoardError                 another board than the described one answered
        │   ├── StuckError                      the NPU does not come back; a reset follows
        │   ├── ResetError                      a way of resetting the board failed by itself
        │   ├── FlashError                      the flasher failed or took too long: look at its output
        │   ├── LabError                        labgrid's coordinator is not there, or refuses
        │   ├── BoardLostError                  the board does not come back, whatever was tried
        │   ├── QuarantinedError                the board failed too often of late, and is left alone
        │   └── CheckError                      the board failed its health check
        └── LinkError                           host and board do not understand each other
            ├── SilentError                     the board said nothing: power, cable, port, firmware
            ├── GarbageError                    bytes came, but no frames: baud rate, firmware
            ├── RebootedError                   the board was reset in the middle: supply, watchdog
            ├── UnpluggedError                  the port is gone, or cannot be opened
            ├── RefusedError                    the board refused a request: its status is in the message
            └── SlowError                       an operation did not end within its time

The class says what failed, the message is one clear line, `hint` says what to do about it, and `exit_code` is what the
command `hil` ends with.  A target from outside this project raises these, or subclasses of them.
"""

from __future__ import annotations

import signal

EXIT_GATE = 1
EXIT_USAGE = 2
EXIT_INFRASTRUCTURE = 3

_KILLED_FROM_OUTSIDE = (-signal.SIGTERM, -9)  # SIGKILL; native code that crashes ends otherwise


_DYING = ("F0000", "F ", "terminate called", "what():")
"""Beginnings of the lines in which TensorFlow and the C++ library say why they abort."""


class HilError(Exception):
    """Base of all errors.

    `hint` is what the user can do (empty if nothing), `log` the text a child process left behind (kept before
    anything is tried again).
    """

    exit_code = EXIT_GATE

    def __init__(self, message: str, *, hint: str = "", log: str = "") -> None:
        lines = map(str.strip, message.splitlines())  # a user's code, or a library, may have given a part of it
        super().__init__(" ".join(filter(None, lines)))
        self.hint = hint
        self.log = log

    def __str__(self) -> str:
        return f"{self.args[0]} ({self.hint})" if self.hint else str(self.args[0])


class MismatchError(HilError):
    """A target's outputs are not what the reference computes from the same int8 model."""


class UnknownParityError(HilError):
    """A board's outputs cannot be compared with the int8 model's: no gate on parity passes."""


class UntrustedError(HilError):
    """A gate was put on a number that says nothing about the chip."""


class NoReferenceError(HilError):
    """A comparison with the float Keras model was asked of a model that came as an int8 file."""


class GoneError(HilError):
    """An input of an earlier run is no longer there."""


# -- exit 2: wrong use, bad input, and models that a step does not take


class BadInputError(HilError):
    """The user's input cannot be used: a file that is no model, a wrong array, an unknown name."""

    exit_code = EXIT_USAGE


class StreamError(BadInputError):
    """A command stream, weight stream or compiled file is malformed, out of bounds or uses what is not modelled.

    `word_offset` is the offset, in 32-bit words from the start of the command stream, of the offending command.
    """

    def __init__(self, message: str, *, word_offset: int | None = None, hint: str = "") -> None:
        where = "" if word_offset is None else f" (command at word {word_offset})"
        super().__init__(message + where, hint=hint)
        self.word_offset = word_offset


class OptimizeError(HilError):
    """A technique could not be applied to this model: a layer or a setting that TFMOT does not take."""

    exit_code = EXIT_USAGE


class LostError(OptimizeError):
    """A technique ran but its promise does not hold: sparsity or clusters were lost in `layer` after `step`."""

    exit_code = EXIT_GATE

    def __init__(self, message: str, *, layer: str, step: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.layer = layer
        self.step = step


class ConvertError(OptimizeError):
    """The Keras model did not become a fully quantized TFLite model; `log` is the converter's own text."""


class CrashError(OptimizeError):
    """The process of a step ended or hung: native code, the user's code or want of memory; `log` is its stderr."""


class CompileError(HilError):
    """Vela gave up on a model; `log` is Vela's own text."""

    exit_code = EXIT_USAGE


class BuildError(HilError):
    """The firmware's sources, or a port of one's own, do not compile; `log` is what the compiler said."""

    exit_code = EXIT_USAGE


# -- exit 3: the target or its surroundings


class InfrastructureError(HilError):
    """The target or its surroundings failed; never a regression of the model.

    `lost` names a device that is out of order from now on, and not only for what was asked of it.
    """

    exit_code = EXIT_INFRASTRUCTURE
    lost = ""


class UnavailableError(InfrastructureError):
    """Something needed is not on this machine (QEMU, a firmware, a data set); `hint` says how to get it."""


class NotStoredError(UnavailableError):
    """An artifact is not in the store, where only what is there is asked for."""


class NoMemoryError(InfrastructureError):
    """The machine, or a limit on this process, gives no more memory."""


class ArchiveError(InfrastructureError):
    """A downloaded archive is not what was asked for."""


class JobError(InfrastructureError):
    """A command stream did not run to its end on the board; the model's arithmetic is not to blame."""


class CounterError(InfrastructureError):
    """A counter of the device does not hold what it counted: it wrapped."""


class ResultsError(InfrastructureError):
    """The results database failed, is newer than this program, or is none; no test's own result depends on it."""


class WorkerError(InfrastructureError):
    """A worker process failed to do a request; `log` has its traceback or stderr."""


class WorkerDiedError(WorkerError):
    """A worker ended during a request: native code crashed, or somebody or a limit ended it.

    `expired` names the limit that ended it; `out_of_memory`: the kernel ended it for want of memory.
    """

    def __init__(
        self, message: str, *, log: str, returncode: int | None, expired: str = "", out_of_memory: bool = False
    ) -> None:
        super().__init__(message, log=log)
        self.returncode = returncode
        self.expired = expired
        self.out_of_memory = out_of_memory

    @property
    def crashed(self) -> bool:
        """True if the child caused its own end: neither a limit nor somebody else ended it."""
        return not self.expired and self.returncode not in _KILLED_FROM_OUTSIDE

    @property
    def of_its_own(self) -> bool:
        """True if trying again would end alike: it crashed, hung, or took all memory."""
        return self.crashed or bool(self.expired) or self.out_of_memory

    @property
    def last_words(self) -> str:
        """The line in which native code says why it aborts; empty if it says nothing."""
        lines = [line.strip() for line in self.log.splitlines()]
        said = [line for line in lines if line.startswith(_DYING) or "Check failed" in line]
        return said[-1][:200] if said else ""


class FvpError(InfrastructureError):
    """Base of what fails while a firmware runs; `log` is what the UART and the simulator printed until then."""


class BootError(FvpError):
    """The simulator did not start, or the firmware printed nothing."""


class HangError(FvpError):
    """The firmware did not end within its time."""


class FaultError(FvpError):
    """The firmware faulted, or gave up with an error of its own, or the simulated hardware met an error."""


class QemuEndedError(FaultError):
    """QEMU closed the connection."""


class QemuHangsError(FaultError):
    """QEMU is there and answers no more."""


class ProtocolError(FvpError):
    """The firmware's output, printed or in memory, does not have the form that its kind of firmware gives."""


class StoppedError(FvpError):
    """The run was ended by who started it, before its own end."""


class BoardError(InfrastructureError):
    """Base of what fails with a board; `log` is the transcript or a program's output."""


class PortError(BoardError):
    """No serial port, or more than one, is what the board's description says."""


class InUseError(BoardError):
    """Another run holds the board's port, and did not let go of it in time."""


class WrongBoardError(BoardError):
    """Another board than the described one answered; nothing was written to it."""


class StuckError(BoardError):
    """The NPU neither finishes nor can be reset through its registers."""


class ResetError(BoardError):
    """A way of resetting the board failed by itself: its command, or its power switch."""


class FlashError(BoardError):
    """The flasher failed, or did not end in time; `log` is what it printed."""


class LabError(BoardError):
    """The lab's coordinator is not there, or refuses; `log` is what labgrid said."""


class BoardLostError(BoardError):
    """The board does not come back; `tried` is what was done about it, `log` the transcript of it all."""

    def __init__(self, message: str, *, board: str, tried: tuple[str, ...] = (), hint: str = "", log: str = "") -> None:
        super().__init__(message, hint=hint, log=log)
        self.board = self.lost = board
        self.tried = tried


class QuarantinedError(BoardError):
    """The board failed too often of late and is left alone until a health check passes."""

    def __init__(self, board: str, reason: str, address: str) -> None:
        super().__init__(f"{board} is in quarantine: {reason}", hint=f"hil boards check {address} lifts it")
        self.lost = board


class CheckError(BoardError):
    """A health check found other memory, outputs or cycles than the known ones."""


class _TranscriptError(InfrastructureError):
    """An error that carries the end of what went over the wire, one frame or line each, bounded."""

    def __init__(self, message: str, *, hint: str = "", transcript: str = "") -> None:
        super().__init__(message, hint=hint, log=transcript)

    @property
    def transcript(self) -> str:
        """The last frames, lines and noise of both sides."""
        return self.log


class AnswerError(_TranscriptError):
    """MLPerf Tiny's firmware understood a command and refused it; `answer` is its own line.

    No error of the link, which works: a reset would mend nothing.
    """

    def __init__(self, message: str, *, answer: str, hint: str = "", transcript: str = "") -> None:
        super().__init__(message, hint=hint, transcript=transcript)
        self.answer = answer


class LinkError(_TranscriptError):
    """Base of what fails between host and board."""


class SilentError(LinkError):
    """Nothing came from the board."""


class GarbageError(LinkError):
    """Something came, but no frame of this protocol and version."""


class RebootedError(LinkError):
    """The board was reset since it was identified, or is another board."""


class UnpluggedError(LinkError):
    """The port does not open, or went away."""


class SlowError(LinkError):
    """The time for an operation is over, though the board still answers now and then."""


class RefusedError(LinkError):
    """The board answered with another `status` than OK (`hil.targets.link.wire.Status`)."""

    def __init__(self, message: str, *, status: int, hint: str = "", transcript: str = "") -> None:
        super().__init__(message, hint=hint, transcript=transcript)
        self.status = status
