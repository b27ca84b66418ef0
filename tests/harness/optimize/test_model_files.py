"""Model files, trained bases and Keras files: reading, and refusals of one line."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from hil.core.errors import BadInputError, InfrastructureError, UnavailableError
from hil.harness.model import Dataset, FineTune, Model, Recipe, discover, load_model_file, sibling
from hil.harness.optimize import base_weights, steps, trained_base
from hil.harness.optimize.conversion import to_tflite
from hil.harness.optimize.fidelity import measure_fidelity
from hil.harness.optimize.keras import hdf5_file
from hil.harness.optimize.keras.keras2 import import_keras, import_tensorflow, quiet
from hil.harness.optimize.network_check import check_network
from hil.harness.store.source_digest import source_files

from .conftest import small_network

GOOD = """
from hil.harness.model import Dataset, Model, sibling
loader = sibling(__file__, "data/loader.py")
model = Model("{name}", build=lambda: None, data=Dataset(loader.load, loader.files))
"""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def small_model(data: steps.Samples, **settings: Any) -> Model:
    return Model("small", build=small_network, data=Dataset(lambda _split: (data.x, data.y), lambda: []), **settings)


def test_the_models_of_a_folder_are_found_with_all_their_source_files(tmp_path: Path) -> None:
    write(tmp_path, "data/loader.py", "def load(split): ...\ndef files(): return []\n")
    write(tmp_path, "_helper.py", "raise RuntimeError('not a model file')")
    for name in ("b", "a"):
        write(tmp_path, f"{name}.py", GOOD.format(name=name))
    models = discover(tmp_path)
    assert [model.name for model in models] == ["a", "b"]
    assert source_files(models[0]) == [tmp_path / "a.py", tmp_path / "data/loader.py"]


def test_other_code_in_the_folder_is_passed_over(tmp_path: Path) -> None:
    """A user's repository has a `models` package of its own."""
    write(tmp_path, "data/loader.py", "def load(split): ...\ndef files(): return []\n")
    write(tmp_path, "a.py", GOOD.format(name="a"))
    write(tmp_path, "__init__.py", "from .net import Net\n")
    write(tmp_path, "layers.py", "from . import net\nfrom .net import *\n\nraise RuntimeError('loaded')\n")
    write(tmp_path, "train.py", "def main():\n    model = 3\nif True:\n    raise RuntimeError('loaded')\n")
    write(tmp_path, "net.py", "model = [1, 2]\n")
    assert [model.name for model in discover(tmp_path)] == ["a"]
    write(tmp_path, "broken.py", "if True:\n    model = undefined\n")
    with pytest.raises(BadInputError, match=r"broken.py cannot be loaded: NameError"):
        discover(tmp_path)


