"""Fixtures of the page's tests: rendered pages, axe-core."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from hil.harness.report.page import page
from tests.support import report_content

AXE = Path(__file__).parents[4] / ".tox/axe/node_modules/axe-core/axe.min.js"


@pytest.fixture(scope="session")
def axe(missing: Callable[[object], NoReturn]) -> str:
    """The script of axe-core."""
    if not AXE.is_file():
        missing("axe-core is not installed: .ci/axe/install .tox/axe")
    return AXE.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives the page of a content of `tests.support.report_content` by name."""
    folder = tmp_path_factory.mktemp("pages")

    def render(name: str) -> Path:
        path = Path(folder) / f"{name}.html"
        if not path.exists():
            path.write_text(page(getattr(report_content, name)()), encoding="utf-8")
        return path

    return render
