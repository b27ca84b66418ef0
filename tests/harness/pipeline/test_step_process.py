"""Whatever native code or a user's code does in a step, it ends that step with one line and nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hil.core.errors import BadInputError, CrashError, HilError
from hil.harness.model import Model, Recipe, load_model_file
from hil.harness.pipeline import Pipeline
from hil.harness.pipeline.builders import TFLITE
from hil.harness.pipeline.step_process import PATIENCE, is_of_file, model_as_json, model_of_json, patience_s
from hil.harness.store.store import Store
from tests.support.blobs import model_file, write

BUILD = "    import tf_keras as keras\n"
LOAD = "def load(split):\n"
CRASH = "    import os, signal\n    os.kill(os.getpid(), signal.{})\n"


def model(folder: Path, old: str = "", new: str = "", *, name: str = "blobs") -> Model:
    """The blobs in a repository of their own, with a part of the model file replaced."""
    assert old in model_file()
    write(folder, {f"models/{name}.py": model_file(name).replace(old, new, 1)})
    return load_model_file(folder / f"models/{name}.py")


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    return Pipeline(Store(tmp_path / "store"))


@pytest.mark.parametrize(
    ("old", "added", "line"),
    [
        (BUILD, CRASH.format("SIGSEGV"), r"blobs: [a-z, ]+: native code crashed \(SIGSEGV\)"),
        pytest.param(
            *(BUILD, CRASH.format("SIGABRT"), r"blobs: [a-z, ]+: native code crashed \(SIGABRT\)"),
            marks=pytest.mark.nightly,
        ),
        (
            BUILD,
            CRASH.format("SIGKILL"),
            r"blobs: [a-z, ]+: somebody ended its process \(SIGKILL\)",
        ),
        pytest.param(
            *(LOAD, "    import os\n    os._exit(3)\n"),
            r"blobs: [a-z, ]+: something in it ended the process with exit code 3",
            marks=pytest.mark.nightly,
        ),
    ],
    ids=["segmentation-fault", "abort", "killed", "exit"],
)
def test_the_end_of_a_steps_process_is_one_line(
    pipeline: Pipeline, tmp_path: Path, old: str, added: str, line: str
) -> None:
    with pytest.raises(CrashError, match=line) as caught:
        pipeline.int8(model(tmp_path, old, old + added), "ptq")
    assert caught.value.exit_code == 2
    assert {artifact.step for artifact in pipeline.store.artifacts()} <= {"data"}
    assert not list((pipeline.store.root / "unfinished").iterdir())
    good = model(tmp_path / "good")
    assert pipeline.int8(good, "ptq").read(TFLITE), "the next step has a process again"


@pytest.mark.parametrize(
    ("added", "why"),
    [
        ("    while True: pass\n", "computing"),
        pytest.param("    import time\n    time.sleep(600)\n", "waiting", marks=pytest.mark.nightly),
    ],
    ids=["loop", "sleep"],
)
def test_a_step_that_hangs_is_ended(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, added: str, why: str
) -> None:
    monkeypatch.setenv(PATIENCE, "4")
    line = f"blobs: .*: its process hung, {why} for 4 s without .* and was ended .*{PATIENCE}"
    with pytest.raises(CrashError, match=line):
        pipeline.keras(model(tmp_path, BUILD, BUILD + added), ())


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan"])
def test_seconds_of_patience_are_a_number_above_zero(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(PATIENCE, text)
    with pytest.raises(BadInputError, match=f"{PATIENCE}={text} is no number of seconds"):
        patience_s()


@pytest.mark.parametrize(
    ("old", "new", "error", "line"),
    [
        (BUILD, BUILD + "    open('/no/such/file')\n", BadInputError, r"FileNotFoundError: .*'/no/such/file'"),
        (LOAD, LOAD + "    raise KeyError('north')\n", BadInputError, r"the train data cannot be loaded: KeyError"),
        (LOAD, LOAD + "    np.ones((1 << 24, 1 << 24))\n", BadInputError, r"no more memory|Unable to allocate"),
        ("Conv2D(16, 1,", "Conv2D(16, 9,", BadInputError, r"build of the model blobs failed: ValueError: .*"),
        (
            "    build=build,",
            "    build=build, loss=lambda: 7,",
            BadInputError,
            r"the function loss gives no loss: .* 7",
        ),
        (
            "    build=build,",
            "    build=build, loss=lambda: (lambda y, outputs: outputs / 0 + undefined),",
            BadInputError,
            r"the loss <lambda> fails: .* NameError: name 'undefined' is not defined",
        ),
    ],
    ids=["build", "load", "memory", "shapes", "loss-of-a-number", "loss-of-the-user"],
)
def test_an_exception_of_the_users_code_or_of_a_library_says_whose_it_is(
    pipeline: Pipeline, tmp_path: Path, old: str, new: str, error: type[HilError], line: str
) -> None:
    with pytest.raises(error, match=line) as caught:
        pipeline.keras(model(tmp_path, old, new), ())
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_a_model_that_its_file_does_not_hold_is_made_in_this_process(tmp_path: Path) -> None:
    from dataclasses import replace

    found = model(tmp_path)
    assert is_of_file(found)
    assert is_of_file(replace(found, recipe=replace(found.recipe, clusters=8), name="other"))
    assert not is_of_file(replace(found, loss="mse"))
    assert not is_of_file(replace(found, path=Path()))


def test_a_step_sees_the_folder_environment_and_imports_of_the_session(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.size(model(tmp_path / "first"))  # the process is there before any of them changes
    write(tmp_path, {"src/shapes_of_mine.py": "SIZE = 3", "here/size.txt": "3"})
    monkeypatch.syspath_prepend(tmp_path / "src")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("SIZE_OF_MINE", "3")
    used = "    import os\n    import shapes_of_mine\n"
    used += "    assert int(os.environ['SIZE_OF_MINE']) == shapes_of_mine.SIZE == int(open('size.txt').read())\n"
    assert pipeline.size(model(tmp_path, BUILD, BUILD + used))[0] > 0


def test_neither_tensorflow_nor_temporary_files_stay_with_this_process(tmp_path: Path) -> None:
    """A session is spared the import of TensorFlow, and what TensorFlow leaves in the temporary folder."""
    code = """
