"""Free Spoken Digit Dataset: 3,000 recordings of the digits 0 to 9 by six speakers (CC-BY-SA-4.0), as MFCC.

Read from the folder that HIL_FSDD names; if it is not set, from `data/fsdd` in the folder that HIL_TEST_DATA names;
with HIL_DOWNLOAD=1, from TensorFlow Datasets' `spoken_digit`, if `tensorflow-datasets` is installed.  A folder holds
the WAV files `{digit}_{speaker}_{take}.wav` (8 kHz, mono, 16 bits), itself or in `recordings/`.

Four speakers are in the training set and two others in the test set, so accuracy is that on unknown speakers.  The
training set has each recording four times: unchanged, and three times with other speed, position, loudness and noise,
by a fixed seed.
"""

from __future__ import annotations

import os
import wave
from pathlib import Path

import numpy as np

from hil.core.errors import UnavailableError
from hil.harness.model import Array, sibling

mfcc = sibling(__file__, "mfcc.py")
wave_file = sibling(__file__, "wave_file.py")

TEST_SPEAKERS = ("theo", "yweweler")
SOURCE_RATE = 8000
COPIES = 3
HINT = (
    "git clone https://github.com/Jakobovski/free-spoken-digit-dataset and set HIL_FSDD to its folder; "
    "or pip install tensorflow-datasets and set HIL_DOWNLOAD=1"
)


def load(split: str) -> tuple[Array, Array]:
    """Loads (MFCC float32 (n, 49, 10, 1), digits int64 (n,)): "train" (8,000, four speakers), "test" (1,000, two)."""
    chosen = [file for file in files() if (_label(file)[1] in TEST_SPEAKERS) == (split == "test")]
    waves = [read_wave(file) for file in chosen]
    digits = np.array([_label(file)[0] for file in chosen], np.int64)
    if split == "train":
        random = np.random.default_rng(0)
        waves = waves + [changed(samples, random) for _copy in range(COPIES) for samples in waves]
        digits = np.tile(digits, COPIES + 1)
        mixed = random.permutation(len(waves))  # files are sorted by digit; a first part must hold all of them
        waves, digits = [waves[place] for place in mixed], digits[mixed]
    features = mfcc.mfcc(np.stack([mfcc.one_second(samples, SOURCE_RATE) for samples in waves]))
    return features[..., None], digits


def files() -> list[Path]:
    """Returns all recordings, sorted; raises `UnavailableError` when there are none on this machine."""
    named, shared = os.environ.get("HIL_FSDD", ""), os.environ.get("HIL_TEST_DATA", "")
    folders = [Path(named)] if named else [Path(shared) / "data" / "fsdd"] if shared else []
    for folder in [place for parent in folders for place in (parent, parent / "recordings")]:
        if found := sorted(folder.glob("[0-9]_*_*.wav")):
            return found
    if os.environ.get("HIL_DOWNLOAD") == "1" and not named:
        return _download()
    raise UnavailableError("the Free Spoken Digit Dataset is not on this machine", hint=HINT)


def read_wave(path: Path) -> Array:
    """Reads the samples of a WAV file, float32 in -1..1; raises `BadInputError` if it is not 8 kHz, mono, 16 bits."""
    return wave_file.read_wave(path, SOURCE_RATE).astype(np.float32) / np.float32(32768)


def changed(samples: Array, random: np.random.Generator) -> Array:
    """Augments a recording: up to 15 % faster or slower, later, louder or softer, with noise."""
    places = np.arange(0, len(samples) - 1, random.uniform(0.85, 1.15))
    stretched = np.interp(places, np.arange(len(samples)), samples)
    silence = np.zeros(random.integers(0, max(1, min(1600, SOURCE_RATE - len(stretched)) + 1)))
    moved = np.concatenate([silence, stretched])
    noise = random.normal(0, 10 ** random.uniform(-4, -2), len(moved))
    return (moved * random.uniform(0.6, 1.4) + noise).astype(np.float32)


def _label(file: Path) -> tuple[int, str]:
    """Parses (digit, speaker) from a file's name."""
    digit, speaker, _take = file.stem.split("_")
    return int(digit), speaker


def _download() -> list[Path]:
    """Downloads the recordings by TensorFlow Datasets, as WAV files into the user's cache, once."""
    from platformdirs import user_cache_path

    folder = user_cache_path("ethosu-hil") / "fsdd"
    if not (folder / "complete").exists():
        try:
            import tensorflow_datasets as tfds

            data = tfds.load("spoken_digit", split="train")
        except Exception as error:
            raise UnavailableError(f"spoken_digit cannot be downloaded: {error}", hint=HINT) from None
        folder.mkdir(parents=True, exist_ok=True)
        for item in tfds.as_numpy(data):
            with wave.open(str(folder / Path(item["audio/filename"].decode()).name), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(SOURCE_RATE)
                file.writeframes(item["audio"].astype("<i2").tobytes())
        (folder / "complete").touch()
    return sorted(folder.glob("[0-9]_*_*.wav"))
