"""Another version of Vela beside the installed one: installed once and whole, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hil.core.errors import BadInputError, CompileError, UnavailableError
from hil.fvp.inference.admission import check
from hil.fvp.inference.firmware import Firmware
from hil.harness.vela.compiler import compile_model
from hil.harness.vela.other_versions import OtherVela
from hil.harness.vela.settings import VelaSettings
from hil.npu.vela_output import is_compiled
from hil.targets import create
from hil.targets.base import Deployable

pytestmark = pytest.mark.xdist_group("other-vela")


def test_its_output_and_figures_are_its_own(
    other_vela: OtherVela, made: Callable[[str], bytes], runner: Firmware
) -> None:
    int8 = made("stripes")
    found, ours = other_vela.compile_model(int8, VelaSettings()), compile_model(int8, VelaSettings())
    assert is_compiled(found.model)
    assert found.model != ours.model
    assert {one.operator_index for one in found.mapping} == {0, 1, 2, 5}
    assert (found.summary.cpu_operators, ours.summary.cpu_operators) == (("MAX_POOL_2D",), ())
    assert "[System_Config.Ethos_U55_High_End_Embedded]" in other_vela.config_text
    inputs = [np.random.default_rng(0).integers(-128, 128, (2, 24, 24, 4), np.int8)]
    one, other = (create("sim").run(Deployable(int8, output.model), inputs).outputs for output in (found, ours))
    assert np.array_equal(one, other)
    check(found.model, [24 * 24 * 4], [5], 128, runner)


def test_what_it_refuses_is_one_line(other_vela: OtherVela, made: Callable[[str], bytes]) -> None:
    int8 = made("stripes")
    for settings, line in (
        (VelaSettings(options=("--nonsense",)), "Vela 4.5.0 does not take these settings: unrecognized arguments"),
        (VelaSettings(memory_mode="None_Such"), "Vela 4.5.0 does not take these settings: Incorrect argument"),
    ):
        with pytest.raises(BadInputError, match=line):
            other_vela.compile_model(int8, settings)
    with pytest.raises((BadInputError, CompileError), match="the model"):
        other_vela.compile_model(int8[: len(int8) // 2], VelaSettings())


def test_a_version_that_cannot_be_had_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    vela = OtherVela("4.5.99", tmp_path)
    with pytest.raises(UnavailableError, match=r"Vela 4\.5\.99 cannot be installed: No matching distribution"):
        vela.install()
    assert not vela.is_installed
    assert not [path for path in tmp_path.rglob("*") if path.is_dir() and path.name != "unfinished"]
    with pytest.raises(UnavailableError, match="is not installed here"):
        vela.compile_model(b"", VelaSettings())
    for text in ("", "latest", "4.5.0 --pre", "../4.5.0"):
        with pytest.raises(BadInputError, match="is no version"):
            OtherVela(text, tmp_path)
