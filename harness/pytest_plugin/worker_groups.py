"""Tests of one deployment on one worker of pytest-xdist: `--dist loadgroup`, and the pytest that takes no notice of it.

pytest-xdist 3.8 writes a test's group into an attribute that pytest 9.2 no longer reads: the tests of a deployment are
spread over the workers, and each measures it (https://github.com/pytest-dev/pytest-xdist/issues/1386).
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

UNGROUPED = (
    f"--dist loadgroup has no effect with pytest {pytest.__version__} and this pytest-xdist: "
    "each worker may measure a deployment again; pip install 'pytest<9.2'"
)


def groups_are_lost(items: Iterable[pytest.Item]) -> bool:
    """Returns true if pytest-xdist gave a test a group that pytest does not hand on."""
    return any(getattr(item, "_nodeid", item.nodeid) != item.nodeid for item in items)
