"""Recordings in WAV files of one form: mono, 16 bits."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from hil.core.errors import BadInputError
from hil.harness.model import Array


def read_wave(path: Path, rate: int) -> Array:
    """Reads the samples of a WAV file, int16 (n,); raises `BadInputError` if it is not mono, 16 bits, at `rate` Hz."""
    try:
        with wave.open(str(path), "rb") as file:
            form = (file.getframerate(), file.getnchannels(), file.getsampwidth())
            content = file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        raise BadInputError(f"{path} cannot be read: {error}") from None
    if form != (rate, 1, 2):
        raise BadInputError(f"{path} is not {rate // 1000} kHz, mono, 16 bits")
    return np.frombuffer(content, "<i2")
