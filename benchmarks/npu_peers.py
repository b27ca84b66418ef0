"""Runners of one batch: on `npu`, and on TensorFlow Lite's XNNPACK and reference kernels."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.core.arrays import Array
from hil.npu.native import library
from hil.npu.stream.operations import Convolution
from hil.npu.vela_output import BoundOperator, CompiledModel, NpuOperator, read_compiled

Runner = Callable[[], list[Array]]


def compile_with_vela(path: Path, accelerator: str) -> bytes:
    """Vela's output for the model at `path`."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "ethosu.vela", str(path), "--accelerator-config", accelerator]
        subprocess.run([*command, "--output-dir", folder], check=True, capture_output=True)
        return (Path(folder) / f"{path.stem}_vela.tflite").read_bytes()


def bind(model: CompiledModel) -> BoundOperator:
    """Decodes the model's only NPU operator."""
    (operator,) = model.main.operators
    assert isinstance(operator, NpuOperator)
    return operator.bind(model)


def has_convolutions(compiled: bytes) -> bool:
    """True if some kernel is larger than 1x1; a fully connected layer's is not."""
    operations = bind(read_compiled(compiled)).program.operations
    return any(op.kernel.height * op.kernel.width > 1 for op in operations if isinstance(op, Convolution))


def npu_runner(compiled: bytes, inputs: list[Array], threads: int, level: int = library.VNNI) -> Runner:
    """Runs the batch on `npu`, with no better instructions than `level`."""
    model = read_compiled(compiled)
    bound = bind(model)
    tensors = model.main.tensors
    arena = np.zeros((len(inputs[0]), model.arena_bytes), np.uint8)

    def part(index: int) -> NDArray[np.uint8]:
        offset = tensors[index].offset
        assert offset is not None
        return arena[:, offset : offset + tensors[index].bytes]

    def run() -> list[Array]:
        for index, values in zip(model.main.inputs, inputs, strict=True):
            part(index)[:] = values.reshape(len(values), -1).view(np.uint8)
        bound.run(arena, threads=threads)
        return [np.ascontiguousarray(part(i)).view(tensors[i].dtype) for i in model.main.outputs]

    with held_to(level):
        run()  # Steps are made the first time.
    return run


def interpreter_runner(path: Path, inputs: list[Array], threads: int, *, reference: bool) -> Runner:
    """Runs the batch on TensorFlow Lite, sample by sample; `threads` interpreters share the samples."""
    count = len(inputs[0])
    ends = [count * thread // threads for thread in range(threads + 1)]
    parts = [[values[i:j] for values in inputs] for i, j in pairwise(ends)]
    runners = [_interpreter(path, part, reference) for part in parts]
    pool = ThreadPoolExecutor(threads)

    def run() -> list[Array]:
        done = list(pool.map(lambda runner: runner(), runners)) if threads > 1 else [runners[0]()]
        return [np.concatenate(columns) for columns in zip(*done, strict=True)]

    return run


def _interpreter(path: Path, inputs: list[Array], reference: bool) -> Runner:
    import tensorflow as tf

    kinds = tf.lite.experimental.OpResolverType
    interpreter = tf.lite.Interpreter(
        str(path), num_threads=1, experimental_op_resolver_type=kinds.BUILTIN_REF if reference else kinds.AUTO
    )
    interpreter.allocate_tensors()
    places = [detail["index"] for detail in interpreter.get_input_details()]
    outputs = [detail["index"] for detail in interpreter.get_output_details()]

    def run() -> list[Array]:
        rows = []
        for sample in range(len(inputs[0])):
            for place, values in zip(places, inputs, strict=True):
                interpreter.set_tensor(place, values[sample : sample + 1])
            interpreter.invoke()
            rows.append([interpreter.get_tensor(index).reshape(-1) for index in outputs])
        return [np.stack(column) for column in zip(*rows, strict=True)]

    return run


def random_inputs(path: Path, batch: int) -> list[Array]:
    """One array a model input, over the whole range of its type."""
    import tensorflow as tf

    generator = np.random.default_rng(0)
    inputs = []
    for detail in tf.lite.Interpreter(str(path)).get_input_details():
        limits = np.iinfo(detail["dtype"])
        shape = (batch, *detail["shape"][1:])
        inputs.append(generator.integers(limits.min, limits.max, shape, detail["dtype"], endpoint=True))
    return inputs


def measure(
    runners: dict[str, Runner], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Seconds by `clock` of the best round of each, taken in turn."""
    best = dict.fromkeys(runners, float("inf"))
    for _ in range(rounds):
        for name, run in runners.items():
            start = clock()
            run()
            best[name] = min(best[name], clock() - start)
    return best


@contextlib.contextmanager
def held_to(level: int) -> Any:
    """Context in which `npu` uses no better instructions than `level`, of `hil.npu.native.library`."""
    before = library.hold(level)
    try:
        yield
    finally:
        library.hold(before)
