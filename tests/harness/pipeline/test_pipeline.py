"""The way from Keras to int8: interrupted runs, changed models, float outputs."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hil.core.errors import UnavailableError
from hil.harness.model import Model, load_model_file
from hil.harness.pipeline import ENTRIES, Pipeline, target_module
from hil.harness.pipeline.builders import KERAS, TFLITE
from hil.harness.store.code_version import code_version
from hil.harness.store.store import Store
from hil.harness.vela.settings import VelaSettings
from hil.targets.base import Deployable
from tests.support.blobs import model_file, write

RECIPE = "recipe=Recipe(clusters=5, sparse_cluster=quick, "
TEXT = (
    model_file()
    .replace("recipe=Recipe(", RECIPE)
    .replace("[Path(__file__)]", "[Path(__file__).with_name('blobs.dat')]")
)
LEAVES = ("ptq", "prune", "sparse_cluster")
TOLD = {
    "learning_task": "blobs: checking data, loss and metric",
    "base": "blobs: base",
    "prune": "blobs: prune",
    "tflite": "blobs: converting prune",
}
"""The steps on the way to the leaf prune, and how progress calls them."""
# Tells each step of the work and waits to be told to go on: a signal always finds it in the middle.
SCRIPT = """
import signal, sys
from pathlib import Path
from hil.harness.model import load_model_file
from hil.harness.pipeline import Pipeline
from hil.harness.store.store import Store

def say(text, done, total):
    print(f"{text} {done}/{total}", flush=True)
    sys.stdin.readline()

signal.signal(signal.SIGINT, signal.default_int_handler)
Pipeline(Store(Path(sys.argv[2])), say).int8(load_model_file(sys.argv[1]), "prune")
"""


def model(folder: Path, *replacements: tuple[str, str], data: str = "blobs") -> Model:
    """The blobs in a repository of their own, with parts of the model file replaced."""
    text = TEXT
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    write(folder, {"models/blobs.py": text, "models/blobs.dat": data})
    return load_model_file(folder / "models/blobs.py")


def content(store: Path) -> dict[Path, bytes]:
    """Every file of every finished artifact."""
    files = [file for artifact in Store(store).artifacts() for file in artifact.folder.iterdir()]
    return {file: file.read_bytes() for file in files}


def steps(store: Path) -> Counter[str]:
    return Counter(artifact.step for artifact in Store(store).artifacts())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that has all of `LEAVES`, and the base's float outputs."""
    folder = tmp_path_factory.mktemp("trained")
    pipeline, blobs = Pipeline(Store(folder / "store")), model(folder)
    for leaf in LEAVES:
        pipeline.int8(blobs, leaf)
    pipeline.predictions(blobs, ())
    return folder / "store"


def made_anew(trained: Path, blobs: Model, *leaves: str) -> Counter[str]:
    """Artifacts that a run of `leaves` adds to the store, by step."""
    before = steps(trained)
    pipeline = Pipeline(Store(trained))
    for leaf in leaves:
        pipeline.int8(blobs, leaf)
    pipeline.predictions(blobs, ())
    return steps(trained) - before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("max_accuracy_drop=0.5", "max_accuracy_drop=0.1"),
        ('techniques=("ptq", "pqat")', 'metric="auc"'),
        ('"blobs",', '"other_blobs",'),
        (" qat=quick,", " qat=FineTune(epochs=9), cqat=FineTune(epochs=9),"),
        ("def build():", "def build():\n    '''Three layers.'''\n    # of which two convolve"),
    ],
    ids=["budget", "metric", "name", "other-technique", "words"],
)
def test_what_no_result_depends_on_makes_nothing_anew(trained: Path, tmp_path: Path, old: str, new: str) -> None:
    assert made_anew(trained, model(tmp_path, (old, new)), *LEAVES) == Counter()


def test_another_number_of_clusters_redoes_only_what_has_clusters(trained: Path, tmp_path: Path) -> None:
    blobs = model(tmp_path, ("clusters=5", "clusters=6"))
    assert made_anew(trained, blobs, *LEAVES) == Counter(sparse_cluster=1, tflite=1)


def test_other_calibration_only_converts_and_trains_with_quantization(trained: Path, tmp_path: Path) -> None:
    blobs = model(tmp_path, ("calibration=64", "calibration=32"))
    assert made_anew(trained, blobs, "ptq", "prune") == Counter(tflite=2)
    store = tmp_path / "store"
    shutil.copytree(trained, store)
    Pipeline(Store(store)).int8(model(tmp_path / "before"), "pqat")
    assert made_anew(store, blobs, "pqat") == Counter(pqat=1, tflite=1)


def test_the_notes_of_a_leaf_name_an_output_that_its_range_clips(tmp_path: Path) -> None:
    scaled = ("    return x, y", "    return 100 * x, y")
    pipeline = Pipeline(Store(tmp_path / "store"))
    off = model(tmp_path / "off", scaled, ("calibration=64", "calibration=64, repairs=()"))
    (line,) = pipeline.notes(off, "qat")
    assert line.startswith("qat: output logits: ")
    assert pipeline.notes(model(tmp_path / "on", scaled), "qat") == []


