"""One side of `hil diff`: what a run of a model shows of its tensors, and the streams that it ran.

    sides = Sides(int8, settings, inputs, Path("model.tflite"))
    got, expected = sides.make("sim"), sides.make("host")

A side is a target's name, or a Vela output, which runs on `sim`:

======  =========================================================================================
side    what is seen
======  =========================================================================================
host    every tensor, on TensorFlow's reference kernels
sim     what each operation of the command stream writes
a file  the same; with names if Vela's debug database says which operation is of which operator:
        the one beside the file (`x_debug.xml` for `x_vela.tflite`, from `vela --enable-debug-db`),
        or that of the model as it is compiled here, if both have the same operations
serial  the outputs; and as `sim`, if `sim` gives the same outputs from the same stream
fvp     the outputs; and as `sim`, if `sim` gives the same outputs from the same stream; if not, what
        each CPU kernel of the firmware gives for the inputs that the reference kernels gave it
======  =========================================================================================
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

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import BadInputError
from hil.harness.diff.cpu_kernels import trace_kernels
from hil.harness.diff.trace import Trace, TracedTensor, trace_compiled, trace_reference
from hil.harness.evaluation.printed_outputs import require_outputs
from hil.harness.vela.compiler import Compiled, compile_model
from hil.harness.vela.debug_database import read_mapping
from hil.harness.vela.mapping import MappedCommand, sources
from hil.harness.vela.settings import VelaSettings
from hil.npu.disassembly.listing import Listing, list_compiled
from hil.npu.stream.operations import BlockOperation
from hil.npu.vela_output import CpuOperator, is_compiled, read_compiled
from hil.targets import NAMES, create
from hil.targets.base import Deployable, Run, Target
from hil.targets.execution.signature import Signature, read_signature

_DAMAGE = (OSError, ElementTree.ParseError, csv.Error, KeyError, ValueError, IndexError, TypeError)
"""What reading a debug database raises that is none, or another model's."""


