"""Two runs are compared figure by figure: only what is comparable is judged, and what differs is named."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace

import pytest

from hil.core.errors import BadInputError
from hil.harness.comparison.comparison import Comparison, Outcome, Past, compare
from hil.harness.comparison.comparison_table import comparison_json, format_comparison
from hil.harness.comparison.dependencies import PARTS, check_parts, differences, part_of
from hil.harness.comparison.direction import METRIC, metric_field
from hil.harness.comparison.gates import Gate, gates_of, parse_gate, parse_lines
from hil.harness.judgement import Noise, calibrate
from hil.harness.results.records import DeploymentFigures, DeploymentRecord, FailureRecord, FigureRecord

IDENTITY = {
    "target": "sim",
    "vela": "5.2.0",
    "accelerator": "ethos-u55-128",
    "system_config": "Ethos_U55_High_End_Embedded",
    "engine_version": "0.9",
    "int8_sha256": "a" * 64,
    "recipe": '{"prune": {"sparsity": 0.5, "seed": 0}}',
    "tensorflow": "2.19.1",
    METRIC: metric_field("top1", False),
}
FIGURES = {"sram": 4096.0, "npu_cycles": 1000.0, "latency": 0.5, "accuracy": 0.9, "zeros": 0.5, "mismatches": 0.0}
UNITS = {"sram": "bytes", "npu_cycles": "cycles", "latency": "ms", "accuracy": "fraction", "mismatches": "elements"}


def deployed(
    name: str = "kws-pqat", identity: Mapping[str, str] = IDENTITY, trust: str = "modelled", **figures: float
) -> DeploymentFigures:
    record = DeploymentRecord(name, "kws", "pqat", identity["target"], identity)
    values = {**FIGURES, **figures}
    found = {key: FigureRecord(key, value, UNITS.get(key, "fraction"), trust) for key, value in values.items()}
    return DeploymentFigures(name, record, found)


def compared(after: DeploymentFigures, before: DeploymentFigures | None = None, **gates: str) -> Comparison:
    return compare([after], [before or deployed()], gates=lambda _: gates_of(gates))


def outcomes(found: Comparison) -> dict[str, str]:
    return {one.figure: one.outcome.value for one in found.figures}


def test_exact_figures_compare_exactly() -> None:
    found = compared(deployed(sram=4097, npu_cycles=999, accuracy=0.91, zeros=0.6))
    assert outcomes(found) == {
        **{"sram": "worse", "npu_cycles": "better", "latency": "same", "accuracy": "better", "zeros": "better"},
        "mismatches": "same",
    }
    assert found.fails
    assert found.exit_code() == 1
    assert not compared(deployed(zeros=0.1)).fails, "a figure without a gate is shown and fails nothing"


@pytest.mark.parametrize(("gate", "fails"), [("1", False), ("0.5, 0.02 %", True), ("1 %", False), ("off", False)])
def test_a_gate_allows_the_larger_of_its_amounts(gate: str, fails: bool) -> None:
    assert compared(deployed(sram=4097), sram=gate).fails is fails


def test_the_direction_of_a_metric_is_the_models() -> None:
    error = {**IDENTITY, METRIC: metric_field("mae", True)}
    found = compared(deployed(identity=error, accuracy=0.8), deployed(identity=error))
    assert outcomes(found)["accuracy"] == "better"


def test_figures_of_further_outputs_have_their_own_direction_and_gates() -> None:
    two = {**IDENTITY, METRIC: metric_field("top1", False, {"boxes.rmse": True, "mask.mean_iou": False})}
    before = {"boxes.rmse": 0.2, "boxes.rmse_drop": 0.01, "mask.mean_iou": 0.6, "mask.mean_iou_base": 0.7}
    after = {"boxes.rmse": 0.21, "boxes.rmse_drop": 0.0, "mask.mean_iou": 0.7, "mask.mean_iou_base": 0.6}
    pair = deployed(identity={**two, "vela": "5.1.0"}, **after), deployed(identity=two, **before)
    found = outcomes(compared(*pair))
    assert [found[name] for name in before] == ["worse", "better", "better", "worse"], "whatever Vela compiled them"
    assert found["accuracy"] == "same"
    gates = [compared(*pair, **{"boxes.rmse": text}).fails for text in ("0.02", "0.001")]
    assert gates == [False, True]


def test_what_depends_on_a_changed_part_is_not_compared_and_the_rest_is() -> None:
    other = deployed(identity={**IDENTITY, "vela": "5.1.0"}, sram=8192, accuracy=0.8)
    found = compared(other)
    assert outcomes(found) == {
        **{"sram": "not comparable", "npu_cycles": "not comparable", "latency": "not comparable"},
        **{"accuracy": "worse", "zeros": "same", "mismatches": "same"},
    }
    (sram,) = (one for one in found.figures if one.figure == "sram")
    assert sram.differs == {"vela": ("5.2.0", "5.1.0")}
    varied = compare([other], [deployed()], gates=lambda _: gates_of({}), vary={"vela"})
    assert outcomes(varied)["sram"] == "worse"


@pytest.mark.parametrize("field", ["int8_sha256", "model_sha256", "recipe", "network", "engine_choice", "port"])
def test_the_model_is_what_is_compared_and_remarks_are_nothing(field: str) -> None:
    assert not differences("latency", IDENTITY, {**IDENTITY, field: "other"})


@pytest.mark.parametrize(
    ("figure", "parts"),
    [
        ("tflite", {"data", "libraries"}),
        ("sram", {"data", "libraries", "vela", "accelerator", "memory_mode", "clock"}),
        ("latency", set(PARTS) - {"model"}),
        ("mismatches", set()),
    ],
)
def test_every_figure_depends_on_its_parts_alone(figure: str, parts: set[str]) -> None:
    fields = ["data", "numpy", "vela", "accelerator", "memory_mode", "system_config", "target", "firmware", "board"]
    fields += ["launcher", "int8_sha256"]
    found = {part_of(field) for field in fields if differences(figure, {field: "1"}, {field: "2"})}
    assert found == parts


def test_a_gated_figure_that_is_missing_fails_unless_its_gate_allows_it() -> None:
    without = deployed()
    without = replace(without, figures={key: one for key, one in without.figures.items() if key != "latency"})
    assert compared(without).exit_code() == 1
    assert compared(without, latency="missing ok").exit_code() == 0
    gone = compare([], [deployed()], gates=lambda _: gates_of({}))
    assert {one.outcome for one in gone.figures} == {Outcome.MISSING}


def test_a_deployment_for_several_accelerators_is_compared_on_each() -> None:
    small, large = ({**IDENTITY, "accelerator": f"ethos-u55-{macs}"} for macs in (32, 256))
    before = [deployed(identity=small, npu_cycles=2000), deployed(identity=large)]
    found = compare(
        [deployed(identity=large), deployed(identity=small, npu_cycles=2001)], before, gates=lambda _: gates_of({})
    )
    worse = [(one.deployment, one.before, one.after) for one in found.figures if one.outcome is Outcome.WORSE]
    assert worse == [("kws-pqat-ethos-u55-32", 2000, 2001)]
    assert {one.outcome for one in found.figures if one.deployment == "kws-pqat-ethos-u55-256"} == {Outcome.SAME}
    one_left = compare([deployed(identity=small)], before, gates=lambda _: gates_of({}))
    missing = {one.deployment for one in one_left.figures if one.outcome is Outcome.MISSING}
    assert missing == {"kws-pqat-ethos-u55-256"}


def test_infrastructure_is_no_regression_and_no_pass() -> None:
    lost = FailureRecord("t.py::test", "kws-pqat", "BoardLostError", True, "desk is lost")
    found = compare([], [deployed()], gates=lambda _: gates_of({}), failures=[lost])
    assert {one.outcome for one in found.figures} == {Outcome.NOT_RUN}
    assert found.exit_code() == 3
    assert "not run: BoardLostError: desk is lost" in format_comparison(found, "latest", "main", width=100)


def test_a_new_figure_is_told_and_has_no_verdict() -> None:
    found = compare([deployed("kws-cqat"), deployed()], [deployed()], gates=lambda _: gates_of({}))
    assert {one.outcome for one in found.figures if one.deployment == "kws-cqat"} == {Outcome.NEW}
    assert found.exit_code() == 0


def measured(*repetitions: float) -> DeploymentFigures:
    one = deployed(trust="measured")
    latency = FigureRecord("latency", sorted(repetitions)[len(repetitions) // 2], "ms", "measured", repetitions)
    return replace(one, figures={**one.figures, "latency": latency})


@pytest.mark.parametrize(
    ("after", "outcome"), [((0.5, 0.51, 0.5), "same"), ((0.9, 0.91, 0.9), "worse"), ((0.2, 0.21, 0.2), "better")]
)
def test_measured_figures_are_judged_by_their_noise(after: tuple[float, ...], outcome: str) -> None:
    noise: Noise = calibrate([(0.50 + 0.001 * night, 0.501 + 0.001 * night) for night in range(12)])
    found = compare(
        [measured(*after)], [measured(0.5, 0.5, 0.51)], gates=lambda _: gates_of({}), past=lambda *_: Past(noise)
    )
    assert outcomes(found)["latency"] == outcome


@pytest.mark.parametrize(
    ("further", "outcome", "code"),
    [((0.9, 0.91), "worse", 1), ((0.9, 0.5), "not confirmed", 0), ((0.5,), "not confirmed", 0), ((), "worse", 1)],
)
def test_an_alarm_must_survive_the_further_sessions(further: tuple[float, ...], outcome: str, code: int) -> None:
    noise = calibrate([(0.50 + 0.001 * night, 0.501 + 0.001 * night) for night in range(12)])
    after = measured(0.9, 0.91, 0.9)
    more = {f"latency#{2 + n}": FigureRecord("", value, "ms", "measured", (value,)) for n, value in enumerate(further)}
    after = replace(after, figures={**after.figures, **more})
    found = compare([after], [measured(0.5)], gates=lambda _: gates_of({}), past=lambda *_: Past(noise))
    assert outcomes(found)["latency"] == outcome
    assert (found.exit_code(), found.exit_code(strict=True)) == (code, 1)
    assert not [one for one in found.figures if "#" in one.figure]


def test_noise_that_nobody_knows_gives_no_verdict() -> None:
    found = compare([measured(0.9)], [measured(0.5)], gates=lambda _: gates_of({}))
    assert outcomes(found)["latency"] == "unknown"
    assert (found.exit_code(), found.exit_code(strict=True)) == (0, 1)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_what_is_no_finite_number_is_no_figure(value: float) -> None:
    found = compared(deployed(sram=value))
    assert outcomes(found)["sram"] == "missing"
    json.dumps(comparison_json(found, "a", "b", strict=False), allow_nan=False)
    broken = FigureRecord("latency", 1.0, "ms", "measured", (1.0, value))
    measured = deployed(trust="measured")
    found = compared(replace(measured, figures={**measured.figures, "latency": broken}), measured)
    assert outcomes(found)["latency"] == "missing"
    of_no_use = compared(deployed(sram=value), deployed(sram=value))
    assert (outcomes(of_no_use)["sram"], of_no_use.exit_code()) == ("missing", 1), "a figure that is none is no pass"
    assert outcomes(compared(deployed(), deployed(sram=value)))["sram"] == "new"


def test_a_run_that_did_not_come_to_its_end_lacks_nothing() -> None:
    whole = deployed()
    killed = replace(whole, figures={"sram": whole.figures["sram"]})
    found = compare([killed], [whole], gates=lambda _: gates_of({}), finished=False)
    assert (outcomes(found)["sram"], outcomes(found)["latency"], found.exit_code()) == ("same", "not run", 3)


def test_a_recipe_of_another_program_is_one_setting() -> None:
    for text in ("no JSON", "[1, 2]", "7"):
        before, after = deployed(identity={**IDENTITY, "recipe": text}), deployed(sram=5000)
        assert "recipe text" in " ".join(format_comparison(compared(after, before), "a", "b", width=400).split())


def test_figures_of_another_trust_or_unit_are_not_compared() -> None:
    found = compared(deployed(trust="measured"))
    assert set(outcomes(found).values()) == {"not comparable"}


def test_the_table_fits_and_names_what_changed() -> None:
    recipe = '{"prune": {"sparsity": 0.75, "seed": 0}}'
    after = deployed(identity={**IDENTITY, "recipe": recipe, "int8_sha256": "b" * 64}, npu_cycles=1100, latency=0.55)
    text = format_comparison(compared(after), "latest", "main", width=80, colour=False)
    assert max(map(len, text.splitlines())) <= 80
    assert text.splitlines()[0] == "latest against main: 2 worse, 3 same"
    assert "1,000  1,100    +100  +10.0  worse" in " ".join(text.split("\n"))
    assert "changed: int8_sha256 aaaaaaaa -> bbbbbbbb; prune sparsity 0.5 -> 0.75 (kws-pqat)" in " ".join(
        text.split("\n")
    )


def test_json_has_every_figure() -> None:
    found = comparison_json(compared(deployed(sram=4100)), "latest", "main", strict=False)
    assert found["exit_code"] == 1
    (sram,) = (one for one in found["figures"] if one["figure"] == "sram")
    assert (sram["verdict"], sram["change"], sram["fails"]) == ("worse", 4.0, True)


def test_gates_are_read_from_text() -> None:
    assert parse_gate("2 %") == Gate(relative=0.02)
    assert parse_gate("1 KiB, missing ok") == Gate(absolute=1024, required=False)
    assert parse_gate("10 cycles, 0.5 %") == Gate(10, 0.005)
    assert parse_lines(["latency: 2 %", "", "flash: off"]) == {"latency": "2 %", "flash": "off"}
    assert "flash" not in gates_of({"flash": "off"})
    assert gates_of({"sram": "1"}, {"sram": "2"})["sram"] == Gate(2)


@pytest.mark.parametrize("text", ["two", "-1", "1 % 2", "%", "1e999"])
def test_what_is_no_gate_is_one_line(text: str) -> None:
    with pytest.raises(BadInputError, match="is none"):
        parse_gate(text, "sram")


@pytest.mark.parametrize(
    ("figure", "text", "unit"),
    [
        ("latency", "50 us", "ms"),
        ("sram", "1 kB", "bytes"),
        ("npu_cycles", "1 %, 2 ms", "cycles"),
        ("flash", "3 ms", ""),
    ],
)
def test_a_unit_that_the_figure_does_not_have_is_one_line(figure: str, text: str, unit: str) -> None:
    with pytest.raises(BadInputError, match=f"the gate of {figure} is in .*, and the figure in {unit}"):
        gates_of({figure: text})
    with pytest.raises(BadInputError, match=r"the gate of accuracy is in points \(half a point"):
        gates_of({"accuracy": "0.5 points"})
    assert parse_gate("1 cycle", "npu_cycles") == parse_gate("1") == parse_gate("1 B", "sram") == Gate(1)
    assert gates_of({"accuracy": "0.5 dB", "my_counter": "3 beats", "latency": "2 MS"})["my_counter"] == Gate(3)


def test_wrong_lines_and_parts_are_refused() -> None:
    with pytest.raises(BadInputError, match="names no figure"):
        parse_lines(["latency 2 %"])
    with pytest.raises(BadInputError, match="no part of an identity"):
        check_parts(["velaa"])
