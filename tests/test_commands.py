"""Commands in pages and docstrings are right: their programs' own parsers take them, and the names in them are there.

Nothing is run: the callbacks of `hil` are taken away, and benchmarks end behind their parsers.
"""

from __future__ import annotations

import argparse
import configparser
import importlib.util
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import typer

from benchmarks import model_argument
from hil.harness.cli import app
from hil.harness.model.recipe import LEAVES
from hil.harness.tree import POLICIES
from hil.npu.accelerator import ALL
from hil.targets import registry
from tests.page_commands import PageCommand, page_commands

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
COMMANDS = [*page_commands(ROOT, PAGES)]
VALUES = {
    "--technique": {*LEAVES},
    "--target": {*registry.names(), "echo", "damaged_vela.tflite"},  # of docs/adding-a-target.md, docs/diff.md
    "--accelerator": {accelerator.name for accelerator in ALL},
    "--policy": {*POLICIES},
    "--engine": {"auto", "arm", "docker", "open"},
}
"""Values of options that their parsers take as any text; one in capitals stands for another."""
OF_READERS = {"models/own.py", "tests/unit"}
"""Files in folders of our names that only the reader has."""


def commands_of(program: str, at_least: int) -> list[PageCommand]:
    """The commands of a program: at least as many as there are, so that none is overlooked by a change of the form."""
    found = [command for command in COMMANDS if command.words[0].removeprefix(".ci/") == program]
    assert len(found) >= at_least
    return found


def test_hil_takes_its_commands() -> None:
    parsers: click.Command = typer.main.get_command(app)
    _silence(parsers)
    assert not [wrong for command in commands_of("hil", 200) if (wrong := _refused_by_hil(parsers, command))]


def _silence(command: click.Command) -> None:
    command.callback = None
    for below in getattr(command, "commands", {}).values():
        _silence(below)


def _refused_by_hil(parsers: click.Command, command: PageCommand) -> str:
    try:
        parsers.main([*command.words[1:]], prog_name="hil", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError:
        return ""
    except click.UsageError as error:
        lacks = isinstance(error, click.MissingParameter | click.BadOptionUsage)
        return "" if lacks and not command.whole else f"{command}: {error.format_message()}"
    return ""


def test_pytest_takes_its_commands(request: pytest.FixtureRequest) -> None:
    found = commands_of("pytest", 40)
    assert not [wrong for command in found if (wrong := _refused_by_pytest(request.config, command))]


def _refused_by_pytest(config: pytest.Config, command: PageCommand) -> str:
    if "--help" in command.words:
        return ""  # ends the parser
    try:
        config._parser.parse(command.words[1:])
    except pytest.UsageError as error:
        lacks = "expected one argument" in str(error)
        return "" if lacks and not command.whole else f"{command}: {error}"
    return ""


@pytest.mark.parametrize(
    "line", ["hil tree", "hil tree x --jops 2", "hil tre x", "hil tree x --jobs 0", "hil tree x y"]
)
def test_a_wrong_command_of_hil_is_found(line: str) -> None:
    parsers: click.Command = typer.main.get_command(app)
    _silence(parsers)
    assert _refused_by_hil(parsers, PageCommand("a page", tuple(line.split()), whole=True))


@pytest.mark.parametrize("line", ["pytest --target", "pytest --targets sim", "pytest --samples many"])
def test_a_wrong_command_of_pytest_is_found(request: pytest.FixtureRequest, line: str) -> None:
    assert _refused_by_pytest(request.config, PageCommand("a page", tuple(line.split()), whole=True))


class _ParsedError(Exception):
    """The parser of a program has taken its arguments."""


@pytest.fixture
def only_parsing(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Programs of argparse end when they have parsed."""
    parse_args = argparse.ArgumentParser.parse_args

    def parsed(*given: Any, **named: Any) -> None:
        parse_args(*given, **named)
        raise _ParsedError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parsed)
    monkeypatch.setattr(model_argument, "model_file", Path)  # a reader has the files that a page names
    monkeypatch.chdir(ROOT)
    return monkeypatch


def test_modules_and_benchmarks_take_their_commands(only_parsing: pytest.MonkeyPatch) -> None:
    for command in commands_of("python", 30):
        with only_parsing.context() as patch:
            assert not (wrong := _refused_by_module(patch, command)), wrong


@pytest.mark.parametrize(
    "line", ["-m benchmarks.nothing", "-m benchmarks.operators --slow", "benchmarks/fvp_boot.py", "-m hil.core.worker"]
)
def test_a_wrong_command_of_a_module_is_found(only_parsing: pytest.MonkeyPatch, line: str) -> None:
    assert _refused_by_module(only_parsing, PageCommand("a page", ("python", *line.split()), whole=True))


def _refused_by_module(patch: pytest.MonkeyPatch, command: PageCommand) -> str:
    """Returns why a module of this repository, or a benchmark by its file, does not take a command."""
    name, *words = command.words[2:] if command.words[1] == "-m" else command.words[1:]
    if not name.startswith(("benchmarks", "hil.")):
        return ""  # the reader's own
    by_file = name.endswith(".py")
    found = importlib.util.find_spec(name.removesuffix(".py").replace("/", ".") if by_file else name)
    if found is None or found.origin is None:
        return f"{command}: no such module"
    source = Path(found.origin).read_text()
    if "__main__" not in source:
        return f"{command}: nothing runs"
    if ".parse_args(" not in source:
        takes = "sys.argv" in source or not words
        return "" if takes else f"{command}: it takes no arguments"
    patch.setattr(sys, "argv", [name, *words])
    try:
        if by_file:
            patch.syspath_prepend(Path(name).parent)
            runpy.run_path(name, run_name="__main__")
        else:
            patch.delitem(sys.modules, name, raising=False)
            runpy.run_module(name, run_name="__main__")
    except _ParsedError:
        return ""
    except SystemExit:
        return f"{command}: not taken" if command.whole else ""
    return f"{command}: it parsed nothing"


def test_tox_has_the_environments() -> None:
    ini = configparser.ConfigParser(interpolation=None)
    ini.read(ROOT / "tox.ini")
    there = {name for section in ini.sections() for name in re.findall(r"\w+", section.partition(":")[2])}
    for command in commands_of("tox", 10):
        asked = [after for option, after in zip(command.words, command.words[1:], strict=False) if option == "-e"]
        assert {name for names in asked for name in names.split(",")} <= there, command


def test_names_in_commands_are_there() -> None:
    for command in COMMANDS:
        for before, word in zip(command.words, command.words[1:], strict=False):
            option, _, value = word.partition("=") if word.startswith("--") and "=" in word else (before, "", word)
            if option in VALUES and not value.isupper():
                assert value in VALUES[option], f"{command}: no {value}"
        for word in command.words:
            if re.match(r"(models|tests|benchmarks)/", word) and word not in OF_READERS:
                assert (ROOT / word).exists(), f"{command}: no {word}"
