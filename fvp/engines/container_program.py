"""An executable with the FVP's command line that runs another one in a container.

    python -m hil.fvp.engines.container_program IMAGE PROGRAM -a fw.axf --data model.tflite@0x90000000 --timelimit 60

The files that the command line names are sent into the container, and those that it makes come back from it; the
program sees no others.  Files that firmware makes through semihosting stay in the container and end with it.

Exit codes are the program's own, and those of `contract` for what fails around it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hil.core import lifeline
from hil.core.errors import BadInputError, HangError
from hil.fvp.command_line import contract
from hil.fvp.command_line.exit_code import report_error
from hil.fvp.command_line.parameters import UARTS, Value
from hil.fvp.engines.container import SCRATCH, ContainerLimits, connect
from hil.fvp.machine import file_transfer

NAME = "fvp-in-docker"

_MARGIN_SECONDS = 30.0
"""Time beyond its --timelimit that a program may take for its start and end."""

_MOST_TEXT = 64 << 20
"""Most bytes of a UART's file, of a list, or of the PMU's record."""

_OUT_FILES = (*(f"mps3_board.uart{uart}.out_file" for uart in UARTS), "open.pmu_file")
_IN_FILES = ("open.vela_config",)
_FOLDER = "cpu0.semihosting-cwd"
_KILLED = 128 + signal.SIGKILL


@dataclass
class Staged:
    """A command line as the container sees it, and which of this machine's files its scratch files stand for."""

    inputs: list[Path] = field(default_factory=list)
    outputs: list[tuple[Path, int]] = field(default_factory=list)

    def put(self, path: Path) -> Path:
        """`path` is sent; gives its name in the container."""
        self.inputs.append(path)
        return Path(f"{SCRATCH}/in.{len(self.inputs) - 1}")

    def get(self, path: Path, most: int) -> Path:
        """`path` is made, of `most` bytes at most; gives its name in the container."""
        self.outputs.append((path, most))
        return Path(f"{SCRATCH}/out.{len(self.outputs) - 1}")


def stage(line: contract.CommandLine) -> tuple[contract.CommandLine, Staged]:
    """`line` with the names that its files have in the container."""
    staged = Staged()
    parameters: dict[str, Value] = dict(line.parameters)
    for name in _IN_FILES:
        if parameters.get(name):
            parameters[name] = str(staged.put(Path(str(parameters[name]))))
    for name in _OUT_FILES:
        if parameters.get(name, contract.STDOUT) not in ("", contract.STDOUT):
            parameters[name] = str(staged.get(Path(str(parameters[name])), _MOST_TEXT))
    if parameters.get(_FOLDER):
        parameters[_FOLDER] = SCRATCH
    inside = line._replace(
        application=staged.put(line.application) if line.application else None,
        parameters=parameters,
        data=tuple(data._replace(file=staged.put(data.file)) for data in line.data),
        dumps=tuple(dump._replace(file=staged.get(dump.file, dump.size * _samples(line))) for dump in line.dumps),
        output=staged.get(line.output, _MOST_TEXT) if line.output else None,
    )
    return inside, staged


def _samples(line: contract.CommandLine) -> int:
    """Number of samples that the open executable runs, each with its own time limit and its own piece of a dump."""
    return max(1, int(line.parameter("open.samples")))


def run(image: str, program: str, line: contract.CommandLine) -> int:
    """Runs `line` on `program` of `image`; UART and messages go to standard output and error.  Gives the exit code."""
    from hil.fvp.engines import container_session

    inside, staged = stage(line)
    sent = [file_transfer.contents(path) for path in staged.inputs]
    client = connect()
    try:
        ended = container_session.run(
            client,
            image,
            [program, *contract.arguments(inside)],
            _print,
            inputs=sent,
            outputs=[most for _, most in staged.outputs],
            limit_s=None if line.timelimit is None else line.timelimit * _samples(line) + _MARGIN_SECONDS,
        )
    finally:
        client.close()
    for (path, _), data in zip(staged.outputs, ended.outputs, strict=True):
        _write(path, data)
    sys.stderr.write(ended.said)
    if ended.code == _KILLED:
        print(f"Error: {NAME}: killed: a container has {ContainerLimits().memory >> 20} MiB of memory", file=sys.stderr)
        return contract.EXIT_FAILED
    return ended.code


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `IMAGE PROGRAM ARGUMENT...` (None: this process's arguments) and gives the exit code."""
    signal.signal(signal.SIGTERM, lambda sign, frame: sys.exit(128 + sign))
    signal.signal(signal.SIGINT, lambda sign, frame: sys.exit(128 + sign))
    if parent := os.environ.pop(contract.OPEN_PARENT, ""):
        lifeline.tie(int(parent), signal.SIGTERM)
    image, program, *words = sys.argv[1:] if argv is None else argv
    try:
        return run(image, program, contract.parse(words))
    except HangError as error:
        print(f"Warning: {NAME}: {contract.LIMIT_REACHED} ({error})", file=sys.stderr)
        return contract.EXIT_OK
    except BrokenPipeError:  # Nobody reads what the UART sends.
        return contract.EXIT_FAILED
    except Exception as error:  # Among them what the Docker SDK raises when the daemon goes away.
        return report_error(NAME, error)


def _print(data: bytes) -> None:
    os.write(sys.stdout.fileno(), data)


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise BadInputError(f"{path} cannot be written: {error.strerror}") from None


if __name__ == "__main__":
    sys.exit(main())
