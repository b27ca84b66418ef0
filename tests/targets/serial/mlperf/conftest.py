"""Fixtures of the MLPerf Tiny protocol's tests: boards, and a book of answers for them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from hil.targets.base import Deployable, Run
from hil.targets.execution.signature import dequantize, read_signature
from hil.targets.host.target import HostTarget

from .device import INPUT_BYTES, build, write_book

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, zig_wheel: None) -> Callable[[str], Path]:
    """Gives a board's program by name; workers of one run share them."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    base = tmp_path_factory.getbasetemp()
    folder = base.parent / f"mlperf-{run}" if run else base / "mlperf"

    def get(name: str) -> Path:
        mine = folder / f"for-{name}"
        mine.mkdir(parents=True, exist_ok=True)
        with FileLock(mine / "lock"):
            return mine / name if (mine / name).exists() else build(name, mine)

    return get


@pytest.fixture(scope="session")
def answers() -> dict[bytes, list[str]]:
    """Inputs with the outputs that the board prints for each."""
    generator = np.random.default_rng(5)
    inputs = [generator.integers(0, 256, INPUT_BYTES, dtype=np.uint8).tobytes() for _ in range(3)]
    return {data: [f"{value / 256:.3f}" for value in generator.integers(0, 256, 12)] for data in inputs}


@pytest.fixture
def book(tmp_path: Path, answers: dict[bytes, list[str]]) -> Path:
    """The answers, for a board."""
    return write_book(tmp_path / "book", answers)


@pytest.fixture(scope="session")
def classifier() -> bytes:
    """An int8 model with a softmax, whose scale is 1/256."""
    import tensorflow as tf

    tf.keras.utils.set_random_seed(3)
    samples = np.random.default_rng(3).normal(size=(50, 1, INPUT_BYTES)).astype(np.float32)
    inputs = tf.keras.Input((INPUT_BYTES,), batch_size=1)
    model = tf.keras.Model(inputs, tf.keras.layers.Dense(12, activation="softmax")(inputs))
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([sample] for sample in samples)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


@pytest.fixture(scope="session")
def inputs() -> np.ndarray[Any, Any]:
    return np.random.default_rng(4).integers(-128, 128, (4, INPUT_BYTES), dtype=np.int8)


@pytest.fixture(scope="session")
def expected(classifier: bytes, inputs: np.ndarray[Any, Any]) -> Run:
    return HostTarget().run(Deployable(classifier, None), [inputs])


@pytest.fixture
def carried(tmp_path: Path, classifier: bytes, inputs: np.ndarray[Any, Any], expected: Run) -> Path:
    """The book of a board that carries the classifier; it cuts the decimals off, as the reference firmware does."""
    real = dequantize(read_signature(classifier).outputs[0], expected.outputs[0]).astype(np.float64)
    printed = [[f"{np.floor(value * 1000) / 1000:.3f}" for value in row] for row in real]
    samples = [sample.tobytes() for sample in inputs]
    return write_book(tmp_path / "book", dict(zip(samples, printed, strict=True)))
