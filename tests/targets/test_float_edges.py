"""Models with real numbers at their edges run on every target as the reference kernels have them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import NoReturn

import numpy as np
import pytest

from hil.core.errors import BadInputError, UnavailableError
from hil.harness.commands.inputs import random_inputs
from hil.harness.diff.difference import first_difference
from hil.harness.vela.compiler import compile_model
from hil.harness.vela.settings import VelaSettings
from hil.targets import create
from hil.targets.base import Deployable
from hil.targets.execution.signature import read_signature, require_runnable, take_inputs
from tests.support.edge_models import SHAPE, mixed_detector, with_edges

MODELS = {
    "float32-int8": lambda: with_edges("float32", "int8"),
    "float32-int16": lambda: with_edges("float32", "int16"),
    "uint8-int8": lambda: with_edges("uint8", "int8"),
    "detector": mixed_detector,
}


@pytest.mark.parametrize("model", MODELS)
def test_all_targets_give_the_reference_kernels_outputs(model: str, missing: Callable[[object], NoReturn]) -> None:
    int8 = MODELS[model]()
    compiled = compile_model(int8, VelaSettings())
    deployable = Deployable(int8, compiled.model)
    assert "ethos-u" in read_signature(compiled.model).operators
    inputs = random_inputs(read_signature(int8), 2)
    expected = create("host").run(deployable, inputs).outputs
    assert all(len(np.unique(output)) > 3 for output in expected)
    assert first_difference(deployable, compiled.mapping, inputs) is None
    for name, options in (("sim", {}), ("fvp", {"engine": "open"}), ("serial", {"board": "virtual"})):
        with contextlib.closing(create(name, **options)) as target:
            try:
                found = target.run(deployable, inputs).outputs
            except UnavailableError as error:
                missing(error)
        assert [output.dtype for output in found] == [output.dtype for output in expected], name
        assert [output.tobytes() for output in found] == [output.tobytes() for output in expected], name


def test_the_firmwares_own_kernels_run_the_edges(missing: Callable[[object], NoReturn]) -> None:
    int8 = with_edges("float32", "int8")
    inputs = random_inputs(read_signature(int8), 2)
    try:
        found = create("fvp", engine="open").run(Deployable(int8, None), inputs).outputs
    except UnavailableError as error:
        missing(error)
    expected = create("host").run(Deployable(int8, None), inputs).outputs
    assert [output.tobytes() for output in found] == [output.tobytes() for output in expected]


def test_random_real_numbers_go_over_the_range_of_the_quantized_tensor() -> None:
    (given,) = random_inputs(read_signature(with_edges("float32", "int8")), 200)
    assert given.dtype == np.float32
    assert -6.35 < given.min() < -6.25
    assert 6.5 < given.max() < 6.6


@pytest.mark.parametrize(
    ("value", "message"), [(np.nan, "'given' holds a value that is not finite"), (1e9, "too large")]
)
def test_real_numbers_of_which_processors_make_different_integers_are_refused(value: float, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        take_inputs(read_signature(with_edges("float32", "int8")), np.full((1, *SHAPE[1:]), value, np.float32))


def test_the_quantized_tensors_behind_the_edges_are_known() -> None:
    signature = read_signature(with_edges("float32", "int8"))
    require_runnable(signature)
    ends = [spec.quantized for spec in (*signature.inputs, *signature.outputs)]
    assert [end and (end.name, end.dtype.name, end.zero_point) for end in ends] == [
        ("quantized", "int8", -3),
        ("shares", "int8", -128),
    ]
