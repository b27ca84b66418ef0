"""Output files of pictures: checked before a walk begins, and written atomically.

check_outputs([Path("tree.html"), Path("tree.png")])       # BadInputError for another suffix, or no such folder
write(Path("tree.html"), found=walk, kernel=None)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from hil.core.errors import BadInputError
from hil.harness.output_file import check_output, write_output
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
        check_output(path, "-o", tuple(_FORMATS))


def write(path: Path, found: Walk, kernel: KernelStages | None) -> None:
    """Writes a picture; raises `InfrastructureError` if that fails."""
    write_output(path, _FORMATS[path.suffix.lower()](found, kernel))
