"""Vela, Arm's compiler for the Ethos-U: int8 `.tflite` in, `.tflite` with an `ethos-u` operator and its figures out.

    compiled = compile_model(int8, VelaSettings("ethos-u55-128", "Shared_Sram"))
    compiled.summary.cycles_total, compiled.summary.sram_bytes, compiled.summary.cpu_operators

Vela's public entry, its command line, is called in a process that stays warm (`hil.core.worker`): 20 ms a model
instead of 330, and a model that crashes the compiler's native core costs an error and not the run.  Its figures come
from its own structured files: the summary CSV, and the debug database (XML) for the way from a command of the stream
back to the operator of the model.

Vela's cycles are an estimate, to be shown with the trust `modelled`.
"""

from __future__ import annotations

import csv
import functools
import io
import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from hil.core.errors import BadInputError, CompileError, WorkerDiedError
from hil.core.tflite.entry_points import first_alone
from hil.core.tflite.memory_plan import without_plan
from hil.core.tflite.model import view_model
from hil.core.tflite.shape_signatures import without_stale_signatures
from hil.core.worker import Worker
from hil.harness.say import Say
from hil.harness.vela import unrolled_strides
from hil.harness.vela.debug_database import read_mapping, read_tables
from hil.harness.vela.estimates import OperatorEstimate, read_estimates
from hil.harness.vela.mapping import MappedCommand
from hil.harness.vela.read_only_data import read_only_bytes
from hil.harness.vela.settings import VelaSettings
from hil.harness.vela.waiting import waiting
from hil.npu.accelerator import Accelerator
from hil.targets.execution.signature import Signature, read_signature, require_runnable

PATIENCE_S = 600.0
_MOST_IDLE_BYTES = 200e6
"""Most memory of an idle Vela process: it has 45 MB after small models, 380 MB after a DeepLab of 513 x 513."""
# What this module sets or reads itself, and what would end Vela before it compiles.
_OWN_OPTIONS = (
    "--accelerator-config",
    "--api-version",
    "--config",
    "--cop-format",
    "--help",
    "--list-config-files",
    "--list-configs",
    "--memory-mode",
    "--output-dir",
    "--output-format",
    "--separate-io-regions",
    "--supported-ops-report",
    "--system-config",
    "--version",
)
AskVela = Callable[[dict[str, Any], bytes | None], tuple[dict[str, Any], list[bytes]]]
"""Function of a request and the int8 model (None: the options alone) that returns Vela's answer and its files, as
`hil.harness.vela.child` has them."""
_HANDLER = "hil.harness.vela.child:compile_in_child"
_LEGACY_HANDLER = "hil.harness.vela.child:compile_in_copy"
_LEGACY_CORE = "--debug-force-legacy-core"


@dataclass(frozen=True)
class VelaSummary:
    """Vela's figures for one inference.

    Memory in bytes: `sram_bytes`, `dram_bytes`, `on_chip_flash_bytes`, `off_chip_flash_bytes`; `read_only_bytes` is the
    part of one of them that holds weights, scales and tables.  `weights_original` and `weights_encoded` are the NPU's
    weights in bytes, before and after compression.  Cycles are of the NPU's clock (`clock_hz`); `cycles_total` is the
    estimate for the NPU's part with memory, `cycles_npu` without.  `cpu_operators` and `npu_operators` are kinds of
    TFLite operators, one entry an operator: what Vela left to the CPU, and the rest of the model's.
    """

    cycles_total: int
    cycles_npu: int
    clock_hz: float
    macs: int
    sram_bytes: int
    dram_bytes: int
    on_chip_flash_bytes: int
    off_chip_flash_bytes: int
    read_only_bytes: int
    weights_original: int
    weights_encoded: int
    cpu_operators: tuple[str, ...]
    npu_operators: tuple[str, ...]

    @property
    def flash_bytes(self) -> int:
        """Bytes of read-only data, which lies in flash, or in DRAM in a memory mode without flash, as on a U65."""
        return self.on_chip_flash_bytes + self.off_chip_flash_bytes or self.read_only_bytes

    @property
    def weights_in_dram(self) -> bool:
        """True if the memory mode has the read-only data in DRAM, beside the arena or without it."""
        return bool(self.read_only_bytes) and not (self.on_chip_flash_bytes or self.off_chip_flash_bytes)


