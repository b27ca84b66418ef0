"""A defect of Vela is named where it explains a difference, with what compiles the model right."""

from __future__ import annotations

import numpy as np
import pytest

from hil.harness.diff.difference import first_difference
from hil.harness.vela.compiler import compile_model
from hil.harness.vela.settings import VelaSettings
from hil.targets.base import Deployable
from hil.targets.execution.signature import read_signature
from tests.support.operators.families import all_cases
from tests.support.operators.settings import LEGACY


@pytest.mark.parametrize("options", [(), (LEGACY,)])
@pytest.mark.parametrize("place", ["first", "second"])
def test_a_resized_tensor_that_is_joined(place: str, options: tuple[str, ...]) -> None:
    """As in a U-Net.  Regor's elements of an IFM share bytes; its stream is wrong where the tensor comes second."""
    int8 = all_cases()[f"CONCATENATION/int8/resized-{place}"].model()
    compiled = compile_model(int8, VelaSettings(options=options))
    random = np.random.default_rng(0)
    inputs = [random.integers(-128, 128, (2, *spec.sample_shape), np.int8) for spec in read_signature(int8).inputs]
    found = first_difference(Deployable(int8, compiled.model), compiled.mapping, inputs)
    if place == "first" or options:
        assert found is None
    else:
        assert found is not None
        assert "--vela-option=--debug-force-legacy-core or Vela 4.2 compiles it right" in str(found)
