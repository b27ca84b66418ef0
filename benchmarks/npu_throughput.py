"""Throughput of `npu` beside TensorFlow Lite's XNNPACK and reference kernels, in one run.

    python -m benchmarks.npu_throughput [MODEL.tflite ...] [--batch 64] [--jobs 2] [--rounds 5] [--json FILE]

Without models: those of the folder that HIL_TEST_DATA names, and a MobileNetV2 of 224x224 made here.  Tables:

* milliseconds an inference in batches, on one thread, and how many times as fast as each peer `npu` is, and where it is
  held to AVX2, while XNNPACK uses what this CPU has;
* the same on `--jobs` cores: threads of `npu`, interpreters of the peers;
* the same one sample at a time;
* what threads gain, in batches and one sample at a time, and the ceiling: what as many processes get side by side;
* one sample at a time with NumPy alone;
* decoding a command stream, by million weights: with few of them other things take longer;
* the timing model: a program's first modelling, and as a share of decoding and running one batch on one thread;
* peak memory of a process with a small batch and a large one: what a sample adds should be its arena.

Peers and `npu` are measured in turn, and the best round of each counts: CPU time on one thread, else time.  The
geometric mean is over models with convolutions.  Mismatches are with the reference kernels, over the batch.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.mobilenet_v2 import mobilenet_v2
from benchmarks.model_argument import model_file
from benchmarks.npu_peers import (
    bind,
    compile_with_vela,
    has_convolutions,
    held_to,
    interpreter_runner,
    measure,
    npu_runner,
    random_inputs,
)
from benchmarks.npu_threads import compute_for_ever, gain
from hil.core.npu_config import NpuConfig
from hil.npu.native import library
from hil.npu.stream.operations import Convolution
from hil.npu.timing import traffic
from hil.npu.timing.bus_words import bus_words
from hil.npu.timing.cycles import cycles
from hil.npu.timing.memory_system import MemorySystem
from hil.npu.timing.timing import Timing
from hil.npu.vela_output import read_compiled
from hil.npu.weights.order import layout_of

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
SMALL_BATCH = 8
MODULE = ("-m", "benchmarks.npu_throughput")

Row = dict[str, Any]


def throughput(path: Path, compiled: bytes, batch: int, jobs: int, rounds: int) -> Row:
    """Milliseconds an inference of each on `jobs` cores, ratios, mismatches."""
    inputs = random_inputs(path, batch)
    runners = {
        "npu": npu_runner(compiled, inputs, jobs),
        "avx2": npu_runner(compiled, inputs, jobs, library.AVX2),
        "xnnpack": interpreter_runner(path, inputs, jobs, reference=False),
        "reference": interpreter_runner(path, inputs, jobs, reference=True),
    }
    pairs = zip(runners["npu"](), runners["reference"](), strict=True)
    mismatches = sum(int((got.ravel() != expected.ravel()).sum()) for got, expected in pairs)
    slow = runners.pop("reference")
    clock = time.process_time if jobs == 1 else time.perf_counter
    best = measure(runners, rounds, clock) | measure({"reference": slow}, min(rounds, 2), clock)
    row: Row = {name: seconds / batch * 1e3 for name, seconds in best.items()}
    row |= {f"x {peer}": row[peer] / row["npu"] for peer in ("xnnpack", "reference")}
    return row | {"avx2 x xnnpack": row["xnnpack"] / row["avx2"], "mismatches": mismatches}


def numpy_single(path: Path, compiled: bytes, rounds: int) -> Row:
    """Milliseconds of one inference after another with NumPy alone, and in those of the reference kernels."""
    inputs = random_inputs(path, 1)
    alone = npu_runner(compiled, inputs, 1, library.NUMPY)
    reference = interpreter_runner(path, inputs, 1, reference=True)
    row: Row = measure({"numpy": alone, "reference": reference}, 4 * rounds, time.process_time)
    row = {name: seconds * 1e3 for name, seconds in row.items()}
    return row | {"numpy / reference": row["numpy"] / row["reference"]}


def decoding(compiled: bytes, rounds: int) -> Row:
    """Weights, milliseconds to decode the whole stream with compiled code, and by million weights."""
    model = read_compiled(compiled)
    program = bind(model).program
    layouts = (layout_of(op, program.accelerator) for op in program.operations if isinstance(op, Convolution))
    weights = sum(int(np.prod(layout.shape)) for layout in layouts)
    native = measure({"native": lambda: [bind(model)]}, rounds, time.process_time)["native"]  # type: ignore[list-item]
    with held_to(library.NUMPY):
        alone = measure({"numpy": lambda: [bind(model)]}, 2, time.process_time)["numpy"]  # type: ignore[list-item]
    per_million = 1e9 / weights
    return {"weights": weights, "ms": native * 1e3, "ms / M": native * per_million, "numpy ms / M": alone * per_million}


def timing(path: Path, compiled: bytes, batch: int, rounds: int) -> Row:
    """Milliseconds of modelling a program's cycles, and percent of decoding it and running a batch."""
    program, memories = bind(read_compiled(compiled)).program, MemorySystem.of(NpuConfig())

    def model() -> list[Timing]:
        for remembered in (bus_words, traffic._spans, traffic._under):
            remembered.cache_clear()
        return [cycles(program, memories)]

    functional = {"decode": lambda: [bind(read_compiled(compiled))]}
    functional["run"] = npu_runner(compiled, random_inputs(path, batch), 1)
    best = measure({"model": model, **functional}, rounds, time.process_time)
    share = 100 * best["model"] / (best["decode"] + best["run"])
    return {"operations": len(program.operations), "ms": best["model"] * 1e3, "% of decode and batch": share}


