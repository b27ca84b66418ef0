"""The code version of a result changes with every edit that can change the result, in any file, and with no other."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hil.harness.pipeline import ENTRIES, target_module
from hil.harness.store.code_version import WITHOUT_EFFECT, code_version, reached
from tests.support.blobs import write

ARROWS = {**ENTRIES, "host": (target_module("host"),), "sim": (target_module("sim"),)}
TOP_FOLDERS = ("core", "npu", "fvp", "targets", "harness")
HOUSE = {
    "house/work/__init__.py": "",
    "house/work/entry.py": '''
"""The step."""
from __future__ import annotations
from typing import TYPE_CHECKING
from house.work import beside
if TYPE_CHECKING:
    from house.typed import Shape
HANDLER = "house.child:run"

def step(x: Shape) -> None:
    """Takes the step."""
    from house.deep.inner import function
    function(x)
''',
    "house/work/beside.py": "import house.plain\nfrom . import relative\n",
    "house/work/relative.py": "import importlib\nlazily = importlib.import_module('house.lazy')\n",
    "house/deep/__init__.py": "from house.gate import shut\n",
    "house/deep/inner.py": "def function(x):\n    with x:\n        import house.last as last\n",
    **{f"house/{name}.py": "VALUE = 1\n" for name in ("plain", "child", "lazy", "last", "gate", "typed", "apart")},
}
"""A project in which `house.work.entry` does the work."""
REACHED = ("work/entry", "work/beside", "work/relative", "deep/inner", "plain", "child", "lazy", "last")
SCRIPT = """
import json, sys
from hil.harness.store.code_version import code_version
print(json.dumps({name: code_version(*entries) for name, entries in json.loads(sys.argv[1]).items()}))
"""


def in_new_process(folder: Path, arrows: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """The versions as the next run has them, with the modules in `folder` before all others."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-c", SCRIPT, json.dumps(arrows)]
    answer = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, cwd=folder)
    found: dict[str, str] = json.loads(answer.stdout)
    return found


def version_of_house(folder: Path) -> str:
    return in_new_process(folder, {"step": ("house.work.entry",)})["step"]


def edit(file: Path, text: str = "\nEDITED = True\n") -> None:
    file.write_text(file.read_text() + text)


@pytest.fixture
def house(tmp_path: Path) -> Path:
    return write(tmp_path, HOUSE)


@pytest.mark.parametrize("name", REACHED)
def test_an_edit_of_whatever_is_reached_changes_the_version(house: Path, name: str) -> None:
    before = version_of_house(house)
    edit(house / f"house/{name}.py")
    assert version_of_house(house) != before


def test_an_edit_of_what_is_not_reached_changes_nothing(house: Path) -> None:
    before = version_of_house(house)
    for name in ("apart", "typed", "gate", "deep/__init__"):
        edit(house / f"house/{name}.py")
    assert version_of_house(house) == before


def test_docstrings_comments_and_layout_change_nothing(house: Path) -> None:
    before = version_of_house(house)
    entry = house / "house/work/entry.py"
    text = entry.read_text().replace('"""The step."""', '"""One step of house.apart."""\n# a comment\n')
    text = text.replace('    """Takes the step."""\n', "").replace(
        '"house.child:run"\n', '(\n    "house.child:run"\n)\n'
    )
    entry.write_text(text + '"""A function: house.apart."""\n')
    assert version_of_house(house) == before


def test_something_taken_from_a_package_itself_counts_with_its_imports(house: Path) -> None:
    edit(house / "house/work/entry.py", "from house.deep import shut\n")
    before = version_of_house(house)
    edit(house / "house/gate.py")
    after_gate = version_of_house(house)
    edit(house / "house/deep/__init__.py")
    assert len({before, after_gate, version_of_house(house)}) == 3


def test_a_module_that_moves_into_a_folder_stays_in_the_version(house: Path) -> None:
    old, new = house / "house/last.py", house / "house/deep/below/last.py"
    new.parent.mkdir()
    old.rename(new)
    inner = house / "house/deep/inner.py"
    inner.write_text(inner.read_text().replace("import house.last as last", "from house.deep.below import last"))
    moved = version_of_house(house)
    edit(new)
    assert version_of_house(house) != moved


def test_an_entry_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"hil\.targets\.nowhere\.target"):
        code_version("hil.targets.nowhere.target")


# -- this project


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This project's modules in another folder, as a wheel would lay them."""
    folder = tmp_path_factory.mktemp("elsewhere")
    for top in TOP_FOLDERS:
        spec = importlib.util.find_spec(f"hil.{top}")
        assert spec is not None
        root = Path(str(spec.origin)).parent
        sources = [file for file in root.rglob("*") if file.suffix in (".py", ".c", ".h")]
        write(folder / "hil" / top, {str(file.relative_to(root)): file.read_text() for file in sources})
    return folder


def changed(folder: Path, *files: str) -> set[str]:
    """The arrows that have another version while `files` of a copy are edited."""
    texts = {folder / "hil" / file: (folder / "hil" / file).read_text() for file in files}
    for file in texts:
        edit(file)
    found = in_new_process(folder, ARROWS)
    for file, text in texts.items():
        file.write_text(text)
    return {arrow for arrow, version in found.items() if version != code_version(*ARROWS[arrow])}


