"""Examples in docstrings and pages are right: doctests give what they say, types fit."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest
from mypy import api

from tests.examples import FLOORS, checkable, docstring_examples, doctest_modules, page_examples

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
SETTINGS = """
[mypy]
python_version = 3.11
check_untyped_defs = True
implicit_reexport = True
ignore_missing_imports = True
follow_imports = silent
strict_optional = False
disable_error_code = import-untyped, empty-body

[mypy-hil.*]
ignore_missing_imports = False

[mypy-numpy.*,numba.*,capstone.*,rich.*,typer.*,click.*,jinja2.*,matplotlib.*,pytest.*,_pytest.*,docker.*]
follow_imports = skip
"""


@pytest.fixture
def checked() -> Path:
    """A folder from which mypy sees the floors under their names, the same each time: it keeps what it has read."""
    folder = ROOT / ".mypy_cache" / "examples"
    (folder / "hil").mkdir(parents=True, exist_ok=True)
    for floor in FLOORS:
        if not (folder / "hil" / floor).is_symlink():
            (folder / "hil" / floor).symlink_to(ROOT / floor)
    for left in folder.glob("example_*.py"):
        left.unlink()
    (folder / "mypy.ini").write_text(SETTINGS)
    return folder


def test_examples_fit_the_types_of_what_they_use(checked: Path) -> None:
    places = {}
    for number, example in enumerate([*docstring_examples(ROOT), *page_examples(PAGES, ROOT)]):
        name = f"example_{number}"
        try:
            (checked / f"{name}.py").write_text(checkable(example))
        except SyntaxError as error:
            pytest.fail(f"{example.place} is no Python: {error}\n{example.code}")
        places[name] = example.place
    out, err, _ = _mypy(checked, [f"{name}.py" for name in places])
    found = [f"{places[name]}: {text}" for name, text in re.findall(r"^(example_\d+)\.py:\d+: error: (.*)", out, re.M)]
    assert not err
    assert not found, "\n".join(found)


def _mypy(folder: Path, files: list[str]) -> tuple[str, str, int]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return api.run(["--config-file", "mypy.ini", "--namespace-packages", "--explicit-package-bases", *files])


@pytest.mark.parametrize("module", doctest_modules(ROOT))
def test_doctests_give_what_they_say(module: str) -> None:
    assert doctest.testmod(importlib.import_module(module)).failed == 0