def memory(compiled: Path, batch: int) -> Row:
    """Mebibytes of arena a sample, peak of a process with a small batch and with `batch`, arenas that a sample adds."""
    peaks = {}
    for samples in (SMALL_BATCH, batch):
        command = [sys.executable, *MODULE, "--peak", str(compiled), "--batch", str(samples)]
        peaks[samples] = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    arena = read_compiled(compiled.read_bytes()).arena_bytes
    added = (peaks[batch] - peaks[SMALL_BATCH]) / (batch - SMALL_BATCH)
    mebi = 1 / (1 << 20)
    small, large = f"batch {SMALL_BATCH}", f"batch {batch}"
    return {
        "arena": arena * mebi,
        small: peaks[SMALL_BATCH] * mebi,
        large: peaks[batch] * mebi,
        "x arena": added / arena,
    }


def print_peak(compiled: Path, batch: int) -> None:
    """Runs a batch of zeros and prints the process' peak memory in bytes; in a process of its own."""
    model = read_compiled(compiled.read_bytes())
    arena = np.zeros((batch, model.arena_bytes), np.uint8)
    arena[:] = 1
    bind(model).run(arena)
    status = Path("/proc/self/status").read_text()  # ru_maxrss would count the parent before exec, too.
    print(int(status.split("VmHWM:")[1].split()[0]) * 1024)


def show(title: str, rows: dict[str, Row], means: list[str], convolutional: set[str]) -> Row:
    """Prints a table, and gives the geometric means of the columns `means`."""
    columns = list(next(iter(rows.values())))
    print(f"\n{title}")
    print(f"{'':22}" + "".join(f"{name:>18}" for name in columns))
    for name, row in rows.items():
        cells = (f"{row[key]:18}" if isinstance(row[key], int) else f"{row[key]:18.3f}" for key in columns)
        print(f"{name:22}" + "".join(cells))
    counted = [row for name, row in rows.items() if name in convolutional]
    if not means or not counted:
        return {}
    result = {key: statistics.geometric_mean(row[key] for row in counted) for key in means}
    print(f"{'geometric mean':22}" + "".join(f"{result[key]:18.3f}" if key in result else " " * 18 for key in columns))
    return result


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=model_file)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--accelerator", default="ethos-u55-128")
    parser.add_argument("--json", type=Path, help="where to write the tables")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "ethosu-hil" / "benchmarks")
    parser.add_argument("--peak", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--neighbour", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measures the models named on the command line and prints the tables."""
    options = arguments()
    if any(os.environ.get(name) != "1" for name in THREADS):  # Libraries read these when they are loaded.
        os.execve(sys.executable, [sys.executable, *MODULE, *sys.argv[1:]], os.environ | dict.fromkeys(THREADS, "1"))
    if options.peak:
        print_peak(options.peak, options.batch)
        return
    if options.neighbour:
        compute_for_ever(options.neighbour, options.batch)
    shared = os.environ.get("HIL_TEST_DATA")
    found = sorted(Path(shared, "models").glob("*.tflite")) if shared else []
    models = options.models or [*found, mobilenet_v2(options.cache)]
    names = ("one", "jobs", "single", "threads", "threads of one", "numpy", "decode", "timing", "memory")
    tables: dict[str, dict[str, Row]] = {name: {} for name in names}
    convolutional = set()
    for path in models:
        start = time.perf_counter()
        compiled = compile_with_vela(path, options.accelerator)
        options.cache.mkdir(parents=True, exist_ok=True)
        kept = options.cache / f"{path.stem}_{options.accelerator}.tflite"
        kept.write_bytes(compiled)
        if has_convolutions(compiled):
            convolutional.add(path.stem)
        tables["one"][path.stem] = throughput(path, compiled, options.batch, 1, options.rounds)
        tables["jobs"][path.stem] = throughput(path, compiled, options.batch, options.jobs, options.rounds)
        tables["single"][path.stem] = throughput(path, compiled, 1, 1, 20 * options.rounds)
        tables["threads"][path.stem] = gain(kept, options.batch, options.jobs, 4 * options.rounds)
        tables["threads of one"][path.stem] = gain(kept, 1, options.jobs, 20 * options.rounds)
        tables["numpy"][path.stem] = numpy_single(path, compiled, options.rounds)
        tables["decode"][path.stem] = decoding(compiled, options.rounds)
        tables["timing"][path.stem] = timing(path, compiled, options.batch, options.rounds)
        tables["memory"][path.stem] = memory(kept, options.batch)
        print(f"{path.stem}: measured in {time.perf_counter() - start:.0f} s", file=sys.stderr)
    ratios = ["x xnnpack", "x reference", "avx2 x xnnpack"]
    means = {
        "one": show(f"batch {options.batch}, one thread: ms an inference", tables["one"], ratios, convolutional),
        "jobs": show(f"batch {options.batch}, {options.jobs} cores", tables["jobs"], ratios, convolutional),
    }
    show("one sample at a time: ms", tables["single"], [], convolutional)
    show(
        f"threads on {options.jobs} cores, batch {options.batch}: ms an inference", tables["threads"], [], convolutional
    )
    show(f"threads on {options.jobs} cores, one sample at a time: ms", tables["threads of one"], [], convolutional)
    show("one sample at a time with NumPy alone: ms", tables["numpy"], [], convolutional)
    show("decoding a command stream, and by million weights", tables["decode"], [], convolutional)
    show(
        f"the timing model: ms, and share of decoding and a batch of {options.batch}",
        tables["timing"],
        [],
        convolutional,
    )
    show("peak memory: MiB", tables["memory"], [], convolutional)
    if options.json:
        options.json.write_text(json.dumps({"tables": tables, "geometric means": means}, indent=1))


if __name__ == "__main__":
    main()
