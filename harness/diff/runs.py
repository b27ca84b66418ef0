"""Traces of a model's runs for `hil diff`: the tensors that a run shows, and the Vela output that it ran.

    tracer = RunTracer(int8, settings, inputs, "model.tflite")
    got, expected = tracer.trace("sim"), tracer.trace("host")

A run is given by a target's name, or by a Vela output, which runs on `sim`:

============  =========================================================================================
run           tensors that are observed
============  =========================================================================================
the oracle    every tensor, on TensorFlow's reference kernels (`host`)
the stand-in  those that each operation of the command stream writes (`sim`)
a file        the same; with names if Vela's debug database maps operations to operators:
              the one beside the file (`x_debug.xml` for `x_vela.tflite`, from `vela --enable-debug-db`),
              or that of the model as it is compiled here, if both have the same operations
a device      the outputs; and as `sim`, if `sim` gives the same outputs from the same stream; if not,
              and if it has CPU kernels of its own (`fvp`), those that each of them gives for the inputs
              that the reference kernels gave it
============  =========================================================================================
"""

from __future__ import annotations

import contextlib
import csv
import functools
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hil.core.arrays import Array, bit_equal
from hil.core.errors import BadInputError
from hil.core.tflite.model import view_model
from hil.harness.diff.cpu_kernels import trace_kernels
from hil.harness.diff.trace import Trace, TracedTensor, trace_compiled, trace_reference
from hil.harness.say import Say
from hil.harness.vela.compiler import Compiled, compile_model
from hil.harness.vela.debug_database import read_mapping, read_tables
from hil.harness.vela.mapping import MappedCommand, stream_names
from hil.harness.vela.settings import VelaSettings
from hil.npu.disassembly.instruction import Instruction
from hil.npu.disassembly.listing import Listing, list_compiled
from hil.npu.stream.operations import BlockOperation
from hil.npu.vela_output import CpuOperator, is_compiled, read_compiled
from hil.targets import registry
from hil.targets.base import Deployable, Run, Target
from hil.targets.declaration import Declaration, Role
from hil.targets.execution import bias_types
from hil.targets.execution.signature import Signature, read_signature

_DAMAGE = (OSError, ElementTree.ParseError, csv.Error, KeyError, ValueError, IndexError, TypeError)
"""Errors of reading a file that is no debug database, or that of another model."""


@dataclass(frozen=True)
class RunTrace:
    """The trace of a run with its name, notes for its reader, and the Vela output that ran, with its mapping.

    `compiled` is None where nothing ran on the NPU.
    """

    name: str
    trace: Trace
    compiled: bytes | None = None
    mapping: tuple[MappedCommand, ...] = ()
    notes: tuple[str, ...] = ()

    def instruction(self, stream: int, word_offset: int) -> Instruction | None:
        """The command at a place; a listing is made for it alone, since it takes more memory than a run."""
        if self.compiled is None:
            return None
        for listing in list_compiled(read_compiled(self.compiled), stream_names(self.mapping)):
            for found in listing.instructions:
                if (listing.stream, found.operation.word_offset) == (stream, word_offset):
                    return found
        return None