def test_a_pointer_of_git_lfs_is_named(tmp_path: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 12345\n"
    model = "from hil.harness.model import *\nmodel = Model('x', data=Dataset(len, len), tflite='x.tflite')"
    write(tmp_path, "x.tflite", pointer)
    with pytest.raises(BadInputError, match=r"x.tflite is no TFLite model \(it is a pointer of Git LFS: git lfs pull"):
        load_model_file(write(tmp_path, "lfs.py", model))


def test_data_that_is_not_there_is_named(tmp_path: Path) -> None:
    here, gone = write(tmp_path, "x.npy", ""), tmp_path / "y.npy"
    assert Dataset(len, lambda: [here]).present() == [here]
    with pytest.raises(UnavailableError, match=r"not on this machine: no file .*y.npy"):
        Dataset(len, lambda: [here, gone]).present()
    with pytest.raises(BadInputError, match="the data is a folder"):
        Dataset(len, lambda: [tmp_path]).present()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("this is no Python", "cannot be loaded: SyntaxError"),
        ("import nothing_of_that_name", "cannot be loaded: ModuleNotFoundError: No module named"),
        ("raise SystemExit(3)", "cannot be loaded: SystemExit: 3"),
        ("model = 3", r"defines no `model = Model\(...\)`"),
        (GOOD.format(name="x"), "loader.py cannot be loaded: FileNotFoundError"),
        (
            "from hil.harness.model import *\nmodel = Model('x', data=Dataset(len, len))",
            "model x: give either build or tflite",
        ),
        (
            "from hil.harness.model import *\nmodel = Model('x', data=Dataset(len, len), tflite='gone.tflite')",
            "gone.tflite does not exist",
        ),
        (
            "from hil.harness.model import *\nmodel = Model('x', data=Dataset(len, len), tflite='.')",
            "broken.py: .* is a folder",
        ),
        (
            "from hil.harness.model import *\nmodel = Model('x', data=Dataset(len, len), tflite='broken.py')",
            r"broken.py is no TFLite model \(give a .tflite file\)",
        ),
        ("from hil.harness.model import *\nRecipe(sparsity=50)", "sparsity 50 is not between 0 and 1"),
        ("from hil.harness.model import *\nRecipe(repairs=('all',))", "unknown repair all"),
        ("from hil.harness.model import *\nRecipe(calibration=0)", "calibration on 0 samples: must be at least 1"),
        ("from hil.harness.model import *\nFineTune(epochs='2')", "FineTune.epochs is str '2', not a whole number"),
        ("from hil.harness.model import *\nRecipe(sparsity='0.5')", "Recipe.sparsity is str '0.5', not a number"),
        ("from hil.harness.model import *\nRecipe(clusters=16.5)", "Recipe.clusters is float 16.5, not a whole number"),
        ("from hil.harness.model import *\nRecipe(keep='conv1')", r"Recipe.keep is str 'conv1', not names, such as"),
        ("from hil.harness.model import *\nRecipe(base=10)", "Recipe.base is int 10, not a FineTune"),
        ("from hil.harness.model import *\nBudget(max_latency_ms=0)", "max_latency_ms 0: a limit of time or bytes is"),
        (
            "from hil.harness.model import *\nBudget(max_latency=1)",
            r"'max_latency' \(Budget has max_accuracy_drop",
        ),
        (
            "from hil.harness.model import *\nmodel = Model('a/b', data=Dataset(len, len), build='x.keras')",
            "model 'a/b': a name is not empty and has no / or",
        ),
        (
            "from hil.harness.model import *\n"
            "model = Model('x', data=Dataset(len, len), build='.', techniques=('ptq', 'pqta'))",
            r"unknown technique pqta \(known: ptq, ",
        ),
    ],
)
def test_a_broken_model_file_is_one_clear_line(tmp_path: Path, text: str, line: str) -> None:
    path = write(tmp_path, "broken.py", text)
    with pytest.raises(BadInputError, match=line) as error:
        load_model_file(path)
    assert len(str(error.value).splitlines()) == 1
    assert str(error.value).startswith(f"{path}")


def test_a_missing_data_set_stays_what_it_is(tmp_path: Path) -> None:
    text = "from hil.core.errors import UnavailableError\nraise UnavailableError('no data', hint='install it')"
    with pytest.raises(UnavailableError, match="install it"):
        load_model_file(write(tmp_path, "x.py", text))


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no model file"):
        load_model_file(tmp_path / "x.py")
    with pytest.raises(BadInputError, match="no folder"):
        discover(tmp_path / "models")


def test_a_sibling_is_loaded_once_and_never_by_name(tmp_path: Path) -> None:
    path = write(tmp_path, "json.py", "value = []")
    loaded = sibling(str(tmp_path / "model.py"), "json.py")
    assert loaded is sibling(str(path), "json.py")
    assert sys.modules["json"] is json


def test_a_recipe_says_what_a_step_depends_on() -> None:
    recipe = Recipe(keep=("conv",))
    assert recipe.settings_of("ptq") == {"calibration": 200}
    sparser = Recipe(keep=("conv",), sparsity=0.7)
    changed = [name for name in (*steps.STEPS, "ptq") if recipe.settings_of(name) != sparser.settings_of(name)]
    assert changed == ["prune", "npu_prune"]
    coarser = Recipe(keep=("conv",), calibration=100)
    changed = [name for name in (*steps.STEPS, "ptq") if recipe.settings_of(name) != coarser.settings_of(name)]
    assert sorted(changed) == ["cqat", "npu_pcqat", "pcqat", "pqat", "ptq", "qat"]
    by_loss, fewer = Recipe(sparsity_by="sensitivity"), Recipe(sparsity_by="sensitivity", clusters=8)
    assert by_loss.settings_of("prune") != fewer.settings_of("prune")  # the shares depend on the clusters


