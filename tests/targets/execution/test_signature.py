"""Inputs that do not fit raise one line that names the right form; all others become the model's arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from hil.core.errors import BadInputError
from hil.targets.execution.signature import (
    Signature,
    TensorSpec,
    check_inputs,
    dequantize,
    quantize,
    read_signature,
    require_runnable,
    take_inputs,
)

IMAGE = TensorSpec("image", (1, 4, 4, 1), np.dtype(np.int8), 0.5, -3)
LEVEL = TensorSpec("level", (1, 2), np.dtype(np.int16), 0.25, 0)
PAIR = Signature((IMAGE, LEVEL), (), (), (), (), ())
ONE = replace(PAIR, inputs=(IMAGE,))


def test_a_signature_is_read_without_tensorflow(made: Callable[[str], bytes]) -> None:
    signature = read_signature(made("two"))
    assert [(spec.sample_shape, spec.dtype.name) for spec in signature.inputs] == [((8, 8, 3), "int8")] * 2
    assert [spec.shape for spec in signature.outputs] == [(1, 8, 8, 4), (1, 5)]
    assert all(spec.scale > 0 for spec in (*signature.inputs, *signature.outputs))
    assert signature.operators.count("CONV_2D") == 2
    assert not signature.compiled


@pytest.mark.parametrize(
    "content", [b"", b"hello, this is a text file", b"\x00" * 64, b"\x1c\0\0\0TFL3" + b"\xff" * 90]
)
def test_other_files_are_refused_in_one_line(content: bytes) -> None:
    with pytest.raises(BadInputError, match=r"x\.txt is (no TFLite model|a damaged TFLite file)") as caught:
        read_signature(content, "x.txt")
    assert "\n" not in str(caught.value)
    assert str(caught.value).count("damaged") <= 1


def test_no_damage_escapes_as_anything_else(made: Callable[[str], bytes]) -> None:
    whole = made("two")
    generator = np.random.default_rng(3)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole[: int(generator.integers(8, len(whole) + 1))])
        for position in generator.integers(8, len(damaged), 2) if len(damaged) > 8 else ():
            damaged[position] = int(generator.integers(256))
        try:
            require_runnable(read_signature(bytes(damaged)))
        except BadInputError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(3, 4, 4, 1)], r"takes 2 inputs \('image', 'level'\), 1 were given"),
        ([(3, 4, 4), (3, 2)], r"'image' wants the shape \(samples, 4, 4, 1\), \(3, 4, 4\) was given"),
        ([(4, 4, 1), (3, 2)], r"'image' wants the shape \(samples, 4, 4, 1\), \(4, 4, 1\) was given"),
        ([(3, 4, 4, 1), (2, 2)], r"'level' has 2 samples, 'image' has 3"),
        ([(0, 4, 4, 1), (0, 2)], "hold no sample"),
        ([(3, 4, 4, 1), (3, 4, 4, 1)], r"'level' wants the shape \(samples, 2\)"),
    ],
)
def test_wrong_shapes_name_the_tensor(shapes: list[tuple[int, ...]], message: str) -> None:
    arrays = [np.zeros(shape, spec.dtype) for shape, spec in zip(shapes, PAIR.inputs, strict=False)]
    with pytest.raises(BadInputError, match=message):
        check_inputs(PAIR, arrays)


def test_a_wrong_type_names_the_tensor() -> None:
    with pytest.raises(BadInputError, match="'image' wants int8, uint8 was given"):
        take_inputs(ONE, np.zeros((2, 4, 4, 1), np.uint8))
    assert check_inputs(PAIR, [np.zeros((2, 4, 4, 1), np.int8), np.zeros((2, 2), np.int16)]) == 2


def test_arrays_come_by_name_or_alone() -> None:
    image, level = np.ones((2, 4, 4, 1), np.int8), np.ones((2, 2), np.int16)
    assert [array.dtype.name for array in take_inputs(PAIR, {"level": level, "image": image})] == ["int8", "int16"]
    assert take_inputs(ONE, {"arr_0": image})[0] is image
    with pytest.raises(BadInputError, match=r"; missing: 'level', unknown: 'volume'$"):
        take_inputs(PAIR, {"image": image, "volume": level})
    with pytest.raises(BadInputError, match=r"; unknown: 'volume'$"):
        take_inputs(PAIR, {"image": image, "level": level, "volume": level})
    with pytest.raises(BadInputError, match="takes 2 inputs"):
        take_inputs(PAIR, image)


def test_floats_are_quantized_as_tflite_does() -> None:
    values = np.array([-100, -0.25, 0.24, 0.25, 0.75, 100], np.float32)
    np.testing.assert_array_equal(quantize(IMAGE, values), [-128, -4, -3, -2, -1, 127])  # halves away from zero
    np.testing.assert_array_equal(dequantize(IMAGE, np.array([-3, -1], np.int8)), [0.0, 1.0])
    taken = take_inputs(ONE, np.zeros((1, 4, 4, 1), np.float64))
    assert taken[0].dtype == np.int8
    assert (taken[0] == -3).all()
    with pytest.raises(BadInputError, match="not finite"):
        quantize(IMAGE, np.array([np.nan], np.float32))
    with pytest.raises(BadInputError, match="no scale"):
        quantize(replace(IMAGE, scale=0.0), values)
