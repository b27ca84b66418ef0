"""`hil bisect` finds by exchange which part of a night has changed a figure, and by how much."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from hil.core.errors import BadInputError
from hil.harness.attribution.attribution import Attribution
from hil.harness.attribution.attribution_table import attribution_json, format_attribution
from hil.harness.attribution.selection import select
from hil.harness.cli import app
from hil.harness.report.reader import read_content
from hil.harness.store.store import Artifact
from hil.harness.vela.other_versions import OtherVela
from hil.harness.vela.settings import VelaSettings
from tests.support import nights
from tests.support.nights import NAME, Nights

SIZE = VelaSettings(options=("--optimise Size",))
SPARSE: dict[str, Any] = {"sparsity": 0.9}
pytestmark = pytest.mark.xdist_group("attribution")


@pytest.fixture(scope="module")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> Nights:
    return nights.make(tmp_path_factory.mktemp("nights"))


@pytest.fixture(scope="module")
def main(blobs: Nights) -> str:
    """The baseline."""
    run = blobs.record()
    blobs.results.set_baseline("main", run)
    return run


@pytest.fixture(scope="module")
def both(blobs: Nights, main: str) -> str:
    """A night with another model and another option of Vela."""
    return blobs.record(SIZE, **SPARSE)


def alone(found: Attribution, figure: str) -> dict[str, float]:
    return {part: float(one.alone) for part, one in found.figures[figure].shares.parts.items()}


def test_a_model_and_an_option_of_the_same_night_get_their_shares(blobs: Nights, main: str, both: str) -> None:
    found = blobs.attribute(both, main)
    assert {part.name for part in found.parts} == {"model", "vela_options"}
    assert (found.notes, found.missing, found.method) == ((), {}, "shapley")
    only_model, only_option = blobs.record(**SPARSE), blobs.record(SIZE)
    for name, figure in found.figures.items():
        shares = figure.shares
        assert (shares.before, shares.after) == (blobs.figure(main, name), blobs.figure(both, name)), name
        assert sum(one.share for one in shares.parts.values()) == shares.change
        assert figure.unexplained == 0
        assert alone(found, name) == {
            "model": blobs.figure(only_model, name) - blobs.figure(main, name),
            "vela_options": blobs.figure(only_option, name) - blobs.figure(main, name),
        }
    assert found.figures["encoded_weights"].shares.parts["model"].share < 0
    assert found.figures["npu_cycles"].shares.parts["vela_options"].share != 0
    assert sum(one.change for one in found.layers) == found.figures["npu_cycles"].shares.change


def test_the_layers_are_those_of_the_model_and_add_up(blobs: Nights, main: str, both: str) -> None:
    layers = blobs.attribute(both, main).layers
    assert layers
    assert all(re.match(r"(CONV_2D|FULLY_CONNECTED) \d ", one.layer) for one in layers)
    assert [abs(one.change) for one in layers] == sorted((abs(one.change) for one in layers), reverse=True)


def test_a_figure_that_cannot_be_made_again_is_noted(blobs: Nights, main: str) -> None:
    cycles = blobs.figure(main, "npu_cycles")
    odd = blobs.record(changed={"npu_cycles": cycles + 4})
    found = blobs.attribute(odd, main)
    assert found.parts == ()
    assert f"run, npu_cycles: recorded {cycles + 4:,.0f} cycles, made again {cycles:,.0f}: something" in found.notes[0]
    assert found.figures["npu_cycles"].unexplained == 4
    assert "not made again" in format_attribution(found)


def test_the_change_on_another_target_keeps_a_rest(blobs: Nights, main: str) -> None:
    cycles = {run: blobs.figure(run, "npu_cycles") for run in (main, blobs.record(SIZE))}
    before, after = (
        blobs.record(settings, changed={"npu_cycles": 2 * count}, target="fvp")
        for settings, count in zip((None, SIZE), cycles.values(), strict=True)
    )
    found = blobs.attribute(after, before)
    figure = found.figures["npu_cycles"]
    assert figure.shares.change == figure.unexplained
    assert found.notes == ()
    assert "rest, on fvp alone" in format_attribution(found)


def test_a_part_that_is_gone_is_named_and_the_others_are_exchanged(blobs: Nights, main: str, tmp_path: Path) -> None:
    gone = blobs.record(SIZE, sparsity=0.7)
    (pair,) = select(blobs.results, gone, main)
    sha256 = pair.after.record.identity["int8_sha256"]
    whole = blobs.attribute(gone, main)
    (path,) = [one.path("model.tflite") for one in blobs.store.artifacts() if _holds(one, sha256)]
    (tmp_path / "given.tflite").write_bytes(path.read_bytes())
    blobs.forget("tflite", "model.tflite", sha256)
    found = blobs.attribute(gone, main)
    assert found.missing == {"model": f"the int8 file {sha256[:8]} is no longer in the store"}
    assert [part.name for part in found.parts] == ["vela_options"]
    assert found.notes == ()  # the baseline is made again as it was, the run cannot be
    for name, figure in found.figures.items():
        assert figure.shares.change == alone(whole, name)["vela_options"]
        assert figure.shares.change + figure.unexplained == whole.figures[name].shares.change
    shown = " ".join(format_attribution(found, width=80).split())
    assert f"model: not exchanged: the int8 file {sha256[:8]} is no longer in the store" in shown
    assert "prune sparsity 0.5 -> 0.7" in shown
    assert attribution_json(blobs.attribute(gone, main, None, tmp_path)) == attribution_json(whole)


def _holds(artifact: Artifact, sha256: str) -> bool:
    return artifact.step == "tflite" and artifact.digest("model.tflite") == sha256


def test_a_configuration_of_which_the_hash_alone_is_left_is_named(blobs: Nights, main: str) -> None:
    ini = Path(_vela_ini()).read_text()
    slow = VelaSettings(config_text=ini.replace("core_clock=500e6", "core_clock=250e6"))
    run = blobs.record(slow)
    found = blobs.attribute(run, main)
    assert [part.name for part in found.parts] == ["vela_config"]
    shares = found.figures["latency"].shares
    assert shares.parts["vela_config"].share == shares.change > 0
    for artifact in list(blobs.store.artifacts()):
        if artifact.step == "vela" and artifact.manifest["recipe"]["settings"]["config_text"]:
            blobs.store.remove(artifact)
    assert "only its hash" in blobs.attribute(run, main).missing["vela_config"]


def _vela_ini() -> Path:
    import ethosu

    return Path(next(iter(ethosu.__path__)), "config_files", "Arm", "vela.ini")


def test_operators_that_an_option_leaves_to_the_cpu_are_a_figure(blobs: Nights, main: str) -> None:
    found = blobs.attribute(blobs.record(VelaSettings(options=("--ignore-ops FULLY_CONNECTED",))), main)
    figure = found.figures["cpu_operators"]
    assert (figure.shares.before, figure.shares.parts["vela_options"].share) == (0, 1)
    assert (figure.unexplained, found.notes) == (0, ())
    (dense,) = [one for one in found.layers if one.layer.startswith("FULLY_CONNECTED")]
    assert dense.after is None
    assert "latency" not in found.figures


def test_parts_that_only_go_together_are_one(blobs: Nights, main: str) -> None:
    other = blobs.record(VelaSettings("ethos-u65-256"))
    found = blobs.attribute(other, main)
    (part,) = found.parts
    assert part.name == "accelerator + memory_mode + system_config"
    assert (part.before, part.after) == (
        "ethos-u55-128, Shared_Sram, Ethos_U55_High_End_Embedded",
        "ethos-u65-256, Dedicated_Sram, Ethos_U65_High_End",
    )
    assert "some parts only go together: Ethos_U55_High_End_Embedded is no system configuration" in found.notes[0]
    assert found.figures["npu_cycles"].unexplained == 0


@pytest.mark.nightly
def test_another_vela_is_installed_on_request_and_gets_its_share(
    blobs: Nights, other_vela: OtherVela, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old, new = blobs.record(by=other_vela), blobs.record(SIZE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = blobs.attribute(new, old)
    assert found.missing == {"vela": "Vela 4.5.0 is not installed here: --install installs it in its own environment"}
    assert [part.name for part in found.parts] == ["vela_options"]
    monkeypatch.setenv("XDG_CACHE_HOME", str(other_vela.root.parent.parent))
    found = blobs.attribute(new, old)
    assert {part.name for part in found.parts} == {"vela", "vela_options"}
    assert found.notes == ()
    for name, figure in found.figures.items():
        shares = figure.shares
        assert (shares.before, shares.after) == (blobs.figure(old, name), blobs.figure(new, name)), name
        assert sum(one.share for one in shares.parts.values()) == shares.change
    assert found.figures["flash"].shares.parts["vela"].share < 0
    assert found.layers


def test_settings_of_a_recipe_are_exchanged_by_training(blobs: Nights, main: str) -> None:
    run = blobs.record(SIZE, sparsity=0.9, calibration=16)
    found = blobs.attribute(run, main, lambda name: blobs.model())
    assert {part.name: (part.before, part.after) for part in found.parts} == {
        "sparsity": ("0.5", "0.9"),
        "calibration": ("64", "16"),
        "vela_options": ("", "--optimise Size"),
    }
    assert found.notes == ()
    shares = found.figures["encoded_weights"].shares
    assert shares.parts["sparsity"].share < 0
    assert sum(one.share for one in shares.parts.values()) == shares.change
    pruned = [one.manifest["recipe"]["settings"]["sparsity"] for one in blobs.store.artifacts() if one.step == "prune"]
    assert len(pruned) == len(set(pruned)), "each was trained once"


def test_the_command_prints_a_table_and_json(
    blobs: Nights, main: str, both: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(blobs.folder)
    monkeypatch.setenv("COLUMNS", "80")
    arguments = ["bisect", both, "main", "--results", "nightly.db", "--store", "store"]
    app(arguments, standalone_mode=False)
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert f"{NAME} on sim" in shown
    assert "vela_options: none -> --optimise Size" in shown
    assert "prune sparsity 0.5 -> 0.9" in shown
    (sram,) = (one for one in read_content(blobs.results, both, "main").findings if one.series.figure == "sram")
    assert any(line.startswith("vela_options: ") and line.endswith("(by exchange)") for line in sram.cause)
    app([*arguments, "--json", "--deployment", NAME], standalone_mode=False)
    said = json.loads(capsys.readouterr().out)
    assert (said["run"], said["baseline"]) == (both, main)
    (found,) = said["deployments"]
    for figure in found["figures"]:
        assert sum(one["change"] for one in figure["shares"]) + figure["rest"] == pytest.approx(figure["change"])
    for wrong, message in (
        (["--deployment", "none"], "not both runs have a deployment none"),
        (["--files", "none"], "none is no folder"),
    ):
        with pytest.raises(BadInputError, match=message):
            app([*arguments, *wrong], standalone_mode=False)