def test_listing_models_imports_no_tensorflow() -> None:
    code = "import sys\nfrom hil.harness.optimize import conversion, survival, trained_base\n"
    code += "sys.exit(any(name.split('.')[0] in ('tensorflow', 'tf_keras') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_base_is_trained_written_and_read_back(tmp_path: Path, data: steps.Samples) -> None:
    model = small_model(data, recipe=Recipe(batch_size=32, base=FineTune(1, 1e-3)))
    network = trained_base.base_model(model, data)
    trained_base.save_weights(network, tmp_path / "small.npz")
    again = trained_base.base_model(small_model(data, weights=tmp_path / "small.npz"), None)
    assert np.array_equal(network.predict(data.x[0], verbose=0), again.predict(data.x[0], verbose=0))
    trained_base.save_weights(again, tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "small.npz").read_bytes()


def test_weights_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "small.npz"
    trained_base.save_weights(small_network(), path)
    before = path.read_bytes()
    largest = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, largest[1]))
    try:
        with pytest.raises(InfrastructureError, match=r"small\.npz cannot be written: File too large"):
            trained_base.save_weights(small_network(), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, largest)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_weights_that_do_not_fit_are_refused(tmp_path: Path, data: steps.Samples) -> None:
    path = tmp_path / "w.npz"
    model = small_model(data, weights=path)
    path.write_text("no weights")
    with pytest.raises(BadInputError, match="holds no weights"):
        trained_base.base_model(model, None)
    np.savez(path, x=np.array([{}], dtype=object))  # a pickle inside
    with pytest.raises(BadInputError, match="holds no weights"):
        trained_base.base_model(model, None)
    trained_base.save_weights(small_network(), path)
    with np.load(path) as file:
        values = dict(file)
    np.savez(path, **{**values, "pw/kernel:0": np.zeros((2, 2))})
    with pytest.raises(BadInputError, match=r"pw/kernel:0 should have shape .* but there is shape \(2, 2\)"):
        trained_base.base_model(model, None)
    np.savez(path, **values, more=np.zeros(1))
    with pytest.raises(BadInputError, match="the network has no weight more"):
        trained_base.base_model(model, None)


def broken() -> Any:
    return [][0]


def test_a_build_that_gives_no_keras_model_is_one_clear_line() -> None:
    for build, line in (
        (broken, "build of the model x failed: IndexError: list index out of range"),
        (lambda: 1, "build of the model x gives no Keras model but a builtins int"),
        (lambda: "net.keras", r"but a builtins str \(.* a file is named without a function: build=FILE"),
    ):
        with pytest.raises(BadInputError, match=line):
            trained_base.build_network(Model("x", build=build, data=Dataset(len, list)))


def test_without_weights_and_data_there_is_no_base(data: steps.Samples) -> None:
    with pytest.raises(BadInputError, match="no weights and no training data"):
        trained_base.base_model(small_model(data), None)


def test_the_command_trains_and_writes(tmp_path: Path, data: steps.Samples, capsys: Any) -> None:
    np.savez(tmp_path / "xy.npz", x=data.x[0], y=data.y[0])
    text = f"""
import numpy as np
from hil.harness.model import Dataset, FineTune, Model, Recipe
def build():
    import tf_keras as keras
    return keras.Sequential([keras.layers.Flatten(input_shape=(8, 8, 1)), keras.layers.Dense(4, name="fc")])
def load(split):
    with np.load({str(tmp_path / "xy.npz")!r}) as file:
        return file["x"], file["y"]
model = Model("tiny", build=build, data=Dataset(load, lambda: []), recipe=Recipe(base=FineTune(3, 1e-2)),
              weights="weights/tiny.npz")
"""
    path = write(tmp_path, "tiny.py", text)
    with pytest.raises(BadInputError, match=r"tiny.npz does not exist"):
        load_model_file(path)
    assert base_weights.main([str(path)]) == 0
    assert "top1 0.9" in capsys.readouterr().out
    assert trained_base.base_model(load_model_file(path), None).get_layer("fc").get_weights()[0].shape == (64, 4)
    assert base_weights.main([str(tmp_path / "gone.py")]) == 2


@pytest.mark.parametrize("content", [None, b"", b"no HDF5 file"])
def test_what_is_no_keras_file_is_one_clear_line(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "m.h5"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInputError, match="Keras") as error:
        hdf5_file.load_model(path)
    assert len(str(error.value).splitlines()) == 1


