"""An open Corstone-300 with Arm's FVP command line: `corstone300-open`, or `python -m hil.fvp.corstone300`.

    corstone300-open -a mlek_inference_runner.axf -C ethosu.num_macs=128 -C mps3_board.uart0.out_file=- \\
        -C mps3_board.uart0.shutdown_on_eot=1 --data model_vela.tflite@0x90000000

`contract` describes the command line and the exit codes, `machine` what runs.  Messages go to standard error, so that
standard output holds what the UART sent.
"""

from __future__ import annotations

import gc
import signal
import sys

if __name__ == "__main__":
    if sys.platform == "linux":  # Python may lose a SIGINT that comes while it imports.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.disable()  # Imports make much and throw nothing away.

import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

from hil.core import lifeline
from hil.core.errors import BadInputError
from hil.fvp.command_line import contract
from hil.fvp.command_line.exit_code import report_error
from hil.fvp.command_line.options import OPTIONS, usage
from hil.fvp.command_line.parameters import PARAMETERS

NAME = contract.OPEN_NAME


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line `argv` (None: this process's) and gives the exit code."""
    # On Linux QEMU ends with this process (see `lifeline`), so dying at once leaves nothing; elsewhere it must not.
    if sys.platform == "linux":
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    else:
        signal.signal(signal.SIGTERM, lambda sign, frame: sys.exit(128 + sign))
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # Threads cost more than they give on matrices this small.
    if parent := os.environ.pop(contract.OPEN_PARENT, ""):
        lifeline.tie(int(parent))
    try:
        return run(contract.parse(sys.argv[1:] if argv is None else argv))
    except BrokenPipeError:  # Who read our output is gone; what is left of it must not be tried again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return contract.EXIT_FAILED
    except Exception as error:  # A defect of this program's own must not pass for anything else.
        return report_error(NAME, error)


def run(line: contract.CommandLine) -> int:
    """Does what `line` asks and gives the exit code; raises `HilError` where `main` prints it."""
    if line.help:
        print(usage(NAME))
    elif line.version:
        print(version())
    elif line.list_params or line.list_instances:
        _write_list(_parameters(line) if line.list_params else _instances(), line.output)
    elif line.application is None:
        raise BadInputError("no application", hint="-a FILE; --list-params lists the parameters")
    else:
        return _simulate(line)
    return contract.EXIT_OK


def version() -> str:
    """One line: this package's version and QEMU's."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as package_version

    from hil.fvp.machine import qemu

    try:
        own = package_version("ethosu-hil")
    except PackageNotFoundError:
        own = "unknown"
    return f"{NAME} {own} (QEMU {qemu.version()}, {qemu.MACHINE}; Ethos-U modelled)"


def _parameters(line: contract.CommandLine) -> list[str]:
    return [
        "# Parameters:",
        "# instance.parameter=value       #(type, mode) default = 'def value' : description",
        *(parameter.listing(line.parameter(parameter.name)) for parameter in PARAMETERS),
    ]


def _instances() -> list[str]:
    return sorted({parameter.name.rpartition(".")[0] for parameter in PARAMETERS})


def _write_list(rows: list[str], output: Path | None) -> None:
    text = "\n".join(rows) + "\n"
    if output is None:
        sys.stdout.buffer.write(os.fsencode(text))
        return
    try:
        output.write_bytes(os.fsencode(text))
    except OSError as error:
        raise BadInputError(f"{output} cannot be written: {error.strerror}") from None


def _simulate(line: contract.CommandLine) -> int:
    from hil.fvp.machine.start import start

    started = time.monotonic()
    if not line.quiet:
        _tell_ignored(line)
    with contextlib.ExitStack() as stack:
        qemu = stack.enter_context(start(line))
        from hil.fvp.machine.simulation import Machine
        from hil.fvp.machine.time_limits import End  # These while QEMU starts.

        machine = stack.enter_context(Machine(line, qemu))
        if machine.spoiled:
            machine = stack.enter_context(Machine(line, stack.enter_context(start(line)), finds=False))
        gc.enable()
        end = machine.run()
        limits = {
            End.TIME_LIMIT: contract.LIMIT_REACHED,
            End.SIM_LIMIT: contract.LIMIT_REACHED,
            End.CYCLE_LIMIT: contract.CYCLES_REACHED,
        }
        if end in limits:
            print(f"Warning: {NAME}: Simulation is stopping. Reason: {limits[end]} ({end.value})", file=sys.stderr)
        elif not line.quiet:
            _inform(f"simulation stopped: {end.value}")
        for text in dict.fromkeys(text for record in machine.pmu_records for text in record.warnings()):
            print(f"Warning: {NAME}: {text}", file=sys.stderr)
        if line.stat:
            print(_statistics(machine.simulated_seconds, time.monotonic() - started, machine.accesses))
        return machine.exit_code


def _tell_ignored(line: contract.CommandLine) -> None:
    reasons = {option.names[-1]: option.ignored for option in OPTIONS}
    for name in line.ignored:
        _inform(f"option {name} is ignored: {reasons[name]}")
    for name in line.parameters:
        if reason := PARAMETERS.find(name).ignored:
            _inform(f"parameter {name} is ignored: {reason}")


def _statistics(simulated: float, wall: float, accesses: int) -> str:
    cpu = os.times()
    rows = [
        ("Simulated time", f"{simulated:.6f}s (time the CPU ran)"),
        ("User time", f"{cpu.user:.6f}s (without QEMU's)"),
        ("System time", f"{cpu.system:.6f}s (without QEMU's)"),
        ("Wall time", f"{wall:.6f}s"),
        ("Performance index", f"{simulated / wall:.2f}"),
        ("cpu0", "instructions are not counted"),
        ("ethosu", f"{accesses} register accesses"),
    ]
    return "\n".join(
        ["", f"--- {NAME} statistics: ".ljust(72, "-"), *(f"{name:<24}: {value}" for name, value in rows), "-" * 72]
    )


def _inform(text: str) -> None:
    print(f"Info: {NAME}: {text}", file=sys.stderr)


def program() -> None:
    """The executable: `main`, then an end without taking Python apart piece by piece, which takes as long as a job."""
    code = main()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # What could not be written was told when it was tried.
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    program()
