"""`host` is the oracle: it has an identity, refuses models that it cannot run, and survives damaged files."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from hil.core.arrays import Array
from hil.core.errors import BadInputError, HilError, InfrastructureError, UnavailableError
from hil.harness.vela.compiler import compile_model
from hil.harness.vela.settings import VelaSettings
from hil.targets import create, names
from hil.targets.base import Deployable
from hil.targets.execution import interpreter
from hil.targets.execution.interpreter import Interpreter
from hil.targets.execution.signature import read_signature

Made = Callable[[str], bytes]


def inputs_of(int8: bytes, samples: int) -> list[Array]:
    generator = np.random.default_rng(0)
    specs = read_signature(int8).inputs
    return [generator.integers(-128, 128, (samples, *spec.sample_shape)).astype(spec.dtype) for spec in specs]


def test_outputs_without_a_latency(made: Made) -> None:
    run = create("host").run(Deployable(made("two"), None), inputs_of(made("two"), 3))
    assert [output.shape for output in run.outputs] == [(3, 8, 8, 4), (3, 5)]
    assert run.measurements == ()
    assert run.identity["latency"].startswith("none")
    assert run.identity["engine"] == "tensorflow, reference kernels"


def test_it_equals_tensorflow_itself(made: Made) -> None:
    import tensorflow as tf

    kind = tf.lite.experimental.OpResolverType.BUILTIN_REF
    reference = tf.lite.Interpreter(model_content=made("two"), experimental_op_resolver_type=kind)
    reference.allocate_tensors()
    inputs = inputs_of(made("two"), 2)
    outputs = Interpreter(made("two")).run(inputs)
    for sample in range(2):
        for detail, array in zip(reference.get_input_details(), inputs, strict=True):
            reference.set_tensor(detail["index"], array[sample : sample + 1])
        reference.invoke()
        for detail, output in zip(reference.get_output_details(), outputs, strict=True):
            np.testing.assert_array_equal(reference.get_tensor(detail["index"])[0], output[sample])


def test_litert_gives_outputs_too(made: Made) -> None:
    try:
        target = create("host", interpreter="litert")
        identity = target.identity()
    except UnavailableError as missing:
        pytest.skip(str(missing))
    assert identity["engine"] == "litert, reference kernels"
    run = target.run(Deployable(made("two"), None), inputs_of(made("two"), 2))
    assert [output.shape for output in run.outputs] == [(2, 8, 8, 4), (2, 5)]


def test_unknown_names_are_refused(made: Made) -> None:
    with pytest.raises(BadInputError, match="no interpreter is called 'torch'"):
        create("host", interpreter="torch").run(Deployable(made("two"), None), inputs_of(made("two"), 1))
    with pytest.raises(BadInputError, match=r"no target is called 'hots' \(did you mean host\?\)"):
        create("hots")
    with pytest.raises(BadInputError, match="unexpected keyword argument 'speed'"):
        create("host", speed=3)
    assert names() == ("host", "sim", "fvp", "serial")


def test_an_output_of_vela_is_refused(made: Made) -> None:
    compiled = compile_model(made("two"), VelaSettings()).model
    for model in (Deployable(None, compiled), Deployable(compiled, None)):
        with pytest.raises(BadInputError, match=r"output of Vela .*give the \.tflite it was made from"):
            create("host").run(model, inputs_of(made("two"), 1))


def test_a_float_model_is_refused(made: Made) -> None:
    for name in ("host", "sim"):
        with pytest.raises(BadInputError, match="is a float model: FULLY_CONNECTED 0"):
            create(name).run(Deployable(made("floats"), None), [np.zeros((1, 4), np.float32)])


def test_every_tensor_of_the_graph_by_name(made: Made) -> None:
    inputs = inputs_of(made("two"), 1)
    oracle = Interpreter(made("two"))
    tensors = oracle.intermediate(inputs)
    for spec, output in zip(oracle.signature.outputs, oracle.run(inputs), strict=True):
        np.testing.assert_array_equal(tensors[spec.name], output)
    assert set(oracle.signature.operator_outputs) <= set(tensors)


def test_resources_are_no_tensors_to_read(made: Made) -> None:
    """TensorFlow Lite reads a resource as texts, and crashes at addresses that its bytes happen to make."""
    oracle = Interpreter(made("streams"))
    handles = {
        name
        for kind, name in zip(oracle.signature.operators, oracle.signature.operator_outputs, strict=True)
        if kind == "VAR_HANDLE"
    }
    assert len(handles) == 2
    for inputs in [inputs_of(made("streams"), 1)] * 8:
        tensors = oracle.intermediate(inputs)
        assert not handles & tensors.keys()
        assert {spec.name for spec in (*oracle.signature.inputs, *oracle.signature.outputs)} < tensors.keys()


def test_damaged_files_end_in_typed_errors_and_the_next_run_works(
    made: Made, damaged: Callable[..., Iterator[bytes]]
) -> None:
    whole = made("two")
    inputs = inputs_of(whole, 1)
    expected = Interpreter(whole).run(inputs)
    failed = 0
    for model in damaged(whole, 4, 8):
        try:
            create("host").run(Deployable(model, None), inputs)
        except HilError as error:
            failed += "\n" not in str(error)
    assert failed > 10
    for got, want in zip(Interpreter(whole).run(inputs), expected, strict=True):
        np.testing.assert_array_equal(got, want)


def test_an_interpreter_that_is_killed_is_started_again_and_killed_again_is_no_bad_input(
    made: Made, killed: Callable[..., contextlib.AbstractContextManager[None]]
) -> None:
    inputs = inputs_of(made("two"), 1)
    first = Interpreter(made("two")).run(inputs)
    pid = interpreter._worker().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)  # the next one takes seconds to start, in which it is killed
    with killed(interpreter._worker), pytest.raises(InfrastructureError, match="died of signal 9"):
        Interpreter(made("two")).run(inputs)
    np.testing.assert_array_equal(Interpreter(made("two")).run(inputs)[0], first[0])
