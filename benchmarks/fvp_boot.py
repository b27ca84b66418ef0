"""How long one inference takes on the open Corstone-300, from starting the process to its end.

    python benchmarks/fvp_boot.py VELA.tflite --input-bytes 490 --output-bytes 12 [--macs 128] [--runs 10]

Prints wall and CPU time (this program's and QEMU's together): of the whole executable, Python's start included; of
QEMU from its start until it answers; of `--version`; and of `run_inference`, the executable's start and end included.
The machine should have nothing else to do: the best of the runs is what the program needs, the median what it took.
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

from hil.fvp import qemu
from hil.fvp.firmware import runner
from hil.fvp.inference import run_inference


def measure(name: str, runs: int, action: Callable[[], object]) -> None:
    """Runs `action` and prints its wall and CPU time."""
    walls, cpus = [], []
    for _ in range(runs):
        wall, cpu = time.perf_counter(), sum(os.times()[:4])
        action()
        walls.append(time.perf_counter() - wall)
        cpus.append(sum(os.times()[:4]) - cpu)
    print(
        f"{name:<28} wall best {min(walls):.3f} s, median {statistics.median(walls):.3f} s; "
        f"CPU best {min(cpus):.2f} s, median {statistics.median(cpus):.2f} s"
    )


def boot_qemu(firmware: Path) -> None:
    """Starts QEMU, waits for its answer, ends it."""
    with qemu.start(firmware, []) as started:
        started.gdb.connect(30)


def main() -> None:
    """Reads the arguments and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--input-bytes", type=int, required=True)
    parser.add_argument("--output-bytes", type=int, required=True)
    parser.add_argument("--macs", type=int, default=128)
    parser.add_argument("--runs", type=int, default=10)
    options = parser.parse_args()
    firmware = runner()
    data = os.urandom(options.input_bytes)
    executable = [sys.executable, "-m", "hil.fvp.corstone300"]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "ifm").write_bytes(data)
        command = [
            *executable, "-q", "-a", str(firmware.path), "-C", f"ethosu.num_macs={options.macs}",
            "-C", "mps3_board.uart0.out_file=-", "-C", "mps3_board.uart0.shutdown_on_eot=1",
            "--data", f"{options.model}@{firmware.layout.model.address:#x}",
            "--data", f"{folder}/ifm@{firmware.layout.inputs.address:#x}",
            "--dump", f"{folder}/ofm@{firmware.layout.outputs.address:#x},{options.output_bytes}",
        ]  # fmt: skip
        measure("executable", options.runs, lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))
    version = [*executable, "--version"]
    measure(
        "executable --version", options.runs, lambda: subprocess.run(version, check=True, stdout=subprocess.DEVNULL)
    )
    measure("QEMU until it answers", options.runs, lambda: boot_qemu(firmware.path))
    model = options.model.read_bytes()
    measure(
        "run_inference",
        options.runs,
        lambda: run_inference(model, [data], [options.output_bytes], macs=options.macs),
    )


if __name__ == "__main__":
    main()