def test_the_version_is_the_same_wherever_the_files_lie(elsewhere: Path) -> None:
    assert changed(elsewhere) == set()


@pytest.mark.parametrize(
    ("files", "arrows"),
    [
        (
            ("targets/serial/target.py", "targets/boards/access.py", "targets/lab/client.py", "fvp/corstone300.py"),
            set(),
        ),
        (("targets/__init__.py", "targets/fvp/target.py", "harness/progress.py", "core/errors.py"), set()),
        (("npu/arithmetic/convolution.py",), {"sim"}),
        (("npu/native/vectors.c",), {"sim"}),
        (("harness/vela/child.py",), {"vela", "other_vela"}),
        (("harness/optimize/repairs.py",), {"technique"}),
    ],
    ids=["other-targets", "without-effect", "npu", "npu-compiled", "vela-child", "repairs"],
)
def test_an_edit_makes_anew_what_depends_on_it_and_nothing_else(
    elsewhere: Path, files: tuple[str, ...], arrows: set[str]
) -> None:
    assert changed(elsewhere, *files) == arrows


TRAINING = ("hil.harness.optimize.training", "hil.harness.optimize.keras.keras2")
INSIDE = {
    "base": (*TRAINING, "hil.harness.optimize.keras.keras3_graph", "hil.harness.optimize.layers"),
    "technique": (
        *(*TRAINING, "hil.harness.optimize.repairs", "hil.harness.optimize.per_tensor", "hil.core.tflite.weights"),
        *("hil.harness.optimize.pruning", "hil.harness.optimize.sensitivity", "hil.harness.optimize.npu_rules"),
        *("hil.harness.optimize.activation_ranges", "hil.harness.optimize.clipped_outputs"),
    ),
    "sensitivity": (*TRAINING, "hil.harness.optimize.npu_rules", "hil.harness.optimize.layers"),
    "size": ("hil.harness.optimize.trained_base", "hil.harness.optimize.keras.any_format"),
    "learning_task": (*TRAINING, "hil.harness.metrics.labels", "hil.harness.metrics.scores"),
    "accuracy": ("hil.harness.metrics.scores", "hil.harness.metrics.learning_task"),
    "predictions": (*TRAINING, "hil.harness.optimize.keras.hdf5_file"),
    "tflite": (*TRAINING, "hil.harness.optimize.npu_rules", "hil.core.tflite.model"),
    "vela": ("hil.harness.vela.child", "hil.harness.vela.debug_database", "hil.npu.accelerator"),
    "other_vela": ("hil.harness.vela.compiler", "hil.npu.accelerator"),
    "host": ("hil.targets.execution.interpreter_child", "hil.targets.execution.signature"),
    "sim": (
        *("hil.npu.arithmetic.pooling", "hil.npu.native.library", "hil.npu.weights.codec", "hil.npu.timing.cycles"),
        *("hil.targets.execution.graph", "hil.targets.execution.interpreter_child", "hil.core.measurement"),
    ),
}
OUTSIDE = {
    "base": ("hil.harness.optimize.repairs", "hil.harness.metrics.scores", "hil.npu.", "hil.targets."),
    "technique": ("hil.harness.optimize.keras.keras3", "hil.harness.vela.", "hil.npu.", "hil.targets."),
    "sensitivity": ("hil.harness.optimize.repairs", "hil.npu.", "hil.targets."),
    "size": ("hil.harness.optimize.repairs", "hil.npu.", "hil.targets."),
    "learning_task": ("hil.harness.optimize.steps", "hil.npu.", "hil.targets."),
    "accuracy": ("hil.harness.optimize.", "hil.npu.", "hil.targets."),
    "predictions": ("hil.harness.optimize.steps", "hil.npu.", "hil.targets."),
    "tflite": ("hil.harness.optimize.steps", "hil.harness.vela.", "hil.npu.", "hil.targets.host.", "hil.targets.sim."),
    "vela": ("hil.npu.arithmetic.", "hil.npu.disassembly.", "hil.harness.optimize.", "hil.targets.sim."),
    "other_vela": ("hil.npu.arithmetic.", "hil.npu.disassembly.", "hil.harness.optimize.", "hil.targets.sim."),
    "host": ("hil.npu.", "hil.harness.", "hil.targets.sim.", "hil.targets.serial."),
    "sim": ("hil.npu.disassembly.", "hil.harness.", "hil.targets.host.", "hil.targets.serial.", "hil.targets.link."),
}
OUTSIDE_EACH = ("hil.fvp", "hil.targets.serial", "hil.targets.boards", "hil.targets.lab", "hil.harness.commands")


@pytest.mark.parametrize("arrow", ARROWS)
def test_an_arrow_reaches_what_its_result_depends_on(arrow: str) -> None:
    found = reached(*ARROWS[arrow])
    assert set(INSIDE[arrow]) <= set(found)
    assert not [name for name in found if name.startswith((*OUTSIDE[arrow], *OUTSIDE_EACH))]


def test_all_that_is_called_without_effect_would_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that was moved or is used no more does not stay in that list."""
    monkeypatch.setattr("hil.harness.store.code_version.WITHOUT_EFFECT", frozenset())
    assert {name for entries in ARROWS.values() for name in reached(*entries)} >= WITHOUT_EFFECT
