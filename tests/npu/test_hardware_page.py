"""The page that explains the hardware shows what the code computes."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from pathlib import Path

from hil.npu.disassembly.listing import list_compiled
from hil.npu.vela_output import read_compiled

PAGE = Path(__file__).parents[2] / "docs" / "hardware.md"


def test_its_examples_are_true() -> None:
    blocks = PAGE.read_text().split("```")[1::2]
    example = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, PAGE.name, str(PAGE), 0)
    assert len(example.examples) > 15
    assert doctest.DocTestRunner().run(example).failed == 0


def test_its_banks_are_what_vela_allocates(vela: Callable[..., bytes], shared_models: Path) -> None:
    """End of the input and start of the accumulators, in the registers of the block of the page's example."""
    compiled = vela((shared_models / "resnet8_int8.tflite").read_bytes(), "ethos-u55-128")
    (listing,) = list_compiled(read_compiled(compiled))
    found = next(one for one in listing.instructions if getattr(one.operation, "block", None) == (4, 32, 16))
    registers = {write.register: write.value for write in found.registers}
    assert f"`IFM_IB_END` = {registers['IFM_IB_END']}" in PAGE.read_text()
    assert f"`AB_START` = {registers['AB_START']}" in PAGE.read_text()
