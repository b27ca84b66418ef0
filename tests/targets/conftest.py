"""Fixtures of the targets' tests."""

from __future__ import annotations

import pytest

from hil.core.npu_config import NpuConfig
from tests.support.operators.settings import WITH_DRAM


@pytest.fixture
def with_dram() -> NpuConfig:
    """An NPU with a fast memory of its own, which Arm's configurations of the U55 lack."""
    return NpuConfig(memory_mode="Dedicated", system_config="With_Dram", config_text=WITH_DRAM)
