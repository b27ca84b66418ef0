"""Threads or GPU that train a network: they decide the last bits of the weights, and so belong to a step's recipe.

    compute = choose_compute(threads=8)             # --threads 8
    compute = choose_compute(reproducible=True)     # --reproducible: one thread
    compute.settings()                              # {"threads": 8}, {} for one thread

Another number of threads splits the sums of an operation another way (tried with and without oneDNN, and under
TensorFlow's op determinism).  Equal numbers give equal weights, also on fewer cores.  The number of operations that run
in parallel changes nothing.  A recipe does not hold the CPU's instruction set, which changes the last bits with oneDNN
and without; every process that trains has oneDNN.  A GPU is untried.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hil.core.cores import usable_cores
from hil.core.errors import BadInputError, InfrastructureError

THREADS = "HIL_THREADS"
"""Environment variable: the number of threads where no option names one."""
OF_TENSORFLOW = "TF_NUM_INTRAOP_THREADS"
OF_ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
OF_CUDA = "CUDA_VISIBLE_DEVICES"
_GPUS = Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True)
class Compute:
    """Threads of an operation of TensorFlow on the CPU; `device` is the name of the GPU that trains instead, if any."""

    threads: int = 1
    device: str = ""

    def settings(self) -> dict[str, Any]:
        """Returns what a step's recipe, and an identity, holds of it: nothing for one thread."""
        if self.device:
            return {"gpu": self.device}
        return {"threads": self.threads} if self.threads > 1 else {}

    def environment(self) -> dict[str, str]:
        """Returns the environment of a process that computes so."""
        return {OF_TENSORFLOW: str(self.threads), OF_ONEDNN: "1"} | ({} if self.device else {OF_CUDA: "-1"})

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def check_here(self) -> None:
        """Raises `InfrastructureError` if this machine lacks the GPU."""
        if self.device and gpu() != self.device:
            here = gpu() or "none"
            hint = "--threads N trains on the CPU of every worker"
            raise InfrastructureError(f"a worker should train on the GPU {self.device} and has {here}", hint=hint)


ONE_THREAD = Compute()


def choose_compute(threads: int | None = None, *, reproducible: bool = False) -> Compute:
    """Returns what options or `HIL_THREADS` name; without either the GPU, or else as many threads as usable cores.

    Raises `BadInputError` for options that contradict each other, and for a variable that is no number from 1.
    """
    if reproducible and threads not in (None, 1):
        raise BadInputError(f"--reproducible is one thread, --threads {threads} is more", hint="leave out one of them")
    if reproducible or threads is not None:
        return Compute(threads or 1)
    if text := os.environ.get(THREADS, ""):
        if not text.isdecimal() or int(text) < 1:
            raise BadInputError(f"{THREADS}={text} is no number of threads")
        return Compute(int(text))
    return Compute(usable_cores(), gpu())


def compute_of_process() -> Compute:
    """Returns what TensorFlow uses in this process: one thread unless its environment variable says otherwise."""
    return Compute(int(os.environ.get(OF_TENSORFLOW) or 1), "" if os.environ.get(OF_CUDA) == "-1" else gpu())


def gpu() -> str:
    """Returns the name of NVIDIA's first GPU as its driver gives it; empty without one, or where CUDA may use none."""
    if os.environ.get(OF_CUDA) in ("", "-1"):
        return ""
    for information in sorted(_GPUS.glob("*/information")):
        for line in information.read_text().splitlines():
            if line.startswith("Model:"):
                return line.partition(":")[2].strip()
    return ""


def compute_of_json(plain: Mapping[str, Any]) -> Compute:
    """Returns the value that `as_json` describes."""
    return Compute(int(plain["threads"]), str(plain["device"]))
