"""Links of the pages lead to files and headings that are there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RULES = "MD051,MD057"
"""Anchors of headings, on the page and on others; relative files."""


def check(*paths: str | Path) -> tuple[int, str]:
    command = [Path(sys.executable).with_name("rumdl"), "check", "--isolated", "--no-cache", "--enable", RULES, *paths]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_links_lead_to_files_and_headings() -> None:
    code, said = check("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs")
    assert code == 0, said


@pytest.mark.parametrize(
    "link",
    ["#nothing", "#the-same-2", "other.md", "page.py", "picture.png", "second.md#nothing", "second.md#a-heading-1"],
)
def test_a_link_to_nothing_is_found(tmp_path: Path, link: str) -> None:
    (tmp_path / "second.md").write_text("# A heading\n")
    page = tmp_path / "first.md"
    page.write_text("# The same\n\n# The same\n\n[one](#the-same-1), [two](second.md#a-heading), [three](second.md)\n")
    assert check(tmp_path)[0] == 0
    page.write_text(f"{page.read_text()}\n[link]({link})\n")
    code, said = check(tmp_path)
    assert code == 1
    assert "first.md:7" in said
