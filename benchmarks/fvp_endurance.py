"""Many inferences on the open Corstone-300, several at a time: all right, and nothing left behind.

    python -m benchmarks.fvp_endurance VELA.tflite [--runs 1000] [--parallel 8] [--killed 50]

Every run is a boot of its own, started by one process that stays.  Eight different inputs go round; each run must give
the bytes that a run alone gave for its input.  `--killed` QEMUs are killed at random moments of random runs, each of
which must end in its typed error.  The table has what this process and the machine hold before the first run, halfway
and at the end.  Exit code 1 if an output was wrong, an error untyped, or anything was left.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from benchmarks.model_argument import model_file
from hil.core.errors import FvpError
from hil.fvp.inference.inference import run_inference
from hil.npu.vela_output import read_compiled

INPUTS = 8

RSS_SLACK_KB = 4096
"""Allowed growth of this process between halfway and the end: the allocator's noise, 10 bytes a run."""


@dataclass(frozen=True)
class Held:
    """Resources that are held at one moment."""

    descriptors: int
    threads: int
    processes: int
    shared_memory_files: int
    temporary_files: int
    sockets: int
    memory_kb: int


def held() -> Held:
    """Counts the resources of this process, its children, and the folders where files could be left."""
    own = Path("/proc/self")
    links = []
    for entry in (own / "fd").iterdir():
        with contextlib.suppress(OSError):
            links.append(str(entry.readlink()))
    status = dict(line.split(":", 1) for line in (own / "status").read_text().splitlines())
    return Held(
        len(links),
        threading.active_count(),
        len(simulators()),
        len(list(Path("/dev/shm").iterdir())),
        len(list(Path(tempfile.gettempdir()).iterdir())),
        sum(link.startswith("socket:") for link in links),
        int(status["VmRSS"].split()[0]),
    )


def simulators() -> list[int]:
    """QEMUs and executables below this process."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    below = {os.getpid()}
    for _ in range(3):
        below |= {child for child, parent in parents.items() if parent in below}
    return sorted(below - {os.getpid()})


def killer(count: int, seconds: float, done: threading.Event, killed: list[int]) -> None:
    """Kills `count` QEMUs at random moments within about `seconds`."""
    while len(killed) < count and not done.wait(random.expovariate(count / seconds)):
        found = []
        for pid in simulators():
            with contextlib.suppress(OSError):
                if b"-gdb" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                    found.append(pid)
        if found:
            with contextlib.suppress(OSError):
                os.kill(random.choice(found), signal.SIGKILL)
                killed.append(1)


def main() -> int:
    """Reads the arguments, runs, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=model_file)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--parallel", type=int, default=8)
    parser.add_argument("--killed", type=int, default=50)
    options = parser.parse_args()
    model = options.model.read_bytes()
    compiled = read_compiled(model)
    graph, macs = compiled.main, compiled.accelerator.macs
    sizes = [graph.tensors[index].bytes for index in graph.outputs]
    inputs = [[os.urandom(graph.tensors[index].bytes) for index in graph.inputs] for _ in range(INPUTS)]
    started = time.monotonic()
    expected = [run_inference(model, data, sizes, macs=macs).outputs for data in inputs]
    alone = (time.monotonic() - started) / INPUTS

    def one(number: int) -> str:
        try:
            right = run_inference(model, inputs[number % INPUTS], sizes, macs=macs).outputs == expected[number % INPUTS]
        except FvpError as error:
            return "killed, told as " + type(error).__name__ if "signal 9" in str(error) else f"unexpected: {error}"
        except Exception as error:
            return f"untyped: {error!r}"
        return "right" if right else "wrong"

    results: dict[str, int] = {}
    seen = [held()]
    killed: list[int] = []
    done = threading.Event()
    wall = time.monotonic()
    thread = threading.Thread(
        target=killer, args=[options.killed, 0.8 * options.runs * alone / min(options.parallel, 2), done, killed]
    )
    if options.killed:
        thread.start()
    for half in (range(options.runs // 2), range(options.runs // 2, options.runs)):
        with ThreadPoolExecutor(options.parallel) as pool:
            for result in pool.map(one, half):
                results[result] = results.get(result, 0) + 1
        seen.append(held())
    done.set()
    if options.killed:
        thread.join()
        seen[-1] = held()
    wall = time.monotonic() - wall
    print(f"{options.runs} runs, {options.parallel} at a time: {wall:.0f} s, {options.runs / wall:.1f} runs/s")
    for result, count in sorted(results.items()):
        print(f"{count:6} {result}")
    print(f"\n{'':<22}{'before':>10}{'halfway':>10}{'end':>10}")
    for index, name in enumerate(field.name for field in fields(Held)):
        print(f"{name.replace('_', ' '):<22}" + "".join(f"{astuple(moment)[index]:>10}" for moment in seen))
    return 0 if _is_clean(results, seen, len(killed)) else 1


def _is_clean(results: dict[str, int], seen: list[Held], killed: int) -> bool:
    told = sum(count for result, count in results.items() if result.startswith("killed"))
    fine = told + results.get("right", 0) == sum(results.values()) and told <= killed
    left = astuple(seen[-1])[:-1] != astuple(seen[0])[:-1]
    if left:
        print("something was left behind")
    grown = seen[-1].memory_kb - seen[1].memory_kb
    return fine and not left and grown <= RSS_SLACK_KB


if __name__ == "__main__":
    sys.exit(main())