@dataclass
class RunTracer:
    """Runs one int8 model on its inputs, (samples, ...) each, and traces the runs.

    `options` are those of each target, by its name; a device runs the int8 model itself if `cpu`.
    `name` is how errors call the model; `say` is called while Vela takes long.
    """

    int8: bytes
    settings: VelaSettings
    inputs: Sequence[Array]
    name: str = "the model"
    options: Mapping[str, Any] = field(default_factory=dict)
    cpu: bool = False
    say: Say | None = None

    def trace(self, what: str, settings: VelaSettings | None = None) -> RunTrace:
        """Traces the run on `what`, a target's name or a Vela output; `settings` take the place of this object's.

        Raises `BadInputError` if `what` is neither, or another model's output, and the target's errors.
        """
        settings = settings or self.settings
        if what not in registry.names():
            return self._file(Path(what))
        declared = registry.declaration(what)
        if declared.role is Role.ORACLE:
            reference = trace_reference(self.int8, self.inputs)
            notes = (view_model(self.int8, self.name, bias_types.note), reference.note)
            return RunTrace(what, reference, notes=tuple(filter(None, notes)))
        if declared.role is Role.STAND_IN:
            return self._on_sim(what, self._compiled(settings))
        return self._on_device(declared, None if self.cpu else self._compiled(settings), settings)

    def _compiled(self, settings: VelaSettings) -> Compiled:
        return compile_model(self.int8, settings, name=self.name, say=self.say)

    def _on_sim(self, name: str, compiled: Compiled) -> RunTrace:
        if not is_compiled(compiled.model):
            return RunTrace(name, trace_reference(self.int8, self.inputs), notes=("Vela placed nothing on the NPU",))
        return self._traced(name, compiled.model, compiled.mapping)

    def _traced(self, name: str, model: bytes, mapping: Sequence[MappedCommand], *notes: str) -> RunTrace:
        return RunTrace(name, trace_compiled(model, mapping, self.inputs), model, tuple(mapping), notes)

    def _on_device(self, declared: Declaration, compiled: Compiled | None, settings: VelaSettings) -> RunTrace:
        """Traces a device: its outputs, and the operators behind them; `compiled` is None for its CPU kernels alone."""
        name, deployable = declared.name, self._deployable(compiled, settings)
        on_npu = compiled is not None and is_compiled(compiled.model)
        with contextlib.closing(registry.make(declared, self._options(declared))) as target:
            shown, unseen = self._outputs(name, target.run(deployable, self.inputs))
            reference = trace_reference(self.int8, self.inputs)
            oracle, stand_in = (registry.with_role(role).name for role in (Role.ORACLE, Role.STAND_IN))
            sim = self._on_sim(stand_in, compiled) if compiled and on_npu else RunTrace(oracle, reference)
            unlike = [out for out, (tensor,) in shown.items() if not _equal(tensor, sim.trace.tensors.get(out, ()))]
            if unlike and declared.cpu_kernels:
                run = functools.partial(_run_alone, target, deployable)
                kernels = trace_kernels(self.int8, self._on_cpu(compiled if on_npu else None), reference, run)
                note = (
                    f"{name} and {sim.name} differ themselves, in the output {', '.join(map(repr, unlike))}: the "
                    f"model's outputs are those of the whole run; other operators on the CPU ran on {name} one by one, "
                    "on the reference kernels' inputs; those on the NPU are not seen"
                )
                seen = Trace({**kernels.tensors, **shown}, {**unseen, **kernels.left_out})
                return RunTrace(name, seen, notes=(note,))
        if unlike:
            note = f"{name} and {sim.name} differ themselves: only outputs are seen"
            return RunTrace(name, Trace(shown, unseen), notes=(note,))
        if on_npu:
            note = f"{name} shows its outputs alone; {sim.name} gives the same ones, and shows the operators for it"
            return replace(sim, name=name, notes=(*sim.notes, note))
        return RunTrace(name, Trace(shown, unseen), notes=("all operators ran on the firmware's CPU kernels",))

    def _options(self, declared: Declaration) -> Any:
        return self.options.get(declared.name) or declared.options()

    def _deployable(self, compiled: Compiled | None, settings: VelaSettings) -> Deployable:
        return Deployable(self.int8, compiled.model if compiled else None, settings)

    def _outputs(self, target: str, run: Run) -> tuple[dict[str, tuple[TracedTensor, ...]], dict[str, str]]:
        """A run's outputs by name, and by name the reason for which the other tensors are not observed."""
        run.require_outputs(target)
        signature = read_signature(self.int8)
        shown: dict[str, tuple[TracedTensor, ...]] = {
            spec.name: (TracedTensor(output),) for spec, output in zip(signature.outputs, run.outputs, strict=True)
        }
        alone = f"{target} shows its outputs alone"
        return shown, {name: alone for names in signature.all_outputs for name in names}

    def _on_cpu(self, compiled: Compiled | None) -> list[int]:
        """Indices of the int8 model's operators that the firmware's CPU kernels run."""
        outputs = read_signature(self.int8).all_outputs
        if compiled is None:
            return list(range(len(outputs)))
        main = read_compiled(compiled.model).main
        left = {
            main.tensors[i].name for found in main.operators if isinstance(found, CpuOperator) for i in found.outputs
        }
        return [index for index, names in enumerate(outputs) if names and left.issuperset(names)]

    def _file(self, path: Path) -> RunTrace:
        try:
            data = path.read_bytes()
        except OSError as error:
            known = ", ".join(registry.names())
            raise BadInputError(f"{path} cannot be read: {error.strerror}", hint=f"targets are {known}") from error
        if not is_compiled(data):
            raise BadInputError(f"{path} is no output of Vela", hint="give one, or a target")
        source, placed = read_signature(self.int8, self.name), read_signature(data, str(path))
        _check_same_model(path, source, placed)
        listings = list_compiled(read_compiled(data))
        mapping, note = self._mapping(path, data, source, listings)
        return self._traced(path.name, data, mapping, *note)

    def _mapping(
        self, path: Path, data: bytes, source: Signature, listings: Sequence[Listing]
    ) -> tuple[tuple[MappedCommand, ...], tuple[str, ...]]:
        """The mapping of operations to operators, and notes for its reader."""
        beside = path.with_name(path.stem.removesuffix("_vela") + "_debug.xml")
        if beside.is_file():
            try:
                mapping = read_mapping(read_tables(beside.read_text(encoding="utf-8")), source)
            except _DAMAGE as error:
                raise BadInputError(f"{beside} is no debug database of this model: {error}") from error
            if _places(mapping) == _operations(listings).keys():
                return mapping, ()
        ours = self._compiled(self.settings.for_accelerator(read_compiled(data).accelerator.name))
        if is_compiled(ours.model) and _operations(list_compiled(read_compiled(ours.model))) == _operations(listings):
            return ours.mapping, ()
        note = (
            f"which operation of {path.name} is of which operator is not known, so only outputs are compared (give the "
            f"--vela-option it was compiled with, or keep {beside.name}, from vela --enable-debug-db, beside it)"
        )
        return (), (note,)


