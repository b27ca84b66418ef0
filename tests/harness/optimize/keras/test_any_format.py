"""Keras 3 in model files, and Keras files of all kinds: reading, and refusals of hostile files."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from hil.core.errors import BadInputError, OptimizeError
from hil.harness.model import Dataset, FineTune, Model, Recipe, load_model_file
from hil.harness.optimize import base_weights, steps, trained_base
from hil.harness.optimize.keras import keras3
from hil.harness.optimize.keras.any_format import read_network
from hil.harness.optimize.keras.hdf5_file import load_model
from hil.harness.optimize.keras.keras2 import import_keras, quiet, seeded
from hil.harness.pipeline import Pipeline
from hil.harness.pipeline.builders import KERAS
from hil.harness.store.store import Store

from .keras3_models import SHAPE, L, X, chain, keras, same, settled


def data() -> Dataset:
    return Dataset(lambda _split: (X, np.arange(5) % 4), list)


def flat_classifier() -> Any:
    return keras.Sequential(
        [
            *(L.Input(SHAPE), keras.Sequential([L.Conv2D(4, 3, use_bias=False), L.BatchNormalization(), L.ReLU()])),
            *(L.GlobalAveragePooling2D(), L.Dense(4)),
        ]
    )


def test_a_model_file_may_build_in_keras_3(tmp_path: Path) -> None:
    """It is trained and optimized like any other, and its weights have the same names however much was built before."""
    tune = FineTune(1, 1e-3)
    model = Model(
        "x", build=flat_classifier, data=data(), recipe=Recipe(base=tune, prune=tune, batch_size=5, clusters=5)
    )
    first, again = (
        trained_base.base_model(model, steps.Samples(X, np.arange(5) % 4)),
        trained_base.build_network(model),
    )
    assert [weight.name for weight in first.weights] == [weight.name for weight in again.weights]
    drawn = []
    for _ in "ab":
        with seeded(3):
            drawn.append(trained_base.build_network(model).get_weights())
    assert all(map(np.array_equal, *drawn))
    trained_base.save_weights(first, tmp_path / "w.npz")
    trained_base.load_weights(again, tmp_path / "w.npz")
    assert same(first, again)
    pruned = steps.apply("prune", first, steps.Samples(X, np.arange(5) % 4), model.recipe)
    assert np.mean(pruned.layers[1].get_weights()[0] == 0) == 0.5
    assert steps.apply("qat", first, steps.Samples(X, np.arange(5) % 4), model.recipe) is not None


TEXT = """
import numpy as np
from hil.harness.model import Dataset, Model
x = np.eye(5, 192).reshape(5, 8, 8, 3)
model = Model("x", build="net.keras", data=Dataset(lambda split: (x, np.zeros(5)), list))
"""


def test_a_model_file_may_name_a_keras_file(tmp_path: Path) -> None:
    """The base is what the file holds, nothing is trained, and another file is another base."""
    (tmp_path / "x.py").write_text(TEXT)
    with pytest.raises(BadInputError, match=r"x.py: .*net.keras does not exist"):
        load_model_file(tmp_path / "x.py")
    pipeline, digests = Pipeline(Store(tmp_path / "store")), set()
    for _ in "ab":
        network = settled(flat_classifier())
        network.save(tmp_path / "net.keras")
        model = load_model_file(tmp_path / "x.py")
        artifact = pipeline.keras(model, ())
        assert same(network, load_model(artifact.path(KERAS)))
        assert pipeline.size(model)[0] == network.count_params()
        digests.add(artifact.digest(KERAS))
    assert len(digests) == 2
    assert base_weights.main([str(tmp_path / "x.py")]) == 2
    with pytest.raises(BadInputError, match=r"net.keras holds its weights, so give no others"):
        Model("x", build="net.keras", data=data(), weights="w.npz")


def test_files_of_either_version(tmp_path: Path) -> None:
    k2 = import_keras()
    old = k2.Sequential([k2.layers.Input(SHAPE), k2.layers.Conv2D(4, 3), k2.layers.BatchNormalization()])
    new = chain(L.Conv2D(4, 3), L.BatchNormalization())
    for model in (old, settled(new)):
        model.compile("adam", "mse")
    for model, name in ((new, "3.keras"), (new, "3.h5"), (old, "2.keras"), (old, "2.h5"), (old, "2")):
        path = tmp_path / name
        with quiet():
            model.save(str(path), **({"save_format": "tf"} if name == "2" else {}))
        assert same(model, read_network(path))
    with quiet():
        new.export(str(tmp_path / "exported"), verbose=False)
    with pytest.raises(
        BadInputError, match=r"exported holds a graph, and none of the layers .*model.save\(\"net.keras\"\)"
    ):
        read_network(tmp_path / "exported")
    old.save_weights(str(tmp_path / "w.h5"))
    with pytest.raises(BadInputError, match="holds weights but no model"):
        read_network(tmp_path / "w.h5")
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.keras").write_text("no model")
    for name, line in (("empty", "is no SavedModel"), ("text.keras", "is no Keras model"), ("gone", "no Keras model")):
        with pytest.raises(BadInputError, match=line):
            read_network(tmp_path / name)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "net.keras"
    chain(L.Flatten(), L.Dense(4, name="d"), L.Dense(3)).save(path)
    return path


def rewritten(path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """A `.keras` file whose members `change` has changed."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def in_dense(**settings: Any) -> Callable[[dict[str, bytes]], None]:
    """Changes the configuration of the layer `d`, or of what stands around it."""

    def change(members: dict[str, bytes]) -> None:
        config = json.loads(members["config.json"])
        entry = config["config"]["layers"][2]
        for key, value in settings.items():
            (entry if key in entry else entry["config"])[key] = value
        members["config.json"] = json.dumps(config).encode()

    return change


