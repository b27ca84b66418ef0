"""The loaders: shapes, ranges, splits, and the refusal of wrong files."""

from __future__ import annotations

import gzip
import struct
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hil.core.errors import BadInputError
from hil.harness.model import Model, sibling
from hil.harness.optimize.keras.keras2 import import_tensorflow

from .conftest import FOLDER

fashion_mnist = sibling(str(FOLDER / "x"), "data/fashion_mnist.py")
spoken_digits = sibling(str(FOLDER / "x"), "data/spoken_digits.py")
mfcc = sibling(str(FOLDER / "x"), "data/mfcc.py")


def test_fashion_mnist_is_the_official_split(fashion: Model) -> None:
    assert len(fashion.data.files()) == 4
    for split, count in (("train", 60_000), ("test", 10_000)):
        x, y = fashion.data.load(split)
        assert (x.shape, x.dtype, y.shape) == ((count, 28, 28, 1), np.float32, (count,))
        assert (x.min(), x.max()) == (0.0, 1.0)
        assert np.bincount(y).tolist() == [count // 10] * 10


@pytest.mark.parametrize(
    "content",
    [
        b"no gzip",
        gzip.compress(b""),
        gzip.compress(struct.pack(">HBB", 0, 13, 1) + bytes(8)),
        gzip.compress(struct.pack(">HBBI", 0, 8, 1, 9) + bytes(8)),
        gzip.compress(bytes(100))[:20],
    ],
    ids=["no_gzip", "empty", "floats", "short", "cut"],
)
def test_a_damaged_idx_file_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.gz").write_bytes(content)
    with pytest.raises(BadInputError, match=r"x.gz cannot be read"):
        fashion_mnist.read_idx(tmp_path / "x.gz")


def test_no_speaker_is_on_both_sides(digits: Model) -> None:
    files = digits.data.files()
    speakers = {file.stem.split("_")[1] for file in files}
    assert len(files) == 3000
    assert speakers > set(spoken_digits.TEST_SPEAKERS)
    x, y = digits.data.load("test")
    assert (x.shape, x.dtype) == ((1000, 49, 10, 1), np.float32)
    assert np.bincount(y).tolist() == [100] * 10


def test_the_first_training_samples_hold_every_digit(digits: Model) -> None:
    """They calibrate post-training quantization."""
    x, y = digits.data.load("train")
    assert x.shape == (8000, 49, 10, 1)
    assert set(y[:200]) == set(range(10))


def test_the_training_set_is_the_same_each_time(monkeypatch: Any, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name in ("1_jackson_0", "7_lucas_3", "7_theo_1"):
        write_wave(tmp_path / f"{name}.wav", random.normal(0, 3000, 4000))
    monkeypatch.setenv("HIL_FSDD", str(tmp_path))
    (x, y), (again, _) = spoken_digits.load("train"), spoken_digits.load("train")
    assert np.array_equal(x, again)
    assert sorted(y.tolist()) == [1] * 4 + [7] * 4
    assert len(np.unique(x, axis=0)) == 8  # the copies differ from the recording
    assert spoken_digits.load("test")[1].tolist() == [7]


def write_wave(path: Path, samples: Any, rate: int = 8000) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.asarray(samples).astype("<i2").tobytes())


def test_a_recording_of_another_kind_is_one_clear_line(tmp_path: Path) -> None:
    write_wave(tmp_path / "a.wav", np.zeros(10), rate=16000)
    with pytest.raises(BadInputError, match=r"a.wav is not 8 kHz, mono, 16 bits"):
        spoken_digits.read_wave(tmp_path / "a.wav")
    (tmp_path / "b.wav").write_text("no sound")
    with pytest.raises(BadInputError, match=r"b.wav cannot be read"):
        spoken_digits.read_wave(tmp_path / "b.wav")


def test_one_second_pads_cuts_and_scales() -> None:
    short = mfcc.one_second(np.full(4000, 0.25, np.float32), 8000)
    assert (short.shape, short.dtype) == ((16000,), np.float32)
    assert short.max() == 1.0
    assert not short[8100:].any()
    assert mfcc.one_second(np.ones(20000, np.float32), 8000).shape == (16000,)
    assert not mfcc.one_second(np.zeros(100, np.float32), 8000).any()  # silence stays silence


def test_mfcc_is_what_tensorflow_computes() -> None:
    tf = import_tensorflow()
    seconds = np.random.default_rng(0).normal(size=(3, 16000)).astype(np.float32)
    spectrum = tf.abs(tf.signal.stft(seconds, 480, 320, window_fn=tf.signal.hann_window))
    mel = spectrum @ tf.signal.linear_to_mel_weight_matrix(40, 257, 16000, 20.0, 4000.0)
    expected = tf.signal.mfccs_from_log_mel_spectrograms(tf.math.log(mel + 1e-6))[..., :10].numpy()
    assert mfcc.mfcc(seconds).shape == (3, 49, 10)
    np.testing.assert_allclose(mfcc.mfcc(seconds), expected, atol=1e-4)
