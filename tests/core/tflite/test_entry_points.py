"""A file with several signatures is compiled as TFLite Micro runs it: the first one alone."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from hil.core.tflite.entry_points import entry_points, first_alone
from hil.core.tflite.model import read_model
from hil.harness.commands import arguments
from hil.harness.diff.difference import first_difference
from hil.harness.vela.compiler import compile_model
from hil.harness.vela.settings import VelaSettings
from hil.targets.base import Deployable
from tests.support.operators.builder import Op, Tensor, build


def _steps(count: int) -> bytes:
    tensors = [Tensor((1, 4, 4, 8), scale=0.1, name=f"x{number}") for number in range(count + 1)]
    term = Tensor((1, 1, 1, 8), scale=0.1, data=np.arange(8, dtype=np.int8).reshape(1, 1, 1, 8))
    return build(*(Op("ADD", [one, term], [other]) for one, other in itertools.pairwise(tensors)))


def _with_signatures(names: Sequence[str], called: int | None = None) -> bytes:
    """The graphs of one step and of three and so on; the first runs graph `called` by CALL_ONCE."""
    models = [schema.ModelT.InitFromPackedBuf(bytearray(_steps(2 * number + 1)), 0) for number in range(len(names))]
    whole = models[0]
    whole.signatureDefs = []
    for number, (name, model) in enumerate(zip(names, models, strict=True)):
        graph = copy.deepcopy(model.subgraphs[0])
        if number:
            whole.subgraphs.append(graph)  # The buffers are the same.
        made = schema.SignatureDefT()
        made.signatureKey, made.subgraphIndex = name, number
        made.inputs, made.outputs = _named(graph.inputs), _named(graph.outputs)
        whole.signatureDefs.append(made)
    if called is not None:
        code, call = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode, code.deprecatedBuiltinCode = schema.BuiltinOperator.CALL_ONCE, 127
        whole.operatorCodes.append(code)
        call.opcodeIndex, call.inputs, call.outputs = len(whole.operatorCodes) - 1, [], []
        call.builtinOptionsType = schema.BuiltinOptions.CallOnceOptions
        call.builtinOptions = schema.CallOnceOptionsT()
        call.builtinOptions.initSubgraphIndex = called
        whole.subgraphs[0].operators.insert(0, call)
    writer = flatbuffers.Builder(1024)
    writer.Finish(whole.Pack(writer), b"TFL3")
    return bytes(writer.Output())


def _named(indices: Sequence[int]) -> list[schema.TensorMapT]:
    found = []
    for index in indices:
        found.append(schema.TensorMapT())
        found[-1].name, found[-1].tensorIndex = f"tensor{index}", index
    return found


def test_only_what_the_first_signature_runs_is_left() -> None:
    model = read_model(first_alone(_with_signatures(["first", "second", "third"])))
    assert [len(graph.operators) for graph in model.subgraphs] == [1]
    called = read_model(first_alone(_with_signatures(["first", "second", "third"], called=2)))
    assert [len(graph.operators) for graph in called.subgraphs] == [2, 0, 5]
    assert first_alone(_steps(1)) == _steps(1)


@pytest.mark.parametrize("options", [(), ("--debug-force-legacy-core",)])
def test_the_first_signature_is_compiled_and_compared(options: tuple[str, ...]) -> None:
    int8, settings = _with_signatures(["first", "second"]), VelaSettings(options=options)
    compiled, alone = (compile_model(data, settings) for data in (int8, _steps(1)))
    assert compiled.summary.cycles_total == alone.summary.cycles_total
    mappings = ([(found.operator_index, found.tensor) for found in made.mapping] for made in (compiled, alone))
    assert next(mappings) == next(mappings) == [(0, "x1")]
    inputs = [np.random.default_rng(0).integers(-128, 128, (4, 4, 4, 8), np.int8)]
    assert first_difference(Deployable(int8, compiled.model), compiled.mapping, inputs) is None


def test_the_signature_that_runs_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "two.tflite"
    path.write_bytes(_with_signatures(["encode", "decode"]))
    assert entry_points(read_model(path.read_bytes())) == ("encode", "decode")
    arguments.read_entry_point(path)
    assert "has 2 signatures: 'encode' runs, as on TFLite Micro, not 'decode'" in capsys.readouterr().err