@dataclass(frozen=True)
class Compiled:
    """Vela's output file, its figures, and its printed text.

    `commands` map the stream to operators, None if that was not asked for; `estimates` are Vela's cycles by operator.
    """

    model: bytes
    summary: VelaSummary
    commands: tuple[MappedCommand, ...] | None
    log: str = ""
    estimates: tuple[OperatorEstimate, ...] = ()

    @property
    def mapping(self) -> tuple[MappedCommand, ...]:
        """The mapping from commands to operators; `ValueError` if it was compiled without."""
        if self.commands is None:
            raise ValueError("the model was compiled without a mapping")
        return self.commands

    def record(self) -> dict[str, Any]:
        """Everything but `model`, as JSON values."""
        mapping = None if self.commands is None else [asdict(command) for command in self.commands]
        estimates = [asdict(estimate) for estimate in self.estimates]
        return {"summary": asdict(self.summary), "mapping": mapping, "log": self.log, "estimates": estimates}

    @classmethod
    def from_record(cls, model: bytes, record: Mapping[str, Any]) -> Compiled:
        """The inverse of `record`."""
        entries = record["mapping"]
        mapping = None if entries is None else tuple(MappedCommand(**_tuples(entry)) for entry in entries)
        estimates = tuple(OperatorEstimate(**entry) for entry in record["estimates"])
        return cls(model, VelaSummary(**_tuples(record["summary"])), mapping, record["log"], estimates)