def test_every_artifact_names_the_code_that_made_it(trained: Path, tmp_path: Path) -> None:
    blobs, store = model(tmp_path), tmp_path / "store"
    shutil.copytree(trained, store)
    pipeline = Pipeline(Store(store))
    int8 = pipeline.int8(blobs, "ptq").read(TFLITE)
    deployable = Deployable(int8, pipeline.compiled(int8, VelaSettings()).model)
    (x,) = pipeline.samples(blobs, "test").x
    for target in ("host", "sim"):
        pipeline.outputs(target, deployable, [np.zeros(x[:1].shape, np.int8)])
    pipeline.size(blobs)
    pipeline.sensitivity(blobs, ("prune",))
    techniques = dict.fromkeys(("prune", "sparse_cluster"), ENTRIES["technique"])
    targets = {target: (target_module(target),) for target in ("host", "sim")}
    expected = {step: code_version(*entries) for step, entries in (ENTRIES | techniques | targets).items()}
    del expected["technique"], expected["accuracy"]  # which is made of a metric of the user's own alone
    del expected["other_vela"]  # which is made with another version of Vela
    expected["data"] = ""  # which is the user's code alone
    assert {a.step: a.manifest["recipe"]["code"] for a in Store(store).artifacts()} == expected


@pytest.mark.parametrize("change", ["data", "network", "loader"])
def test_other_data_or_another_network_redoes_everything(trained: Path, tmp_path: Path, change: str) -> None:
    replacements = {"data": (), "network": [("Conv2D(16", "Conv2D(12")], "loader": [("0.6", "0.5")]}[change]
    blobs = model(tmp_path, *replacements, data=change)
    assert made_anew(trained, blobs, "ptq") == Counter(data=2, learning_task=1, base=1, tflite=1, predictions=1)


def test_a_damaged_model_is_made_again_and_is_the_same(trained: Path, tmp_path: Path) -> None:
    pipeline, blobs = Pipeline(Store(trained)), model(tmp_path)
    keras = pipeline.keras(blobs, ())
    whole = keras.read(KERAS)
    keras.path(KERAS).write_bytes(whole[:-100])
    again = Pipeline(Store(trained)).keras(blobs, ())
    assert again.digest(KERAS) == keras.digest(KERAS)
    assert again.read(KERAS) == whole


def test_the_float_outputs_are_those_of_the_nodes_model(trained: Path, tmp_path: Path) -> None:
    from hil.harness.optimize.keras.hdf5_file import load_model

    pipeline, blobs = Pipeline(Store(trained)), model(tmp_path)
    samples = pipeline.samples(blobs, "test")
    (x,), (y,) = samples.x, samples.y
    for node in ((), ("prune",)):
        (outputs,) = pipeline.predictions(blobs, node)
        expected = load_model(pipeline.keras(blobs, node).path(KERAS)).predict(x, verbose=0)
        np.testing.assert_allclose(outputs, expected, atol=1e-5)
        assert np.mean(outputs.argmax(axis=1) == y) > 0.9


def test_missing_data_is_told_before_anything_is_made(tmp_path: Path) -> None:
    blobs = model(tmp_path)
    (tmp_path / "models/blobs.dat").unlink()
    with pytest.raises(UnavailableError, match=r"not on this machine: no file .*blobs.dat"):
        Pipeline(Store(tmp_path / "store")).int8(blobs, "ptq")
    assert steps(tmp_path / "store") == Counter()


def run(path: Path, store: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A pipeline in a process of its own, at each of its steps."""
    command = [sys.executable, "-c", SCRIPT, str(path), str(store)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            for line in child.stdout:
                yield child, line.strip()
                if child.poll() is None:
                    child.stdin.write("\n")
                    child.stdin.flush()
        finally:
            child.kill()


INTERRUPTIONS = (
    ("blobs: base 10/48", signal.SIGKILL, ["data", "learning_task"]),
    ("blobs: prune 10/12", signal.SIGINT, ["base", "data", "learning_task"]),
    (
        "blobs: converting prune 0/0",
        signal.SIGKILL,
        ["base", "data", "learning_task", "prune", "tflite"],
    ),  # that of ptq
)
"""Step at which a run is interrupted, the way, and the steps that must be finished by then."""


@pytest.mark.nightly
def test_interrupted_runs_lose_and_spoil_nothing(trained: Path, tmp_path: Path) -> None:
    blobs, store = model(tmp_path), tmp_path / "store"
    finished: dict[Path, bytes] = {}
    for moment, number, expected in INTERRUPTIONS:
        line = ""
        for child, line in run(blobs.path, store):
            if line == moment:
                child.send_signal(number)
                child.communicate("\n", timeout=600)  # it goes on from here, to where the signal ends it
                break
        assert line == moment
        assert all(artifact.intact() for artifact in Store(store).artifacts())
        assert sorted(steps(store)) == expected
        assert finished.items() <= content(store).items()
        finished = content(store)
    told = [line for _, line in run(blobs.path, store)]
    assert {line.rpartition(" ")[0] for line in told} == {TOLD["tflite"]}
    assert finished.items() <= content(store).items()
    assert sorted(steps(store)) == sorted([*TOLD, "data"])
    assert not list((store / "unfinished").iterdir())
    whole, restarted = (Pipeline(Store(root)).int8(blobs, "prune") for root in (trained, store))
    assert restarted.read(TFLITE) == whole.read(TFLITE)