def _run_alone(target: Target, whole: Deployable, model: bytes, inputs: Sequence[Array]) -> Run:
    """Runs the `model` of one operator on the CPU kernels of the device that the `whole` ran on."""
    return target.run(replace(whole, int8=model, compiled=None), inputs)


def _places(mapping: Sequence[MappedCommand]) -> set[tuple[int, int]]:
    return {(entry.stream, entry.word_offset) for entry in mapping}


def _operations(listings: Sequence[Listing]) -> dict[tuple[int, int], tuple[Any, ...]]:
    """(stream, word offset) -> kind and shape of every block operation."""
    return {
        (listing.stream, found.operation.word_offset): (found.operation.kind, found.operation.ofm.shape)
        for listing in listings
        for found in listing.instructions
        if isinstance(found.operation, BlockOperation)
    }


def _check_same_model(path: Path, source: Signature, placed: Signature) -> None:
    for kind, ours, theirs in (("input", source.inputs, placed.inputs), ("output", source.outputs, placed.outputs)):
        if [(s.name, s.shape, s.dtype) for s in ours] != [(s.name, s.shape, s.dtype) for s in theirs]:
            raise BadInputError(
                f"{path} was not made from this model: its {kind}s are {', '.join(map(str, theirs))}, "
                f"the model's {', '.join(map(str, ours))}"
            )


def _equal(one: TracedTensor, others: Sequence[TracedTensor]) -> bool:
    return any(bit_equal(one.values.ravel(), other.values.ravel()) for other in others)