def _tuples(record: Mapping[str, Any]) -> dict[str, Any]:
    """Converts JSON's lists back to tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in record.items()}


def vela_version() -> str:
    """The installed Vela, such as 5.2.0."""
    return version("ethos-u-vela")


def compile_model(
    int8: bytes,
    settings: VelaSettings,
    *,
    name: str = "the model",
    ask: AskVela | None = None,
    mapped: bool = True,
    say: Say | None = None,
) -> Compiled:
    """Compiles a fully quantized `.tflite` by the installed Vela, or by the one that `ask` asks.

    Errors use `name` for the model.  The mapping (`mapped`) takes Vela's debug database, which may take longer than all
    the rest; the compiled model is the same without.  `say` is called while that takes long.

    Raises `BadInputError` for a file that is no such model and for settings that Vela does not know, `CompileError`
    when Vela gives up on the model (with Vela's text as `log`), or does not end for a known reason.
    """
    Accelerator.from_name(settings.accelerator)
    signature = read_signature(int8, name)
    require_runnable(signature, name)
    if signature.compiled:
        raise BadInputError(f"{name} is an output of Vela already", hint="give the int8 model it was made from")
    request = _request(settings, mapped=mapped)
    why = functools.partial(view_model, int8, name, unrolled_strides.describe)
    try:
        with waiting(say, f"Vela is compiling {name}", why):
            answer, blobs = (ask or _ask)(request, _as_vela_reads(int8))
    except WorkerDiedError as death:
        if (death.expired or death.out_of_memory) and (reason := why()):
            raise CompileError(f"Vela did not end on {name}: {reason}", log=death.log) from death
        if not death.crashed:  # Too slow, or killed: that says nothing of the model.
            raise
        raise CompileError(
            f"Vela crashed on {name}: {death.args[0]}", hint="the file may be damaged", log=death.log
        ) from death
    _refuse(answer, name, settings)
    return _compiled(signature, blobs, answer["log"])


def _as_vela_reads(int8: bytes) -> bytes:
    """The model without what Vela would misread or hand on."""
    return without_stale_signatures(first_alone(without_plan(int8)))


def check_options(settings: VelaSettings) -> None:
    """Raises `BadInputError` for options that Vela does not know, before there is a model to compile."""
    if settings.options:
        answer, _ = _ask(_request(settings), None)
        _refuse(answer, "the options", settings)


def _request(settings: VelaSettings, *, mapped: bool = False) -> dict[str, Any]:
    options = [word for option in settings.options for word in shlex.split(option)]
    for word in options:
        own = [name for name in _OWN_OPTIONS if word.startswith("--") and name.startswith(word.partition("=")[0])]
        if own or word == "-h":
            raise BadInputError(f"the Vela option {word!r} cannot be passed through", hint="it is set elsewhere")
    return {
        "accelerator": settings.accelerator,
        "memory_mode": settings.memory_mode,
        "system_config": settings.system_config,
        "config": settings.config_text,
        "options": options,
        "mapped": mapped,
    }


def _ask(request: dict[str, Any], int8: bytes | None) -> tuple[dict[str, Any], list[bytes]]:
    return _request_of(_legacy_worker() if _LEGACY_CORE in request["options"] else _worker(), request, int8)


def _request_of(worker: Worker, request: dict[str, Any], int8: bytes | None) -> tuple[dict[str, Any], list[bytes]]:
    return worker.request(request, [] if int8 is None else [int8], patience_s=PATIENCE_S)


class VelaProcess:
    """Vela in processes of its own, beside those that all others share: one for each of its cores."""

    def __init__(self) -> None:
        self._workers = {False: Worker(_HANDLER), True: Worker(_LEGACY_HANDLER)}

    def ask(self, request: dict[str, Any], int8: bytes | None) -> tuple[dict[str, Any], list[bytes]]:
        """Answers as `AskVela`."""
        return _request_of(self._workers[_LEGACY_CORE in request["options"]], request, int8)

    def close(self) -> None:
        """Ends the processes."""
        for worker in self._workers.values():
            worker.close()


def _refuse(answer: Mapping[str, Any], name: str, settings: VelaSettings) -> None:
    if answer["outcome"] == "settings":
        hint = ""
        if settings.memory_mode == "Dedicated_Sram" and not settings.config_text:
            hint = "Dedicated_Sram needs a configuration file of your own whose system configuration has DRAM"
        raise BadInputError(f"Vela does not take these settings: {answer['reason']}", hint=hint)
    if answer["outcome"] == "crashed":
        raise CompileError(f"Vela crashed on {name}: {answer['reason']}", hint="the file may be damaged")
    if answer["outcome"] != "compiled":
        raise CompileError(f"Vela does not compile {name}: {answer['reason']}", log=answer["log"])


def _compiled(source: Signature, blobs: list[bytes], log: str) -> Compiled:
    model, summary, *debug = blobs
    placed = read_signature(model, "Vela's output")
    tables = read_tables(debug[0].decode()) if debug else None
    row = next(csv.DictReader(io.StringIO(summary.decode())))

    def kib(column: str) -> int:
        return round(float(row[column]) * 1024)

    return Compiled(
        model,
        VelaSummary(
            cycles_total=round(float(row["cycles_total"])),
            cycles_npu=round(float(row["cycles_npu"])),
            clock_hz=float(row["core_clock"]),
            macs=int(float(row["nn_macs"])),
            sram_bytes=kib("sram_memory_used"),
            dram_bytes=kib("dram_memory_used"),
            on_chip_flash_bytes=kib("on_chip_flash_memory_used"),
            off_chip_flash_bytes=kib("off_chip_flash_memory_used"),
            read_only_bytes=read_only_bytes(model),
            weights_original=int(float(row["total_original_weights"])),
            weights_encoded=int(float(row["total_npu_encoded_weights"])),
            cpu_operators=placed.cpu_operators,
            npu_operators=_without(source.operators, placed.cpu_operators),
        ),
        None if tables is None else read_mapping(tables, source),
        log,
        () if tables is None else read_estimates(tables),
    )


def _without(operators: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    """`operators` less one of its kind for each of the `others`."""
    left = Counter(others)
    kept = []
    for kind in operators:
        if left[kind]:
            left[kind] -= 1
        else:
            kept.append(kind)
    return tuple(kept)


@functools.cache
def _worker() -> Worker:
    return Worker(_HANDLER, most_idle_bytes=_MOST_IDLE_BYTES)


@functools.cache
def _legacy_worker() -> Worker:
    """A separate process for the legacy core: the C++ core may have started threads, which a fork would lose."""
    return Worker(_LEGACY_HANDLER)
