"""One inference on a Corstone-300, whichever program plays it.

    inference = run_inference(model, [input_bytes], [12], macs=128)
    inference.outputs, inference.counters["NPU TOTAL"]

Arm's runner firmware does one inference a boot, so every inference starts from a fresh state.  The FVP is a child
process: model, inputs and outputs are anonymous files that it inherits, its UART is its standard output.  Both its own
time limit and a watchdog here end it; it also ends with this process.  Runs in parallel threads do not meet.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from hil.fvp import admission, contract, report
from hil.fvp import engine as engines
from hil.fvp.errors import BootError, FaultError, FvpError, HangError, ProtocolError, StoppedError
from hil.fvp.firmware import Firmware, runner
from hil.fvp.parameters import Value
from hil.npu import lifeline
from hil.npu.compiled import CompiledModel
from hil.npu.errors import BadInputError, HilError

_WATCHDOG_SECONDS = 30.0
"""How much longer than its time limit an FVP may take, for its start and end."""

_FAULT_SECONDS = 0.5
"""How long a fault handler may still print before it is ended."""

_LOOK_SECONDS = 0.2
"""How soon a run ends that is wanted no more."""

_LINE = 512
"""Bytes that a line of a fault handler has at most."""

_NPU = "NPU "
"""Start of the names of the NPU's counters."""


@dataclass(frozen=True)
class MemorySettings:
    """What the open engine's modelled cycles assume of the memories: Vela's names, and the text of a Vela configuration
    (empty: Vela's own).
    """

    system_config: str = "Ethos_U55_High_End_Embedded"
    memory_mode: str = "Shared_Sram"
    vela_config: str = ""


@dataclass(frozen=True)
class Inference:
    """What came back.

    `outputs`: one piece per output, in the model's order.  `counters`: by the firmware's names (`NPU TOTAL`, `NPU
    ACTIVE`, ...), none of the NPU's if `used_npu` is False, that is if Vela had not compiled the model and CPU
    kernels ran it, or if nobody models that NPU's cycles.  `arena_used` in bytes, None if the firmware does not tell.
    `modelled`: cycles are the timing model's, not those of Arm's simulator.  `untrusted` says why they mean nothing at
    all, empty if they do.
    """

    outputs: tuple[bytes, ...]
    counters: dict[str, int]
    arena_used: int | None
    uart: str
    engine: str
    version: str
    firmware_sha256: str
    used_npu: bool
    modelled: bool
    untrusted: str = ""


def run_inference(
    model: bytes,
    inputs: Sequence[bytes],
    output_sizes: Sequence[int],
    *,
    macs: int = 128,
    time_limit_s: float = 120.0,
    engine: str | engines.Engine = "open",
    memory: MemorySettings | None = None,
    firmware: Firmware | None = None,
    parameters: Mapping[str, Value] | None = None,
    stop: threading.Event | None = None,
) -> Inference:
    """Runs `model` (an int8 TFLite file, or Vela's output) once; gives `output_sizes` bytes of each output.

    `engine` is a name, or what `engine.find` gave.  `parameters` are the user's, set after those set here; with
    `ethosu.extra_args=--fast` among them the cycles are `untrusted`.  Another thread ends the run by setting `stop`.

    Raises `BadInputError` for a model that this machine or its firmware cannot run (compiled for other MACs, too
    large, an operator the firmware lacks), `UnavailableError` if something is not installed, and with the log
    `BootError`, `HangError`, `FaultError`, `ProtocolError`, and `StoppedError` after `stop`.
    """
    firmware = firmware or runner()
    compiled = admission.check(model, list(map(len, inputs)), output_sizes, macs, firmware)
    program = engines.find(engine, npu=firmware.npu) if isinstance(engine, str) else engine
    with contextlib.ExitStack() as stack:
        given = [model, b"".join(inputs), bytes(sum(output_sizes))]
        if memory is not None and memory.vela_config:
            given.append(memory.vela_config.encode())
        files = [stack.enter_context(_anonymous(data)) for data in given]
        line = _command_line(firmware, program, macs, memory, [_path(file) for file in files], len(given[2]))
        line = replace(line, parameters={**line.parameters, **(parameters or {})}, timelimit=time_limit_s)
        uart = _launch(program, line, [file.fileno() for file in files], time_limit_s, stop or threading.Event())
        files[2].seek(0)
        output = files[2].read(len(given[2]))
    result = _result(uart, output, output_sizes, program, firmware, compiled)
    return replace(result, untrusted=_UNTRUSTED_FAST) if _is_fast(line) else result


_EXTRA_ARGS = "ethosu.extra_args"
_UNTRUSTED_FAST = f"{_EXTRA_ARGS} has --fast, with which the NPU model's cycles mean nothing"


def _is_fast(line: contract.CommandLine) -> bool:
    """Whether the user has the NPU's timing left out; nothing here ever asks for that."""
    return "--fast" in line.text(_EXTRA_ARGS)


def _command_line(
    firmware: Firmware,
    program: engines.Engine,
    macs: int,
    memory: MemorySettings | None,
    files: Sequence[Path],
    output_bytes: int,
) -> contract.CommandLine:
    """What starts an inference; `files` are model, inputs, outputs, and the Vela configuration if there is one."""
    parameters: dict[str, Value] = {
        "ethosu.num_macs": macs,
        "mps3_board.visualisation.disable-visualisation": True,
        "mps3_board.telnetterminal0.start_telnet": False,
        "mps3_board.uart0.out_file": contract.STDOUT,
        "mps3_board.uart0.unbuffered_output": True,
        "mps3_board.uart0.shutdown_on_eot": True,
    }
    if program.modelled:
        parameters["open.npu"] = firmware.npu
    if program.modelled and memory is not None:
        parameters |= {"open.system_config": memory.system_config, "open.memory_mode": memory.memory_mode}
        if memory.vela_config:
            parameters["open.vela_config"] = str(files[3])
    layout = firmware.layout
    return contract.CommandLine(
        application=firmware.path,
        parameters=parameters,
        data=(contract.Data(files[0], layout.model.address), contract.Data(files[1], layout.inputs.address)),
        dumps=(contract.Dump(files[2], layout.outputs.address, output_bytes),),
    )


