"""Exchanges on the target of the runs: the open Corstone-300, the virtual board, and a board with drawn noise."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from hil.core.arrays import Array
from hil.core.errors import BadInputError, BoardLostError
from hil.core.measurement import Measurement, Trust
from hil.harness.attribution.attribution_table import attribution_json, format_attribution
from hil.harness.attribution.exchange_target import DeviceTarget, open_target
from hil.harness.attribution.noise import FigureNoise
from hil.harness.cli import app
from hil.harness.pipeline import Pipeline
from hil.harness.results import RunRecord
from hil.harness.store.store import Store
from hil.targets import create, registry
from hil.targets.base import Deployable, Progress, Run
from tests.support.fortnight import UNPLUGGED, Fortnight
from tests.support.json_schema import validate
from tests.support.nights import Nights

pytestmark = pytest.mark.xdist_group("fortnight")

BOARD = "shelf (drawn)"
ON_CORSTONE = "a model and an option on the Corstone-300"


@dataclass
class DrawnBoard:
    """A board whose cycles are those of `sim` with drawn noise, another one in each session; see `targets.base.Target`.

    Its repetitions of a session are equal.
    """

    name: str = "serial"
    noise: float = 0.0
    draw: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))
    sessions: int = 1

    def identity(self) -> dict[str, str]:
        return {"board": BOARD}

    def close(self) -> None:
        self.sessions += 1

    def run(self, model: Deployable, inputs: Sequence[Array], *, progress: Progress | None = None) -> Run:
        found = create("sim").run(model, inputs, progress=progress)
        cycles = next(one for one in found.measurements if one.name == "npu_cycles")
        value = round(cycles.value * (1 + self.noise * self.draw.standard_normal()))
        measured = replace(cycles, value=value, trust=Trust.MEASURED, repetitions=(value, value, value))
        clock = Measurement("npu_clock", 500e6, "Hz", Trust.MEASURED, "of the board")
        return replace(found, measurements=(measured, clock), identity=self.identity())


@pytest.mark.nightly
def test_the_corstone_300_gives_each_part_its_share(
    fortnight: Fortnight, runner: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(fortnight.nights.folder)
    words = ["bisect", fortnight.runs[ON_CORSTONE], "corstone", "--results", "nightly.db"]
    words += ["--store", str(fortnight.nights.store.root), "--target", "fvp", "--engine", "open", "--json"]
    app(words, standalone_mode=False)
    said = json.loads(capsys.readouterr().out)
    validate(said, "bisect")
    (found,) = said["deployments"]
    assert (found["target"], found["measured_on"], found["notes"], found["missing"]) == ("fvp", "fvp", [], [])
    assert {part["part"] for part in found["parts"]} == {"model", "vela_options"}
    cycles = next(one for one in found["figures"] if one["figure"] == "npu_cycles")
    assert cycles["recorded"] == [cycles["before"], cycles["after"]]
    assert sum(one["change"] for one in cycles["shares"]) == cycles["change"] != 0
    assert {(one["noise"], one["is_noise"]) for one in cycles["shares"]} == {(0, False)}
    with pytest.raises(BadInputError, match="did not run on serial"):
        app([*words[:-4], "serial", "--board", "virtual"], standalone_mode=False)


def test_the_virtual_board_says_what_the_run_said(fortnight: Fortnight, monitor: object) -> None:
    run, baseline = fortnight.runs["a slower model on the virtual board"], fortnight.runs["virtual"]
    declared = registry.declaration("serial")
    options = declared.options(board="virtual", repetitions=1)
    with open_target(declared, options, Pipeline(fortnight.nights.store)) as target:
        found = fortnight.nights.attribute(run, baseline, target=target)
    assert (found.measured_on, found.missing, found.notes) == ("serial", {}, ())
    cycles = found.figures["npu_cycles"]
    assert cycles.shares.parts["model"].share == cycles.ends[1] - cycles.ends[0] > 0


def test_a_target_that_is_not_there_is_named_before_anything_is_compiled(tmp_path: Path) -> None:
    (tmp_path / "gone.toml").write_text(UNPLUGGED)
    declared = registry.declaration("serial")
    options = declared.options(board=str(tmp_path / "gone.toml"))
    with pytest.raises(BoardLostError, match="gone"), open_target(declared, options, Pipeline(Store(tmp_path))):
        pass


@pytest.fixture(scope="module")
def on_board(fortnight: Fortnight, tmp_path_factory: pytest.TempPathFactory) -> tuple[Nights, str, str]:
    """The nights with another model and option and of its baseline, as if the drawn board had measured what `sim` did.

    They are in a database of their own.
    """
    nights, runs = replace(fortnight.nights, folder=tmp_path_factory.mktemp("board")), []
    for name in ("a model and an option", "main"):
        (of_sim,) = fortnight.nights.results.figures(fortnight.runs[name])
        cycles = of_sim.figures["npu_cycles"]
        identity = {**of_sim.record.identity, "target": "serial", "board": BOARD}
        run = nights.results.begin(RunRecord("pytest"))
        deployment = run.deployment(replace(of_sim.record, target="serial", identity=identity))
        run.measurements(deployment, [replace(cycles, trust="measured", repetitions=(cycles.value,))])
        run.finish(0)
        runs.append(run.id)
    return nights, runs[0], runs[1]


@pytest.mark.parametrize(("noise", "hidden"), [(0.0005, set()), (0.5, {"model", "vela_options"})])
def test_shares_within_the_noise_are_not_named(
    on_board: tuple[Nights, str, str], noise: float, hidden: set[str]
) -> None:
    nights, *runs = on_board
    board = DrawnBoard(noise=noise)

    def noise_of(*_: object) -> FigureNoise:
        return FigureNoise(4 * noise * 1074, "drawn")

    found = nights.attribute(*runs, target=DeviceTarget(board), noise_of=noise_of)
    cycles = found.figures["npu_cycles"]
    assert {part for part, one in cycles.shares.parts.items() if cycles.is_noise(one.share, one.spread)} == hidden
    assert board.sessions == 4, "each exchange after the first one has a session of its own"
    assert found.notes == ()
    assert ("a share marked noise may be nothing else" in format_attribution(found)) == bool(hidden)
    validate({"run": "", "baseline": "", "deployments": [attribution_json(found)]}, "bisect")
    (said,) = (one for one in attribution_json(found)["figures"] if one["figure"] == "npu_cycles")
    assert {one["part"] for one in said["shares"] if one["is_noise"]} == hidden


def test_without_calibration_no_share_of_a_measured_figure_is_named(on_board: tuple[Nights, str, str]) -> None:
    nights, *runs = on_board
    found = nights.attribute(*runs, target=DeviceTarget(DrawnBoard()))
    cycles, weights = found.figures["npu_cycles"], found.figures["encoded_weights"]
    assert all(cycles.is_noise(one.share, one.spread) for one in cycles.shares.parts.values())
    assert not any(weights.is_noise(one.share, one.spread) for one in weights.shares.parts.values())
    assert "noise is not known: no calibration, and 1 of 12 nights" in " ".join(format_attribution(found).split())


def test_sessions_are_for_what_measures() -> None:
    with pytest.raises(BadInputError, match="--sessions 3: exchanges on sim have no noise"):
        app(["bisect", "latest", "main", "--sessions", "3"], standalone_mode=False)


def test_further_sessions_narrow_the_noise() -> None:
    one, three = (FigureNoise(30.0, "drawn", sessions) for sessions in (1, 3))
    assert one.bound(1.0) == 30.0
    assert three.bound(1.0) == pytest.approx(30 * np.sqrt(0.5))
    assert one.hides(Fraction(30), 1.0)
    assert not three.hides(Fraction(30), 1.0)
