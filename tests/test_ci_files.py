"""The files of docs/ci: pytest takes their commands.  `tox -e lint` checks them against the services' schemas."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).parents[1] / "docs" / "ci"
FILES = sorted(FOLDER.glob("*.yml"))
NO_TESTS = 5


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = [*value.values()]
    if isinstance(value, list):
        for part in value:
            yield from _texts(part)
    elif isinstance(value, str):
        yield value


def _commands() -> set[str]:
    texts = [text for file in FILES for text in _texts(yaml.safe_load(file.read_text()))]
    return {match[1].strip() for text in texts for match in re.finditer(r"\bpytest( --[^|\n]*)", text)}


def test_both_services_have_a_file_and_the_same_commands() -> None:
    assert [file.name for file in FILES] == ["github.yml", "gitlab.yml"]
    assert len(_commands()) == 2  # on the Corstone-300, and on a board


@pytest.mark.parametrize("command", sorted(_commands()))
def test_pytest_takes_the_command(tmp_path: Path, command: str) -> None:
    for folder in ("boards", "models"):
        (tmp_path / folder).mkdir()
    (tmp_path / "boards" / "desk.toml").write_text('accelerator = "ethos-u55-128"\n')
    done = subprocess.run([sys.executable, "-m", "pytest", "-p", "no:pytest_embedded", *command.split()], cwd=tmp_path)
    assert done.returncode == NO_TESTS
