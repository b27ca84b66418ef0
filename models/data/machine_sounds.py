"""Sounds of toy cars as MLPerf Tiny's anomaly detection takes them: log-mel windows of 5 frames by 128 bands.

Read from the folder that HIL_TOY_CAR names, or from `data/ToyCar` in the folder that HIL_TEST_DATA names: the ToyCar
part of DCASE 2020's task 2, `train/*.wav` and `test/normal_*.wav`, `test/anomaly_*.wav` (16 kHz, mono, 16 bits;
CC-BY-NC-SA-4.0, so not for commercial use).

A recording becomes frames of 1,024 samples every 512: the power of a periodic Hann window's FFT in 128 mel bands by
Slaney's scale, each of equal area, in decibels.  Frames 50 to 249 become 196 windows of 640 values.  It is what
`librosa.feature.melspectrogram` computes, in NumPy and SciPy.  Source: Koizumi et al., "ToyADMOS", 2019;
mlcommons/tiny, `anomaly_detection/common.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import scipy

from hil.core.errors import BadInputError
from hil.harness.model import Array, sibling

folder = sibling(__file__, "places.py").folder
read_wave = sibling(__file__, "wave_file.py").read_wave

RATE, FFT, HOP, BANDS, FRAMES = 16000, 1024, 512, 128, 5
FIRST_FRAME, LAST_FRAME = 50, 250
LINEAR_TO = 1000.0
"""Frequency in Hz to which Slaney's scale is linear, with 3 mel a 200 Hz; above, 27 mel are a factor of 6.4."""
HINT = "unpack dev_data_ToyCar.zip (https://zenodo.org/record/3678171) and set HIL_TOY_CAR to its folder ToyCar"


def load(split: str) -> Iterator[tuple[Array, Array]]:
    """Loads a split, recording by recording: windows float32 (196, 640), and what is learned of them.

    That is the windows themselves in "train", and in "test" 1 for each window of an anomaly, else 0.
    """
    for path in _paths(split):
        x = windows(log_mel(read_wave(path, RATE) / np.float32(32768)))
        yield (x, x) if split == "train" else (x, np.full(len(x), path.name.startswith("anomaly"), np.int64))


def files() -> list[Path]:
    """Returns all recordings; raises `UnavailableError` when they are not on this machine."""
    return [path for split in ("train", "test") for path in _paths(split)]


def log_mel(samples: Array) -> Array:
    """Computes the energy of a recording (n,) in mel bands: float32 (1 + n // 512 frames, 128), in dB."""
    around = np.pad(samples, FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(around, FFT)[::HOP]
    window = scipy.signal.get_window("hann", FFT, fftbins=True).astype(np.float32)
    power = np.abs(scipy.fft.rfft(frames * window, axis=-1)) ** 2
    decibels: Array = 10 * np.log10(power @ mel_bands() + np.finfo(np.float64).eps)
    return decibels.astype(np.float32)


def windows(bands: Array) -> Array:
    """Cuts frames (n, 128) from the 50th to the 250th into windows of five frames, one after the other: (196, 640)."""
    chosen = bands[FIRST_FRAME:LAST_FRAME]
    if len(chosen) < FRAMES:
        raise BadInputError(f"a recording of {len(bands)} frames is too short: {FIRST_FRAME + FRAMES} are needed")
    count = len(chosen) - FRAMES + 1
    return np.concatenate([chosen[start : start + count] for start in range(FRAMES)], axis=1)


def mel_bands() -> Array:
    """Returns triangular filters of equal area on Slaney's mel scale from 0 to 8 kHz, float32 (513 bins, 128 bands)."""
    bins = np.linspace(0.0, RATE / 2, FFT // 2 + 1)
    edges = _hertz(np.linspace(0.0, _mel(RATE / 2), BANDS + 2))
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins[:, None] - low) / (centre - low)
    falling = (high - bins[:, None]) / (high - centre)
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return (triangles * 2.0 / (high - low)).astype(np.float32)


def _mel(hertz: float) -> float:
    if hertz < LINEAR_TO:
        return 3 * hertz / 200
    return float(15 + 27 * np.log(hertz / LINEAR_TO) / np.log(6.4))


def _hertz(mel: Array) -> Array:
    return np.where(mel < 15, 200 * mel / 3, LINEAR_TO * np.exp((mel - 15) * np.log(6.4) / 27))


def _paths(split: str) -> list[Path]:
    place = folder("HIL_TOY_CAR", "ToyCar", ["train", "test"], HINT) / split
    return sorted(place.glob("*.wav"))
