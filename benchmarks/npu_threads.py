"""Gain of `npu`'s threads, beside what this machine gives to as many processes at once.

Two processors may be two threads of one core, or share memory, so that even independent processes slow each other down:
the ceiling is `jobs` times the speed of one thread while others compute the same.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.npu_peers import Runner, bind, measure
from hil.core.arrays import Array
from hil.npu.vela_output import read_compiled

READY = "ready"

IN_A_ROW = 0.03
"""Seconds of runs between two changes of the neighbours: behind one, processors wake up and have other caches."""


def compute_for_ever(compiled: Path, batch: int) -> None:
    """Runs a batch again and again on one thread; prints a line after the first time."""
    run = arena_runner(compiled, batch, 1)
    run()
    print(READY, flush=True)
    while True:
        run()


def gain(compiled: Path, batch: int, jobs: int, rounds: int) -> dict[str, Any]:
    """Milliseconds an inference on one thread and on at most `jobs`, how much faster that is, and the ceiling of it."""
    one, several = arena_runner(compiled, batch, 1), arena_runner(compiled, batch, jobs)
    best = {"one": float("inf"), "threads": float("inf"), "beside": float("inf")}
    in_a_row = 1 + int(IN_A_ROW / measure({"one": one}, 1)["one"])
    with _neighbours(compiled, batch, jobs - 1) as neighbours:
        for _ in range(rounds):
            found = measure({"one": one}, in_a_row) | measure({"threads": several}, in_a_row)
            with _awake(neighbours):
                found |= measure({"beside": one}, in_a_row)
            best = {name: min(best[name], seconds) for name, seconds in found.items()}
    per_inference = {name: best[name] / batch * 1e3 for name in ("one", "threads")}
    return per_inference | {"gain": best["one"] / best["threads"], "ceiling": jobs * best["one"] / best["beside"]}


def arena_runner(compiled: Path, batch: int, threads: int) -> Runner:
    """Runs the only NPU operator of `compiled` on a batch of random bytes."""
    model = read_compiled(compiled.read_bytes())
    bound = bind(model)
    arena = np.random.default_rng(0).integers(0, 256, (batch, model.arena_bytes), np.uint8)

    def run() -> list[Array]:
        bound.run(arena, threads=threads)
        return []

    run()  # What is prepared the first time is not measured.
    return run


@contextlib.contextmanager
def _neighbours(compiled: Path, batch: int, count: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Stopped processes that compute for ever once they may."""
    command = [sys.executable, "-m", "benchmarks.npu_throughput", "--neighbour", str(compiled), "--batch", str(batch)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    try:
        for process in processes:
            assert process.stdout is not None
            if process.stdout.readline().strip() != READY:
                raise RuntimeError("a process that computes beside this one ended early")
            os.kill(process.pid, signal.SIGSTOP)
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


@contextlib.contextmanager
def _awake(processes: list[subprocess.Popen[str]]) -> Iterator[None]:
    for process in processes:
        os.kill(process.pid, signal.SIGCONT)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process.pid, signal.SIGSTOP)
