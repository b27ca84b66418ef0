"""Visual wake words as MLPerf Tiny has them: 96x96 colours of COCO 2014, with a person or without (CC-BY-4.0).

Read from the folder that HIL_VWW names, or from `data/vw_coco2014_96` in the folder that HIL_TEST_DATA names: images in
`person/` and `non_person/`.  The first tenth of each class, in the order of file names, is the test set, as Keras'
image generator splits them in MLPerf Tiny's training (`train_vww.py`); mirrored and moved training images are its
augmentation without rotation and zoom.  Source: Chowdhery et al., "Visual Wake Words Dataset", arXiv 1906.05721, 2019;
images by mlcommons/tiny.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hil.core.errors import BadInputError
from hil.harness.model import Array, sibling

folder = sibling(__file__, "places.py").folder
mirrored_and_moved = sibling(__file__, "augmentation.py").mirrored_and_moved

CLASSES = ("non_person", "person")
TEST_SHARE = 0.1
SIZE = 96
BATCH = 256
FARTHEST = 5
"""Pixels by which augmentation moves an image at most: a twentieth of its side, rounded up."""
HINT = "unpack MLPerf Tiny's vw_coco2014_96.tar.gz (github.com/mlcommons/tiny) and set HIL_VWW to its folder"


def load(split: str) -> Iterator[tuple[Array, Array]]:
    """Loads a split as batches of (images float32 (n, 96, 96, 3) from 0 to 1, classes int64 (n,): 1 is a person).

    The training images are in a fixed random order.
    """
    chosen = [(path, label) for label, name in enumerate(CLASSES) for path in _split(_images(name), split)]
    if split == "train":
        chosen = [chosen[place] for place in np.random.default_rng(0).permutation(len(chosen))]
    for start in range(0, len(chosen), BATCH):
        part = chosen[start : start + BATCH]
        yield np.stack([read_image(path) for path, _ in part]), np.array([label for _, label in part], np.int64)


def files() -> list[Path]:
    """Returns all images; raises `UnavailableError` when they are not on this machine."""
    return [path for name in CLASSES for path in _images(name)]


def read_image(path: Path) -> Array:
    """Reads an image as float32 (96, 96, 3) from 0 to 1; one of another size is resized to the nearest pixels."""
    from PIL import Image

    try:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
    except (OSError, ValueError) as error:
        raise BadInputError(f"{path} is no image: {error}") from None
    if image.size != (SIZE, SIZE):
        image = image.resize((SIZE, SIZE), Image.Resampling.NEAREST)
    return np.asarray(image, np.float32) / np.float32(255)


def augment(x: Array, y: Array, random: np.random.Generator) -> tuple[Array, Array]:
    """Mirrors half of the images, and moves each by up to 5 pixels in both directions; the edge is repeated."""
    return mirrored_and_moved(x, random, FARTHEST, mode="edge"), y


def _images(name: str) -> list[Path]:
    place = folder("HIL_VWW", "vw_coco2014_96", CLASSES, HINT) / name
    return sorted(file for file in place.iterdir() if file.suffix.lower() in (".jpg", ".jpeg", ".png"))


def _split(images: list[Path], split: str) -> list[Path]:
    count = int(TEST_SHARE * len(images))
    return images[:count] if split == "test" else images[count:]
