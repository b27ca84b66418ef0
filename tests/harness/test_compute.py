"""The threads of a training: chosen by option, variable or cores, part of the recipe, and the same in every process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hil.core.cores import usable_cores
from hil.core.errors import BadInputError, InfrastructureError
from hil.harness.compute import Compute, choose_compute, compute_of_json
from hil.harness.model import load_model_file
from hil.harness.pipeline import Pipeline
from hil.harness.store.store import Store

DENSE = """
import numpy as np, tf_keras
from pathlib import Path
from hil.harness.model import Dataset, FineTune, Model, Recipe

def build():
    layers = tf_keras.layers
    return tf_keras.Sequential([layers.Input((512,)), layers.Dense(512, name="wide"), layers.ReLU(), layers.Dense(4)])

def load(split):
    random = np.random.default_rng(0)
    return random.normal(size=(256, 512)).astype(np.float32), random.integers(0, 4, 256)

model = Model("dense", Dataset(load, lambda: [Path(__file__)]), build, Recipe(base=FineTune(1)))
"""

TRAIN = """
import hashlib
import numpy as np
from hil.harness.data.samples import Samples
from hil.harness.model import FineTune
from hil.harness.optimize.keras.keras2 import import_keras, seeded
from hil.harness.optimize.training import TrainingPlan, fit

random, layers = np.random.default_rng(0), import_keras().layers
with seeded(0):
    network = import_keras().Sequential([layers.Input((512,)), layers.Dense(512), layers.ReLU(), layers.Dense(4)])
    data = Samples(random.normal(size=(256, 512)).astype(np.float32), random.integers(0, 4, 256))
    fit(network, data, TrainingPlan(FineTune(1), 64, 0))
print(hashlib.sha256(b"".join(weights.tobytes() for weights in network.get_weights())).hexdigest())
"""


@pytest.fixture
def dense(tmp_path: Path) -> Path:
    (tmp_path / "dense.py").write_text(DENSE)
    return tmp_path / "dense.py"


def test_the_choice_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIL_THREADS", "3")
    assert choose_compute() == Compute(3)
    assert choose_compute(5) == Compute(5)
    assert choose_compute(reproducible=True) == Compute(1)
    monkeypatch.delenv("HIL_THREADS")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert choose_compute() == Compute(usable_cores())
    with pytest.raises(BadInputError, match="--reproducible is one thread, --threads 4 is more"):
        choose_compute(4, reproducible=True)
    monkeypatch.setenv("HIL_THREADS", "many")
    with pytest.raises(BadInputError, match="HIL_THREADS=many is no number of threads"):
        choose_compute()


def test_a_recipe_names_threads_only_beside_one(dense: Path, tmp_path: Path) -> None:
    model = load_model_file(dense)
    one, two, gpu = (
        Pipeline(Store(tmp_path / "store"), compute=compute).recipe(model, ()).as_json()["settings"]
        for compute in (Compute(), Compute(2), Compute(2, "A GPU"))
    )
    assert "threads" not in one
    assert two == {**one, "threads": 2}
    assert gpu == {**one, "gpu": "A GPU"}


def test_a_worker_without_the_gpu_says_so() -> None:
    compute = compute_of_json(Compute(2, "NVIDIA Nothing").as_json())
    with pytest.raises(InfrastructureError, match="should train on the GPU NVIDIA Nothing and has"):
        compute.check_here()


@pytest.mark.nightly
def test_equal_threads_give_equal_weights_on_fewer_cores() -> None:
    """Two threads, in one process on one core and in another on all of them."""
    cores = sorted(os.sched_getaffinity(0))

    def digest(allowed: list[int]) -> str:
        os.sched_setaffinity(0, allowed)
        environment = {**os.environ, **Compute(2).environment()}
        try:
            command = [sys.executable, "-c", TRAIN]
            return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        finally:
            os.sched_setaffinity(0, cores)

    assert digest(cores[:1]) == digest(cores)


def test_a_step_is_trained_with_onednn_whatever_its_session_sets() -> None:
    """A recipe does not say whether oneDNN computed, so it always does."""
    take_over = """
import os, sys
from hil.harness.pipeline.step_process import take_over

take_over({"path": sys.path, "folder": "", "environment": {**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0"}})
print(os.environ["TF_ENABLE_ONEDNN_OPTS"])
"""
    environment = {**os.environ, **Compute().environment()}
    command = [sys.executable, "-c", take_over]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
