"""Mel-frequency cepstral coefficients as MLPerf Tiny's keyword spotting takes them: one second -> 49 x 10.

Frames of 30 ms every 20 ms at 16 kHz, a periodic Hann window, the magnitude of a 512-point FFT, 40 mel bands from 20 to
4,000 Hz, their logarithm, and the first 10 coefficients of a cosine transform.  The same as `tf.signal` computes; in
NumPy and SciPy, so that features need no TensorFlow.
"""

from __future__ import annotations

import numpy as np
import scipy  # its parts are loaded where they are first used: listing models needs none

from hil.harness.model import Array

RATE = 16000
FRAME, STEP, FFT = 480, 320, 512
BANDS, LOWEST, HIGHEST, COEFFICIENTS = 40, 20.0, 4000.0, 10


def one_second(samples: Array, rate: int) -> Array:
    """Resamples to 16 kHz, cuts or pads with silence to one second, and scales to a peak of 1: float32 (16000,)."""
    resampled = scipy.signal.resample_poly(samples, RATE // rate, 1)[:RATE].astype(np.float32)
    second = np.pad(resampled, (0, RATE - len(resampled)))
    return second / max(float(np.abs(second).max()), 1e-6)


def mfcc(seconds: Array) -> Array:
    """Computes MFCC of seconds of sound, float32 (n, 16000) -> float32 (n, 49, 10)."""
    window = scipy.signal.get_window("hann", FRAME, fftbins=True).astype(np.float32)
    bands = mel_bands()
    features = []
    for start in range(0, len(seconds), 500):
        frames = np.lib.stride_tricks.sliding_window_view(seconds[start : start + 500], FRAME, axis=1)[:, ::STEP]
        magnitude = np.abs(scipy.fft.rfft(frames * window, FFT, axis=-1)).astype(np.float32)
        log_mel = np.log(magnitude @ bands + np.float32(1e-6))
        cosines = scipy.fft.dct(log_mel, type=2, axis=-1)[..., :COEFFICIENTS]
        features.append((cosines / np.sqrt(2.0 * BANDS)).astype(np.float32))
    return np.concatenate(features)


def mel_bands() -> Array:
    """Returns the triangular filters on the mel scale, float32 (257 FFT bins, 40 bands)."""
    bins = _mel(np.linspace(0.0, RATE / 2, FFT // 2 + 1))
    edges = np.linspace(_mel(LOWEST), _mel(HIGHEST), BANDS + 2)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins[:, None] - low) / (centre - low)
    falling = (high - bins[:, None]) / (high - centre)
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    triangles[0] = 0.0
    return triangles.astype(np.float32)


def _mel(hertz: Array | float) -> Array:
    return np.asarray(1127.0 * np.log1p(np.asarray(hertz) / 700.0))
