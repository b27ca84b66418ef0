"""The digest of a model's source changes with everything that the model is made of, and with nothing else."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hil.core.errors import BadInputError
from hil.harness.model import Dataset, Model, load_model_file
from hil.harness.store.source_digest import (
    NOT_LOADED,
    function_digest,
    source_digest,
    source_files,
    source_versions,
    train_digest,
    versions,
)
from tests.support.blobs import write

BASE = """
import functools
from hil.harness.model import Budget, Dataset, FineTune, Model, Recipe

quick = FineTune(epochs=1)
limits = Budget(max_latency_ms=1.0)

def net(width):
    return width

def load(split):
    return split

def correct(outputs, labels):
    return 1.0

def distance():
    return "mse"

model = Model(
    "a",
    build=lambda: net(8),
    data=Dataset(lambda split: load(split), files=lambda: []),
    recipe=Recipe(qat=quick),
    budget=limits,
    metric=correct,
    loss=distance,
    techniques=("ptq",),
)
"""
_numbers = itertools.count()


def models_folder(tmp_path: Path) -> Path:
    """A repository of its own each time: a file is loaded once a process."""
    return tmp_path / f"repository{next(_numbers)}"


def loaded(tmp_path: Path, text: str, **files: str) -> Model:
    folder = write(models_folder(tmp_path), {"models/a.py": text, **files})
    return load_model_file(folder / "models/a.py")


def changed(tmp_path: Path, *replacements: tuple[str, str], text: str = BASE) -> bool:
    """True if `replacements` change the digest."""
    other = text
    for old, new in replacements:
        assert old in other
        other = other.replace(old, new)
    return source_digest(loaded(tmp_path, text)) != source_digest(loaded(tmp_path, other))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("build=lambda: net(8)", "build=lambda: net(16)"),
        ("build=lambda: net(8)", "build=functools.partial(net, 8)"),
        ("lambda split: load(split)", "lambda split: load('train')"),
        ("files=lambda: []", "files=lambda: [__file__]"),
        ("return width", "return 2 * width"),
        ("loss=distance", "loss=lambda: 'mse'"),
        ('return "mse"', 'return "mae"'),
        ("loss=distance", "loss='mse'"),
    ],
)
def test_what_a_result_is_made_of_counts(tmp_path: Path, old: str, new: str) -> None:
    assert changed(tmp_path, (old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("max_latency_ms=1.0", "max_latency_ms=2.0"),
        ("budget=limits", "budget=Budget(max_sram_bytes=1)"),
        ("epochs=1", "epochs=7"),
        ("Recipe(qat=quick)", "Recipe(clusters=32)"),
        ("    return 1.0", "    return 0.5"),
        ("metric=correct", "metric='auc'"),
        ('techniques=("ptq",)', "techniques=None"),
        ('"a",', '"another",'),
        ("def net(width):\n", "def net(width):\n    '''A network.'''\n    # of one layer\n\n"),
        ("import Budget, Dataset", "import inspect, Budget, Dataset"),
    ],
)
def test_settings_and_words_do_not(tmp_path: Path, old: str, new: str) -> None:
    new = new.replace("import inspect, ", "import METRICS, ")
    assert not changed(tmp_path, (old, new))


def test_arguments_by_place_are_told_apart(tmp_path: Path) -> None:
    text = (
        BASE[: BASE.index("model = ")] + 'model = Model("a", Dataset(load, list), lambda: net(8), Recipe(), limits)\n'
    )
    assert not changed(tmp_path, ("Recipe()", "Recipe(seed=1)"), ("ms=1.0", "ms=2.0"), text=text)
    assert changed(tmp_path, ("net(8)", "net(9)"), text=text)
    assert changed(tmp_path, ("list", "tuple"), text=text)


def test_what_both_a_setting_and_the_network_use_counts(tmp_path: Path) -> None:
    text = BASE.replace("return width", "return width * quick.epochs")
    assert changed(tmp_path, ("epochs=1", "epochs=7"), text=text)


@pytest.mark.parametrize(
    "build",
    [
        "functools.partial(functools.partial(net, 8))",
        "Builder(8)",
        "Builder(8).make",
        "Builder",
        "functools.lru_cache(lambda: net(8))",
    ],
)
def test_partials_objects_and_methods_build_too(tmp_path: Path, build: str) -> None:
    classes = """
import dataclasses
@dataclasses.dataclass
class Builder:
    width: int = 8
    def __call__(self):
        return net(self.width)
    def make(self):
        return net(self.width)