import sys
from pathlib import Path
from hil.harness.model import load_model_file
from hil.harness.pipeline import Pipeline
from hil.harness.store.store import Store
Pipeline(Store(Path(sys.argv[2]))).int8(load_model_file(sys.argv[1]), "ptq")
print("tensorflow" in sys.modules)
"""
    found, temporary = model(tmp_path), tmp_path / "temporary"
    temporary.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, str(found.path), str(tmp_path / "store")],
        env={**os.environ, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["False"]
    assert not list(temporary.iterdir())


TEST = """
def test_parity(deployment, parity):
    assert parity.mismatches == 0
"""


def test_a_model_that_crashes_fails_its_tests_and_the_session_goes_on(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "models/a_crash.py": model_file("crash").replace(BUILD, BUILD + CRASH.format("SIGSEGV")),
            "models/blobs.py": model_file(),
            "test_it.py": TEST,
        },
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--technique", "ptq"]
    environment = {**os.environ, "HIL_STORE": str(tmp_path / "store")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout
    assert "native code crashed (SIGSEGV)" in done.stdout
    assert re.search(r"\n1 passed, .*1 error in", done.stdout)


def test_another_process_gets_the_same_recipe_with_its_weights_by_class(tmp_path: Path) -> None:
    here = model(tmp_path, "recipe=Recipe(", "recipe=Recipe(class_weight={0: 1.0, 1: 3}, ")
    there = model_of_json(model_as_json(here))
    assert there.recipe == here.recipe
    assert there.recipe.class_weight == {0: 1.0, 1: 3.0}
    with pytest.raises(BadInputError, match="numbers by class"):
        Recipe(class_weight={"cat": 1.0})  # type: ignore[dict-item]


def test_a_model_with_other_weights_of_losses_is_not_that_of_its_file(tmp_path: Path) -> None:
    here = model(tmp_path)
    assert is_of_file(here)
    assert not is_of_file(replace(here, loss_weights={"logits": 2.0}))
