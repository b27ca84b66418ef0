"""The places where a model runs, behind the small protocol of `hil.targets.base`, registered by entry points.

target = create("sim")
"""

from __future__ import annotations

from hil.targets.registry import create, names

__all__ = ["create", "names"]
