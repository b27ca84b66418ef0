"""How fast `npu` runs, beside TensorFlow Lite's XNNPACK and reference kernels, in one run on one thread.

    python benchmarks/npu_throughput.py MODEL.tflite [...] [--batch 64] [--accelerator ethos-u55-128]

Prints one row a model: milliseconds per inference of each, and how many times as fast as each peer `npu` is.  `npu`
runs the whole batch at once, the peers sample by sample.  The best of a few rounds counts, taken in turn.  The
geometric mean of the ratios is over models with convolutions.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.npu import acceleration
from hil.npu.compiled import NpuOperator, read_compiled
from hil.npu.operations import Convolution

Array = NDArray[Any]
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def compile_with_vela(path: Path, accelerator: str, folder: str) -> bytes:
    """Vela's output for the model at `path`."""
    command = [sys.executable, "-m", "ethosu.vela", str(path), "--accelerator-config", accelerator]
    subprocess.run([*command, "--output-dir", folder], check=True, capture_output=True)
    return (Path(folder) / f"{path.stem}_vela.tflite").read_bytes()


def has_convolutions(compiled: bytes) -> bool:
    """Whether some kernel is larger than 1x1; a fully connected layer's is not."""
    model = read_compiled(compiled)
    operations = [op.bind(model).program.operations for op in model.main.operators if isinstance(op, NpuOperator)]
    kernels = [op.kernel for row in operations for op in row if isinstance(op, Convolution)]
    return any(kernel.height * kernel.width > 1 for kernel in kernels)


def npu_runner(compiled: bytes, inputs: list[Array]) -> Callable[[], list[Array]]:
    """Runs the batch on `npu`."""
    model = read_compiled(compiled)
    (operator,) = model.main.operators
    assert isinstance(operator, NpuOperator)
    bound = operator.bind(model)
    tensors = model.main.tensors
    arena = np.zeros((len(inputs[0]), model.arena_bytes), np.uint8)

    def part(index: int) -> NDArray[np.uint8]:
        offset = tensors[index].offset
        assert offset is not None
        return arena[:, offset : offset + tensors[index].bytes]

    def run() -> list[Array]:
        for index, values in zip(model.main.inputs, inputs, strict=True):
            part(index)[:] = values.reshape(len(values), -1).view(np.uint8)
        bound.run(arena)
        return [np.ascontiguousarray(part(i)).view(tensors[i].dtype) for i in model.main.outputs]

    return run


def interpreter_runner(path: Path, inputs: list[Array], reference: bool) -> Callable[[], list[Array]]:
    """Runs the batch on TensorFlow Lite, sample by sample."""
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


def measure(runners: dict[str, Callable[[], list[Array]]], rounds: int) -> dict[str, float]:
    """Seconds of the best round of each, taken in turn."""
    best = dict.fromkeys(runners, float("inf"))
    for _ in range(rounds):
        for name, run in runners.items():
            start = time.perf_counter()
            run()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def main() -> None:
    """Measures the models named on the command line and prints the table."""
    if any(os.environ.get(name) != "1" for name in THREADS):  # Libraries read these when they are loaded.
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | dict.fromkeys(THREADS, "1"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--accelerator", default="ethos-u55-128")
    arguments = parser.parse_args()
    acceleration.load()
    print(f"batch {arguments.batch}, one thread, {arguments.accelerator}; milliseconds per inference")
    print(f"{'model':24}{'npu':>9}{'XNNPACK':>9}{'reference':>11}{'x XNNPACK':>11}{'x reference':>13}  mismatches")
    ratios = []
    for path in arguments.models:
        inputs = random_inputs(path, arguments.batch)
        with tempfile.TemporaryDirectory() as folder:
            compiled = compile_with_vela(path, arguments.accelerator, folder)
        runners = {
            "npu": npu_runner(compiled, inputs),
            "xnnpack": interpreter_runner(path, inputs, reference=False),
            "reference": interpreter_runner(path, inputs, reference=True),
        }
        pairs = zip(runners["npu"](), runners["reference"](), strict=True)
        mismatches = sum(int((got != expected).sum()) for got, expected in pairs)
        best = {name: seconds / arguments.batch * 1e3 for name, seconds in measure(runners, arguments.rounds).items()}
        to_xnnpack, to_reference = best["xnnpack"] / best["npu"], best["reference"] / best["npu"]
        if has_convolutions(compiled):
            ratios.append((to_xnnpack, to_reference))
        print(
            f"{path.stem:24}{best['npu']:9.3f}{best['xnnpack']:9.3f}{best['reference']:11.3f}"
            f"{to_xnnpack:11.2f}{to_reference:13.2f}  {mismatches}"
        )
    if ratios:
        means = [statistics.geometric_mean(column) for column in zip(*ratios, strict=True)]
        print(f"{'geometric mean':53}{means[0]:11.2f}{means[1]:13.2f}")


if __name__ == "__main__":
    main()
