"""Notes of what was parsed: used for the same content alone, and only where they are whole."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from hil.harness.store import module_source as tested
from hil.harness.store.module_source import ModuleSource, module_source

SOURCE = '"""A module."""\nimport house.beside\nfrom . import near\nHANDLER = "house.child:run"\n'


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module with a C file beside it, of which nothing is noted yet."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    (tmp_path / "code.c").write_text("int answer = 42;\n")
    path = tmp_path / "module.py"
    path.write_text(SOURCE)
    return path


def found(module: Path) -> ModuleSource:
    return module_source(module, [module.with_name("code.c")])


def note_of(module: Path) -> Path:
    (note,) = module.parent.glob("__pycache__/module.*.definitions")
    return note


def refuse(source: bytes) -> NoReturn:
    raise AssertionError("was parsed a second time")


def test_the_same_content_is_parsed_once(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = found(module)
    assert first.imports == ((0, ("house", "beside")), (1, ("near",)))
    assert first.strings == ("house.child",)
    monkeypatch.setattr(tested, "parse", refuse)
    assert found(module) == first


@pytest.mark.parametrize("name", ["module.py", "code.c"])
def test_another_content_is_parsed_anew(module: Path, name: str) -> None:
    before = found(module)
    edited = module.with_name(name)
    edited.write_text(f"{edited.read_text()}\nEDITED = 1\n")
    after = found(module)
    assert after.definitions != before.definitions
    note_of(module).unlink()
    assert found(module) == after


@pytest.mark.parametrize("part", ["parser", "python"])
def test_a_note_of_another_parser_is_not_used(module: Path, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    found(module)
    before = json.loads(note_of(module).read_text())["key"]
    if part == "python":
        monkeypatch.setattr(sys, "version", "3.99")
    else:
        other = module.with_name("syntax.py")
        other.write_bytes(Path(str(tested.syntax.__file__)).read_bytes() + b"# another\n")
        monkeypatch.setattr(tested.syntax, "__file__", str(other))
    tested._parser.cache_clear()
    try:
        found(module)
        assert json.loads(note_of(module).read_text())["key"] != before
    finally:
        tested._parser.cache_clear()


@pytest.mark.parametrize("damage", ["cut", "empty", "changed", "list"])
def test_a_damaged_note_is_made_anew(module: Path, damage: str) -> None:
    whole = found(module)
    note = note_of(module)
    text = note.read_text()
    damaged = {"cut": text[:-20], "empty": "", "changed": text.replace("beside", "beyond"), "list": "[1]"}
    note.write_text(damaged[damage])
    assert found(module) == whole
    assert note.read_text() == text


def test_where_python_writes_no_bytecode_nothing_is_noted(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    found(module)
    assert not module.with_name("__pycache__").exists()
