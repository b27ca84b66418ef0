"""Speech Commands v2 as MLPerf Tiny has it: ten words, silence and unknown words, as MFCC 49x10 (CC-BY-4.0).

Read from the folder that HIL_SPEECH_COMMANDS names, or from `data/speech_commands` in the folder that HIL_TEST_DATA
names.  It holds the two archives unpacked, `speech_commands_v0.02/` and `speech_commands_test_set_v0.02/`.  Splits and
labels are those of TensorFlow Datasets' `speech_commands` 0.0.2, from which MLPerf Tiny trains: 85,511 training, 10,102
validation and 4,890 test samples.  Silence in training is cut from the background noise, a second every half second.
MLPerf Tiny mixes noise into the training samples, by up to a tenth; here that is `Dataset.augment`'s business, and left
out.  Source: Warden, "Speech Commands", arXiv 1804.03209, 2018; mlcommons/tiny, `keyword_spotting/get_dataset.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hil.harness.model import Array, sibling

folder = sibling(__file__, "places.py").folder
mfcc = sibling(__file__, "mfcc.py")
read_wave = sibling(__file__, "wave_file.py").read_wave

WORDS = ("down", "go", "left", "no", "off", "on", "right", "stop", "up", "yes", "_silence_", "_unknown_")
TRAINING, TEST = "speech_commands_v0.02", "speech_commands_test_set_v0.02"
NOISE = "_background_noise_"
VALIDATION_NOISE = f"{NOISE}/running_tap.wav"
BATCH = 500
HINT = (
    "unpack http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz and speech_commands_test_set_v0.02.tar.gz "
    "into folders of these names, and set HIL_SPEECH_COMMANDS to the folder that holds both"
)


def load(split: str) -> Iterator[tuple[Array, Array]]:
    """Loads "train", "validation" or "test" as batches of (MFCC float32 (n, 49, 10, 1), classes int64 (n,)).

    The training samples are in a fixed random order.
    """
    seconds: list[Array] = []
    labels: list[int] = []
    for sound, label in _sounds(split):
        seconds.append(one_second(sound))
        labels.append(label)
        if len(seconds) == BATCH:
            yield mfcc.mfcc(np.stack(seconds))[..., None], np.array(labels, np.int64)
            seconds, labels = [], []
    if seconds:
        yield mfcc.mfcc(np.stack(seconds))[..., None], np.array(labels, np.int64)


def files() -> list[Path]:
    """Returns all recordings and lists; raises `UnavailableError` when they are not on this machine."""
    place = _place()
    lists = [place / TRAINING / name for name in ("testing_list.txt", "validation_list.txt")]
    return [*lists, *sorted(place.glob(f"{TRAINING}/*/*.wav")), *sorted(place.glob(f"{TEST}/*/*.wav"))]


def one_second(sound: Array) -> Array:
    """Scales a recording, int16 values, to a largest value of 1 and fills it with zeros: float32 (16000,).

    As MLPerf Tiny does it, the largest value, not the largest amplitude, becomes 1.
    """
    scaled = sound[: mfcc.RATE].astype(np.float32) / np.float32(max(int(sound.max(initial=1)), 1))
    return np.pad(scaled, (0, mfcc.RATE - len(scaled)))


def _place() -> Path:
    found: Path = folder("HIL_SPEECH_COMMANDS", "speech_commands", [TRAINING, TEST], HINT)
    return found


def _sounds(split: str) -> Iterator[tuple[Array, int]]:
    """Iterates over recordings with their labels; those of the test set are in the order of their names."""
    paths = _paths(split)
    if split == "train":
        paths = [paths[place] for place in np.random.default_rng(0).permutation(len(paths))]
    for path in paths:
        word = path.parent.name
        if word == NOISE:
            whole = read_wave(path, mfcc.RATE)
            starts = range(0, len(whole) - mfcc.RATE, mfcc.RATE // 2)
            yield from ((whole[start : start + mfcc.RATE], WORDS.index("_silence_")) for start in starts)
        else:
            yield read_wave(path, mfcc.RATE), WORDS.index(word if word in WORDS else "_unknown_")


def _paths(split: str) -> list[Path]:
    place = _place()
    if split == "test":
        return sorted(place.glob(f"{TEST}/*/*.wav"))
    training = place / TRAINING
    listed = {name: (training / f"{name}_list.txt").read_text().split() for name in ("testing", "validation")}
    validation = {*listed["validation"], VALIDATION_NOISE}
    if split == "validation":
        return [training / name for name in sorted(validation)]
    left_out = validation.union(listed["testing"])
    names = (path.relative_to(training).as_posix() for path in sorted(training.glob("*/*.wav")))
    return [training / name for name in names if name not in left_out]
