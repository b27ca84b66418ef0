"""Lines of a board as values, and the quantized outputs that follow from printed numbers."""

from __future__ import annotations

import numpy as np
import pytest

from hil.targets.execution.signature import TensorSpec
from hil.targets.mlperf_link.replies import Line, ReplyError, read_inference, read_results
from hil.targets.serial.mlperf.encoding import encode
from hil.targets.serial.mlperf.printed_outputs import recover

SOFTMAX = TensorSpec("scores", (1, 4), np.dtype(np.int8), 1 / 256, -128)
ANSWER = (
    "m-warmup-start-2", "m-warmup-done", "m-infer-start-5", "m-lap-us-1000", "m-lap-us-21000", "m-infer-done",
    "m-results-[0.000,0.996]",
)  # fmt: skip


def lines(*texts: str) -> list[Line]:
    return [Line(text, float(number)) for number, text in enumerate(texts)]


@pytest.mark.parametrize("lost", range(len(ANSWER)))
def test_an_answer_that_lost_a_line_is_no_answer(lost: int) -> None:
    read_inference(lines(*ANSWER), 5, 2)
    with pytest.raises(ReplyError):
        read_inference(lines(*ANSWER[:lost], *ANSWER[lost + 1 :]), 5, 2)


@pytest.mark.parametrize(
    "damaged", ["m-infer-start-7", "m-lap-us-2100O", "m-results-[0.000,0.9", "m-results-[0.0.0,1]", "m-results-[]"]
)
def test_an_answer_with_a_damaged_line_is_no_answer(damaged: str) -> None:
    start = damaged[:10]
    texts = [text for text in ANSWER if not text.startswith(start)]
    place = next(number for number, text in enumerate(ANSWER) if text.startswith(start))
    with pytest.raises(ReplyError):
        read_inference(lines(*texts[:place], damaged, *texts[place:]), 5, 2)


@pytest.mark.parametrize(
    ("text", "values", "resolution"),
    [
        ("0.125,0.875", (0.125, 0.875), 0.001),
        ("0.125,0.875,", (0.125, 0.875), 0.001),  # the benchmark's empty reference ends with a comma
        (" 12.50, -3.25", (12.5, -3.25), 0.01),
        ("1,0.5", (1.0, 0.5), 1.0),
        ("2.5e-05", (2.5e-05,), 1e-06),
        ("nan", (float("nan"),), float("inf")),
        ("1e1000000", (float("inf"),), float("inf")),
    ],
)
def test_results_keep_how_exactly_they_were_printed(text: str, values: tuple[float, ...], resolution: float) -> None:
    found = read_results(lines(f"m-results-[{text}]"))
    assert np.array_equal(found.values, values, equal_nan=True)
    assert found.resolution == pytest.approx(resolution)


@pytest.mark.parametrize("cut", [False, True])
def test_a_print_of_three_decimals_tells_every_int8_value_of_a_softmax(cut: bool) -> None:
    values = np.arange(-128, 128, dtype=np.int8).reshape(64, 4)
    real = (values.astype(np.float64) + 128) / 256
    printed = np.floor(real * 1000) / 1000 if cut else np.round(real, 3)
    found = recover(SOFTMAX, printed, 0.001)
    assert found.values is not None
    assert np.array_equal(found.values, values)


@pytest.mark.parametrize(
    ("printed", "resolution", "why"),
    [
        ([[0.0, 0.5, 0.25, 0.25]], 0.01, "too coarse"),
        ([[0.0, 0.5, 0.502, 0.25]], 0.001, "1 of 4 printed outputs are none of the model's quantized values"),
        ([[0.0, 0.5, 0.25, 1.5]], 0.001, "another model"),
        ([[0.0, 0.5, 0.25, float("nan")]], 0.001, "another model"),
        ([[0.0, 0.5, 0.25]], 0.001, "prints 3 outputs, the model has 4"),
    ],
)
def test_a_print_that_tells_nothing_is_not_compared(printed: list[list[float]], resolution: float, why: str) -> None:
    found = recover(SOFTMAX, np.array(printed), resolution)
    assert found.values is None
    assert why in found.reason


def test_each_firmware_gets_its_input_as_it_wants_it() -> None:
    spec = TensorSpec("image", (1, 3), np.dtype(np.int8), 0.5, -2)
    sample = np.array([-128, 0, 127], np.int8)
    assert encode("kws01", spec, sample) == b"\x80\x00\x7f"
    assert encode("ic01", spec, sample) == encode("vww01", spec, sample) == b"\x00\x80\xff"
    assert np.frombuffer(encode("ad01", spec, sample), "<f4").tolist() == [-63.0, 1.0, 64.5]
