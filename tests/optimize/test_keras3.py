"""Keras 3 models and Keras files: what comes out computes the same under Keras 2, and what cannot is named."""

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

from hil.harness.errors import OptimizeError
from hil.harness.model import Dataset, FineTune, Model, Recipe, load_model_file
from hil.harness.optimize import base, keras3, steps
from hil.harness.optimize.keras2 import import_keras, quiet
from hil.harness.optimize.keras_any import read_network
from hil.harness.optimize.keras_file import load_model
from hil.harness.pipeline import KERAS, Pipeline
from hil.harness.store import Store
from hil.npu.errors import BadInputError

keras = keras3.import_keras3()
L = keras.layers
SHAPE = (8, 8, 3)
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(5, *SHAPE)).astype(np.float32)


def settled(model: Any) -> Any:
    """Every weight drawn anew, also those that start as zeros or ones: else a mix-up of two would not show."""
    for weight in model.weights:
        weight.assign(RANDOM.uniform(0.1, 0.6, size=tuple(weight.shape)))
    return model


def chain(*layers: Any, shape: tuple[int, ...] = SHAPE) -> Any:
    return settled(keras.Sequential([L.Input(shape), *layers]))


def residual() -> Any:
    """Models inside models, one of them called twice and once with frozen statistics; a sum by `+`; two outputs."""
    block = keras.Sequential([L.Input((8, 8, 4)), L.Conv2D(4, 3, padding="same", name="conv"), L.BatchNormalization()])
    inside = L.Input((8, 8, 4))
    outer = keras.Model(inside, L.Concatenate()([block(inside, training=False), inside]), name="outer")
    image = L.Input(SHAPE, name="image")
    x = L.Conv2D(4, 1, name="conv", activation="relu6", kernel_regularizer="l2")(image)
    x = keras.ops.relu(block(x) + x)
    x = L.GlobalAveragePooling2D()(outer(x))
    return settled(keras.Model(image, [L.Dense(4, name="logits")(x), L.Softmax()(x)], name="residual"))


def same(model: Any, network: Any, x: Any = X) -> bool:
    expected, given = (np.asarray(m.predict(x, verbose=0)) for m in (model, network))
    return bool(np.allclose(expected, given, rtol=0, atol=1e-5 * max(1, np.abs(expected).max())))


def test_models_inside_the_model_vanish_and_the_outputs_stay() -> None:
    model = residual()
    network = keras3.rebuilt(model)
    for expected, given in zip(model.predict(X, verbose=0), network.predict(X, verbose=0), strict=True):
        assert np.allclose(expected, given, rtol=0, atol=1e-5)
    assert isinstance(network, import_keras().Model)
    assert not any(hasattr(layer, "layers") for layer in network.layers)
    assert {"conv", "conv_relu6", "logits"} < {layer.name for layer in network.layers}
    assert sum("conv" in layer.name and bool(layer.weights) for layer in network.layers) == 2
    assert len(network.losses) == 1
    assert network.count_params() == model.count_params()


def test_frozen_statistics_stay_frozen() -> None:
    """`block(x, training=False)`, as in transfer learning, holds for the layers of the block."""
    block = keras.Sequential([L.Input(SHAPE), L.BatchNormalization()])
    network = keras3.rebuilt(settled(on_image(lambda x: block(x, training=False))))
    assert np.array_equal(network(X, training=True), network(X, training=False))


LAYERS: dict[str, Callable[[], list[Any]]] = {
    "convolutions": lambda: [L.Conv2D(6, 3, groups=3, dilation_rate=2), L.Conv2D(4, 2, strides=2, padding="same")],
    "separable": lambda: [
        L.DepthwiseConv2D(3, depth_multiplier=2, activation="leaky_relu"),
        L.SeparableConv2D(4, 3, activation="silu"),
    ],
    "transposed": lambda: [L.Conv2DTranspose(4, 3, strides=2, output_padding=1), L.Conv2DTranspose(4, 2, strides=3)],
    "normalizations": lambda: [L.BatchNormalization(scale=False), L.LayerNormalization(axis=[1, 2])],
    "groups": lambda: [L.GroupNormalization(3), L.UnitNormalization()],
    "activations": lambda: [L.ReLU(6, negative_slope=0.1, threshold=0.2), L.LeakyReLU(0.3), L.ELU(0.7), L.Softmax()],
    "named": lambda: [*map(L.Activation, ("relu6", "silu", "leaky_relu", "gelu")), L.PReLU(shared_axes=[1, 2])],
    "pooling": lambda: [L.MaxPooling2D(3, 2, padding="same"), L.AveragePooling2D(2), L.GlobalMaxPooling2D()],
    "shapes": lambda: [L.ZeroPadding2D(((1, 0), (2, 3))), L.Cropping2D(1), L.UpSampling2D(2, interpolation="bilinear")],
    "resizing": lambda: [L.Resizing(5, 9), L.Resizing(7, 4, interpolation="nearest", crop_to_aspect_ratio=True)],
    "preprocessing": lambda: [L.Rescaling(1 / 3, -0.5), L.Normalization(mean=[1, 2, 3], variance=[1, 2, 3])],
    "recurrent": lambda: [
        L.Reshape((8, 24)),
        L.Bidirectional(L.LSTM(3, return_sequences=True)),
        L.GRU(3, return_sequences=True),
        L.GRU(2, reset_after=False, go_backwards=True),
    ],
    "repeated": lambda: [L.TimeDistributed(L.Dense(4, activation="tanh")), L.Dropout(0.5), L.GaussianNoise(1.0)],
    "one dimension": lambda: [
        *(L.Permute((3, 1, 2)), L.Reshape((8, 24)), L.Conv1D(4, 3, padding="causal"), L.DepthwiseConv1D(2)),
        *(L.SeparableConv1D(3, 2), L.MaxPooling1D(), L.Flatten(), L.RepeatVector(2), L.SimpleRNN(3)),
    ],
}


