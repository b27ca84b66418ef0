"""The fixtures of a deployment, for a user's tests.

===============  =====================================================================================
`deployment`     model, path, int8 file and Vela's output (`hil.harness.evaluation.evaluator.Deployment`)
`parity`         target against the oracle bit by bit, and against Keras (`hil.harness.evaluation.parity.Parity`)
`accuracy`       the model's metric and its drop against the float base (`hil.harness.metrics.accuracy.Accuracy`)
`latency`        cycles and milliseconds of an inference (`hil.harness.evaluation.cost.Latency`)
`memory`         bytes of SRAM, flash and encoded weights (`hil.harness.evaluation.cost.Memory`)
`budget`         the model file's limits, with those of the mark `hil_budget` in their place
===============  =====================================================================================

A deployment is made once a session, and measured once, however many tests look at it.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from hil.harness.pytest_plugin.options import OPTIONS

if TYPE_CHECKING:
    from hil.harness.evaluation.cost import Latency, Memory, WholeLatency
    from hil.harness.evaluation.evaluator import Deployment, Evaluator
    from hil.harness.evaluation.parity import Parity
    from hil.harness.metrics.accuracy import Accuracy
    from hil.harness.model import Budget


@pytest.fixture(scope="session")
def bench(request: pytest.FixtureRequest) -> Iterator[Evaluator]:
    """The evaluator of this session: its target, pipeline and store."""
    from hil.harness.evaluation.evaluator import Evaluator
    from hil.harness.pipeline import Pipeline
    from hil.harness.progress import PytestProgress
    from hil.harness.store.store import Store, default_root

    chosen = request.config.stash[OPTIONS]
    pipeline = Pipeline(Store(chosen.store or default_root()), PytestProgress(request.config))
    made = Evaluator(pipeline, chosen.target_name, chosen.settings, chosen.samples, chosen.of_target)
    with contextlib.closing(made.target) as target:
        target.identity()  # a target that cannot run is known before anything is trained
        yield made


@pytest.fixture(scope="session")
def deployment(request: pytest.FixtureRequest, bench: Evaluator) -> Deployment:
    """The deployment of this test's parameters, ready to run."""
    return bench.deploy(*request.param)


@pytest.fixture
def parity(request: pytest.FixtureRequest, bench: Evaluator, deployment: Deployment) -> Parity:
    """Target against oracle; writes for a mismatch a bundle that reproduces it, and reports its folder."""
    result = bench.parity(deployment)
    if result.mismatches or result.sim_mismatches:
        from hil.harness.evaluation.mismatch_bundle import explain_mismatch

        request.node.add_report_section("call", "parity", explain_mismatch(bench, deployment, request.config.rootpath))
    return result


@pytest.fixture
def accuracy(bench: Evaluator, deployment: Deployment) -> Accuracy:
    """The model's own metric, paired with the float Keras base on the same samples."""
    if deployment.model.build is None and not bench.is_printed(deployment):
        pytest.skip(f"{deployment.model.name} came as an int8 file: there is no Keras reference to compare with")
    return bench.accuracy(deployment)


@pytest.fixture
def latency(bench: Evaluator, deployment: Deployment) -> Latency | WholeLatency:
    """Cycles and time of one inference."""
    if bench.declaration.latency is None:
        pytest.skip(f"the target {bench.target_name} measures no latency; use sim, fvp or a board")
    return bench.latency(deployment)


@pytest.fixture
def memory(bench: Evaluator, deployment: Deployment) -> Memory:
    """SRAM, flash and encoded weights."""
    return bench.memory(deployment)


@pytest.fixture
def budget(request: pytest.FixtureRequest, deployment: Deployment) -> Budget:
    """The limits that hold for this test."""
    limits = deployment.model.budget
    for mark in reversed(list(request.node.iter_markers("hil_budget"))):
        limits = dataclasses.replace(limits, **mark.kwargs)
    return limits
