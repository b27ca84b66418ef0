"""One inference on a Corstone-300, whichever program plays it.

    inference = run_inference(model, [input_bytes], [12], macs=128)
    inference.outputs, inference.counters["NPU TOTAL"]

Arm's runner firmware does one inference a boot, so every inference starts from a fresh state.  The FVP is a child
process: model, inputs and outputs are anonymous files that it inherits, its UART is its standard output (see `launch`).
Runs in parallel threads do not meet.

Of several samples, the open executable boots for the first one only.  The others start from the state in which the
firmware first looked at its inputs: what came before cannot depend on them.  With a store, that state is kept for later
runs.  Such an inference says that it was `restored`; it gives what a boot would give, bit for bit.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from hil.core.errors import BadInputError, FaultError, HangError, HilError, ProtocolError
from hil.core.executorch_program import Program
from hil.core.npu_config import NpuConfig
from hil.fvp.command_line import contract
from hil.fvp.command_line.parameters import Value
from hil.fvp.engines.engine import Engine, find
from hil.fvp.inference import admission, report
from hil.fvp.inference.arena import smaller_arena
from hil.fvp.inference.firmware import Firmware, runner
from hil.fvp.inference.launch import anonymous, launch, path_of
from hil.npu.pmu_record import PmuRecord
from hil.npu.vela_output import CompiledModel, CpuOperator

_NPU = "NPU "
"""Start of the names of the NPU's counters."""