@pytest.mark.parametrize("kind", LAYERS)
def test_the_usual_layers_compute_the_same(kind: str) -> None:
    model = chain(*LAYERS[kind]())
    assert same(model, keras3.rebuilt(model))


def test_what_a_normalization_learned_outlives_a_copy(tmp_path: Path) -> None:
    """Techniques copy a model and set its weights; Keras 2 would then compute with the statistics of before."""
    layer = L.Normalization()
    layer.adapt(X * 3 + 1)
    model = keras.Sequential([L.Input(SHAPE), layer])
    network = keras3.rebuilt(model)
    copy = import_keras().models.clone_model(network)
    copy.set_weights(network.get_weights())
    assert same(model, copy)


def test_words_and_several_inputs() -> None:
    words, number = L.Input((6,), dtype="int32"), L.Input((3,))
    x, state = L.GRU(3, return_state=True)(L.Embedding(11, 4)(words))
    model = settled(keras.Model([words, number], L.Dot(1)([L.Average()([x, state]), number])))
    assert same(model, keras3.rebuilt(model), [RANDOM.integers(0, 11, (4, 6)), RANDOM.normal(size=(4, 3))])


class Doubled(L.Layer):  # type: ignore[misc, name-defined]
    def call(self, x: Any) -> Any:
        return 2 * x


class Mine(keras.Model):  # type: ignore[misc, name-defined]
    def call(self, x: Any) -> Any:
        return x


def on_image(function: Callable[[Any], Any]) -> Any:
    image = L.Input(SHAPE)
    return keras.Model(image, function(image))


REFUSED: dict[str, Callable[[], Any]] = {
    "layer scale cannot be rebuilt under tf_keras: Lambda is none": lambda: chain(L.Lambda(abs, name="scale")),
    "layer mine cannot be rebuilt .* Doubled is a class of its own": lambda: chain(Doubled(name="mine")),
    "Mine is a class of its own": Mine,
    "has no input": lambda: keras.Sequential([L.Dense(3)]),
    "layer block/flip .* RandomFlip is none": lambda: chain(
        keras.Sequential([L.Input(SHAPE), L.RandomFlip(name="flip")], name="block")
    ),
    "layer look .* Attention is none": lambda: on_image(lambda x: L.Attention(name="look")([x, x])),
    "layer multiply .* Multiply of keras.ops gets a number": lambda: on_image(lambda x: keras.ops.multiply(x, 2.0)),
    "layer square .* Square is a function of keras.ops": lambda: on_image(keras.ops.square),
    "layer d .* its activation is hard_sigmoid": lambda: chain(L.Dense(3, name="d", activation="hard_sigmoid")),
    "layer d .* its activation is ReLU": lambda: chain(L.Dense(3, name="d", activation=L.ReLU())),
    "layer d .* it has activity_regularizer L2": lambda: chain(L.Dense(3, name="d", activity_regularizer="l2")),
    "layer d .* it computes in mixed_float16": lambda: chain(L.Dense(3, name="d", dtype="mixed_float16")),
    "layer r .* it has antialias True": lambda: chain(L.Resizing(4, 4, antialias=True, name="r")),
    "layer p .* it has data_format channels_first": lambda: chain(
        L.UpSampling2D(name="p", data_format="channels_first")
    ),
    "layer n .* called with training=True": lambda: on_image(lambda x: L.Dropout(0.5, name="n")(x, training=True)),
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_cannot_be_rebuilt_is_named(line: str) -> None:
    with pytest.raises(OptimizeError, match=line) as error:
        keras3.rebuilt(REFUSED[line]())
    assert len(str(error.value).splitlines()) == 1


def test_the_proof_names_the_layer_that_differs() -> None:
    model = chain(L.ReLU(), keras.Sequential([L.Input(SHAPE), L.Dense(3, name="off")], name="block"))
    entry = keras3.described(model)
    built = keras3.construct(entry)  # with weights of its own
    with pytest.raises(OptimizeError, match=r"layer block/off cannot .* its output differs by [0-9.]+ from Keras 3's"):
        keras3.prove(model, entry, built)
    built.layers["block", "off"][0].set_weights([np.full((3, 3), np.nan), np.zeros(3)])
    with pytest.raises(OptimizeError, match="differs by nan"):
        keras3.prove(model, entry, built)


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
    first, again = base.base_model(model, steps.Data(X, np.arange(5) % 4)), base.built(model)
    assert [weight.name for weight in first.weights] == [weight.name for weight in again.weights]
    base.save_weights(first, tmp_path / "w.npz")
    base.load_weights(again, tmp_path / "w.npz")
    assert same(first, again)
    pruned = steps.apply("prune", first, steps.Data(X, np.arange(5) % 4), model.recipe)
    assert np.mean(pruned.layers[1].get_weights()[0] == 0) == 0.5
    assert steps.apply("qat", first, steps.Data(X, np.arange(5) % 4), model.recipe) is not None


TEXT = """
import numpy as np
from hil.harness.model import Dataset, Model
model = Model("x", build="net.keras", data=Dataset(lambda split: (np.zeros((5, 8, 8, 3)), np.zeros(5)), list))
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
    assert base.main([str(tmp_path / "x.py")]) == 2
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
    "links, stored elsewhere": in_weights(lambda file: file.update({"x": h5py.ExternalLink("/etc/passwd", "/")})),
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
