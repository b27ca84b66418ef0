"""Output files of pictures: checked before a walk begins, and written atomically.

check_outputs([Path("tree.html"), Path("tree.png")])       # BadInputError for another suffix, or no such folder
write(Path("tree.html"), found=walk, kernel=None)
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from hil.core.errors import BadInputError, InfrastructureError
from hil.harness.tree.pictures.html_page import html
from hil.harness.tree.pictures.kernel_stages import KernelStages
from hil.harness.tree.pictures.png_image import png
from hil.harness.tree.result import Walk

_FORMATS: dict[str, Callable[[Walk, KernelStages | None], bytes]] = {
    ".html": lambda found, kernel: html(found, kernel).encode(),
    ".png": png,
}


def check_outputs(paths: Sequence[Path], kernel: str | None = None) -> None:
    """Raises `BadInputError` for a file that cannot be written as a picture, and for a kernel without a file."""
    if kernel is not None and not paths:
        raise BadInputError(f"--kernel {kernel}: there is no picture to show it in", hint="add -o tree.html")
    for path in paths:
        if path.suffix.lower() not in _FORMATS:
            raise BadInputError(f"-o {path}: no such kind of picture", hint=f"there are: {', '.join(_FORMATS)}")
        if path.is_dir():
            raise BadInputError(f"-o {path} is a folder")
        if not path.parent.is_dir():
            raise BadInputError(f"-o {path}: there is no folder {path.parent}")
        try:
            with tempfile.TemporaryFile(dir=path.parent):
                pass
        except OSError as error:
            raise BadInputError(f"-o {path} cannot be written: {error.strerror}") from error


def write(path: Path, found: Walk, kernel: KernelStages | None) -> None:
    """Writes a picture to a temporary file and renames it; raises `InfrastructureError` if that fails."""
    content = _FORMATS[path.suffix.lower()](found, kernel)
    descriptor, beside = -1, ""
    try:
        descriptor, beside = tempfile.mkstemp(prefix=".", suffix=path.suffix, dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(beside).chmod(0o666 & ~_umask())
        Path(beside).replace(path)
    except OSError as error:
        raise InfrastructureError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        if beside:
            with suppress(FileNotFoundError):
                Path(beside).unlink()


def _umask() -> int:
    """Returns the process's umask, which can only be read by setting it."""
    os.umask(mask := os.umask(0o077))
    return mask