model ="""
    text = BASE.replace("lambda: net(8)", build).replace("model =", classes)
    assert changed(tmp_path, ("net(self.width)", "net(2 * self.width)"), text=text)
    if "8" in build:
        assert changed(tmp_path, (build, build.replace("8", "9")), text=text)


PACKAGE = {
    "my_pkg/__init__.py": "",
    "my_pkg/net.py": "from .blocks.conv import convolution\ndef block(): return convolution()\n",
    "my_pkg/blocks/__init__.py": "",
    "my_pkg/blocks/conv.py": "def convolution():\n    from ..deep import WIDTH\n    return WIDTH\n",
    "my_pkg/deep.py": "WIDTH = 3\n",
    "my_pkg/unused.py": "WIDTH = 4\n",
    "models/data/loader.py": "import scipy\ndef load(split): ...\ndef files(): return []\n",
    "models/data/late.py": "RATE = 8000\n",
    "models/a.py": """
from hil.harness.model import Dataset, Model, sibling
loader = sibling(__file__, "data/loader.py")

def build():
    import tf_keras, json
    from my_pkg.net import block
    late = sibling(__file__, "data/late.py")
    return block()

model = Model("a", build=build, data=Dataset(loader.load, loader.files))
""",
}


def test_imports_of_ones_own_and_siblings_count_wherever_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path, PACKAGE)
    monkeypatch.syspath_prepend(str(folder))
    path = folder / "models/a.py"
    found = {file.relative_to(folder).as_posix() for file in source_files(load_model_file(path))}
    assert found == set(PACKAGE) - {"my_pkg/unused.py"}
    assert "my_pkg" not in sys.modules
    before = source_digest(load_model_file(path))
    for name in sorted(found - {"models/a.py"}):
        text = (folder / name).read_text()
        (folder / name).write_text(text + "MORE = 1\n")
        assert source_digest(load_model_file(path)) != before, name
        (folder / name).write_text(text)
    (folder / "my_pkg/unused.py").write_text("WIDTH = 5\n")
    assert source_digest(load_model_file(path)) == before


def test_the_libraries_that_the_files_import_are_known_by_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path, PACKAGE)
    monkeypatch.syspath_prepend(str(folder))
    found = source_versions(load_model_file(folder / "models/a.py"))
    assert found == versions("scipy", "tf_keras")
    assert all(found.values())


def test_a_sibling_that_cannot_be_read_off_the_text_is_one_clear_line(tmp_path: Path) -> None:
    text = BASE.replace("    return split", "    return sibling(__file__, split)")
    with pytest.raises(BadInputError, match=r"a.py:\d+: what sibling loads must be read off the text") as error:
        source_digest(loaded(tmp_path, text))
    assert len(str(error.value).splitlines()) == 1


def test_another_process_gives_the_same_digest(tmp_path: Path) -> None:
    model = loaded(tmp_path, BASE)
    code = (
        "from hil.harness.model import load_model_file\nfrom hil.harness.store.source_digest import source_digest\n"
        f"print(source_digest(load_model_file({str(model.path)!r})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == source_digest(model)


@pytest.mark.parametrize(
    ("old", "new", "loads_others"),
    [
        ("return width", "return 2 * width", False),
        ('return "mse"', 'return "mae"', False),
        ("build=lambda: net(8)", "build=lambda: net(16)", False),
        ("return split", "return split + split", True),
        ("files=lambda: []", "files=lambda: [__file__]", True),
    ],
)
def test_the_samples_depend_on_their_loader_alone(tmp_path: Path, old: str, new: str, loads_others: bool) -> None:
    assert old in BASE
    before, after = (source_digest(loaded(tmp_path, text), NOT_LOADED) for text in (BASE, BASE.replace(old, new)))
    assert (before != after) is loads_others


def test_losses_by_output_and_augmentation_are_part_of_it(tmp_path: Path) -> None:
    text = BASE.replace("loss=distance", 'loss={"kind": sibling(__file__, "more.py").distance}')
    text = text.replace("import Budget,", "import sibling, Budget,")
    before, after = (
        source_digest(loaded(tmp_path, text, **{"models/more.py": f"def distance():\n    return {loss!r}\n"}))
        for loss in ("mse", "mae")
    )
    assert before != after


def _network(width: int) -> int:
    return width


def _closure(value: object) -> Callable[[], object]:
    return lambda: value


class _Builder:
    def __init__(self, width: int) -> None:
        self.width = width

    def __call__(self) -> int:
        return _network(self.width)

    def build(self) -> int:
        return _network(self.width)


@dataclasses.dataclass(slots=True)
class _Slots:
    width: int

    def build(self) -> int:
        return _network(self.width)


def _decorated(width: int) -> Callable[[], int]:
    def decorate(function: Callable[[int], int]) -> Callable[[], int]:
        @functools.wraps(function)
        def wrapper() -> int:
            return function(width)

        return wrapper

    return decorate(_network)


def _marked(width: int) -> Callable[[], int]:
    def build() -> int:
        return int(build.width)  # type: ignore[attr-defined]

    build.width = width  # type: ignore[attr-defined]
    return build


ARRAY = np.arange(100_000)
OTHER_ARRAY = np.where(ARRAY == 50_000, 0, ARRAY)


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        (_closure(8), _closure(8), _closure(16)),
        (_closure(ARRAY), _closure(ARRAY.copy()), _closure(OTHER_ARRAY)),
        (_closure({"a": [1, (ARRAY, None)]}), _closure({"a": [1, (ARRAY, None)]}), _closure({"a": [2, (ARRAY, None)]})),
        (_closure(_closure(8)), _closure(_closure(8)), _closure(_closure(16))),
        (functools.partial(_network, 8), functools.partial(_network, 8), functools.partial(_network, 16)),
        (functools.partial(_network, width=8), functools.partial(_network, width=8), lambda: 8),
        (_Builder(8), _Builder(8), _Builder(16)),
        (_Builder(8).build, _Builder(8).build, _Builder(16).build),
        (_Builder(8).build, _Builder(8).build, _Builder(8)),
        *([*(lambda width=width: width for width in (8, 8, 16))],),
        (lambda: _network(8), lambda: _network(8), lambda: _network(16)),
        (_Slots(8).build, _Slots(8).build, _Slots(16).build),
        (_decorated(8), _decorated(8), _decorated(16)),
        (_marked(8), _marked(8), _marked(16)),
        (functools.lru_cache(_closure(8)), functools.lru_cache(_closure(8)), functools.lru_cache(_closure(16))),
    ],
)
def test_models_without_a_file_share_nothing_but_what_is_equal(one: Any, same: Any, other: Any) -> None:
    """Several models of functions in one file: a loop over widths, a factory, arrays of a notebook."""

    def digests(function: Any) -> tuple[str, ...]:
        builds = Model("a", Dataset(list, list), function)
        loads = Model("a", Dataset(function, list), list)
        trains = Model("a", Dataset(list, list), list)
        return (
            source_digest(builds),
            source_digest(loads, NOT_LOADED),
            train_digest(trains, function),
            function_digest(trains, function),
        )

    assert digests(one) == digests(same)
    assert all(a != b for a, b in zip(digests(one), digests(other), strict=True))
    assert source_digest(Model("a", Dataset(list, list), one), NOT_LOADED) == source_digest(
        Model("a", Dataset(list, list), other), NOT_LOADED
    )


def test_what_has_no_text_is_shared_with_nothing() -> None:
    thing = object()
    one, again, other = (Model("a", Dataset(list, list), _closure(value)) for value in (thing, thing, object()))
    assert source_digest(one) == source_digest(again)
    assert source_digest(one) != source_digest(other)
    classes = [type("Builder", (), {"__qualname__": "factory.<locals>.Builder", "width": width}) for width in (8, 16)]
    eight, sixteen = (source_digest(Model("a", Dataset(list, list), one)) for one in classes)
    assert eight != sixteen
    typed: dict[str, Any] = {}
    exec("def build():\n    return 8", typed)  # as at a prompt, where no file shows what it calls
    built = source_digest(Model("a", Dataset(list, list), typed["build"]))
    exec("def build():\n    return 8", typed)
    assert source_digest(Model("a", Dataset(list, list), typed["build"])) != built


def test_models_without_a_file_are_the_same_in_the_next_process(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(
        "from hil.harness.model import Dataset, Model\nfrom hil.harness.store.source_digest import source_digest\n"
        "def model(width, names):\n"
        "    return Model('a', Dataset(list, list), lambda: (width, 'x' in {'a', 'b', 'c'}, names))\n"
        "print(source_digest(model(8, {'p', 'q', 'r'})), source_digest(model(16, {'p', 'q', 'r'})))\n"
    )
    printed = [
        subprocess.run(
            [sys.executable, tmp_path / "nets.py"],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for seed in ("1", "2")
    ]
    assert printed[0] == printed[1]
    assert len(set(printed[0])) == 2