def test_an_array_as_initializer_is_no_hindrance(tmp_path: Path) -> None:
    """As the unit matrix with which PointNet's transform begins."""
    keras = import_keras()
    unit = keras.initializers.Constant(np.eye(3).flatten())
    network = keras.Sequential([keras.layers.Dense(9, bias_initializer=unit, input_shape=(4,))])
    hdf5_file.save_model(network, tmp_path / "m.h5")
    found = hdf5_file.load_model(tmp_path / "m.h5").get_weights()
    assert all(np.array_equal(*pair) for pair in zip(found, network.get_weights(), strict=True))


def test_a_lambda_is_refused_and_its_function_on_tensors_taken() -> None:
    keras, tf = import_keras(), import_tensorflow()
    vector = keras.Input((4,))

    def half(x: Any) -> Any:
        return tf.split(x, 2, -1)[0]

    with pytest.raises(BadInputError, match=r"layer half is a Lambda.*call TensorFlow's functions.*on the tensors"):
        check_network(keras.Model(vector, keras.layers.Lambda(half, name="half")(vector)))
    check_network(keras.Model(vector, tf.norm(half(vector), axis=-1, keepdims=True)))


def test_an_embedding_takes_whole_numbers_alone() -> None:
    layers = import_keras().layers

    def network(dtype: str) -> Any:
        ids = layers.Input((6,), dtype=dtype)
        found = layers.Embedding(20, 4, name="words")(ids)
        return import_keras().Model(ids, layers.Dense(2)(layers.Flatten()(found)))

    with pytest.raises(BadInputError, match=r"layer words is an Embedding of a float32 input.*int32"):
        check_network(network("float32"))
    taken = network("int32")
    check_network(taken)
    ids = np.random.default_rng(0).integers(0, 20, (64, 6)).astype(np.int32)
    assert measure_fidelity(to_tflite(taken, "ptq", [ids]), taken, [ids]).sqnr_db > 20


def test_random_numbers_at_inference_are_refused_by_their_name() -> None:
    """As the sampling of a variational autoencoder."""
    keras, tf = import_keras(), import_tensorflow()
    vector = keras.Input((4,))
    with pytest.raises(BadInputError, match=r"calls tf.random.normal, which is not known to compute from its inputs"):
        check_network(keras.Model(vector, vector + tf.random.normal(tf.shape(vector))))


def test_a_file_that_carries_code_runs_none_of_it(tmp_path: Path) -> None:
    """Keras runs the code of a Lambda layer in an HDF5 file while it loads it, whatever its `safe_mode`."""
    keras, path, proof = import_keras(), tmp_path / "m.h5", tmp_path / "proof"
    layers = keras.layers

    def hostile(x: Any, command: str = f"touch {proof}") -> Any:
        __import__("os").system(command)
        return x

    hostile.__name__ = "<lambda>"  # Keras keeps the code of such functions
    inner = keras.Sequential([layers.Lambda(hostile, input_shape=(4,))])
    network = keras.Sequential([layers.Dense(4, input_shape=(4,)), inner])
    with quiet():
        network.save(str(path), save_format="h5")
    proof.unlink()
    keras.models.load_model(str(path), compile=False, safe_mode=True)
    assert proof.exists()
    proof.unlink()
    with pytest.raises(BadInputError, match=r"m.h5 is not loaded: it carries code \(Lambda\)"):
        hdf5_file.load_model(path)
    assert not proof.exists()
    with pytest.raises(BadInputError, match=r"cannot be kept in a file: it holds code \(Lambda\)"):
        hdf5_file.save_model(network, tmp_path / "mine.h5")
    assert not (tmp_path / "mine.h5").exists()


def test_tensorflow_functions_that_compute_are_kept_and_others_are_not(tmp_path: Path) -> None:
    keras, tf, path = import_keras(), import_tensorflow(), tmp_path / "m.h5"
    image = keras.layers.Input((4, 4, 1))
    network = keras.Model(image, tf.nn.relu(tf.reshape(image[..., 0] * 2.0, (-1, 16))))
    hdf5_file.save_model(network, path)
    x = np.random.default_rng(0).normal(size=(3, 4, 4, 1)).astype(np.float32)
    assert np.array_equal(hdf5_file.load_model(path).predict(x, verbose=0), network.predict(x, verbose=0))
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = file.attrs["model_config"].replace("nn.relu", "io.read_file")
    with pytest.raises(BadInputError, match=r"it carries code \(TFOpLambda io.read_file\)"):
        hdf5_file.load_model(path)
