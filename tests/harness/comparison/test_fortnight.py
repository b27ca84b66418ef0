"""A scripted fortnight: each thing that happens to nightly runs lands on its verdict and names its cause."""

from __future__ import annotations

import pytest

from hil.harness.attribution.attribution_table import attribution_json
from hil.harness.comparison.comparison import Comparison, Outcome
from hil.harness.comparison.comparison_table import comparison_json, format_comparison
from hil.harness.comparison.stored_runs import compare_stored
from hil.harness.results.document import document
from tests.support.fortnight import BASELINES, EVENTS, Fortnight
from tests.support.json_schema import validate
from tests.support.nights import NAME

pytestmark = pytest.mark.xdist_group("fortnight")
FIXTURES = {"other_vela": "other_vela", "corstone": "runner", "virtual": "monitor"}
"""Part of the machine -> the fixture that skips where it is missing."""


def outcome(found: Comparison, figure: str) -> str:
    (one,) = (one for one in found.figures if one.figure == figure)
    return one.outcome.value


def require_part(name: str, request: pytest.FixtureRequest) -> None:
    """Skips a test of an event that needs what this machine lacks; in CI it fails."""
    if part := EVENTS[name].part:
        request.getfixturevalue(FIXTURES[part])


@pytest.mark.parametrize("name", EVENTS)
def test_each_event_lands_on_its_verdict_and_its_cause(
    name: str, fortnight: Fortnight, request: pytest.FixtureRequest
) -> None:
    event = EVENTS[name]
    require_part(name, request)
    found = fortnight.compared[name]
    assert {figure: outcome(found, figure) for figure in event.verdicts} == event.verdicts
    assert found.exit_code() == event.exit_code
    validate(comparison_json(found, fortnight.runs[name], event.against, strict=False), "compare")
    assert set(found.changes.get(NAME, {})) == event.changes


def test_the_changed_setting_of_the_recipe_is_named(fortnight: Fortnight) -> None:
    shown = format_comparison(fortnight.compared["a slower model"], "latest", "main", width=200)
    assert "prune sparsity 0.5 -> 0.1" in " ".join(shown.split())


@pytest.mark.parametrize("name", ["another option of Vela", "another Vela"])
def test_what_is_tested_may_vary(name: str, fortnight: Fortnight, request: pytest.FixtureRequest) -> None:
    require_part(name, request)
    found = compare_stored(fortnight.nights.results, fortnight.runs[name], fortnight.runs["main"], vary=["vela"])
    assert outcome(found, "npu_cycles") in ("worse", "better")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("another Vela", {"vela"}),
        ("a model and an option", {"model", "vela_options"}),
        ("a model and an option on the Corstone-300", {"model", "vela_options"}),
    ],
)
def test_the_exchange_gives_each_part_its_share(
    name: str,
    parts: set[str],
    fortnight: Fortnight,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    require_part(name, request)
    if fortnight.parts.other_vela is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(fortnight.parts.other_vela.root.parent.parent))
    found = fortnight.nights.attribute(fortnight.runs[name], fortnight.runs[EVENTS[name].against])
    assert {part.name for part in found.parts} == parts
    validate({"run": "", "baseline": "", "deployments": [attribution_json(found)]}, "bisect")
    assert (found.missing, found.notes) == ({}, ())
    for figure in ("npu_cycles", "encoded_weights"):
        shares = found.figures[figure].shares
        assert sum(one.share for one in shares.parts.values()) == shares.change != 0
        assert found.figures[figure].unexplained == 0


def test_infrastructure_is_no_regression_and_strict_fails_what_has_no_verdict(fortnight: Fortnight) -> None:
    strict = {name: found.exit_code(strict=True) for name, found in fortnight.compared.items()}
    assert [strict[name] for name in ("a night like any other", "noise", "a step inside the noise")] == [0, 0, 0]
    assert [strict[name] for name in ("another option of Vela", "a step that no further session repeats")] == [1, 1]
    assert strict["a dead board"] == 3
    assert {one.outcome for one in fortnight.compared["a dead board"].figures} == {Outcome.NOT_RUN}


def test_a_killed_run_is_unfinished(fortnight: Fortnight) -> None:
    stored = fortnight.nights.results.run(fortnight.runs["a killed run"])
    assert (stored.state, stored.exit_code, stored.figures) == ("unfinished", None, 1)


def test_every_night_is_documented_by_the_schema(fortnight: Fortnight) -> None:
    results = fortnight.nights.results
    for run in results.runs():
        validate(document(results, run), "run")


def test_the_nights_are_those_of_a_fortnight(fortnight: Fortnight) -> None:
    results = fortnight.nights.results
    dates = {name: results.run(run).started.date() for name, run in fortnight.runs.items()}
    assert [(dates[name] - dates["main"]).days for name in fortnight.compared] == [
        EVENTS[name].night for name in fortnight.compared
    ]
    assert set(BASELINES) <= {one.name for one in results.baselines()}
