"""Metadata that firmware would follow blindly is left out, and operators that it cannot run are named."""

from __future__ import annotations

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from hil.core.errors import BadInputError, StreamError
from hil.core.tflite.memory_plan import without_plan
from hil.fvp.inference import firmware
from hil.fvp.inference.inference import run_inference
from hil.harness.vela.compiler import compile_model
from hil.harness.vela.settings import VelaSettings
from hil.npu.vela_output import read_compiled
from hil.targets import create
from hil.targets.base import Deployable
from tests.support.operators.builder import Op, Tensor, build
from tests.support.operators.settings import LEGACY
from tests.support.reference import oracle

PLAN = "OfflineMemoryAllocation"


def _two_steps() -> bytes:
    a, b, c = (Tensor((1, 4, 4, 8), scale=0.1, name=name) for name in "abc")
    term = Tensor((1, 1, 1, 8), scale=0.1, data=np.arange(8, dtype=np.int8).reshape(1, 1, 1, 8))
    return build(Op("ADD", [a, term], [b]), Op("MUL", [a, b], [c]))


def _with_plan(model: bytes, tensors: int) -> bytes:
    """`model` with a memory plan in which `tensors` tensors lie over each other."""
    made = schema.ModelT.InitFromPackedBuf(bytearray(model), 0)
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.array([0, 1, tensors, *[0] * tensors], "<i4").view(np.uint8)
    entry.name, entry.buffer = PLAN, len(made.buffers)
    made.buffers.append(buffer)
    made.metadata = [entry]
    writer = flatbuffers.Builder(1024)
    writer.Finish(made.Pack(writer), b"TFL3")
    return bytes(writer.Output())


@pytest.mark.parametrize("options", [(), (LEGACY,)])
def test_vela_gets_no_plan_of_its_source(options: tuple[str, ...]) -> None:
    int8, settings = _two_steps(), VelaSettings(options=options)
    expected = read_compiled(compile_model(int8, settings).model)
    found = read_compiled(compile_model(_with_plan(int8, 4), settings).model)
    assert [tensor.offset for tensor in found.main.tensors] == [tensor.offset for tensor in expected.main.tensors]


def test_firmware_gets_no_plan_of_a_model_for_its_cpu(runner: firmware.Firmware) -> None:
    int8 = _with_plan(_two_steps(), 4)
    data = np.random.default_rng(0).integers(-128, 128, (1, 4, 4, 8), np.int8)
    run = create("fvp", engine="open").run(Deployable(int8, None), [data])
    assert [output.tobytes() for output in run.outputs] == oracle(int8, data[0])


def test_a_plan_of_another_file_is_refused_by_name() -> None:
    model = compile_model(_two_steps(), VelaSettings()).model
    count = len(read_compiled(model).main.tensors)
    with pytest.raises(StreamError, match=f"{PLAN} has {count + 3} tensors and the file {count}: it is of another"):
        read_compiled(_with_plan(model, count + 3))
    assert without_plan(without_plan(_with_plan(model, 3))) == without_plan(_with_plan(model, 3))


def test_a_view_that_vela_wrote_and_no_kernel_takes_is_named(runner: firmware.Firmware) -> None:
    """Of ARG_MAX with int64 outputs Regor makes pairs of int32, which the RESHAPE behind it is to take for int64."""
    image, classes = Tensor((1, 4, 4, 5), scale=0.05), Tensor((1, 4, 4), "int64")
    axis, shape = (Tensor((n,), "int32", data=np.array(v, np.int32)) for n, v in ((1, [3]), (4, [1, 4, 4, 1])))
    int8 = build(
        Op("ARG_MAX", [image, axis], [classes], output_type="INT64"),
        Op("RESHAPE", [classes, shape], [Tensor((1, 4, 4, 1), "int64")]),
    )
    data = np.random.default_rng(0).integers(-128, 128, (1, 4, 4, 5), np.int8)
    model = compile_model(int8, VelaSettings()).model
    with pytest.raises(BadInputError, match="Vela wrote a RESHAPE of int32 to int64 for the CPU"):
        run_inference(model, [data.tobytes()], [128])
    with pytest.raises(BadInputError, match="Vela wrote a RESHAPE of int32 to int64 for the CPU"):
        create("sim").run(Deployable(int8, model), [data])
    legacy = compile_model(int8, VelaSettings(options=(LEGACY,))).model
    assert list(run_inference(legacy, [data.tobytes()], [128]).outputs) == oracle(int8, data[0])


def test_an_operator_that_the_firmware_does_not_take_is_named_as_velas_leftover(runner: firmware.Firmware) -> None:
    image, classes, half = Tensor((1, 4, 4, 5), scale=0.05), Tensor((1, 4, 4), "int32"), Tensor((1, 4, 4), "int32")
    axis, two = Tensor((1,), "int32", data=np.array([3], np.int32)), Tensor((), "int32", data=np.array(2, np.int32))
    int8 = build(Op("ARG_MAX", [image, axis], [classes], output_type="INT32"), Op("FLOOR_DIV", [classes, two], [half]))
    with pytest.raises(BadInputError, match=r"INT32.* not supported by FLOOR_DIV") as caught:
        run_inference(compile_model(int8, VelaSettings()).model, [bytes(80)], [64])
    assert caught.value.hint == "Vela left FLOOR_DIV to the CPU, and the firmware's kernel does not take it"
