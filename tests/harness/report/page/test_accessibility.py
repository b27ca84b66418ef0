"""The page for everyone: axe-core finds nothing, in light and dark, wide and narrow; colours have contrast."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hil.harness.drawing.canvas import CARD, COLORS, PAPER, TINT

if TYPE_CHECKING:
    from tests.support.browser import Browser

_ENOUGH = 4.5
_RUN = "axe.run(document, {resultTypes: ['violations']}).then(arguments[0], error => arguments[0]({error: `${error}`}))"


@pytest.mark.xdist_group("browser")
@pytest.mark.parametrize(
    ("name", "width", "dark"),
    [
        ("everything", 1200, False),
        ("everything", 360, True),
        pytest.param("hostile", 360, False, marks=pytest.mark.nightly),
    ],
)
def test_axe_finds_nothing(
    rendered: Callable[[str], Path], browser: Browser, axe: str, name: str, width: int, dark: bool
) -> None:
    browser.open(rendered(name), width=width, dark=dark)
    browser.script("document.querySelectorAll('details').forEach(one => { one.open = true })")
    browser.wait("return document.querySelectorAll('.pictures svg').length === 4")
    browser.script(axe)
    browser.driver.set_script_timeout(120)
    found: dict[str, Any] = browser.driver.execute_async_script(_RUN)
    assert "error" not in found
    assert [(one["impact"], one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == []
    assert len(found["passes"]) > 20


def _luminance(color: str) -> float:
    """Relative luminance of WCAG 2."""
    shares = [int(pair, 16) / 255 for pair in re.findall("..", color[1:])]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return sum(weight * share for weight, share in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _contrast(one: str, other: str) -> float:
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_every_colour_of_text_has_contrast() -> None:
    texts = ("ink", "soft", "accent", "green", "amber", "red")
    dark_of = dict(COLORS.values())
    light_of = {name: light for light, (name, _) in COLORS.items()}
    papers = [COLORS[paper][0] for paper in (PAPER, CARD, TINT)]
    faint = [
        (text, paper, round(_contrast(scheme[text], scheme[paper]), 2))
        for scheme in (light_of, dark_of)
        for text, paper in product(texts, papers)
        if _contrast(scheme[text], scheme[paper]) < _ENOUGH
    ]
    assert faint == []
