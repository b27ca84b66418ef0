"""The fixtures of a deployment, for a user's tests.

===============  =====================================================================================
`deployment`     model, path, int8 file and Vela's output (`hil.harness.evaluation.evaluator.Deployment`)
`parity`         target against the oracle bit by bit, and against Keras (`hil.harness.evaluation.parity.Parity`)
`accuracy`       the model's metric and its drop against the float base (`hil.harness.metrics.accuracy.Accuracy`;
                 of an int8 file the metric alone, `AbsoluteAccuracy`)
`latency`        cycles and milliseconds of an inference (`hil.harness.evaluation.cost.Latency`)
`memory`         bytes of SRAM, flash and encoded weights (`hil.harness.evaluation.cost.Memory`)
`profile`        cycles by layer, modelled on every target (`hil.harness.profile.layer.Profile`)
`budget`         the limits of this test, and their `check` (`hil.harness.pytest_plugin.budget.DeploymentBudget`)
===============  =====================================================================================

A deployment is made once a session, and measured once, however many tests look at it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from hil.harness.pytest_plugin.board_reports import begin_use
from hil.harness.pytest_plugin.budget import DeploymentBudget, limits_of_test, marked_layer_limits
from hil.harness.pytest_plugin.options import OPTIONS

if TYPE_CHECKING:
    from hil.harness.evaluation.cost import Latency, Memory, WholeLatency
    from hil.harness.evaluation.evaluator import Deployment, Evaluator
    from hil.harness.evaluation.parity import Parity
    from hil.harness.metrics.accuracy import AbsoluteAccuracy, Accuracy
    from hil.harness.profile.profile import Profile


class NoLatency:
    """Latency on a target that has none: a test that reads a figure of it skips there, with the reason."""

    def __init__(self, target: str) -> None:
        self._target = target

    @property
    def ms(self) -> float:
        pytest.skip(f"the target {self._target} measures no latency; use sim, fvp or a board")

    cycles = npu_ms = trust = ms


@pytest.fixture(scope="session")
def bench(request: pytest.FixtureRequest) -> Iterator[Evaluator]:
    """The evaluator of this session: its target, pipeline and store."""
    from hil.harness.evaluation.evaluator import Evaluator
    from hil.harness.pipeline import Pipeline
    from hil.harness.pytest_plugin.progress import PytestProgress
    from hil.harness.store.store import Store, default_root

    chosen = request.config.stash[OPTIONS]
    pipeline = Pipeline(
        Store(chosen.store or default_root()),
        PytestProgress(request.config, len(request.session.items)),
        compute=chosen.compute,
    )
    made = Evaluator(pipeline, chosen.target_name, chosen.settings[0], chosen.samples, chosen.of_target)
    with contextlib.closing(made.target):
        begin_use(request.config, made.target)
        _ = made.target_identity  # a target that cannot run is known before anything is trained
        yield made


@pytest.fixture(scope="session")
def deployment(request: pytest.FixtureRequest, bench: Evaluator) -> Deployment:
    """The deployment of this test's parameters, ready to run."""
    model, path, vela = request.param
    return bench.with_vela(vela).deploy(model, path)


@pytest.fixture
def parity(request: pytest.FixtureRequest, bench: Evaluator, deployment: Deployment) -> Parity:
    """Target against oracle; writes for a mismatch a bundle that reproduces it, and reports its folder."""
    result = bench.parity(deployment)
    if result.mismatches or result.sim_mismatches:
        from hil.harness.evaluation.mismatch_bundle import explain_mismatch

        request.node.add_report_section("call", "parity", explain_mismatch(bench, deployment, request.config.rootpath))
    return result


@pytest.fixture
def accuracy(bench: Evaluator, deployment: Deployment) -> Accuracy | AbsoluteAccuracy:
    """The model's own metric, paired with the float Keras base on the same samples if there is one."""
    return bench.accuracy(deployment)


@pytest.fixture
def latency(bench: Evaluator, deployment: Deployment) -> Latency | WholeLatency | NoLatency:
    """Cycles and time of one inference."""
    return NoLatency(bench.target_name) if bench.declaration.latency is None else bench.latency(deployment)


@pytest.fixture
def memory(bench: Evaluator, deployment: Deployment) -> Memory:
    """SRAM, flash and encoded weights."""
    return bench.memory(deployment)


@pytest.fixture
def profile(bench: Evaluator, deployment: Deployment) -> Profile:
    """Cycles, traffic and weights of each layer."""
    return bench.profile(deployment)


@pytest.fixture
def budget(request: pytest.FixtureRequest, bench: Evaluator, deployment: Deployment) -> DeploymentBudget:
    """The limits that hold for this test."""
    limits, of_layers = limits_of_test(request.node, deployment.model), marked_layer_limits(request.node)
    return DeploymentBudget(limits, bench, deployment, of_layers)
