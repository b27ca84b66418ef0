"""Keras model -> quantized TFLite file."""

from __future__ import annotations

from typing import Any

from hil.harness.model import Array


def to_tflite(keras_model: Any, conversion: str, calibration: Array) -> bytes:
    """`conversion` is "ptq", "qat" or "int16x8" (`paths.conversion`); `calibration` float samples (n, *input shape).

    Raises `ConvertError`.
    """
    raise NotImplementedError