@dataclass(frozen=True)
class Inference:
    """The result of one inference.

    `outputs`: one piece per output, in the model's order.  `counters`: by the firmware's names (`NPU TOTAL`, `NPU
    ACTIVE`, ...), none of the NPU's if `used_npu` is False, that is if Vela had not compiled the model and CPU
    kernels ran it, or if nobody models that NPU's cycles.  `arena_used` in bytes, None if the firmware does not print
    it. `modelled`: cycles are the timing model's, not those of Arm's simulator.  `untrusted` says why they mean nothing
    at all, empty if they do.  `restored`: the board did not boot for it.  `overflowed`: counters that the firmware
    found wrapped, by its names.  `pmu` is what the open one's PMU could not show to the firmware, None on Arm's.
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
    restored: bool = False
    overflowed: tuple[str, ...] = ()
    pmu: PmuRecord | None = None


def run_inference(
    model: bytes,
    inputs: Sequence[bytes],
    output_sizes: Sequence[int],
    *,
    macs: int = 128,
    time_limit_s: float = 120.0,
    engine: str | Engine = "open",
    npu: NpuConfig | None = None,
    firmware: Firmware | None = None,
    parameters: Mapping[str, Value] | None = None,
    store: Path | None = None,
    stop: threading.Event | None = None,
) -> Inference:
    """Runs `model` (an int8 TFLite file, Vela's output, or a `.pte`) once; gives `output_sizes` bytes of each output.

    See `run_inferences`.
    """
    return run_inferences(
        model, [inputs], output_sizes, macs=macs, time_limit_s=time_limit_s, engine=engine, npu=npu,
        firmware=firmware, parameters=parameters, store=store, stop=stop,
    )[0]  # fmt: skip


def run_inferences(
    model: bytes,
    samples: Sequence[Sequence[bytes]],
    output_sizes: Sequence[int],
    *,
    macs: int = 128,
    time_limit_s: float = 120.0,
    engine: str | Engine = "open",
    npu: NpuConfig | None = None,
    firmware: Firmware | None = None,
    parameters: Mapping[str, Value] | None = None,
    store: Path | None = None,
    stop: threading.Event | None = None,
    finished: Callable[[int], None] | None = None,
) -> list[Inference]:
    """Runs `model` (an int8 TFLite file, Vela's output, or a `.pte`) on each of `samples`, the bytes of each input.

    Each gives `output_sizes` bytes of each output.  `time_limit_s` is for one sample, in seconds that the FVP computes
    or waits; `finished` is called with how many are done.  `engine` is a name, or the result of `engine.find`; `npu`
    has the memories that the open one's modelled cycles assume (None: the usual ones of the family).  `parameters` are
    the user's, set after those set here; with `ethosu.extra_args=--fast` among them the cycles are `untrusted`.
    In `store`, a store of artifacts, the open one keeps the state in which the firmware first looks at its inputs, for
    later runs with the same model and settings.  Another thread ends the run by setting `stop`.

    Raises `BadInputError` for a model that this machine or its firmware cannot run (compiled for other MACs, too
    large, an operator the firmware lacks, a damaged command stream), `UnavailableError` if something is not installed,
    and with the log `BootError`, `HangError`, `FaultError`, `ProtocolError`, and `StoppedError` after `stop`.
    """
    firmware = firmware or runner()
    sizes = list(map(len, samples[0]))
    if any(list(map(len, sample)) != sizes for sample in samples):
        raise BadInputError("the samples have inputs of different sizes")
    compiled = admission.check(model, sizes, output_sizes, macs, firmware)
    program = find(engine, npu=firmware.npu) if isinstance(engine, str) else engine
    if program.modelled and isinstance(compiled, CompiledModel):
        admission.check_streams(compiled)
    restores = can_restore(program, parameters) and sum(sizes) > 0
    together = len(samples) if restores else 1
    kept_in = store if restores and not program.elsewhere else None
    made: list[Inference] = []
    for first in range(0, len(samples), together):
        given = [model, b"".join(map(b"".join, samples[first : first + together])), b"", b""]
        if npu is not None and npu.config_text:
            given.append(npu.config_text.encode())
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context(anonymous(data)) for data in given]
            paths = [path_of(file) for file in files]
            line = _command_line(firmware, program, macs, npu, paths, sum(output_sizes), together, kept_in)
            limit = time_limit_s if program.elsewhere else None  # others are judged by their progress
            line = line._replace(parameters={**line.parameters, **(parameters or {})}, timelimit=limit)
            descriptors = [file.fileno() for file in files]
            try:
                logs = launch(
                    program, line, descriptors, limit_s=time_limit_s, samples=together, stop=stop,
                    finished=finished if together > 1 else None,
                )  # fmt: skip
            except (FaultError, HangError) as error:  # Of a runner that aborts where it has no memory.
                if (told := report.read(error.log, firmware.completed)).shortage:
                    raise _incomplete(told, firmware, compiled, error.log) from error
                raise
            output, recorded = (_content(file) for file in files[2:4])
        records = _sample_records(recorded, logs) if program.modelled else [(None, False)] * len(logs)
        for number, uart in enumerate(logs):
            piece = output[number * sum(output_sizes) : (number + 1) * sum(output_sizes)]
            result = _result(uart, piece, output_sizes, program, firmware, compiled)
            untrusted = _UNTRUSTED_FAST if _is_fast(line) else ""
            pmu, restored = records[number]
            made.append(replace(result, untrusted=untrusted, restored=restored, pmu=pmu))
        if len(logs) != together:  # Why, is most often told by the last of them, and was raised.
            raise ProtocolError(f"the FVP ran {len(logs)} samples of {together}", log=logs[-1])
        if finished:
            finished(len(made))
    return made


def can_restore(program: Engine, parameters: Mapping[str, Value] | None = None) -> bool:
    """True if the program can restore a board's state, with these parameters of the user's."""
    return program.tied and program.modelled and not (parameters or {}).get("cpu0.semihosting-enable")


_EXTRA_ARGS = "ethosu.extra_args"
_UNTRUSTED_FAST = f"{_EXTRA_ARGS} has --fast, with which the NPU model's cycles mean nothing"


def _is_fast(line: contract.CommandLine) -> bool:
    """True if the user's parameters leave out the NPU's timing; nothing here ever asks for that."""
    return "--fast" in line.text(_EXTRA_ARGS)


def _command_line(
    firmware: Firmware,
    program: Engine,
    macs: int,
    npu: NpuConfig | None,
    files: Sequence[Path],
    output_bytes: int,
    samples: int,
    store: Path | None,
) -> contract.CommandLine:
    """The command line of an inference.

    `files` are those of model, inputs, outputs, PMU record, and of the Vela configuration, if there is one.
    """
    parameters: dict[str, Value] = {
        "ethosu.num_macs": macs,
        "mps3_board.visualisation.disable-visualisation": True,
        "mps3_board.telnetterminal0.start_telnet": False,
        "mps3_board.uart0.out_file": contract.STDOUT,
        "mps3_board.uart0.unbuffered_output": True,
        "mps3_board.uart0.shutdown_on_eot": True,
    }
    if program.modelled:
        parameters |= {"open.npu": firmware.npu, "open.pmu_file": str(files[3])}
    if program.modelled and npu is not None:
        parameters |= {"open.system_config": npu.system_config, "open.memory_mode": npu.memory_mode}
        if npu.config_text:
            parameters["open.vela_config"] = str(files[4])
    layout = firmware.layout
    if samples > 1 or store is not None:
        parameters |= {"open.samples": samples, "open.samples_address": layout.inputs.address}
    if store is not None:
        parameters["open.store"] = str(store.absolute())
    return contract.CommandLine(
        application=firmware.path,
        parameters=parameters,
        data=(contract.DataFile(files[0], layout.model.address), contract.DataFile(files[1], layout.inputs.address)),
        dumps=(contract.Dump(files[2], layout.outputs.address, output_bytes),),
    )


def _left_to_cpu(failure: str, compiled: CompiledModel | Program | None) -> str:
    """A hint on the operators that a failure names and that Vela left to the firmware's CPU kernels."""
    named = [kind for kind in _cpu_kinds(compiled) if re.search(rf"\b{kind}\b", failure)]
    return f"Vela left {', '.join(named)} to the CPU, and the firmware's kernel does not take it" if named else ""


def _cpu_kinds(compiled: CompiledModel | Program | None) -> list[str]:
    """The kinds of operators that Vela left to the CPU, each once."""
    operators = compiled.main.operators if isinstance(compiled, CompiledModel) else ()
    return list(dict.fromkeys(found.kind for found in operators if isinstance(found, CpuOperator)))


def _why_allocating(firmware: Firmware, compiled: CompiledModel | Program | None) -> str:
    """A hint on a firmware that ends without a word while it allocates: a small arena, or a kernel that aborts."""
    arena = firmware.layout.arena.size
    if not isinstance(compiled, CompiledModel) or 2 * compiled.arena_bytes > arena:
        smaller = smaller_arena(firmware, is_compiled=compiled is not None)
        return f"its arena of {arena} bytes is most likely too small for the model: {smaller}"
    room = f"its arena of {arena} bytes has room for the model's {compiled.arena_bytes}"
    kinds = ", ".join(_cpu_kinds(compiled))
    if not kinds:
        return f"{room}; --target sim runs it"
    return (
        f"{room}: most likely one of its kernels ends it, for {kinds}, which Vela left to the CPU and --target sim runs"
    )


def _incomplete(
    told: report.Report, firmware: Firmware, compiled: CompiledModel | Program | None, log: str
) -> HilError:
    """The error of a firmware that started and did not complete the inference."""
    if told.ended_allocating:
        hint = _why_allocating(firmware, compiled)
        return BadInputError(f"the firmware ended without a word after {told.step!r}", hint=hint, log=log)
    kind: type[HilError] = BadInputError if told.unusable else FaultError
    why = told.failure or f"it ended without a word after {told.step!r}"
    shortage = smaller_arena(firmware, is_compiled=compiled is not None)
    hint = shortage if told.shortage else _left_to_cpu(why, compiled)
    return kind(f"the firmware did not complete the inference: {why}", hint=hint, log=log)


def _result(
    uart: str,
    output: bytes,
    sizes: Sequence[int],
    program: Engine,
    firmware: Firmware,
    compiled: CompiledModel | Program | None,
) -> Inference:
    told = report.read(uart, firmware.completed)
    if mismatch := report.MAC_MISMATCH.search(uart):
        made, has = (1 << int(log2) for log2 in (mismatch[2], mismatch[1]))
        raise BadInputError(f"the model was compiled for {made} MACs and the NPU has {has}", log=uart)
    if not told.completed:
        raise _incomplete(told, firmware, compiled, uart)
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
        overflowed=told.overflowed,
    )


def _content(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def _sample_records(data: bytes, logs: Sequence[str]) -> list[tuple[PmuRecord, bool]]:
    """The PMU's record of each sample, and True for one that the board did not boot for, as the open FVP wrote them.

    Raises `ProtocolError` for anything else.
    """
    try:
        records = [(PmuRecord.from_json(found), bool(found["restored"])) for found in json.loads(data)]
        if len(records) < len(logs):
            raise ValueError(f"{len(records)} of {len(logs)} samples")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProtocolError(f"the open FVP's PMU record cannot be read: {error}", log=logs[-1]) from None
    return records
