"""Time of `hil profile --sweep` beside Vela's own compilations of the same settings, in one run.

    python -m benchmarks.profile_sweep [MODEL.tflite] [--accelerator NAME] [--jobs N] [--rounds N] [--json FILE]

Both compile every setting, as many at a time.  Vela's own are its command line, a process each, and its command line in
processes that stay warm, which is all that the sweep adds its model to.  They are measured in turn; the best round of
each counts, in seconds and in CPU seconds of all processes, which depend less on what else the machine does.  Without a
model it is MobileNetV2 1.0 at 224.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import platformdirs

from benchmarks.mobilenet_v2 import mobilenet_v2
from benchmarks.model_argument import model_file
from hil.core.cores import usable_cores
from hil.harness.profile.npu_settings import all_settings
from hil.harness.profile.sweep import sweep
from hil.harness.vela.compiler import VelaProcess, compile_model
from hil.harness.vela.settings import VelaSettings


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("model", nargs="?", type=model_file)
    parser.add_argument("--accelerator")
    parser.add_argument("--jobs", type=int, default=usable_cores())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--cache", type=Path, default=platformdirs.user_cache_path("ethosu-hil") / "benchmarks")
    options = parser.parse_args()
    model = options.model or mobilenet_v2(options.cache)
    int8 = model.read_bytes()
    settings = [one for one in all_settings() if options.accelerator in (None, one.accelerator)]
    works: dict[str, Callable[[], object]] = {
        "vela_command_line": lambda: _command_lines(model, settings, options.jobs),
        "vela_warm": lambda: _warm(int8, settings, options.jobs),
        "sweep": lambda: [*sweep(int8, settings, model.name, options.jobs)],
    }
    record: dict[str, str | int | float] = {"model": model.name, "settings": len(settings), "jobs": options.jobs}
    rounds = [{name: _measured(work) for name, work in works.items()} for _ in range(options.rounds)]
    for number, unit in enumerate(("s", "cpu_s")):
        best = {name: min(one[name][number] for one in rounds) for name in works}
        record |= {f"{name}_{unit}": seconds for name, seconds in best.items()}
        record |= {f"ratio_to_{name}_{unit}": best["sweep"] / best[name] for name in works if name != "sweep"}
    for name, value in record.items():
        print(f"{name:33} {value:.2f}" if isinstance(value, float) else f"{name:33} {value}")
    if options.json:
        options.json.write_text(json.dumps(record))


def _measured(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and CPU seconds of this process and of those that ended meanwhile."""
    start, before = time.monotonic(), _cpu_seconds()
    work()
    return time.monotonic() - start, _cpu_seconds() - before


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _command_lines(model: Path, settings: list[VelaSettings], jobs: int) -> None:
    """Compiles each setting by a process of Vela's command line."""

    def compile_one(one: VelaSettings) -> None:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "ethosu.vela", str(model), f"--output-dir={folder}"]
            command += [f"--accelerator-config={one.accelerator}", f"--memory-mode={one.memory_mode}"]
            command += [f"--system-config={one.system_config}", "--config=Arm/vela.ini"]
            command += [word for option in one.options for word in option.split()]
            subprocess.run(command, check=True, capture_output=True)

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(compile_one, settings))


def _warm(int8: bytes, settings: list[VelaSettings], jobs: int) -> None:
    """Compiles each setting in processes of Vela that stay warm."""
    made = [VelaProcess() for _ in range(jobs)]
    processes: SimpleQueue[VelaProcess] = SimpleQueue()
    for process in made:
        processes.put(process)

    def compile_one(one: VelaSettings) -> None:
        process = processes.get()
        compile_model(int8, one, ask=process.ask, mapped=False)
        processes.put(process)

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(compile_one, settings))
    for process in made:
        process.close()


if __name__ == "__main__":
    main()
