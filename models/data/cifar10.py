"""CIFAR-10: 50,000 training and 10,000 test images of ten classes, 32x32 colours (no licence stated; to be cited).

Read from the folder that HIL_CIFAR10 names, or from `data/cifar10` in the folder that HIL_TEST_DATA names: the arrays
of the binary version, `data_batch_1.bin` to `_5.bin` and `test_batch.bin`, or the tar files of images of
github.com/cyizhuo/CIFAR-10-dataset, `cifar10_train.tar` and `cifar10_test.tar`.  Classes are numbered in alphabetical
order, as in the original.  Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from hil.core.errors import BadInputError, UnavailableError
from hil.harness.model import Array, image_folder, sibling

folder = sibling(__file__, "places.py").folder
mirrored_and_moved = sibling(__file__, "augmentation.py").mirrored_and_moved

BINARY = {"train": [f"data_batch_{number}.bin" for number in range(1, 6)], "test": ["test_batch.bin"]}
TAR = {split: [f"cifar10_{split}.tar"] for split in ("train", "test")}
SHA256 = {
    "cifar10_train.tar": "26e604e6bb5a384382fbcb71fceeff3a764c4280855bf59ba95a3d27382575fa",
    "cifar10_test.tar": "4fc09009bea456147c1c7c473a176a2cf52ab2ea149a2e562ff2a29c01a40bb7",
}
"""Checksums of the tar files."""
HINT = "unpack https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz and set HIL_CIFAR10 to its folder"
RECORD = 1 + 3 * 32 * 32
FARTHEST = 3
"""Pixels by which augmentation moves an image at most."""


def load(split: str) -> Iterable[tuple[Array, Array]]:
    """Loads a split as batches of (images uint8 (n, 32, 32, 3), classes int64 (n,))."""
    place, names = _found()
    if names is TAR:
        batches: Iterable[tuple[Array, Array]] = image_folder(place / "cifar10_{split}.tar", size=(32, 32)).load(split)
        return batches
    return (read_records(place / name) for name in names[split])


def files() -> list[Path]:
    """Returns the files of both splits; raises `UnavailableError` when they are not on this machine."""
    place, names = _found()
    return [place / name for split in names.values() for name in split]


def read_records(path: Path) -> tuple[Array, Array]:
    """Reads a file of the binary version: records of a class and the red, green and blue planes, a byte a value."""
    content = path.read_bytes()
    if not content or len(content) % RECORD:
        raise BadInputError(f"{path} does not consist of records of {RECORD} bytes")
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), records[:, 0].astype(np.int64)


def augment(x: Array, y: Array, random: np.random.Generator) -> tuple[Array, Array]:
    """Mirrors half of the images, and moves each by up to 3 pixels in both directions, filled with zeros."""
    return mirrored_and_moved(x, random, FARTHEST), y


def _found() -> tuple[Path, dict[str, list[str]]]:
    """Returns the folder and the names of its files by split."""
    for names in (BINARY, TAR):
        try:
            return folder("HIL_CIFAR10", "cifar10", [name for split in names.values() for name in split], HINT), names
        except UnavailableError as error:
            missing = error
    raise missing
