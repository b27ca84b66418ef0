"""Duration of inferences on the open Corstone-300, by part.

    python -m benchmarks.fvp_boot VELA.tflite [--runs 10] [--samples 32]

Prints, best and median of the runs:

* moments of one run of the executable, from the start of its process: booted, and from a kept state;
* wall and CPU time (this program's and QEMU's together) of the executable and of `run_inference`, booted and from a
  state that an earlier process kept, by turns, with the ratio of each pair; the run that keeps it, and its size;
* QEMU until it answers; the NPU's work alone, decoded and run in this process on the same command stream;
* samples a second of `--samples` on all cores: sharing boots, against one boot a sample, by turns in the same run.

The machine should have nothing else to do: the best of the runs is what the program needs, the median what it took.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.model_argument import model_file
from hil.fvp.inference.firmware import Firmware, runner
from hil.fvp.inference.inference import run_inference, run_inferences
from hil.fvp.machine import qemu
from hil.npu.vela_output import CompiledModel, NpuOperator, read_compiled

TIMELINE = Path(__file__).with_name("fvp_timeline.py")
EXECUTABLE = [sys.executable, "-m", "hil.fvp.corstone300"]


def row(name: str, values: Sequence[float]) -> str:
    """A line of a table: best and median, in ms."""
    return f"{name:<32} best {min(values) * 1e3:7.1f} ms   median {statistics.median(values) * 1e3:7.1f} ms"


def measure(runs: int, actions: Mapping[str, Callable[[], object]]) -> None:
    """Does `actions` by turns, and prints the wall and CPU time of each and the median ratio to the first."""
    walls: dict[str, list[float]] = {name: [] for name in actions}
    cpus: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(runs):
        for name, action in actions.items():
            wall, cpu = time.perf_counter(), sum(os.times()[:4])
            action()
            walls[name].append(time.perf_counter() - wall)
            cpus[name].append(sum(os.times()[:4]) - cpu)
    first, *others = actions
    for name in actions:
        print(row(name, walls[name]) + f"   CPU best {min(cpus[name]) * 1e3:4.0f} ms")
    for name in others:
        ratio = statistics.median(one / base for one, base in zip(walls[name], walls[first], strict=True))
        print(f"  {name} / {first}: median of the pairs {ratio:.2f}")


def command(
    firmware: Firmware, model: Path, folder: Path, macs: int, output_bytes: int, store: Path | None = None
) -> list[str]:
    """The executable's arguments for one inference of the inputs in `folder`."""
    inputs = f"{firmware.layout.inputs.address:#x}"
    keeping = [] if store is None else ["-C", f"open.store={store}", "-C", f"open.samples_address={inputs}"]
    return [
        "-q", "-a", str(firmware.path), "-C", f"ethosu.num_macs={macs}", "-C", "mps3_board.uart0.out_file=-",
        "-C", "mps3_board.uart0.shutdown_on_eot=1", "--data", f"{model}@{firmware.layout.model.address:#x}",
        "--data", f"{folder}/ifm@{inputs}", *keeping,
        "--dump", f"{folder}/ofm@{firmware.layout.outputs.address:#x},{output_bytes}",
    ]  # fmt: skip


def launch(arguments: Sequence[str]) -> None:
    """Runs the executable."""
    subprocess.run([*EXECUTABLE, *arguments], check=True, stdout=subprocess.DEVNULL)


def timelines(arguments: Sequence[str], runs: int) -> list[dict[str, float]]:
    """Moments of `runs` runs."""
    made = []
    for _ in range(runs):
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, TIMELINE, str(started), *arguments], check=True, capture_output=True, text=True
        )
        made.append({**json.loads(done.stderr.splitlines()[-1]), "process has ended": time.monotonic() - started})
    return made


