"""Data in folders or tar files: a folder a class, of images or of recordings.

    data = image_folder("flowers/{split}", size=(96, 96))                   # flowers/train/rose/001.jpg ...
    data = image_folder("cifar10_{split}.tar", size=(32, 32))        # the same inside a tar file
    data = wav_folder("speech/{split}", samples=16000)

A relative path begins at the folder of the model file, or of the file that `sibling` loads, in which it stands.

Classes are the names of the innermost folders, in alphabetical order, from 0; all splits have those of "train".  Files
are read and decoded batch by batch, in the order of their paths.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import BadInputError, UnavailableError
from hil.harness.model.dataset import SPLITS, Dataset
from hil.harness.model.relative import beside

BATCH = 256
"""Samples that are decoded at a time."""
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
Decode = Callable[[bytes, str], Array]
"""Called with the content and the name of a file; returns the array of its sample."""


def image_folder(
    path: str | Path, size: tuple[int, int], channels: int = 3, splits: Sequence[str] = SPLITS, **options: Any
) -> Dataset:
    """Returns the data of images as uint8 (n, height, width, channels) with labels (n,).

    `path` is a folder or a tar file, in which "{split}" stands for the split; `size` is (height, width), to which other
    images are resized; `channels` is 1 (grey) or 3.  `options` are further fields of `Dataset`.
    """
    if channels not in (1, 3):
        raise BadInputError(f"images of {channels} channels", hint="1 (grey) or 3")
    decode = partial(_image, size=size, mode="L" if channels == 1 else "RGB")
    return _dataset(path, IMAGES, decode, splits, options)


def wav_folder(
    path: str | Path,
    samples: int,
    rate: int = 16000,
    features: Callable[[Array], Array] | None = None,
    splits: Sequence[str] = SPLITS,
    **options: Any,
) -> Dataset:
    """Returns the data of recordings as float32 (n, samples) from -1 to 1 with labels (n,).

    A recording is mixed to one channel, cut at its end or filled with zeros; its sampling rate must be `rate`.  With
    `features`, x is what that function makes of each recording (samples,), such as its MFCC.
    """
    decode = partial(_recording, samples=samples, rate=rate, features=features)
    return _dataset(path, (".wav",), decode, splits, options)


def _dataset(
    path: str | Path, suffixes: Sequence[str], decode: Decode, splits: Sequence[str], options: dict[str, Any]
) -> Dataset:
    places = {split: Path(str(beside(path)).replace("{split}", split)) for split in splits}
    if len(set(places.values())) < len(places):
        raise BadInputError(f"{path} is the same for {' and '.join(places)}", hint='a path with "{split}"')

    def files() -> list[Path]:
        every = [place if place.suffix == ".tar" else _listed(place, suffixes) for place in places.values()]
        return [file for found in every for file in ([found] if isinstance(found, Path) else found)]

    def load(split: str) -> Iterator[tuple[Array, Array]]:
        names = _names(places["train"], suffixes)
        classes = {name: number for number, name in enumerate(sorted({_class_of(name) for name in names}))}
        return _batches(places[split], suffixes, decode, classes)

    return Dataset(load, files, splits=tuple(splits), **options)


def _batches(
    place: Path, suffixes: Sequence[str], decode: Decode, classes: dict[str, int]
) -> Iterator[tuple[Array, Array]]:
    x: list[Array] = []
    y: list[int] = []
    for name, content in _contents(place, suffixes):
        if (found := classes.get(_class_of(name))) is None:
            raise BadInputError(f"{place}: {name} is of a class that the training data does not have")
        x.append(decode(content, f"{place}: {name}"))
        y.append(found)
        if len(x) == BATCH:
            yield np.stack(x), np.asarray(y)
            x, y = [], []
    if x:
        yield np.stack(x), np.asarray(y)


def _names(place: Path, suffixes: Sequence[str]) -> list[str]:
    """Returns the names of the files with a suffix, relative to the folder or inside the tar file, sorted."""
    if place.suffix != ".tar":
        return [file.relative_to(place).as_posix() for file in _listed(place, suffixes)]
    try:
        with tarfile.open(place) as tar:
            names = [entry.name for entry in tar if entry.isfile()]
    except FileNotFoundError:
        raise UnavailableError(f"the data is not on this machine: no file {place}") from None
    except (tarfile.TarError, OSError) as error:
        raise BadInputError(f"{place} cannot be read as a tar file: {error}") from error
    return sorted(name for name in names if PurePosixPath(name).suffix.lower() in suffixes)


def _listed(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    if not folder.is_dir():
        raise UnavailableError(f"the data is not on this machine: no folder {folder}")
    found = sorted(file for file in folder.rglob("*") if file.suffix.lower() in suffixes and file.is_file())
    if not found:
        raise BadInputError(f"{folder} has no files of the kinds {', '.join(suffixes)}", hint="a folder a class")
    return found


def _contents(place: Path, suffixes: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    names = _names(place, suffixes)
    if place.suffix != ".tar":
        yield from ((name, (place / name).read_bytes()) for name in names)
        return
    with tarfile.open(place) as tar:
        entries = {entry.name: entry for entry in tar}  # `getmember` looks through the whole list
        for name in names:
            if (file := tar.extractfile(entries[name])) is not None:
                yield name, file.read()


def _class_of(name: str) -> str:
    return PurePosixPath(name).parent.name


def _image(content: bytes, name: str, size: tuple[int, int], mode: str) -> Array:
    from PIL import Image, UnidentifiedImageError

    height, width = size
    try:
        with Image.open(io.BytesIO(content)) as opened:
            image = opened.convert(mode)
    except (UnidentifiedImageError, OSError, ValueError) as error:
        raise BadInputError(f"{name} is no image: {error}") from error
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    array: Array = np.asarray(image, np.uint8)
    return array if array.ndim == 3 else array[..., None]


def _recording(content: bytes, name: str, samples: int, rate: int, features: Callable[[Array], Array] | None) -> Array:
    from scipy.io import wavfile

    try:
        found, data = wavfile.read(io.BytesIO(content))
    except Exception as error:  # SciPy raises whatever its parser meets in a damaged file
        raise BadInputError(f"{name} is no recording: {type(error).__name__}: {error}") from error
    if found != rate:
        raise BadInputError(f"{name} has {found} samples a second, not {rate}", hint="resample it, or give its rate")
    wave: Array = _as_float(data)
    wave = wave.mean(axis=1) if wave.ndim > 1 else wave
    whole = np.zeros(samples, np.float32)
    whole[: min(samples, len(wave))] = wave[:samples]
    return whole if features is None else np.asarray(features(whole))


def _as_float(data: Array) -> Array:
    """Returns a WAV file's numbers as float32 from -1 to 1; 8-bit ones are unsigned around 128."""
    if data.dtype.kind == "f":
        return data.astype(np.float32)
    middle = 128 if data.dtype.kind == "u" else 0
    scaled: Array = (data.astype(np.float32) - middle) / (np.iinfo(data.dtype).max + 1 - middle)
    return scaled