@dataclass(frozen=True)
class Side:
    """A run: what it is called, what it shows, its streams (none on host), and what a reader must know of it."""

    name: str
    trace: Trace
    listings: tuple[Listing, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass
class Sides:
    """Makes sides of one int8 model and its inputs, (samples, ...) each.

    `fvp_options` are those of the target `fvp`, which runs the int8 model itself if `cpu`, `serial_options` those of
    `serial`; `name` is how errors call the model.
    """

    int8: bytes
    settings: VelaSettings
    inputs: Sequence[Array]
    name: str = "the model"
    fvp_options: Mapping[str, Any] = field(default_factory=dict)
    cpu: bool = False
    serial_options: Mapping[str, Any] = field(default_factory=dict)

    def make(self, what: str, settings: VelaSettings | None = None) -> Side:
        """The side called `what`, compiled with `settings` if they are not this object's.

        Raises `BadInputError` for what is neither a target nor a Vela output of this model, and what the target raises.
        """
        settings = settings or self.settings
        if what == "host":
            return Side("host", trace_reference(self.int8, self.inputs))
        if what == "sim":
            return self._on_sim("sim", self._compiled(settings))
        if what == "fvp":
            return self._on_fvp(None if self.cpu else self._compiled(settings), settings)
        if what == "serial":
            return self._on_serial(self._compiled(settings), settings)
        return self._file(Path(what))

    def _compiled(self, settings: VelaSettings) -> Compiled:
        return compile_model(self.int8, settings, name=self.name)

    def _on_sim(self, name: str, compiled: Compiled) -> Side:
        if not is_compiled(compiled.model):
            return Side(name, trace_reference(self.int8, self.inputs), notes=("Vela placed nothing on the NPU",))
        return self._traced(name, compiled.model, compiled.mapping)

    def _traced(self, name: str, model: bytes, mapping: Sequence[MappedCommand], *notes: str) -> Side:
        listings = list_compiled(read_compiled(model), sources(mapping))
        return Side(name, trace_compiled(model, mapping, self.inputs), listings, notes)

    def _on_fvp(self, compiled: Compiled | None, settings: VelaSettings) -> Side:
        """The firmware's outputs, and what explains them; `compiled` is None for a run on its CPU kernels alone."""
        target, deployable = create("fvp", **self.fvp_options), self._deployable(compiled, settings)
        shown, unseen = self._outputs("fvp", target.run(deployable, self.inputs))
        on_npu = compiled is not None and is_compiled(compiled.model)
        reference = trace_reference(self.int8, self.inputs)
        sim = self._on_sim("sim", compiled) if compiled and on_npu else Side("host", reference)
        unlike = [name for name, (tensor,) in shown.items() if not _equal(tensor, sim.trace.tensors.get(name, ()))]
        if unlike:
            run = functools.partial(_run_alone, target, deployable)
            kernels = trace_kernels(self.int8, self._on_cpu(compiled if on_npu else None), reference, run)
            note = (
                f"fvp and {sim.name} differ themselves, in the output {', '.join(map(repr, unlike))}: the model's "
                "outputs are those of the whole run; other operators on the CPU ran on fvp one by one, on the "
                "reference kernels' inputs; those on the NPU are not seen"
            )
            return Side("fvp", Trace({**kernels.tensors, **shown}, {**unseen, **kernels.left_out}), notes=(note,))
        if on_npu:
            note = "fvp shows its outputs alone; sim gives the same ones, and shows the operators for it"
            return Side("fvp", sim.trace, sim.listings, (*sim.notes, note))
        return Side("fvp", Trace(shown, unseen), notes=("all operators ran on the firmware's CPU kernels",))

    def _on_serial(self, compiled: Compiled, settings: VelaSettings) -> Side:
        """A board's outputs; `sim` explains them if it gives the same."""
        with contextlib.closing(create("serial", **self.serial_options)) as target:
            shown, unseen = self._outputs("serial", target.run(self._deployable(compiled, settings), self.inputs))
        sim = self._on_sim("sim", compiled)
        if all(_equal(tensor, sim.trace.tensors.get(name, ())) for name, (tensor,) in shown.items()):
            note = "serial shows its outputs alone; sim gives the same ones, and shows the operators for it"
            return Side("serial", sim.trace, sim.listings, (*sim.notes, note))
        return Side("serial", Trace(shown, unseen), notes=("serial and sim differ themselves: only outputs are seen",))

    def _deployable(self, compiled: Compiled | None, settings: VelaSettings) -> Deployable:
        return Deployable(self.int8, compiled.model if compiled else None, settings)

    def _outputs(self, target: str, run: Run) -> tuple[dict[str, tuple[TracedTensor, ...]], dict[str, str]]:
        """What a run shows of the model, its outputs by name, and why not the rest."""
        require_outputs(run, target)
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

    def _file(self, path: Path) -> Side:
        try:
            data = path.read_bytes()
        except OSError as error:
            known = ", ".join(NAMES)
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
        """Which operations are of which operator, and what a reader must know of that."""
        beside = path.with_name(path.stem.removesuffix("_vela") + "_debug.xml")
        if beside.is_file():
            try:
                mapping = read_mapping(beside.read_text(encoding="utf-8"), source)
            except _DAMAGE as error:
                raise BadInputError(f"{beside} is no debug database of this model: {error}") from error
            if _places(mapping) == _operations(listings).keys():
                return mapping, ()
        ours = self._compiled(_for_accelerator(self.settings, read_compiled(data).accelerator.name))
        if is_compiled(ours.model) and _operations(list_compiled(read_compiled(ours.model))) == _operations(listings):
            return ours.mapping, ()
        note = (
            f"which operation of {path.name} is of which operator is not known, so only outputs are compared (give the "
            f"--vela-option it was compiled with, or keep {beside.name}, from vela --enable-debug-db, beside it)"
        )
        return (), (note,)


def _run_alone(target: Target, whole: Deployable, model: bytes, inputs: Sequence[Array]) -> Run:
    """Runs the `model` of one operator on the CPU kernels of what the `whole` ran on."""
    return target.run(replace(whole, int8=model, compiled=None), inputs)


def _for_accelerator(settings: VelaSettings, accelerator: str) -> VelaSettings:
    return replace(settings, accelerator=accelerator)


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
    return any(np.array_equal(one.values.ravel(), other.values.ravel()) for other in others)
