"""Type of the functions that long work reports its progress to, such as `hil.harness.progress.LineProgress`."""

from __future__ import annotations

from collections.abc import Callable

Say = Callable[[str, int, int], None]
"""Called with the name of the work, the steps done, and the steps in all (0: unknown)."""