def print_timeline(made: Sequence[dict[str, float]]) -> None:
    """The moments in order, and the span that has a target."""
    for moment in sorted(made[0], key=lambda name: made[0][name]):
        print(row(moment, [run[moment] for run in made]))
    print(row("  QEMU's start to the outputs", [run["outputs are saved"] - run["QEMU starts"] for run in made]))
    if all("NPU starts" in run for run in made):
        print(row("  of it the NPU's work", [run["NPU is done"] - run["NPU starts"] for run in made]))


def npu_alone(model: CompiledModel) -> None:
    """Decodes and runs all command streams, as a job without a prepared program does."""
    arena = np.zeros((1, model.arena_bytes), np.uint8)
    for operator in model.main.operators:
        if isinstance(operator, NpuOperator):
            operator.bind(model).run(arena)


def boot_qemu(firmware: Path) -> None:
    """Starts QEMU, waits for its answer, ends it."""
    with qemu.start(firmware, []) as started:
        started.gdb.connect()


def throughput(model: bytes, inputs: Sequence[list[bytes]], sizes: list[int], macs: int, runs: int) -> None:
    """Samples a second on all cores, the two ways by turns."""
    jobs = os.cpu_count() or 1
    pieces = [inputs[number::jobs] for number in range(jobs) if inputs[number::jobs]]
    with ThreadPoolExecutor(jobs) as pool:

        def shared() -> None:
            list(pool.map(lambda piece: run_inferences(model, piece, sizes, macs=macs), pieces))

        def one_each() -> None:
            list(pool.map(lambda sample: run_inference(model, sample, sizes, macs=macs), inputs))

        times: dict[str, list[float]] = {"sharing boots": [], "one boot a sample": []}
        for _ in range(runs):
            for name, way in (("sharing boots", shared), ("one boot a sample", one_each)):
                started = time.perf_counter()
                way()
                times[name].append(time.perf_counter() - started)
    for name, values in times.items():
        best, median = (len(inputs) / value for value in (min(values), statistics.median(values)))
        print(f"{name:<32} best {best:7.1f} samples/s   median {median:5.1f} samples/s   ({len(inputs)} samples)")


def main() -> None:
    """Reads the arguments and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=model_file)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--samples", type=int, default=32)
    options = parser.parse_args()
    firmware = runner()
    model = options.model.read_bytes()
    compiled = read_compiled(model)
    macs, main_graph = compiled.accelerator.macs, compiled.main
    sizes = [main_graph.tensors[index].bytes for index in main_graph.outputs]
    inputs = [
        [os.urandom(main_graph.tensors[index].bytes) for index in main_graph.inputs] for _ in range(options.samples)
    ]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "ifm").write_bytes(b"".join(inputs[0]))
        store = Path(folder) / "store"
        booting, keeping = (
            command(firmware, options.model, Path(folder), macs, sum(sizes), kept_in) for kept_in in (None, store)
        )
        started = time.perf_counter()
        launch(keeping)
        print(f"{'a run that keeps its state':<32} {(time.perf_counter() - started) * 1e3:12.1f} ms   ", end="")
        print(f"{sum(file.stat().st_size for file in store.rglob('*') if file.is_file()) / 1e6:.1f} MB kept\n")
        for title, arguments in (("booted:", booting), ("from a kept state:", keeping)):
            print(title)
            print_timeline(timelines(arguments, options.runs))
        print()
        measure(options.runs, {"executable": lambda: launch(booting), "from a kept state": lambda: launch(keeping)})
        infer = functools.partial(run_inference, model, inputs[0], sizes, macs=macs)
        measure(options.runs, {"run_inference": infer, "with the kept state": lambda: infer(store=store)})
    measure(options.runs, {"QEMU until it answers": lambda: boot_qemu(firmware.path)})
    measure(options.runs, {"NPU alone, decoding included": lambda: npu_alone(compiled)})
    print()
    throughput(model, inputs, sizes, macs, max(1, options.runs // 5))


if __name__ == "__main__":
    main()
