"""An operator that nobody could compare is named with the one that differs behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest

from hil.core.arrays import Array
from hil.harness.commands.inputs import random_inputs
from hil.harness.diff.coverage import Compared, Coverage
from hil.harness.diff.difference import Comparison, compare
from hil.harness.diff.suspects import describe
from hil.harness.diff.trace import Trace, TracedTensor, trace_compiled, trace_reference
from hil.harness.vela.compiler import compile_model
from hil.harness.vela.settings import VelaSettings
from hil.targets.execution.signature import read_signature
from tests.harness.diff.test_difference import find, planted
from tests.support.operators.builder import Op, Tensor, build

Made = Callable[[str], bytes]


def compared(int8: bytes, *faulty: int) -> Comparison:
    """Comparison of what the installed Vela makes of a model, with a fault in some operators, and the reference."""
    compiled = compile_model(int8, VelaSettings())
    for operator in faulty:
        compiled = replace(compiled, model=planted(compiled, find(compiled, operator), 3))
    signature = read_signature(int8)
    inputs = random_inputs(signature, 2)
    got = trace_compiled(compiled.model, compiled.mapping, inputs)
    return compare(got, trace_reference(int8, inputs), signature)


def names(suspects: tuple[Compared, ...]) -> list[str]:
    return [str(one) for one in suspects]


def test_a_sum_that_nobody_can_compare_is_suspect_for_the_log_behind_it(made: Made) -> None:
    """LOG is innocent: Vela's SUM over two axes adds along one."""
    first = compared(made("log_of_sum")).first
    assert first is not None
    assert first.operator == "LOG"
    assert names(first.suspects) == ["SUM 1", "ADD 2"]
    suspect, beside = describe(first.suspects)
    form = "another form: int8 1x32x1 and int8 1x1x1x4"
    assert suspect == f"suspect first: SUM 1, which feeds it and could not be compared ({form})"
    assert beside == "suspect too: ADD 2, which feeds it and could not be compared (fused into a later operator)"
    assert str(first).endswith(f"; {suspect}; {beside}")


def test_an_operator_whose_result_is_only_seen_in_the_one_that_differs_is_suspect_too(made: Made) -> None:
    first = compared(made("mixed"), 8).first
    assert first is not None
    assert (first.operator, names(first.suspects)) == ("LOGISTIC", ["CONV_2D 8"])
    assert describe(first.suspects)[0].startswith("suspect too: CONV_2D 8, which feeds it")


def test_where_all_inputs_are_equal_nothing_else_is_suspect(made: Made) -> None:
    result = compared(made("mixed"), 6)
    (first,) = result.origins
    assert (first.operator, first.operator_index, first.suspects) == ("CONV_2D", 6, ())
    assert "suspect" not in str(first)
    assert sum(one.mismatches > 0 for one in result.tensors) > 1, "what it feeds differs too, and is no origin"


def test_a_reshape_that_moves_nothing_is_no_suspect(made: Made) -> None:
    first = compared(made("two"), 5).first
    assert first is not None
    assert (first.operator, first.suspects) == ("FULLY_CONNECTED", ())


def test_two_branches_that_differ_are_two_origins(made: Made) -> None:
    result = compared(made("two"), 0, 1)
    assert [(one.operator, one.operator_index) for one in result.origins] == [("CONV_2D", 0), ("CONV_2D", 1)]


def branches() -> tuple[bytes, list[str]]:
    """SPLIT, RELU of one half, LEAKY_RELU of the other, MUL of both; and the names of what they write."""
    shapes = {"x": 8, "low": 4, "high": 4, "relu": 4, "leaky": 4, "out": 4}
    x, low, high, left, right, out = (
        Tensor((1, 2, 2, depth), "int8", 0.05, 0, name=name) for name, depth in shapes.items()
    )
    axis = Tensor((), "int32", data=np.array(3, np.int32))
    model = build(
        Op("SPLIT", (axis, x), (low, high), num_splits=2),
        Op("RELU", (low,), (left,)),
        Op("LEAKY_RELU", (high,), (right,), alpha=0.1),
        Op("MUL", (left, right), (out,)),
    )
    return model, list(shapes)[1:]


