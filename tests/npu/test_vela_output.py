"""Reading Vela's output: its content, and the refusal of other files."""

from __future__ import annotations

import numpy as np
import pytest

from hil.core.errors import StreamError
from hil.npu.vela_output import CpuOperator, NpuOperator, is_compiled, read_compiled
from tests.support.operators.settings import LEGACY


@pytest.fixture(scope="module")
def model_bytes(shared_models):
    return (shared_models / "kws_ref_int8.tflite").read_bytes()


def test_what_a_file_says(model_bytes, vela):
    data = vela(model_bytes, "ethos-u55-64", "Shared_Sram")
    assert is_compiled(data)
    model = read_compiled(data)
    assert model.accelerator.name == "ethos-u55-64"
    (operator,) = model.main.operators
    assert isinstance(operator, NpuOperator)
    (input_index,) = model.main.inputs
    tensor = model.main.tensors[input_index]
    assert (tensor.shape, tensor.dtype) == ((1, 49, 10, 1), np.int8)
    assert len(tensor.quantization.scales) == len(tensor.quantization.zero_points) == 1
    assert 0 <= tensor.offset <= model.arena_bytes - tensor.bytes
    bound = operator.bind(model)
    assert bound.fast_bytes == 0
    assert bound.program.required[1].size <= bound.scratch_bytes


def test_dedicated_sram_has_a_memory_of_its_own(model_bytes, vela):
    model = read_compiled(vela(model_bytes, "ethos-u55-128", "Dedicated"))
    assert model.main.operators[0].bind(model).fast_bytes > 0


def test_two_tensors_of_one_memory_are_no_dedicated_sram(model_bytes, vela):
    for memory_mode in ("Shared_Sram", "Dedicated"):
        model = read_compiled(vela(model_bytes, "ethos-u55-128", memory_mode, LEGACY))
        (operator,) = model.main.operators
        assert operator.scratch != operator.scratch_fast
        assert operator.needs_fast_memory(model.main.tensors) == (memory_mode == "Dedicated")
        assert (operator.bind(model).fast_bytes > 0) == (memory_mode == "Dedicated")


def test_operators_on_the_cpu_stay_in_order(model_bytes, vela):
    model = read_compiled(vela(model_bytes, "ethos-u55-128", "Shared_Sram", "--ignore-ops", "DEPTHWISE_CONV_2D"))
    kinds = [type(operator) for operator in model.main.operators]
    assert kinds.count(NpuOperator) > 1
    assert kinds.count(CpuOperator) == 4
    assert [operator.index for operator in model.main.operators] == list(range(len(kinds)))
    ready = {i for i, tensor in enumerate(model.main.tensors) if tensor.data is not None} | set(model.main.inputs)
    for operator in model.main.operators:
        memories = {operator.scratch, operator.scratch_fast} if isinstance(operator, NpuOperator) else set()
        assert set(operator.inputs) - memories <= ready
        ready |= set(operator.outputs)
        if isinstance(operator, NpuOperator):
            operator.bind(model)


def test_what_is_no_such_file(model_bytes):
    with pytest.raises(StreamError, match="not a TFLite file"):
        read_compiled(b"a text file, and a long enough one")
    with pytest.raises(StreamError, match="no ethos-u operator"):
        read_compiled(model_bytes)
    assert not is_compiled(model_bytes)
    assert not is_compiled(b"")
    assert not is_compiled(b"\xff" * 64)


def test_damaged_files_only_raise_stream_errors(model_bytes, vela):
    """Bits flipped where the file's structure is, and files cut short."""
    data = vela(model_bytes, "ethos-u55-64", "Sram_Only")
    generator = np.random.default_rng(2)
    for round_ in range(240):
        damaged = bytearray(data)
        structure = [*range(400), *range(len(data) - 3000, len(data))]
        for at in generator.choice(structure, 3):
            damaged[at] ^= 1 << generator.integers(8)
        if round_ % 4 == 0:
            damaged = damaged[: generator.integers(len(data))]
        try:
            model = read_compiled(bytes(damaged))
            for subgraph in range(len(model.subgraphs)):
                for operator in model.subgraphs[subgraph].operators:
                    if isinstance(operator, NpuOperator):
                        bound = operator.bind(model, subgraph)
                        if model.arena_bytes < 1 << 24:
                            bound.run(np.zeros((1, model.arena_bytes), np.uint8))
        except StreamError:
            pass
