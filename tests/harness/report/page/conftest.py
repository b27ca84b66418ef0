"""Fixtures of the page's tests: a browser, rendered pages, axe-core."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from hil.harness.report.page import page
from tests.support import report_content

if TYPE_CHECKING:
    from tests.support.browser import Browser

AXE = Path(__file__).parents[4] / ".tox/axe/node_modules/axe-core/axe.min.js"


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory, missing: Callable[[object], NoReturn]) -> Iterator[Browser]:
    """One browser for all tests of a worker."""
    pytest.importorskip("selenium")
    from tests.support.browser import find_programs, start

    programs = find_programs()
    if programs is None:
        missing("Chromium and its driver are not installed")
    with start(tmp_path_factory.mktemp("browser"), programs) as started:
        yield started


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
