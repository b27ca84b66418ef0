"""The bench: puts deployments on a target and measures them, each thing once however many tests ask for it.

    bench = Bench(pipeline, target="fvp", vela=VelaSettings(), samples=8)
    deployment = bench.deploy(model, "pcqat")
    bench.parity(deployment).mismatches, bench.accuracy(deployment).drop, bench.latency(deployment).ms

Where a target is too slow for the whole test set, N samples, evenly spaced over it, prove on the target that it
computes what `sim` computes, and `sim` runs the whole set for the accuracy; the oracle (TensorFlow's reference kernels,
slow too) checks both on its own share.  Every result says how many samples it stands on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from hil.harness import accuracy, parity
from hil.harness.accuracy import Accuracy
from hil.harness.cost import Latency, Memory, latency_of, memory_of
from hil.harness.errors import MismatchError
from hil.harness.model import Array, Model
from hil.harness.optimize.paths import path_of, training_node
from hil.harness.optimize.survival import LayerWeights
from hil.harness.parity import Parity
from hil.harness.pipeline import TFLITE, Pipeline, surviving
from hil.harness.vela import Compiled, VelaSettings
from hil.targets import create
from hil.targets.base import Deployable, Run, Target
from hil.targets.tensors import Signature, dequantize, quantize, read_signature

ORACLE_SAMPLES = 500
FVP_SAMPLES = 8
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Deployment:
    """A model on a path, compiled for an accelerator configuration, on a target.

    `weights` are the kernels of the int8 file as measured there, `compiled` is what Vela made of it and says of it.
    """

    model: Model
    path: str
    target: str
    int8: bytes
    compiled: Compiled
    vela: VelaSettings
    weights: tuple[LayerWeights, ...] = ()
    known: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        return f"{self.model.name}-{self.path}"

    @property
    def deployable(self) -> Deployable:
        return Deployable(
            self.int8,
            self.compiled.model,
            self.vela.accelerator,
            self.vela.memory_mode,
            self.vela.system_config,
            self.vela.config_text,
        )

    @cached_property
    def signature(self) -> Signature:
        return read_signature(self.int8)


@dataclass(frozen=True)
class Outcome:
    """What ran: the target on the test samples `picked`, with the oracle's outputs of the same samples.

    `sim_mismatches` counts the elements in which `sim` differs from the oracle, on `sim_samples` samples.
    """

    picked: Array
    inputs: list[Array]
    run: Run
    oracle: tuple[Array, ...]
    sim_mismatches: int
    sim_samples: int


class Bench:
    """Deployments on one target under one Vela configuration."""

    def __init__(
        self, pipeline: Pipeline, target: str, vela: VelaSettings, samples: int | None = None, engine: str = "auto"
    ) -> None:
        self.pipeline = pipeline
        self.target_name = target
        self.vela = vela
        self.samples = samples
        self._engine = engine

    @cached_property
    def target(self) -> Target:
        options = {"engine": self._engine} if self.target_name == "fvp" else {}
        return create(self.target_name, **options)

    def deploy(self, model: Model, path: str) -> Deployment:
        """Trains, converts and compiles whatever is not in the store yet."""
        if model.tflite is not None:
            int8, weights = model.file(model.tflite).read_bytes(), ()
        else:
            artifact = self.pipeline.int8(model, path)
            int8, weights = artifact.read(TFLITE), tuple(surviving(artifact))
        compiled = self.pipeline.compiled(int8, self.vela)
        return Deployment(model, path, self.target_name, int8, compiled, self.vela, weights)

    def outcome(self, deployment: Deployment) -> Outcome:
        """Runs the target and the oracle on the same samples."""
        return _once(deployment, "outcome", lambda: self._outcome(deployment))

    def parity(self, deployment: Deployment) -> Parity:
        """Target against oracle bit by bit, and against the float Keras model of the same path."""
        return _once(deployment, "parity", lambda: self._parity(deployment))

    def accuracy(self, deployment: Deployment) -> Accuracy:
        """The model's metric on the whole test set against the float Keras base."""
        return _once(deployment, "accuracy", lambda: self._accuracy(deployment))

    def latency(self, deployment: Deployment) -> Latency:
        """Cycles and time of one inference on the target; `UntrustedError` on `host`, which has none."""
        return latency_of(self.outcome(deployment).run, deployment.compiled.summary, self.target_name)

    def memory(self, deployment: Deployment) -> Memory:
        """Bytes of SRAM and flash as Vela placed them, and what the target reports of its arena."""
        run = deployment.known["outcome"].run if "outcome" in deployment.known else None
        return memory_of(deployment.compiled.summary, run)

    # -- one measurement each

    def _outcome(self, deployment: Deployment) -> Outcome:
        x = self._test_inputs(deployment)
        checked = _spread(len(x[0]), ORACLE_SAMPLES)
        picked = _spread(len(checked), self.samples or (FVP_SAMPLES if self.target_name == "fvp" else ORACLE_SAMPLES))
        oracle = self._on("host", deployment, [array[checked] for array in x]).outputs
        sim = [output[checked] for output in self._whole_set(deployment).outputs]
        inputs = [array[checked[picked]] for array in x]
        return Outcome(
            checked[picked],
            inputs,
            self._run(deployment, inputs),
            tuple(output[picked] for output in oracle),
            sum(int(np.count_nonzero(got != want)) for got, want in zip(sim, oracle, strict=True)),
            len(checked),
        )

    def _run(self, deployment: Deployment, inputs: list[Array]) -> Run:
        if self.target_name != "fvp":
            return self._on(self.target_name, deployment, inputs)
        say = self.pipeline.say
        return self.target.run(
            deployment.deployable, inputs, progress=lambda done, of: say(f"{deployment.name} on fvp", done, of)
        )

    def _whole_set(self, deployment: Deployment) -> Run:
        """`sim` on the whole test set."""
        return self._on("sim", deployment, self._test_inputs(deployment))

    def _on(self, target: str, deployment: Deployment, inputs: list[Array]) -> Run:
        return self.pipeline.outputs(target, deployment.deployable, inputs, deployment.name)

    def _parity(self, deployment: Deployment) -> Parity:
        outcome = self.outcome(deployment)
        keras = None
        if deployment.model.build is not None:
            keras = self.pipeline.predictions(deployment.model, training_node(path_of(deployment.path)))[outcome.picked]
        floats = dequantize(deployment.signature.outputs[0], outcome.run.outputs[0])
        return parity.compare(outcome.run.outputs, outcome.oracle, keras, floats)

    def _accuracy(self, deployment: Deployment) -> Accuracy:
        model, outcome = deployment.model, self.outcome(deployment)
        _, labels = self.pipeline.samples(model, "test")
        outputs = self._whole_set(deployment).outputs[0]
        if not np.array_equal(outputs[outcome.picked], outcome.run.outputs[0]):
            raise MismatchError(f"{deployment.name}: {self.target_name} and sim differ, so sim cannot stand in for it")
        node = training_node(path_of(deployment.path))
        return accuracy.compare(
            model.metric,
            labels,
            reference=self.pipeline.predictions(model, ()),
            keras=self.pipeline.predictions(model, node),
            candidate=dequantize(deployment.signature.outputs[0], outputs),
            on_target=outcome.picked,
        )

    def _test_inputs(self, deployment: Deployment) -> list[Array]:
        x, _ = self.pipeline.samples(deployment.model, "test")
        arrays = x if isinstance(x, tuple | list) else [x]
        return [quantize(tensor, array) for array, tensor in zip(arrays, deployment.signature.inputs, strict=True)]


def _once(deployment: Deployment, what: str, measure: Callable[[], T]) -> T:
    if what not in deployment.known:
        deployment.known[what] = measure()
    value: T = deployment.known[what]
    return value


def _spread(available: int, count: int) -> Array:
    """At most `count` indices evenly spaced over `available` samples."""
    return np.linspace(0, available, min(count, available), endpoint=False).astype(np.int64)
