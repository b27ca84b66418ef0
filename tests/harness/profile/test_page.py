"""The pages in a real browser: silent, without requests, with every layer; and the pictures."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hil.harness.profile.modelled_cost import ModelledCost
from hil.harness.profile.page import comparison_page, profile_page, sweep_page
from hil.harness.profile.picture import profile_png, sweep_png
from hil.harness.profile.profile import Profile
from hil.harness.profile.sweep import SweepRow
from hil.harness.vela.settings import VelaSettings

pytest.importorskip("selenium")

from tests.support.browser import Browser

pytestmark = pytest.mark.xdist_group("browser")


def _u55(macs: int) -> VelaSettings:
    return VelaSettings(f"ethos-u55-{macs}")


def rows() -> Sequence[SweepRow]:
    """Three settings, of which the second is worse than the first, and one that cannot be compiled."""
    costs = [(100_000, 50_000), (120_000, 50_000), (200_000, 20_000)]
    found = [
        SweepRow(place, _u55(256 >> place), ModelledCost(cycles, 5e8, sram, 0, 70_000, 70_000, 0))
        for place, (cycles, sram) in enumerate(costs)
    ]
    return [*found, SweepRow(3, VelaSettings("ethos-u65-256"), "Vela does not compile <it>")]


def cells(browser: Browser, place: int) -> list[str]:
    return list(
        browser.script(f"return [...document.querySelectorAll('tbody tr')].map(r => r.cells[{place}].innerText)")
    )


def test_the_page_shows_every_layer_and_says_nothing_to_the_console(
    profile: Profile, browser: Browser, tmp_path: Path
) -> None:
    path = tmp_path / "profile.html"
    hostile = replace(profile, name="<script>alert(1)</script>")
    path.write_text(profile_page(hostile, ["faster with ethos-u55-256 -30.7 %"]), encoding="utf-8")
    for dark in (False, True):
        browser.open(path, dark=dark, scripts=False)
        browser.command("Emulation.setScriptExecutionDisabled", value=False)
        assert cells(browser, 0) == [layer.title for layer in profile.layers] + ["total"]
        assert cells(browser, 1)[-1] == f"{profile.cycles:,}"
        bars = browser.script("return document.querySelectorAll('svg.drawing path').length")
        assert bars >= len(profile.layers)
        text = browser.script("return document.body.innerText")
        assert "faster with ethos-u55-256" in text
        assert "AVERAGE_POOL_2D 12 is on the CPU: the Vela option --ignore-ops leaves it there" in text
        assert "against Arm's FVP" in text
        assert browser.script("return document.querySelectorAll('script').length") == 0
        background = browser.script("return getComputedStyle(document.body).backgroundColor")
        assert background == ("rgb(13, 17, 23)" if dark else "rgb(255, 255, 255)")  # the policy lets the style in
        browser.check_quiet()


def test_the_page_of_a_sweep_marks_the_front(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "sweep.html"
    path.write_text(sweep_page("model", rows()), encoding="utf-8")
    browser.open(path, width=400, scripts=False)
    browser.command("Emulation.setScriptExecutionDisabled", value=False)
    assert cells(browser, 0) == ["*", "", "*"]
    assert cells(browser, 1) == ["ethos-u55-256", "ethos-u55-128", "ethos-u55-64"]
    text = browser.script("return document.body.innerText")
    assert "not compiled: ethos-u65-256, Dedicated_Sram, Ethos_U65_High_End: Vela does not compile <it>" in text
    assert browser.script("return document.querySelectorAll('svg.drawing').length") == 2
    browser.check_quiet()


def test_the_page_of_a_comparison(profile: Profile, browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "comparison.html"
    path.write_text(comparison_page(profile, profile), encoding="utf-8")
    browser.open(path, scripts=False)
    browser.command("Emulation.setScriptExecutionDisabled", value=False)
    assert set(cells(browser, 3)) == {"0"}
    identities = browser.script("return [...document.querySelectorAll('[id]')].map(one => one.id)")
    assert len(identities) == len(set(identities))
    browser.check_quiet()


def test_the_pictures_have_colours(profile: Profile) -> None:
    from PIL import Image

    for data in (profile_png(profile), sweep_png(rows())):
        pixels = np.asarray(Image.open(io.BytesIO(data)))
        assert pixels.shape[0] > 300
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50
