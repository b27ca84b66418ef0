"""A difference that the run itself contradicts is none: pieces that Vela's debug database places wrongly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hil.harness.diff.coverage import Coverage
from hil.harness.diff.difference import Comparison, compare
from hil.harness.diff.trace import trace_compiled, trace_reference
from hil.harness.vela.compiler import Compiled, compile_model
from hil.harness.vela.mapping import MappedCommand
from hil.harness.vela.settings import VelaSettings
from hil.targets.execution.signature import read_signature
from tests.support.operators.builder import Op, Tensor, build


def _computed_weights() -> bytes:
    """FULLY_CONNECTED of two inputs, as an attention's scores, then MUL.

    Regor writes the scores column by column, and its debug database lists the last column alone, as if it were all.
    """
    queries = Tensor((6, 16), scale=0.05, zero_point=3, name="queries")
    keys = Tensor((6, 16), scale=0.04, zero_point=-5, name="keys")
    scores = Tensor((6, 6), scale=0.5, zero_point=1, name="scores")
    factor = Tensor((), scale=0.25 / 127, data=np.array(127, np.int8))
    scaled = Tensor((6, 6), scale=0.1, zero_point=2, name="scaled")
    return build(Op("FULLY_CONNECTED", [queries, keys, None], [scores]), Op("MUL", [scores, factor], [scaled]))


def _compare(int8: bytes, compiled: Compiled, mapping: tuple[MappedCommand, ...]) -> Comparison:
    signature, random = read_signature(int8), np.random.default_rng(0)
    inputs = [random.integers(-128, 128, (3, *spec.sample_shape), np.int8) for spec in signature.inputs]
    got, expected = trace_compiled(compiled.model, mapping, inputs), trace_reference(int8, inputs)
    return compare(got, expected, signature, int8)


def test_pieces_that_fill_no_whole_rows_are_not_compared() -> None:
    int8 = _computed_weights()
    compiled = compile_model(int8, VelaSettings())
    (entry,) = (entry for entry in compiled.mapping if entry.tensor == "scores")
    assert entry.part == (1, 6, 6), "Regor's debug database has become right; take another model"
    result = _compare(int8, compiled, compiled.mapping)
    assert result.first is None
    scores, scaled = result.tensors
    assert (scores.how, scores.reason) == (Coverage.NOT, "its pieces do not make up the tensor")
    assert (scaled.how, scaled.mismatches) == (Coverage.WHOLE, 0)


def test_a_piece_in_a_wrong_place_is_contradicted_by_the_run() -> None:
    int8 = _computed_weights()
    compiled = compile_model(int8, VelaSettings())
    for column, how in ((5, Coverage.PARTLY), (0, Coverage.NOT)):
        mapping = tuple(
            replace(entry, origin=(0, 0, column), part=(1, 6, 1)) if entry.tensor == "scores" else entry
            for entry in compiled.mapping
        )
        result = _compare(int8, compiled, mapping)
        assert result.first is None
        assert result.tensors[0].how is how
    assert "the run's outputs do not follow from them" in result.tensors[0].reason
