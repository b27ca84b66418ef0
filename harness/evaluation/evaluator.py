"""The evaluator: puts deployments on a target and measures them, each thing once however many tests ask for it.

    evaluator = Evaluator(pipeline, target="fvp", vela=VelaSettings(), samples=8)
    deployment = evaluator.deploy(model, "pcqat")
    evaluator.parity(deployment).mismatches, evaluator.accuracy(deployment).drop, evaluator.latency(deployment).ms

Where a target is too slow for the whole test set, N samples, evenly spaced over it, prove on the target that it
computes what `sim` computes, and `sim` runs the whole set for the accuracy; the oracle (TensorFlow's reference kernels,
slow too) checks both on its own share.  Every result says how many samples it stands on.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import MismatchError
from hil.harness.evaluation import parity
from hil.harness.evaluation.cost import Latency, Memory, WholeLatency, latency_of, memory_of
from hil.harness.evaluation.parity import Parity
from hil.harness.evaluation.training_effect import started_from
from hil.harness.metrics.accuracy import AbsoluteAccuracy, Accuracy
from hil.harness.metrics.base_score import BaseScore
from hil.harness.model import Model
from hil.harness.model.metric import other_outputs
from hil.harness.optimize.layer_weights import LayerWeights
from hil.harness.optimize.paths import path_of, training_node
from hil.harness.pipeline import Pipeline, surviving
from hil.harness.pipeline.builders import TFLITE
from hil.harness.profile.profile import Profile
from hil.harness.profile.profiled_model import profile_of_compiled
from hil.harness.store.store import Origin
from hil.harness.vela.compiler import Compiled
from hil.harness.vela.settings import VelaSettings
from hil.harness.work_titles import run_title
from hil.targets import registry
from hil.targets.base import Deployable, Run, Target
from hil.targets.declaration import Role
from hil.targets.execution.signature import Signature, dequantize, read_signature

ORACLE_SAMPLES = 500


@dataclass(frozen=True, eq=False)
class Deployment:
    """A model on a path, compiled for an accelerator configuration, on a target.

    `weights` are the kernels of the int8 file as measured there, `compiled` is Vela's output with its figures.
    """

    model: Model
    path: str
    target: str
    int8: bytes
    compiled: Compiled
    vela: VelaSettings
    weights: tuple[LayerWeights, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.model.name}-{self.path}"

    @property
    def origin(self) -> Origin:
        """The model and path, for the artifacts in the store."""
        return Origin(self.model.name, self.path)

    @property
    def deployable(self) -> Deployable:
        return Deployable(self.int8, self.compiled.model, self.vela)

    @cached_property
    def signature(self) -> Signature:
        return read_signature(self.int8)


@dataclass(frozen=True)
class TargetOutcome:
    """Outputs of the target on the test samples `picked`, with the oracle's outputs of the same samples.

    `sim` holds the whole test set; `sim_mismatches` counts the elements in which it differs from the oracle, on
    `sim_samples` samples.  `oracle_stand_in` is the line on the kernels that ran in place of the oracle's, if any did.
    """

    picked: Array
    inputs: list[Array]
    run: Run
    oracle: tuple[Array, ...]
    sim: Run
    sim_mismatches: int
    sim_samples: int
    oracle_stand_in: str = ""


@dataclass(frozen=True)
class MismatchReport:
    """Lines on a mismatch and its bundle; `operator` is the first that differs, or the reason for which none does."""

    text: str
    operator: str = ""


@dataclass
class MeasuredResults:
    """Measurements of a deployment so far (None: not requested yet).

    `base` is the score of the float base, None where no constant answer compares with it.
    """

    outcome: TargetOutcome | None = None
    parity: Parity | None = None
    accuracy: Accuracy | AbsoluteAccuracy | None = None
    base: BaseScore | None = None
    mismatch: MismatchReport | None = None
    profile: Profile | None = None


class Evaluator:
    """Deployments on one target under one Vela configuration."""

    def __init__(
        self,
        pipeline: Pipeline,
        target: str,
        vela: VelaSettings,
        samples: int | None = None,
        options: Any = None,
    ) -> None:
        self.pipeline = pipeline
        self.target_name = target
        self.declaration = registry.declaration(target)
        self.vela = vela
        self.samples = samples
        self.options = self.declaration.options() if options is None else options
        self._oracle, self._stand_in = (registry.with_role(role).name for role in (Role.ORACLE, Role.STAND_IN))
        self._results: WeakKeyDictionary[Deployment, MeasuredResults] = WeakKeyDictionary()

    @cached_property
    def target(self) -> Target:
        return registry.make(self.declaration, self.options, self.pipeline.store.root)

    @cached_property
    def target_identity(self) -> dict[str, str]:
        """Identity of the target as it is first asked; raises what keeps the target from being used."""
        return self.target.identity()

    def with_vela(self, vela: VelaSettings) -> Evaluator:
        """This evaluator under another Vela configuration; target and measurements are shared."""
        _ = self.target  # made once, for both
        made = copy.copy(self)
        made.vela = vela
        return made

    def deploy(self, model: Model, path: str) -> Deployment:
        """Trains, converts and compiles; steps that are in the store are not repeated."""
        if model.tflite is not None:
            return self._deployment(model, path, model.file(model.tflite).read_bytes())
        for output in ("", *other_outputs(model.metric)):
            self.pipeline.learning_task(model, output)
        artifact = self.pipeline.int8(model, path)
        return self._deployment(model, path, artifact.read(TFLITE), tuple(surviving(artifact)))

    def results(self, deployment: Deployment) -> MeasuredResults:
        """The measurements of a deployment so far; measures nothing."""
        return self._results.setdefault(deployment, MeasuredResults())

    def outcome(self, deployment: Deployment) -> TargetOutcome:
        """Runs the target and the oracle on the same samples."""
        results = self.results(deployment)
        if results.outcome is None:
            results.outcome = self._outcome(deployment)
        return results.outcome

    def measure_again(self, deployment: Deployment) -> Run:
        """Runs the target once more on the samples of the outcome, in a session of its own.

        A target that can restart is restarted before: a board is power-cycled or reset.  Raises `InfrastructureError`
        where it does not come back.
        """
        outcome = self.outcome(deployment)
        getattr(self.target, "restart", self.target.close)()
        return self._run(deployment, outcome.inputs, outcome.run)

    def prepare(self, deployment: Deployment) -> None:
        """Puts into the store all that an outcome needs beside a run on a board or an FVP."""
        x, checked, picked = self._samples(deployment)
        self._on(self._oracle, deployment, _rows(x, checked))
        self._on(self._stand_in, deployment, x)
        if self.declaration.role is Role.ORACLE:
            self._on(self._oracle, deployment, _rows(x, checked[picked]))
        started = started_from(deployment.path)
        for node in ((), *([] if started is None else [started]), training_node(path_of(deployment.path))):
            self.pipeline.predictions(deployment.model, node)

    def parity(self, deployment: Deployment) -> Parity:
        """Target against oracle bit by bit, and against the float Keras model of the same path."""
        results = self.results(deployment)
        if results.parity is None:
            results.parity = self._parity(deployment)
        return results.parity

    def accuracy(self, deployment: Deployment) -> Accuracy | AbsoluteAccuracy:
        """The model's metric on the whole test set, against the float Keras base where there is one."""
        results = self.results(deployment)
        if results.accuracy is None:
            found = self._accuracy(deployment)
            beside = {one: self._accuracy(deployment, one) for one in other_outputs(deployment.model.metric)}
            results.accuracy = replace(found, by_output=beside)
            results.base = self.pipeline.base_score(deployment.model)
        return results.accuracy

    def latency(self, deployment: Deployment) -> Latency | WholeLatency:
        """Cycles and time of one inference on the target; `UntrustedError` on one that has none."""
        run, vela = self.outcome(deployment).run, self.vela
        return latency_of(run, deployment.compiled.summary, self.target_name, vela.system_config)

    def memory(self, deployment: Deployment) -> Memory:
        """Bytes of SRAM and flash as Vela placed them, and of the arena that the model used, if the target says."""
        run = self.outcome(deployment).run if self.declaration.reports_arena else None
        return memory_of(deployment.compiled.summary, run)

    def _deployment(self, model: Model, path: str, int8: bytes, weights: tuple[LayerWeights, ...] = ()) -> Deployment:
        compiled = self.pipeline.compiled(int8, self.vela, Origin(model.name, path))
        return Deployment(model, path, self.target_name, int8, compiled, self.vela, weights)

    def profile(self, deployment: Deployment) -> Profile:
        """Cycles by layer as the timing model has them, on every target."""
        results = self.results(deployment)
        if results.profile is None:
            compiled = self.pipeline.compiled(deployment.int8, deployment.vela, deployment.origin, mapped=True)
            results.profile = profile_of_compiled(compiled, deployment.int8, deployment.vela, deployment.name)
        return results.profile

    # -- one measurement each

    def _outcome(self, deployment: Deployment) -> TargetOutcome:
        x, checked, picked = self._samples(deployment)
        oracle = self._on(self._oracle, deployment, _rows(x, checked))
        whole = self._on(self._stand_in, deployment, x)
        inputs = _rows(x, checked[picked])
        return TargetOutcome(
            picked=checked[picked],
            inputs=inputs,
            run=self._run(deployment, inputs, _part(whole, checked[picked])),
            oracle=tuple(output[picked] for output in oracle.outputs),
            sim=whole,
            sim_mismatches=parity.count(_part(whole, checked).outputs, oracle.outputs),
            sim_samples=len(checked),
            oracle_stand_in=oracle.identity.get("stand_in", ""),
        )

    def _samples(self, deployment: Deployment) -> tuple[list[Array], Array, Array]:
        """The test inputs, the indices that the oracle checks, and those of them that run on the target."""
        x = self._test_inputs(deployment)
        wanted = self.samples or self.declaration.samples
        checked = _spread(len(x[0]), max(wanted, ORACLE_SAMPLES))
        return x, checked, _spread(len(checked), wanted)

    def _run(self, deployment: Deployment, inputs: Sequence[Array], sim: Run) -> Run:
        """Runs the target on `inputs`; `sim` is the run of the stand-in on them."""
        if self.declaration.role is Role.STAND_IN:
            return sim
        if self.declaration.role is Role.ORACLE:
            return self._on(self._oracle, deployment, inputs)
        text, say = run_title(deployment.name, self.target_name), self.pipeline.say
        return self.target.run(deployment.deployable, inputs, progress=lambda done, of: say(text, done, of))

    def _on(self, target: str, deployment: Deployment, inputs: Sequence[Array]) -> Run:
        return self.pipeline.outputs(target, deployment.deployable, inputs, deployment.origin)

    def _parity(self, deployment: Deployment) -> Parity:
        outcome = self.outcome(deployment)
        keras = None
        if deployment.model.build is not None:
            predicted = self.pipeline.predictions(deployment.model, training_node(path_of(deployment.path)))
            keras = _rows(predicted, outcome.picked)
        outcome.run.require_outputs(deployment.name)
        floats = _real(deployment.signature, outcome.run.outputs)
        found = parity.compare(outcome.run.outputs, outcome.oracle, keras, floats)
        return replace(
            found,
            sim_mismatches=outcome.sim_mismatches,
            sim_samples=outcome.sim_samples,
            oracle_stand_in=outcome.oracle_stand_in,
        )

    def _accuracy(self, deployment: Deployment, output: str = "") -> Accuracy | AbsoluteAccuracy:
        """Accuracy on the whole test set by `sim`; raises `MismatchError` if it differs from target or oracle.

        `output` is one of several outputs that have a metric; empty for the one that decides.
        """
        model, outcome = deployment.model, self.outcome(deployment)
        if outcome.sim_mismatches:
            raise MismatchError(
                f"{deployment.name}: sim differs from the reference in {outcome.sim_mismatches} elements "
                f"of {outcome.sim_samples} samples, so its accuracy is not the model's"
            )
        samples = self.pipeline.samples(model, "test")
        references = self._references(deployment)
        if outcome.run.printed:  # a board that prints is measured by what it printed
            of_picked = {name: _rows(outputs, outcome.picked) for name, outputs in references.items()}
            return self.pipeline.accuracy(
                model,
                samples.take(outcome.picked),
                candidate=outcome.run.printed,
                on_target=np.arange(len(outcome.picked)),
                references=of_picked,
                output=output,
            )
        if parity.count(_part(outcome.sim, outcome.picked).outputs, outcome.run.outputs):
            raise MismatchError(f"{deployment.name}: {self.target_name} and sim differ, so sim cannot stand in for it")
        candidate = _real(deployment.signature, outcome.sim.outputs)
        return self.pipeline.accuracy(
            model, samples, candidate=candidate, on_target=outcome.picked, references=references, output=output
        )

    def _references(self, deployment: Deployment) -> dict[str, tuple[Array, ...]]:
        """Outputs of the float base and of the path's Keras model on the test set; none of an int8 file."""
        model = deployment.model
        if model.build is None:
            return {}
        node = training_node(path_of(deployment.path))
        return {"reference": self.pipeline.predictions(model, ()), "keras": self.pipeline.predictions(model, node)}

    def _test_inputs(self, deployment: Deployment) -> list[Array]:
        """The test samples in the tensors' dtypes, by input."""
        return self.pipeline.test_inputs(deployment.model, deployment.signature)


def _part(run: Run, samples: Array) -> Run:
    """A run's outputs of some samples."""
    return replace(run, outputs=tuple(output[samples] for output in run.outputs))


def _rows(arrays: Sequence[Array], rows: Array) -> list[Array]:
    """Some samples of each array."""
    return [array[rows] for array in arrays]


def _real(signature: Signature, outputs: Sequence[Array]) -> list[Array]:
    """The real numbers of quantized outputs, by output."""
    return [dequantize(spec, output) for spec, output in zip(signature.outputs, outputs, strict=True)]


def _spread(available: int, count: int) -> Array:
    """At most `count` indices evenly spaced over `available` samples."""
    return np.linspace(0, available, min(count, available), endpoint=False).astype(np.int64)
