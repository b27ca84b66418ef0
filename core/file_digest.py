"""SHA-256 of a file, read part by part: it may be larger than memory.

sha256_of(Path("cifar10_train.tar"))
"""

from __future__ import annotations

import hashlib
from pathlib import Path

_PART = 1 << 20


def sha256_of(path: Path) -> str:
    """Returns the digest in hexadecimal; raises `OSError` if the file cannot be read."""
    total = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(_PART):
            total.update(part)
    return total.hexdigest()
