"""The loaders of the zoo on small data of the same form, against second implementations of their preprocessing."""

from __future__ import annotations

import hashlib
import io
import tarfile
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hil.core.errors import BadInputError
from hil.harness.model import sibling
from hil.harness.optimize.keras.keras2 import import_keras, import_tensorflow

from .conftest import FOLDER

cifar10 = sibling(str(FOLDER / "x"), "data/cifar10.py")
speech_commands = sibling(str(FOLDER / "x"), "data/speech_commands.py")
visual_wake_words = sibling(str(FOLDER / "x"), "data/visual_wake_words.py")
machine_sounds = sibling(str(FOLDER / "x"), "data/machine_sounds.py")
random_images = sibling(str(FOLDER / "x"), "data/random_images.py")


def joined(batches: Any) -> tuple[Any, Any]:
    x, y = zip(*batches, strict=True)
    return np.concatenate(x), np.concatenate(y)


def png(image: Any) -> bytes:
    written = io.BytesIO()
    Image.fromarray(image).save(written, "png")
    return written.getvalue()


def write_wave(path: Path, samples: Any, rate: int = 16000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.asarray(samples).astype("<i2").tobytes())


def test_cifar10_is_the_same_from_arrays_and_from_images(monkeypatch: Any, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (3, 32, 32, 3), np.uint8)
    records = [bytes([label]) + image.transpose(2, 0, 1).tobytes() for label, image in enumerate(images)]
    arrays, tar = tmp_path / "arrays", tmp_path / "tar"
    arrays.mkdir()
    tar.mkdir()
    for name in (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"):
        (arrays / name).write_bytes(b"".join(records))
    for split in ("train", "test"):
        with tarfile.open(tar / f"cifar10_{split}.tar", "w") as file:
            for name, image in zip(("airplane", "automobile", "bird"), images, strict=True):
                content, entry = png(image), tarfile.TarInfo(f"{split}/{name}/a.png")
                entry.size = len(content)
                file.addfile(entry, io.BytesIO(content))
    found = {}
    for place in (arrays, tar):
        monkeypatch.setenv("HIL_CIFAR10", str(place))
        assert all(path.is_file() for path in cifar10.files())
        found[place] = joined(cifar10.load("test"))
        assert np.array_equal(found[place][0], images)
        assert found[place][1].tolist() == [0, 1, 2]
    monkeypatch.setenv("HIL_CIFAR10", str(arrays))
    assert len(joined(cifar10.load("train"))[0]) == 15
    (arrays / "cut.bin").write_bytes(records[0][:-1])
    with pytest.raises(BadInputError, match=r"cut.bin does not consist of records of 3073 bytes"):
        cifar10.read_records(arrays / "cut.bin")


def test_the_tar_files_of_cifar10_are_the_published_ones(shared_data: Path) -> None:
    for name, expected in cifar10.SHA256.items():
        assert hashlib.sha256((shared_data / "cifar10" / name).read_bytes()).hexdigest() == expected


def test_augmented_images_are_moved_and_mirrored_alike_each_time() -> None:
    x = np.arange(1, 8 * 8 * 3 + 1, dtype=np.uint8).reshape(1, 8, 8, 3).repeat(64, axis=0)
    y = np.zeros(64, np.int64)
    moved, labels = cifar10.augment(x, y, np.random.default_rng(0))
    again, _ = cifar10.augment(x, y, np.random.default_rng(0))
    assert (moved.shape, moved.dtype, labels is y) == (x.shape, x.dtype, True)
    assert np.array_equal(moved, again)
    centres = {int(image[4, 4, 0]) for image in moved}
    assert centres <= set(x[0, 1:8, 1:8, 0].ravel().tolist()) | set(x[0, 1:8, ::-1, 0].ravel().tolist())
    assert len(centres) > 20


def test_visual_wake_words_are_what_keras_image_generator_reads(monkeypatch: Any, tmp_path: Path) -> None:
    """MLPerf Tiny reads them so: `validation_split=0.1`, `rescale=1/255`, 96x96."""
    random = np.random.default_rng(0)
    for name in ("person", "non_person"):
        (tmp_path / name).mkdir()
        for number in range(20):
            image = random.integers(0, 256, (96, 96 + 8 * (number == 0), 3), np.uint8)
            (tmp_path / name / f"{number:02}.png").write_bytes(png(image))
    monkeypatch.setenv("HIL_VWW", str(tmp_path))
    generator = import_keras().preprocessing.image.ImageDataGenerator(validation_split=0.1, rescale=1 / 255)
    for split, subset, count in (("test", "validation", 4), ("train", "training", 36)):
        x, y = joined(visual_wake_words.load(split))
        expected = generator.flow_from_directory(
            tmp_path, target_size=(96, 96), batch_size=40, subset=subset, shuffle=False
        )
        wanted, labels = next(expected)
        assert (len(x), x.dtype) == (count, np.float32)
        order, other = (np.lexsort(images.reshape(count, -1)[:, :3].T) for images in (x, wanted))
        np.testing.assert_allclose(x[order], wanted[other], atol=1e-6)
        assert y[order].tolist() == labels.argmax(axis=1)[other].tolist()
    assert len(visual_wake_words.files()) == 40


def test_speech_commands_have_the_splits_and_labels_of_tensorflow_datasets(monkeypatch: Any, tmp_path: Path) -> None:
    training, test = tmp_path / speech_commands.TRAINING, tmp_path / speech_commands.TEST
    random = np.random.default_rng(0)
    for name in ("yes/a", "yes/b", "no/a", "bed/a", "down/a"):
        write_wave(training / f"{name}.wav", random.normal(0, 3000, 12000))
    for name in ("running_tap", "pink_noise"):
        write_wave(training / "_background_noise_" / f"{name}.wav", random.normal(0, 500, 40000))
    (training / "testing_list.txt").write_text("yes/b.wav\n")
    (training / "validation_list.txt").write_text("no/a.wav\n")
    for name in ("yes/b", "_silence_/c", "_unknown_/d"):
        write_wave(test / f"{name}.wav", random.normal(0, 3000, 16000))
    monkeypatch.setenv("HIL_SPEECH_COMMANDS", str(tmp_path))
    words = speech_commands.WORDS
    counts = {}
    for split in ("train", "validation", "test"):
        x, y = joined(speech_commands.load(split))
        assert (x.shape, x.dtype) == ((len(y), 49, 10, 1), np.float32)
        counts[split] = sorted(words[label] for label in y)
    assert counts == {
        "train": ["_silence_", "_silence_", "_silence_", "_unknown_", "down", "yes"],
        "validation": ["_silence_", "_silence_", "_silence_", "no"],
        "test": ["_silence_", "_unknown_", "yes"],
    }
    assert len(speech_commands.files()) == 12


def test_a_spoken_command_becomes_what_mlperf_tiny_makes_of_it() -> None:
    """`get_dataset.py` of mlcommons/tiny, by tf.signal."""
    tf = import_tensorflow()
    sound = np.random.default_rng(0).normal(0, 3000, 12000).astype(np.int16)
    given = tf.cast(sound, tf.float32)
    given = tf.pad(given / tf.reduce_max(given), [[0, 16000 - len(sound)]])
    spectrum = tf.abs(tf.signal.stft(given, 480, 320, window_fn=tf.signal.hann_window))
    mel = spectrum @ tf.signal.linear_to_mel_weight_matrix(40, 257, 16000, 20.0, 4000.0)
    expected = tf.signal.mfccs_from_log_mel_spectrograms(tf.math.log(mel + 1e-6))[..., :10].numpy()
    found = speech_commands.mfcc.mfcc(speech_commands.one_second(sound)[None])[0]
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert not speech_commands.one_second(np.zeros(9, np.int16)).any()


def test_log_mel_energies_are_those_of_librosa() -> None:
    """Values that librosa 0.10.2 gave: n_fft=1024, hop_length=512, n_mels=128, power=2; 10 log10(mel + eps)."""
    noise = (np.random.default_rng(0).normal(size=16000 * 9) * 0.1).astype(np.float32)
    found = machine_sounds.log_mel(noise + 0.3 * np.sin(np.arange(144000) * 0.3).astype(np.float32))
    assert found.shape == (282, 128)
    places = ((0, 0), (50, 3), (60, 20), (100, 64), (249, 127), (281, 5))
    values = [-5.803, -6.931, -4.098, -4.68, -6.241, -4.788]
    assert [float(found[place]) for place in places] == pytest.approx(values, abs=2e-3)


def test_windows_of_machine_sounds_hold_five_frames_each(monkeypatch: Any, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name in ("train/normal_id_01_0", "test/normal_id_01_1", "test/anomaly_id_01_2"):
        write_wave(tmp_path / f"{name}.wav", random.normal(0, 3000, 16000 * 10))
    monkeypatch.setenv("HIL_TOY_CAR", str(tmp_path))
    x, y = joined(machine_sounds.load("train"))
    assert (x.shape, x.dtype) == ((196, 640), np.float32)
    assert np.array_equal(x, y)
    assert np.array_equal(x[7, 128:256], x[8, :128])  # one frame later
    _, labels = joined(machine_sounds.load("test"))
    assert labels.tolist() == [1] * 196 + [0] * 196  # in the order of file names
    assert len(machine_sounds.files()) == 3
    with pytest.raises(BadInputError, match="a recording of 20 frames is too short: 55 are needed"):
        machine_sounds.windows(np.zeros((20, 128), np.float32))


def test_random_images_teach_nothing() -> None:
    x, y = random_images.load("test")
    assert (x.shape, x.dtype) == ((8, 224, 224, 3), np.float32)
    assert np.bincount(y).tolist() == [4, 4]  # no constant answer is right everywhere
