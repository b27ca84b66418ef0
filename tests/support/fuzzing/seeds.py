"""Seeds: Vela's output for small models, one of each operator and type, cut up for the targets.

write_seeds(folder)                    # folder/TARGET/seeds, folder/TARGET/contexts
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hil.npu.accelerator import Accelerator
from hil.npu.program import Program
from hil.npu.stream.constants import KnownMemory
from hil.npu.stream.operations import Convolution, Dma, Range
from hil.npu.stream.payload import parse_payload
from hil.npu.vela_output import CompiledModel, NpuOperator, is_compiled, read_compiled
from hil.npu.weights.order import layout_of
from tests.support.fuzzing.drivers import job, script
from tests.support.fuzzing.targets import TARGETS, Context, layout_head

LONGEST = 1 << 15
"""Bytes of an input."""

_LARGEST_ARENA = 1 << 15
"""Bytes of the arena of a stream that is a seed; with a larger one the fuzzer is slow."""


@dataclass(frozen=True)
class Seeds:
    """Inputs by target, and the contexts of the streams."""

    inputs: Mapping[str, list[bytes]]
    contexts: list[Context]


@functools.cache
def make_seeds(step: int = 1) -> Seeds:
    """Makes the models, of every `step`-th operator and type, and takes them apart."""
    seeds = Seeds({name: [] for name in TARGETS}, [])
    for int8, compiled in _models(step):
        seeds.inputs["tflite"].extend([int8, compiled])
        if not is_compiled(compiled):
            continue  # Vela left all of it to the CPU.
        model = read_compiled(compiled)
        for operator in model.main.operators:
            if isinstance(operator, NpuOperator) and model.arena_bytes < _LARGEST_ARENA and len(seeds.contexts) < 256:
                _add(model, operator, seeds)
    return seeds


def write_seeds(folder: Path) -> None:
    """Makes all seeds and writes every target's, and the contexts."""
    seeds = make_seeds()
    for name, inputs in seeds.inputs.items():
        for part in ("seeds", "contexts", "corpus"):
            (folder / name / part).mkdir(parents=True)
        for number, data in enumerate(inputs):
            if len(data) <= LONGEST:
                (folder / name / "seeds" / f"{number:04}").write_bytes(data)
        for number, context in enumerate(seeds.contexts):
            np.savez(
                folder / name / "contexts" / f"{number:04}.npz",
                accelerator=np.array(context.accelerator.name),
                constants=context.constants,
                arena_bytes=np.array(context.arena_bytes),
            )


def read_contexts(folder: Path) -> list[Context]:
    """The contexts that `write_seeds` wrote."""
    contexts = []
    for path in sorted(folder.iterdir()):
        with np.load(path) as held:
            name, size = str(held["accelerator"]), int(held["arena_bytes"])
            contexts.append(Context(Accelerator.from_name(name), held["constants"], size))
    return contexts


def _models(step: int) -> Iterator[tuple[bytes, bytes]]:
    """(model, Vela's output) of one case of every `step`-th operator and type, on all accelerators by turns."""
    from hil.core.errors import HilError
    from hil.harness.vela.compiler import compile_model
    from tests.support.operators.families import all_cases
    from tests.support.operators.settings import ACCELERATORS, settings_of

    cells = {}
    for case in all_cases().values():
        cells.setdefault((case.operator, case.dtype), []).append(case)
    for number, cases in enumerate(list(cells.values())[::step]):
        case = cases[len(cases) // 2]
        for setting in settings_of(case, ACCELERATORS[number % len(ACCELERATORS)], 1):
            model = case.model()
            try:
                yield model, compile_model(model, setting.vela()).model
            except HilError:  # Vela refuses some cases; the suite tells of them.
                continue


def _add(model: CompiledModel, operator: NpuOperator, seeds: Seeds) -> None:
    tensors = model.main.tensors
    data, constants = tensors[operator.command_stream].data, tensors[operator.read_only].data
    if data is None:
        return
    accelerator, words = parse_payload(data)
    held = np.zeros(0, np.uint8) if constants is None else constants
    stream = words.astype("<u4").tobytes()
    seeds.inputs["stream"].append(bytes([len(seeds.contexts)]) + stream)
    seeds.inputs["payload"].append(data.tobytes())
    seeds.contexts.append(Context(accelerator, held, model.arena_bytes))
    at = -(-len(stream) // 16) * 16
    contents = stream.ljust(at, b"\0") + held.tobytes()
    arena = -(-len(contents) // 16) * 16
    seeds.inputs["registers"].append(script(accelerator, job(stream, [at, arena, arena]), contents))
    seeds.inputs["weights"].extend(_weights(operator.bind(model).program))


def _weights(program: Program) -> Iterator[bytes]:
    """Every convolution's weights, behind the layout as target `weights` reads it."""
    known = KnownMemory(program.constants)
    for operation in program.operations:
        if isinstance(operation, Dma):
            for source, place in zip(operation.sources, operation.destinations, strict=True):
                data = known.read(Range(operation.source_region, source, operation.length))
                known.write(operation.destination_region, place, place + operation.length, data)
        if isinstance(operation, Convolution):
            layout = layout_of(operation, program.accelerator)
            for core, part in enumerate(operation.weight_streams):
                encoded = known.read(part)
                if encoded is not None:
                    of_core = layout.of_core(core, len(operation.weight_streams))
                    yield layout_head(of_core, program.accelerator) + encoded.tobytes()
