"""Folders and tar files of images and recordings as data."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from hil.core.errors import BadInputError, UnavailableError
from hil.harness.data.loaded import joined
from hil.harness.model import Dataset, image_folder, load_model_file, wav_folder


def write_images(root: Path, split: str, classes: str) -> None:
    for number, name in enumerate(classes):
        folder = root / split / name
        folder.mkdir(parents=True)
        for place in range(3):
            image = np.full((6, 4, 3), (number, place, 200), np.uint8)
            Image.fromarray(image).save(folder / f"{place}.png")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for split, classes in (("train", "bac"), ("test", "ac")):
        write_images(tmp_path, split, classes)
        (tmp_path / split / "notes.txt").write_text("no image")
        with tarfile.open(tmp_path / f"{split}.tar", "w") as tar:
            tar.add(tmp_path / split, split)
    return tmp_path


def values(data: Dataset, split: str) -> tuple[np.ndarray, list[int]]:
    found = joined(data.read(split))
    return found.x[0], found.y[0].tolist()


@pytest.mark.parametrize("path", ["{split}", "{split}.tar"])
def test_classes_are_the_folders_of_the_training_data_in_order(images: Path, path: str) -> None:
    data = image_folder(images / path, size=(6, 4))
    x, y = values(data, "train")
    assert x.shape == (9, 6, 4, 3)
    assert x.dtype == np.uint8
    assert y == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert x[:, 0, 0, 1].tolist() == [0, 1, 2] * 3
    assert x[:, 0, 0, 0].tolist() == [1] * 3 + [0] * 3 + [2] * 3
    assert values(data, "test")[1] == [0, 0, 0, 2, 2, 2]
    assert len(data.present()) == (15 if path == "{split}" else 2)


def test_images_are_resized_and_made_grey(images: Path) -> None:
    x, _ = values(image_folder(images / "{split}", size=(3, 2), channels=1), "test")
    assert x.shape == (6, 3, 2, 1)


def test_recordings_are_cut_or_filled_and_may_become_features(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for name, wave in (("no", np.full(30, 8192, np.int16)), ("yes", np.full((5, 2), 128 + 64, np.uint8))):
            (tmp_path / split / name).mkdir(parents=True)
            wavfile.write(tmp_path / split / name / "a.wav", 8000, wave)
    x, y = values(wav_folder(tmp_path / "{split}", samples=10, rate=8000), "train")
    assert x.tolist() == [[0.25] * 10, [0.5] * 5 + [0.0] * 5]
    assert y == [0, 1]
    doubled = wav_folder(tmp_path / "{split}", 10, 8000, features=lambda wave: 2 * wave[:3])
    assert values(doubled, "test")[0].tolist() == [[0.5] * 3, [1.0] * 3]
    with pytest.raises(BadInputError, match="8000 samples a second, not 16000"):
        joined(wav_folder(tmp_path / "{split}", 10).read("train"))


def test_what_is_not_there_or_not_readable_is_one_line(images: Path) -> None:
    with pytest.raises(UnavailableError, match="no folder"):
        image_folder(images / "{split}s", size=(6, 4)).present()
    with pytest.raises(UnavailableError, match="no file"):
        joined(image_folder(images / "{split}s.tar", size=(6, 4)).read("train"))
    with pytest.raises(BadInputError, match="is the same for train and test"):
        image_folder(images / "train", size=(6, 4))
    with pytest.raises(BadInputError, match=r"no files of the kinds \.wav"):
        wav_folder(images / "{split}", 10).present()
    (images / "train" / "a" / "9.png").write_bytes(b"no png")
    with pytest.raises(BadInputError, match=r"9\.png is no image"):
        joined(image_folder(images / "{split}", size=(6, 4)).read("train"))
    write_images(images, "test/more", "z")
    with pytest.raises(BadInputError, match=r"z/0\.png is of a class that the training data does not have"):
        joined(image_folder(images / "{split}", size=(6, 4)).read("test"))


@pytest.mark.parametrize("function", ["image_folder({path!r}, (6, 4))", "wav_folder({path!r}, 10, 8000)"])
def test_relative_paths_begin_at_the_file_in_which_they_stand(
    images: Path, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: at the working folder, so that a model file was found from one folder only."""
    for split in ("train", "test"):
        for name in ("a", "c"):
            wavfile.write(images / split / name / "a.wav", 8000, np.zeros(10, np.int16))
    line = "from hil.harness.model import *\ndata = " + function
    (images / "shared").mkdir()
    (images / "shared" / "data.py").write_text(line.format(path="../{split}"))
    (images / "beside.py").write_text(f"{line.format(path='{split}')}\nmodel = Model('m', data, 'net.h5')")
    (images / "through.py").write_text(
        "from hil.harness.model import *\nmodel = Model('m', sibling(__file__, 'shared/data.py').data, 'net.h5')"
    )
    (images / "net.h5").touch()
    (images / "elsewhere").mkdir()
    monkeypatch.chdir(images / "elsewhere")
    found = [load_model_file(Path("..") / name).data for name in ("beside.py", "through.py")]
    assert [len(data.present()) for data in found] == [15, 15] if "image" in function else [4, 4]
    assert [len(values(data, "test")[1]) for data in found] == [6, 6] if "image" in function else [2, 2]
