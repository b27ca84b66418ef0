"""The options that name an NPU and its memories."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hil.core.errors import BadInputError
from hil.harness.vela.compiler import compile_model
from hil.harness.vela.settings import VelaOptions, VelaSettings
from hil.npu.disassembly.listing import list_compiled
from hil.npu.timing.memory_system import WITHOUT_ADAPTERS, MemorySystem
from hil.npu.vela_output import read_compiled
from hil.targets import create
from hil.targets.base import Deployable
from tests.support.arm_program import arm


def test_without_timing_adapters_the_stream_is_the_same_and_the_memory_is_free(made: Callable[[str], bytes]) -> None:
    int8, settings = made("two"), VelaOptions(system_config=WITHOUT_ADAPTERS).settings()
    assert all(port.busy((100, 50), (20, 10), 8) == 100 for port in MemorySystem.of(settings).ports)
    usual, free = (
        [listing.instructions for listing in list_compiled(read_compiled(compile_model(int8, one).model))]
        for one in (VelaSettings(), settings)
    )
    assert usual == free


def test_an_fvp_of_arms_has_the_adapters_that_its_firmware_sets(made: Callable[[str], bytes], tmp_path: Path) -> None:
    target = create("fvp", engine="arm", executable=arm(tmp_path / "FVP_Corstone_SSE-300_Ethos-U55"))
    model = Deployable(made("two"), None, VelaOptions(system_config=WITHOUT_ADAPTERS).npu())
    with pytest.raises(BadInputError, match="Ethos_U55_No_Adapters is memory of the timing model"):
        target.run(model, [])
