"""The firmware's CPU kernels agree with the reference kernels as far as docs/fvp.md says, operator by operator.

`python -m benchmarks.firmware_operators` runs all of them; here one case an operator does.
"""

from __future__ import annotations

import functools
import re

import numpy as np
import pytest

from hil.fvp.inference.firmware import Firmware
from hil.harness.commands.inputs import random_inputs
from hil.harness.diff.difference import compare
from hil.harness.diff.runs import RunTracer
from hil.harness.vela.compiler import compile_model
from hil.harness.vela.settings import VelaSettings
from hil.targets import create
from hil.targets.base import Deployable
from hil.targets.execution.signature import read_signature
from hil.targets.fvp import FvpOptions
from tests.support.firmware_operators import table
from tests.support.firmware_operators.outcomes import chosen, measured
from tests.support.operators.builder import Op, Tensor, build
from tests.support.operators.case import TYPES

EQUAL = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "AVERAGE_POOL_2D", "SOFTMAX", "LEAKY_RELU", "PAD", "GATHER")


@functools.cache
def _documented() -> dict[tuple[str, str], str]:
    """The cells of the table by operator and type."""
    page = table.PAGE.read_text()
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", page[page.index(table.BEGIN) : page.index(table.END)], re.MULTILINE)
    return {
        (operator, dtype): cell.strip()
        for operator, cells in rows
        for dtype, cell in zip(TYPES, cells.split("|"), strict=True)
    }


@pytest.mark.parametrize("operator", EQUAL)
def test_an_operator_is_equal_where_the_page_says_so(runner: Firmware, operator: str) -> None:
    assert _documented()[operator, "int8"].startswith("= ")
    (case,) = chosen(1, [operator], ["int8"])
    result = measured(case)
    assert result.kind == "equal", result


@pytest.mark.parametrize(("operator", "dtype"), [("RELU6", "int8"), ("SOFTMAX", "int16")])
def test_a_difference_is_not_larger_than_the_page_says(runner: Firmware, operator: str, dtype: str) -> None:
    said = re.search(r"≤ (\d+)", _documented()[operator, dtype])
    assert said is not None
    (case,) = chosen(1, [operator], [dtype])
    assert measured(case).largest <= int(said[1])


@pytest.mark.parametrize(
    ("operator", "dtype", "kind"),
    [("GELU", "int8", "missing"), ("CONV_2D", "uint8", "refused")],
)
def test_what_the_firmware_cannot_do_is_told_apart(runner: Firmware, operator: str, dtype: str, kind: str) -> None:
    assert _documented()[operator, dtype] == kind
    (case,) = chosen(1, [operator], [dtype])
    assert measured(case).kind == kind


def test_a_model_that_vela_leaves_partly_to_the_cpu_is_the_same_everywhere(runner: Firmware) -> None:
    random = np.random.default_rng(3)
    x = Tensor((1, 6, 6, 8), "int8", 0.05, -3)
    gathered = Tensor((1, 6, 6, 4), "int8", 0.05, -3)
    weights = Tensor((4, 3, 3, 4), "int8", (0.01,) * 4, data=random.integers(-127, 128, (4, 3, 3, 4), np.int8))
    bias = Tensor((4,), "int32", (0.0005,) * 4, data=np.zeros(4, np.int32))
    y, out = Tensor((1, 6, 6, 4), "int8", 0.04, 5), Tensor((1, 6, 6, 4), "int8", 1 / 256, -128)
    which = Tensor((4,), "int32", data=np.array([7, 0, 3, 3], np.int32))
    int8 = build(
        Op("GATHER", (x, which), (gathered,), axis=3),
        Op("CONV_2D", (gathered, weights, bias), (y,), padding="SAME", stride_w=1, stride_h=1),
        Op("LOGISTIC", (y,), (out,)),
    )
    compiled = compile_model(int8, VelaSettings(options=("--ignore-ops LOGISTIC",))).model
    data = [random.integers(-128, 128, (3, 6, 6, 8), np.int8)]
    model = Deployable(int8, compiled)
    runs = [create(name).run(model, data) for name in ("host", "sim")] + [create("fvp", engine="open").run(model, data)]
    assert next(found.value for found in runs[-1].measurements if found.name == "cpu_operators") >= 2
    for run in runs[1:]:
        np.testing.assert_array_equal(run.outputs[0], runs[0].outputs[0])


def _with_a_kernel_that_differs() -> bytes:
    """GATHER and RELU6 between two convolutions; the firmware's RELU6 does not rescale (see the page)."""
    random = np.random.default_rng(5)
    x, gathered, wide = (Tensor((1, 6, 6, depth), "int8", 0.05, -3) for depth in (8, 4, 4))
    weights = Tensor((4, 3, 3, 4), "int8", (0.01,) * 4, data=random.integers(-127, 128, (4, 3, 3, 4), np.int8))
    bias = Tensor((4,), "int32", (0.0005,) * 4, data=np.zeros(4, np.int32))
    limited, out = Tensor((1, 6, 6, 4), "int8", 6 / 255, -128), Tensor((1, 6, 6, 4), "int8", 0.02, 5)
    second = Tensor((4,), "int32", (6 / 255 * 0.01,) * 4, data=np.zeros(4, np.int32))
    which = Tensor((4,), "int32", data=np.array([7, 0, 3, 3], np.int32))
    options = {"padding": "SAME", "stride_w": 1, "stride_h": 1}
    return build(
        Op("GATHER", (x, which), (gathered,), axis=3),
        Op("CONV_2D", (gathered, weights, bias), (wide,), **options),
        Op("RELU6", (wide,), (limited,)),
        Op("CONV_2D", (limited, weights, second), (out,), **options),
    )


@pytest.mark.parametrize("cpu", [False, pytest.param(True, marks=pytest.mark.nightly)])
def test_hil_diff_names_the_cpu_kernel_that_differs(runner: Firmware, cpu: bool) -> None:
    """Its output is inside the model, where fvp shows nothing, and what follows differs too."""
    int8 = _with_a_kernel_that_differs()
    signature = read_signature(int8)
    settings = VelaSettings(options=("--ignore-ops RELU6",))
    tracer = RunTracer(int8, settings, random_inputs(signature, 4), options={"fvp": FvpOptions(engine="open")}, cpu=cpu)
    found = compare(tracer.trace("fvp").trace, tracer.trace("host").trace, signature)
    assert found.first is not None
    assert (found.first.operator, found.first.operator_index) == ("RELU6", 2)
    assert (len(found.origins), found.first.suspects) == (1, ()), "it ran alone, on the reference's inputs"
    gather, convolution, *rest = ((one.operator, one.how.value, one.mismatches > 0) for one in found.tensors)
    assert gather == ("GATHER", "alone", False)
    assert convolution == ("CONV_2D", "alone" if cpu else "not", False)
    assert rest == [("RELU6", "alone", True), ("CONV_2D", "whole", True)]