def in_weights(work: Callable[[Any], None]) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        file = io.BytesIO(members["model.weights.h5"])
        with h5py.File(file, "r+") as weights:
            work(weights)
        members["model.weights.h5"] = file.getvalue()

    return change


def elsewhere(weights: Any) -> None:
    weights.create_dataset("x", (8,), "f4", external=[("/etc/passwd", 0, 32)])


def huge(weights: Any) -> None:
    weights.create_dataset("x", (1 << 40,), "f4", chunks=(1024,))


HOSTILE: dict[str, Callable[[dict[str, bytes]], None]] = {
    r"layer d carries code \(os.system\)": in_dense(module="os", class_name="system"),
    r"layer d carries code \(mine.Dense\)": in_dense(module="mine"),
    r"layer d carries code \(keras.layers.pkg>Dense\)": in_dense(registered_name="pkg>Dense"),
    r"layer d carries code \(keras.layers.Lambda\)": in_dense(class_name="Lambda"),
    r"layer d carries code \(builtins.function\)": in_dense(
        activation={"class_name": "function", "config": "f", "module": "builtins", "registered_name": "function"}
    ),
    r"carries code \(keras.utils.get_file\)": in_dense(
        kernel_initializer={"module": "keras.utils", "class_name": "get_file"}
    ),
    "layer d .* StringLookup is none of the layers": in_dense(class_name="StringLookup"),
    "it carries ../../evil": lambda members: members.update({"../../evil": b""}),
    "it carries assets/words.txt": lambda members: members.update({"assets/words.txt": b""}),
    "it carries model.weights.npz": lambda members: members.update({"model.weights.npz": b"a pickle"}),
    "no Keras model: .*'config.json'": lambda members: members.pop("config.json") and None,
    "RecursionError": lambda members: members.update({"config.json": b"[" * 200_000}),
    "its configuration is no object": lambda members: members.update({"config.json": b"[]"}),
    "holds no functional or sequential model but None": lambda members: members.update({"config.json": b"{}"}),
    "holds no weights that can be read": lambda members: members.update({"model.weights.h5": b"x"}),
    "its network has 196000000003": in_dense(units=1_000_000_000, name="d"),
    "links, stored elsewhere, no": in_weights(elsewhere),
    "no numbers": in_weights(lambda file: file.update({"x": "words"})),
    "or too many": in_weights(huge),
    "is no Keras model: ValueError": in_weights(lambda file: file.move("layers", "other")),
}


@pytest.mark.parametrize("line", HOSTILE)
def test_a_hostile_file_is_one_line_and_runs_nothing(saved: Path, line: str) -> None:
    with pytest.raises((BadInputError, OptimizeError), match=line) as error:
        read_network(rewritten(saved, HOSTILE[line]))
    assert len(str(error.value).splitlines()) == 1


def test_weights_are_not_read_from_another_file(saved: Path) -> None:
    other, place = saved.parent / "other.h5", "layers/dense/vars/1"
    with h5py.File(other, "w") as file:
        file["before"] = np.ones(1 << 16, np.float32)
        file["w"] = np.ones(4, np.float32)

    def work(weights: Any) -> None:
        del weights[place]
        weights[place] = h5py.ExternalLink(str(other), "/w")

    with pytest.raises(BadInputError, match="its weights are links"):
        read_network(rewritten(saved, in_weights(work)))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_the_code_of_a_lambda_layer_does_not_run(tmp_path: Path, suffix: str) -> None:
    proof, path = tmp_path / "proof", tmp_path / f"net{suffix}"
    hostile = eval(f"lambda x: [__import__('os').system('touch {proof}'), x][1]")
    inner = keras.Sequential([L.Input(SHAPE), L.Lambda(hostile, name="bad")])
    keras.Sequential([L.Input(SHAPE), inner]).save(path)
    proof.unlink()  # building it ran the code
    with pytest.raises(BadInputError, match=r"net.* is not loaded: layer bad carries code \(.*Lambda\)"):
        read_network(path)
    assert not proof.exists()


def test_huge_outputs_and_endless_calls_are_refused_before_they_cost(saved: Path) -> None:
    repeat = in_dense(class_name="RepeatVector", name="d", config={"name": "d", "n": 1 << 30})
    with pytest.raises(BadInputError, match="the output of layer d is too large"):
        read_network(rewritten(saved, repeat))

    def tensor(name: str) -> dict[str, Any]:
        return {"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}}

    inner: dict[str, Any] = {"class_name": "Activation", "config": {"name": "deep", "activation": "relu"}}
    image = {"class_name": "InputLayer", "config": {"name": "image", "batch_shape": [None, 4], "dtype": "float32"}}
    for level in range(40):  # each calls the one below twice: 2**40 calls in all
        below, calls = inner["config"]["name"], [{"args": [tensor("image")], "kwargs": {}}]
        calls.append({"args": [tensor(below)], "kwargs": {}})
        layers = [{**image, "inbound_nodes": []}, {**inner, "inbound_nodes": calls}]
        ends = {"input_layers": ["image", 0, 0], "output_layers": [below, 1, 0]}
        inner = {"class_name": "Functional", "config": {"name": f"level{level}", "layers": layers, **ends}}
    with pytest.raises(OptimizeError, match="more than 2000 calls"):
        keras3.construct(inner)