def traces(values: Mapping[str, Array | None], *, alone: tuple[str, ...] = ()) -> tuple[Trace, Trace]:
    """A trace with these values, where None is a tensor that it lacks, and one of zeros."""
    got = {name: (TracedTensor(value, alone=name in alone),) for name, value in values.items() if value is not None}
    zeros = {name: (TracedTensor(np.zeros((1, 1, 2, 2, 4), np.int8)),) for name in values}
    return Trace(got, dict.fromkeys(values, "not seen")), Trace(zeros)


ZEROS, ONES = (np.full((1, 1, 2, 2, 4), value, np.int8) for value in (0, 1))
LACKING = np.zeros((1, 1, 2, 2, 2), np.int8)
"""In another form."""


@pytest.mark.parametrize(
    ("values", "origins"),
    [
        pytest.param((ZEROS, ZEROS, None, ZEROS, ONES), {"MUL": ["RELU 1"]}, id="behind one input"),
        pytest.param((ZEROS, LACKING, ZEROS, LACKING, ONES), {"MUL": ["SPLIT 0", "LEAKY_RELU 2"]}, id="a chain"),
        pytest.param(
            (None, None, None, None, ONES), {"MUL": ["SPLIT 0", "SPLIT 0", "RELU 1", "LEAKY_RELU 2"]}, id="all"
        ),
        pytest.param((ONES, ZEROS, ZEROS, ONES, ONES), {"SPLIT": [], "LEAKY_RELU": []}, id="the other output"),
        pytest.param((ONES, None, ZEROS, ONES, ONES), {"SPLIT": []}, id="an output beside the one that differs"),
        pytest.param((None, ZEROS, ONES, ONES, ONES), {"RELU": ["SPLIT 0"], "LEAKY_RELU": []}, id="two branches"),
    ],
)
def test_data_is_followed_from_what_differs_to_what_is_equal(
    values: tuple[Array | None, ...], origins: Mapping[str, list[str]]
) -> None:
    model, tensors = branches()
    result = compare(*traces(dict(zip(tensors, values, strict=True))), read_signature(model))
    assert {one.operator: names(one.suspects) for one in result.origins} == origins


def test_a_kernel_that_ran_alone_says_nothing_of_what_it_read_in_the_whole_run() -> None:
    model, tensors = branches()
    values = dict(zip(tensors, (None, None, ZEROS, ONES, ONES), strict=True))
    result = compare(*traces(values, alone=("relu", "leaky")), read_signature(model))
    (first,) = result.origins
    assert (first.operator, first.suspects) == ("LEAKY_RELU", ()), "it had the reference's inputs"
    values |= {"leaky": ZEROS}
    result = compare(*traces(values, alone=("relu", "leaky")), read_signature(model))
    (first,) = result.origins
    assert (first.operator, names(first.suspects)) == ("MUL", ["SPLIT 0", "SPLIT 0"])
    assert [one.how for one in result.tensors].count(Coverage.ALONE) == 2


def test_many_suspects_are_counted_and_one_that_was_seen_in_part_is_named() -> None:
    unseen = [Compared(index, "CONV_2D", str(index), Coverage.NOT, "fvp shows its outputs alone") for index in range(9)]
    part = Compared(9, "MIRROR_PAD", "pad", Coverage.PARTLY, "256 of 384 elements are written")
    assert describe([part, *unseen]) == [
        "suspect first: MIRROR_PAD 9, which feeds it and was compared in part (256 of 384 elements are written)",
        "suspect too: CONV_2D 0, CONV_2D 1, CONV_2D 2 and 6 more, which feed it and could not be compared "
        "(fvp shows its outputs alone)",
    ]
