"""Fashion-MNIST: 60,000 training and 10,000 test images of clothes, 28x28 grey, 10 classes (MIT licence).

Read from the folder that HIL_FASHION_MNIST names; if it is not set, from `datasets/fashion-mnist` in the system's share
folders, where Debian's and Ubuntu's package `dataset-fashion-mnist` puts it, or from Keras' own download.  Set
HIL_DOWNLOAD=1 to let Keras download it.  Source: Xiao, Rasul, Vollgraf, "Fashion-MNIST", 2017.
"""

from __future__ import annotations

import gzip
import os
import struct
import sys
from pathlib import Path

import numpy as np

from hil.core.errors import BadInputError, UnavailableError
from hil.harness.model import Array

PREFIX = {"train": "train", "test": "t10k"}
NAMES = [f"{prefix}-{kind}-ubyte.gz" for prefix in PREFIX.values() for kind in ("images-idx3", "labels-idx1")]
HINT = (
    "sudo apt-get install dataset-fashion-mnist; or set HIL_DOWNLOAD=1; "
    "or HIL_FASHION_MNIST to the folder of its four .gz files"
)


def load(split: str) -> tuple[Array, Array]:
    """Loads (images float32 (n, 28, 28, 1) in 0..1, classes int64 (n,)) of "train" (60,000) or "test" (10,000)."""
    folder = files()[0].parent
    images = read_idx(folder / f"{PREFIX[split]}-images-idx3-ubyte.gz")
    labels = read_idx(folder / f"{PREFIX[split]}-labels-idx1-ubyte.gz")
    return images[..., None].astype(np.float32) / np.float32(255), labels.astype(np.int64)


def files() -> list[Path]:
    """Returns the four files; raises `UnavailableError` when they are not on this machine."""
    for folder in _folders():
        found = [folder / name for name in NAMES]
        if all(file.is_file() for file in found):
            return found
    if os.environ.get("HIL_DOWNLOAD") == "1" and not os.environ.get("HIL_FASHION_MNIST"):
        return _download()
    raise UnavailableError("Fashion-MNIST is not on this machine", hint=HINT)


def read_idx(path: Path) -> Array:
    """Reads an IDX file: two zero bytes, type 8 (uint8), number of axes, sizes (big endian), then the data."""
    try:
        content = gzip.decompress(path.read_bytes())
        zero, kind, axes = struct.unpack_from(">HBB", content)
        shape = struct.unpack_from(f">{axes}I", content, 4)
        if (zero, kind) != (0, 8):
            raise ValueError("no IDX file of bytes")
        return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)
    except (OSError, EOFError, ValueError, struct.error) as error:
        raise BadInputError(f"{path} cannot be read: {error}") from None


def _folders() -> list[Path]:
    named = os.environ.get("HIL_FASHION_MNIST", "")
    share = [Path(sys.prefix) / "share", Path("/usr/local/share"), Path("/usr/share")]
    system = [folder / "datasets" / "fashion-mnist" for folder in share]
    keras = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "datasets" / "fashion-mnist"
    return [Path(named)] if named else [*system, keras]


def _download() -> list[Path]:
    from hil.harness.optimize.keras.keras2 import import_keras

    try:
        import_keras().datasets.fashion_mnist.load_data()
    except Exception as error:
        raise UnavailableError(f"Fashion-MNIST cannot be downloaded: {error}", hint=HINT) from None
    return [_folders()[-1] / name for name in NAMES]
