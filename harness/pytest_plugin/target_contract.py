"""The contract of a target, as tests that any target can be put through, also one of another package.

    from hil.harness.pytest_plugin.target_contract import TargetContract

    class TestEcho(TargetContract):
        name = "echo"
        options = {"repeat": 2}

The model is a small convolutional network that is made once a process, quantized, and compiled by Vela.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import pytest

from hil.core.arrays import Array
from hil.core.errors import BadInputError
from hil.core.measurement import Measurement, Trust
from hil.core.options import options_of
from hil.targets import create, registry
from hil.targets.base import Deployable, Run, Target
from hil.targets.declaration import Declaration, File, Role

LATENCIES = ("npu_cycles", "inference_ms")
"""Measurements from which the fixture `latency` is made; one of them is enough."""

_BEST_FIRST = (Trust.EXACT, Trust.MEASURED, Trust.SIMULATED, Trust.MODELLED, Trust.UNTRUSTED)
_SAMPLES = 16


class TargetContract:
    """The tests; a subclass names the target and its required options."""

    name: ClassVar[str]
    options: ClassVar[Mapping[str, Any]] = {}

    @pytest.fixture
    def declaration(self) -> Declaration:
        """The registered declaration."""
        return registry.declaration(self.name)

    @pytest.fixture
    def target(self) -> Iterator[Target]:
        """The target, made with the options of the class."""
        with contextlib.closing(create(self.name, **self.options)) as made:
            yield made

    @pytest.fixture
    def model(self, declaration: Declaration) -> Deployable:
        """The model in the files that the target takes."""
        return _taken(declaration)

    def test_its_declaration_is_complete(self, declaration: Declaration, target: Target) -> None:
        assert target.name == declaration.name == self.name
        assert declaration.summary
        assert declaration.takes
        assert declaration.samples >= 1
        assert all(one.help for one in options_of(declaration.options))
        declaration.options()  # every option has a default

    def test_it_says_what_it_is(self, target: Target) -> None:
        identity = target.identity()
        assert identity
        assert all(isinstance(key, str) and isinstance(value, str) for key, value in identity.items())

    def test_its_outputs_are_those_of_the_reference_kernels(
        self, declaration: Declaration, target: Target, model: Deployable
    ) -> None:
        run = target.run(model, [_inputs()])
        if not (declaration.prints_outputs and run.printed):
            _check_outputs(run)

    def test_every_run_starts_afresh(self, declaration: Declaration, target: Target, model: Deployable) -> None:
        first, second = (target.run(model, [_inputs()]) for _ in range(2))
        for one, other in zip(first.outputs or first.printed, second.outputs or second.printed, strict=True):
            assert np.array_equal(one, other)

    def test_its_figures_have_units_and_no_more_trust_than_declared(
        self, declaration: Declaration, target: Target, model: Deployable
    ) -> None:
        measurements = target.run(model, [_inputs()]).measurements
        assert all(isinstance(found, Measurement) and found.name and found.unit for found in measurements)
        assert len({found.name for found in measurements}) == len(measurements)
        latencies = [found for found in measurements if found.name in LATENCIES]
        if declaration.latency is None:
            assert not latencies
            return
        best = _BEST_FIRST.index(declaration.latency)
        assert latencies
        assert all(_BEST_FIRST.index(found.trust) >= best for found in latencies)

    def test_it_tells_how_far_it_is(self, target: Target, model: Deployable) -> None:
        steps: list[tuple[int, int]] = []
        target.run(model, [_inputs()], progress=lambda done, total: steps.append((done, total)))
        assert steps
        assert steps[-1] == (_SAMPLES, _SAMPLES)
        assert [done for done, _ in steps] == sorted(done for done, _ in steps)

    @pytest.mark.parametrize(
        "inputs",
        [
            [],
            [np.zeros((0, 8, 8, 3), np.int8)],
            [np.zeros((1, 8, 8, 4), np.int8)],
            [np.zeros((1, 8, 8, 3), np.int16)],
            [np.zeros((1, 8, 8, 3), np.int8)] * 2,
        ],
        ids=["none", "no sample", "shape", "dtype", "too many"],
    )
    def test_wrong_inputs_are_refused(self, target: Target, model: Deployable, inputs: list[Array]) -> None:
        with pytest.raises(BadInputError):
            target.run(model, inputs)

    @pytest.mark.parametrize("data", [b"notes, not a model", b"\x18\0\0\0TFL3" + bytes(64)], ids=["text", "damaged"])
    def test_files_that_are_no_models_are_refused(self, target: Target, data: bytes) -> None:
        with pytest.raises(BadInputError):
            target.run(Deployable(data, data), [_inputs()])

    def test_files_that_it_does_not_take_are_refused(self, declaration: Declaration, target: Target) -> None:
        int8, compiled = contract_model()
        for kind, model in ((File.INT8, Deployable(int8, None)), (File.COMPILED, Deployable(None, compiled))):
            if kind not in declaration.takes:
                with pytest.raises(BadInputError):
                    target.run(model, [_inputs()])

    def test_it_is_closed_as_often_as_one_likes(self, target: Target) -> None:
        target.close()
        target.close()


@lru_cache
def contract_model() -> tuple[bytes, bytes]:
    """The int8 model of the contract, and Vela's output for it."""
    from hil.harness.optimize.conversion import to_tflite
    from hil.harness.optimize.keras.keras2 import import_keras
    from hil.harness.vela.compiler import compile_model
    from hil.harness.vela.settings import VelaSettings

    keras = import_keras()
    keras.utils.set_random_seed(7)
    image = keras.layers.Input((8, 8, 3))
    x = keras.layers.Conv2D(16, 3, activation="relu")(image)
    x = keras.layers.DepthwiseConv2D(3, padding="same", activation="relu")(x)
    network = keras.Model(image, keras.layers.Dense(24)(keras.layers.Flatten()(x)))
    samples = np.random.default_rng(7).normal(0, 1, (64, 8, 8, 3)).astype(np.float32)
    int8 = to_tflite(network, "ptq", [samples])
    return int8, compile_model(int8, VelaSettings()).model


@lru_cache
def _expected() -> tuple[Array, ...]:
    oracle = registry.with_role(Role.ORACLE)
    return create(oracle.name).run(Deployable(contract_model()[0], None), [_inputs()]).outputs


def _inputs() -> Array:
    return np.random.default_rng(8).integers(-128, 128, (_SAMPLES, 8, 8, 3)).astype(np.int8)


def _taken(declaration: Declaration) -> Deployable:
    int8, compiled = contract_model()
    return Deployable(int8, compiled if File.COMPILED in declaration.takes else None)


def _check_outputs(run: Run) -> None:
    expected = _expected()
    assert len(run.outputs) == len(expected)
    for got, wanted in zip(run.outputs, expected, strict=True):
        assert got.dtype == wanted.dtype
        assert got.shape == wanted.shape
        assert np.array_equal(got, wanted)
