"""Every model of a folder on every Ethos-U55: outputs of the reference kernels, `sim` and `fvp` side by side.

    python -m benchmarks.conformance FOLDER [--samples 100] [--engine open] [--accelerator ethos-u55-128 ...]

FOLDER holds int8 `.tflite` files with one input or several.  Inputs are random over the whole range of their type.  A
row counts the elements, of all samples and outputs, in which a target differs from the reference kernels; the NPU's
cycles are those the firmware printed.  Ends with 1 if anything differs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hil.core.arrays import Array
from hil.core.npu_config import NpuConfig
from hil.harness.vela.compiler import compile_model
from hil.harness.vela.settings import VelaSettings
from hil.npu import accelerator
from hil.targets import create
from hil.targets.base import Deployable, Run
from hil.targets.execution.signature import read_signature

NAMES = [member.name for member in accelerator.U55]


def random_inputs(int8: bytes, samples: int) -> list[Array]:
    """One array a model input."""
    generator = np.random.default_rng(0)
    inputs = []
    for spec in read_signature(int8).inputs:
        limits = np.iinfo(spec.dtype)
        shape = (samples, *spec.sample_shape)
        inputs.append(generator.integers(limits.min, limits.max, shape, spec.dtype, endpoint=True))
    return inputs


def differing(run: Run, expected: Sequence[Array]) -> int:
    """Elements that are not the expected ones."""
    return sum(int((got != wanted).sum()) for got, wanted in zip(run.outputs, expected, strict=True))


def main() -> int:
    """Prints the table and gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--engine", default="open")
    parser.add_argument("--accelerator", action="append", choices=NAMES)
    options = parser.parse_args()
    wrong = 0
    print(f"{'model':<20} {'accelerator':<14} {'samples':>7} {'sim':>6} {'fvp':>6} {'NPU cycles':>11} {'s/boot':>7}")
    for path in sorted(options.folder.glob("*.tflite")):
        int8 = path.read_bytes()
        inputs = random_inputs(int8, options.samples)
        expected = create("host").run(Deployable(int8, None), inputs).outputs
        for name in options.accelerator or NAMES:
            model = Deployable(int8, compile_model(int8, VelaSettings(name)).model, NpuConfig(name))
            sim = differing(create("sim").run(model, inputs), expected)
            started = time.monotonic()
            run = create("fvp", engine=options.engine).run(model, inputs)
            seconds = (time.monotonic() - started) / options.samples
            fvp = differing(run, expected)
            cycles = next(found.value for found in run.measurements if found.name == "npu_cycles")
            row = f"{path.stem:<20} {name:<14} {options.samples:>7} {sim:>6} {fvp:>6} {cycles:>11,.0f} {seconds:>7.2f}"
            print(row, flush=True)
            wrong += sim + fvp
    print("all equal" if not wrong else f"{wrong} elements differ")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
