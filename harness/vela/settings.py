"""The settings of Vela's command line that decide its output, beside the model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hil.core.errors import BadInputError
from hil.core.npu_config import NpuConfig


@dataclass(frozen=True)
class VelaSettings(NpuConfig):
    """The NPU to compile for, and further `options` of Vela: `("--optimise Size", "--arena-cache-size 65536")`."""

    options: tuple[str, ...] = ()


def read_config(path: Path) -> str:
    """The text of a user's Vela configuration; raises `BadInputError` if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"the Vela configuration {path} cannot be read: {error}") from error
