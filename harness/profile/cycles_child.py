"""The timing model in a child process (see `hil.core.worker`), so that several models are timed at once."""

from __future__ import annotations

from typing import Any

from hil.core.npu_config import NpuConfig
from hil.harness.profile.modelled_cycles import modelled_cycles


def model_in_child(header: dict[str, Any], blobs: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
    """Handler: `header` has the fields of an `NpuConfig`, `blobs` a Vela output; answers its `cycles`."""
    return {"cycles": modelled_cycles(blobs[0], NpuConfig(**header))}, []