def _launch(
    program: engines.Engine, line: contract.CommandLine, descriptors: list[int], limit: float, stop: threading.Event
) -> str:
    """Runs the FVP to its end and gives what its UART sent; raises what it ended with if that was no ordinary end."""
    command = [*program.command, *contract.arguments(line)]
    environment = {**os.environ, **program.environment}
    if program.tied:
        environment[contract.OPEN_PARENT] = str(os.getpid())
        command.append("-q")
    else:
        command = lifeline.through(os.getpid(), command)
    with tempfile.TemporaryFile() as messages:
        try:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=messages, pass_fds=descriptors,
                env=environment,
            )  # fmt: skip
        except OSError as error:
            raise BootError(f"{command[0]} cannot be started: {error.strerror}") from None
        try:
            assert child.stdout is not None
            uart, in_time = _listen(child.stdout, time.monotonic() + limit + _WATCHDOG_SECONDS, stop)
            code = child.wait(_WATCHDOG_SECONDS) if in_time else None
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _end(child)
        messages.seek(0)
        said = messages.read().decode(errors="replace")
    if stop.is_set():
        raise StoppedError("the run was ended by who started it", log=uart)
    _judge(uart, code, said, limit)
    return uart


def _listen(stream: IO[bytes], deadline: float, stop: threading.Event) -> tuple[str, bool]:
    """What comes on `stream` until it ends; and whether it ended by itself before `deadline` or `stop`."""
    received = bytearray()
    while (left := deadline - time.monotonic()) > 0 and not stop.is_set():
        if not select.select([stream], [], [], min(left, _LOOK_SECONDS))[0]:
            continue
        chunk = os.read(stream.fileno(), 1 << 16)
        if not chunk:
            return received.decode(errors="replace"), True
        received += chunk
        if report.FAULT.search(received[-len(chunk) - _LINE :].decode(errors="replace")):
            deadline = min(deadline, time.monotonic() + _FAULT_SECONDS)
    return received.decode(errors="replace"), False


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ends the child, politely and then not."""
    if child.stdout:
        child.stdout.close()
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(2)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _judge(uart: str, code: int | None, said: str, limit: float) -> None:
    """Raises what `code` (None: ended here), UART log and standard error tell, if it was no ordinary end."""
    log = uart + ("\n" + said if said else "")
    if fault := report.FAULT.search(uart):
        raise FaultError(f"the firmware faulted: {fault[0].strip()}", log=log)
    if code is None or contract.LIMIT_REACHED in said + uart:
        if not uart.strip():
            raise BootError(f"the firmware printed nothing in {limit:g} s", log=log)
        last = uart.strip().splitlines()[-1].strip()
        raise HangError(f"the firmware did not end in {limit:g} s; its last line: {last}", log=log)
    if code:
        message = said.strip().splitlines()[-1] if said.strip() else "it said nothing"
        message = message.removeprefix("Error: ").removeprefix("corstone300-open: ")
        if code == contract.EXIT_USAGE:
            raise BadInputError(f"the FVP refused its command line: {message}", log=log)
        kind: type[FvpError] = FaultError if uart.strip() else BootError
        raise kind(f"the FVP ended with {f'signal {-code}' if code < 0 else f'exit code {code}'}: {message}", log=log)


def _result(
    uart: str,
    output: bytes,
    sizes: Sequence[int],
    program: engines.Engine,
    firmware: Firmware,
    compiled: CompiledModel | None,
) -> Inference:
    told = report.read(uart, firmware.completed)
    if mismatch := report.MAC_MISMATCH.search(uart):
        made, has = (1 << int(log2) for log2 in (mismatch[2], mismatch[1]))
        raise BadInputError(f"the model was compiled for {made} MACs and the NPU has {has}", log=uart)
    if not told.completed:
        kind: type[HilError] = BadInputError if told.unusable else FaultError
        raise kind(f"the firmware did not complete the inference: {told.failure or 'it does not say why'}", log=uart)
    if firmware.metrics and not told.counters:
        raise ProtocolError("the firmware printed no <metrics> record", log=uart)
    if told.output_bytes not in (None, sum(sizes)) or len(output) != sum(sizes):
        raise ProtocolError(f"the firmware gave {told.output_bytes} bytes of output, not {sum(sizes)}", log=uart)
    starts = [sum(sizes[:index]) for index in range(len(sizes))]
    counted = compiled is not None
    return Inference(
        outputs=tuple(output[start : start + size] for start, size in zip(starts, sizes, strict=True)),
        counters={name: value for name, value in told.counters.items() if counted or not name.startswith(_NPU)},
        arena_used=told.arena_used,
        uart=uart,
        engine=program.name,
        version=program.version,
        firmware_sha256=firmware.sha256,
        used_npu=compiled is not None,
        modelled=program.modelled,
    )


def _anonymous(data: bytes) -> IO[bytes]:
    """A file without a name that holds `data`."""
    file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    file.write(data)
    file.seek(0)
    return file


def _path(file: IO[bytes]) -> Path:
    """The name under which a child that inherits `file` can open it."""
    return Path(f"/dev/fd/{file.fileno()}")
