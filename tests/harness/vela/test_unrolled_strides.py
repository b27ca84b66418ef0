"""A stride above 3 becomes an operation for every output element, and hil says so while Vela works on them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from hil.core.errors import CompileError, WorkerDiedError
from hil.core.tflite.model import read_model
from hil.harness.vela import compiler
from hil.harness.vela.compiler import compile_model
from hil.harness.vela.settings import VelaSettings
from hil.harness.vela.unrolled_strides import Unrolled, unrolled
from hil.harness.vela.waiting import waiting
from hil.npu.disassembly.listing import list_compiled
from hil.npu.vela_output import read_compiled

Made = Callable[[str], bytes]


@pytest.fixture
def strided(made: Made) -> bytes:
    """A convolution of stride 4 that gives 32 x 64 pixels."""
    return made("strided")


def test_vela_makes_an_operation_of_every_output_element(strided: bytes) -> None:
    (found,) = unrolled(read_model(strided))
    assert found == Unrolled("CONV_2D", 0, 4, 32 * 64)
    (listing,) = list_compiled(read_compiled(compile_model(strided, VelaSettings(), mapped=False).model))
    assert sum("conv" in one.operation.kind.value for one in listing.instructions) == found.operations


def test_strides_that_the_npu_has_are_not_unrolled(made: Made) -> None:
    assert unrolled(read_model(made("mixed"))) == ()


def test_a_compilation_that_takes_long_says_for_how_long_and_why() -> None:
    lines: list[str] = []
    told = threading.Event()

    def say(text: str, done: int, total: int) -> None:
        lines.append(text)
        told.set()

    with waiting(say, "Vela is compiling x.tflite", lambda: "CONV_2D 0 has stride 4", every_s=0.05):
        assert told.wait(600)
    ended = len(lines)
    time.sleep(0.2)
    assert lines[0] == "Vela is compiling x.tflite, 0 s: CONV_2D 0 has stride 4"
    assert len(lines) == ended  # nothing is said once it has ended


def test_a_compilation_that_does_not_end_names_the_operator(strided: bytes) -> None:
    def ask(request: object, int8: bytes | None) -> tuple[dict[str, object], list[bytes]]:
        expired = "hung, computing for 600 s without progress,"
        raise WorkerDiedError("the process hung", log="", returncode=-9, expired=expired, out_of_memory=False)

    with pytest.raises(CompileError, match=r"did not end on x: CONV_2D 0 has stride 4 .*2,048 operations .*legacy"):
        compiler.compile_model(strided, VelaSettings(), name="x", ask=ask)
