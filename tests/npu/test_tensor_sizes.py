"""A damaged file's tensors are refused by name, before anything reads them."""

from __future__ import annotations

import pytest

from hil.core.errors import StreamError
from hil.npu.tensor_sizes import check_tensors
from hil.npu.vela_output import read_compiled


@pytest.fixture(scope="module")
def compiled(shared_models, vela):
    return vela((shared_models / "kws_ref_int8.tflite").read_bytes(), "ethos-u55-128", "Shared_Sram")


def test_an_output_of_vela_is_whole(compiled):
    check_tensors(read_compiled(compiled))


def test_a_command_stream_shorter_than_its_shape_is_named_with_both_sizes(compiled):
    at = compiled.index(b"COP1") - 4  # the length of the vector that holds the stream
    size = int.from_bytes(compiled[at : at + 4], "little")
    short = compiled[:at] + (size - 16).to_bytes(4, "little") + compiled[at + 4 :]
    with pytest.raises(StreamError, match=rf"command_stream' has {size - 16} bytes, .* needs {size}$"):
        check_tensors(read_compiled(short))
