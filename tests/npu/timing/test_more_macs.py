"""More MACs cost no cycles: the same operation with the same blocks on a larger Ethos-U55, but in three cases.

docs/npu.md explains them; each has an example here, so that none is excepted that does not occur.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.core.npu_config import NpuConfig
from hil.npu.accelerator import U55
from hil.npu.stream.feature_map import FeatureMap, Tile
from hil.npu.stream.operations import (
    Activation,
    Convolution,
    Elementwise,
    Kernel,
    Kind,
    Padding,
    Range,
    Rounding,
    Scale,
    Upscale,
    Windowed,
)
from hil.npu.timing.cycles import cycles
from hil.npu.timing.memory_system import MemorySystem
from hil.npu.timing.operation_cycles import block_operation
from hil.npu.vela_output import read_compiled

PAIRS = [*pairwise(U55)]
"""Each U55 with the next larger one."""
MEMORIES = [MemorySystem.of(NpuConfig()), MemorySystem.of(NpuConfig()).without_adapters()]
CLAMPED = Activation(-128, 127, False, None, None), Activation(0, 100, False, None, None)


def _map(shape, dtype, bricks):
    height, width, depth = shape
    size = np.dtype(dtype).itemsize
    stride_x = 16 * size if bricks else depth * size
    stride_y = stride_x * width * (-(-depth // 16) if bricks else 1)
    tiles = (Tile(0, height, 0, width, 0),)
    return FeatureMap(1, shape, np.dtype(dtype), bricks, (stride_y, stride_x, 16 * size * width), tiles)


def _operation(kind, ofm, ifm_depth, block, kernel, stride=1, dtype="int8", bricks=(True, True), **more):
    """An operation on its whole IFM without padding; `more` has `part_first`, `accumulator`, `activation`."""
    height, width, depth = ofm
    ifm = (height - 1) * stride + kernel, (width - 1) * stride + kernel, ifm_depth
    common = {
        "kind": kind, "word_offset": 0, "block": block, "blockdep": 3, "accumulator": more.get("accumulator", 0),
        "ofm": _map(ofm, dtype, bricks[1]), "rounding": Rounding.TFL, "scale": None, "ifm_zero_point": 0,
        "output_zero_point": 0, "activation": more.get("activation", CLAMPED[0]),
    }  # fmt: skip
    if kind in (Kind.ADD, Kind.MUL):
        operand = _map(ofm, dtype, bricks[0])
        return Elementwise(
            **common, ifm=operand, ifm2=operand, records=None, scalar=None, ifm2_zero_point=0, reversed_operands=False,
            scaled_operand=0, operand_rounding=Rounding.TFL, scale_a=Scale(1, 0), scale_b=Scale(1, 0),
        )  # fmt: skip
    kernel = Kernel(kernel, kernel, stride, stride, part_first=more.get("part_first", False))
    common |= {"ifm": _map(ifm, dtype, bricks[0]), "kernel": kernel, "padding": Padding(), "upscale": Upscale.NONE}
    if kind in (Kind.MAX_POOL, Kind.AVERAGE_POOL):
        return Windowed(**common, records=None)
    weights = depth * kernel.height**2 * (ifm_depth if kind is Kind.CONV else 1)
    return Convolution(**common, records=Range(1, 0, 10 * depth), weights=Range(1, 1 << 20, weights))


@st.composite
def operations(draw):
    kind = draw(st.sampled_from([Kind.CONV, Kind.DEPTHWISE, Kind.MAX_POOL, Kind.AVERAGE_POOL, Kind.ADD, Kind.MUL]))
    ofm = draw(st.tuples(st.integers(1, 24), st.integers(1, 24), st.integers(1, 72)))
    ifm_depth = draw(st.integers(1, 72)) if kind is Kind.CONV else ofm[2]
    block = draw(st.tuples(*(st.sampled_from(sizes) for sizes in ((2, 4, 8, 16), (2, 4, 8, 16), (8, 16, 32, 64)))))
    kernel, stride = draw(st.sampled_from((1, 2, 3, 5, 9))), draw(st.integers(1, 2))
    return _operation(
        *(kind, ofm, ifm_depth, block, kernel, stride, draw(st.sampled_from(("int8", "int16")))),
        draw(st.tuples(st.booleans(), st.booleans())),
        part_first=draw(st.booleans()), accumulator=draw(st.integers(0, 1)), activation=draw(st.sampled_from(CLAMPED)),
    )  # fmt: skip


def _cycles(operation, accelerator, memory):
    timing = block_operation(operation, accelerator, memory, 0)
    return timing.end + timing.drain


def _few_micro_blocks(operation, small, large):
    """True if a block is too small for the larger one: fewer than 8 micro-blocks of a convolution, one of a pool."""
    plane = [-(-min(a, b) // u) for a, b, u in zip(operation.block, operation.ofm.shape, large.ofm_ublock, strict=True)]
    least = 8 if isinstance(operation, Convolution) else 2
    return isinstance(operation, Windowed) and plane[0] * plane[1] < least


def _few_channels(operation, small, large):
    """True of a 16-bit pool with at most 4 channels left over: 64 MACs take twice the cycles for 8, 32 once for 4."""
    is_wide = operation.kind in (Kind.MAX_POOL, Kind.AVERAGE_POOL) and operation.ifm.dtype.itemsize == 2
    return is_wide and small.macs == 32 and 1 <= operation.ofm.shape[2] % 8 <= 4


def _half_bricks(operation, small, large):
    """True if the smaller one alone reads half of each brick."""
    narrow = operation.ifm.bricks and operation.ifm.shape[2] <= 8
    return isinstance(operation, Windowed) and narrow and small.macs <= 64 < large.macs


CASES = (_few_micro_blocks, _few_channels, _half_bricks)


@settings(max_examples=600, deadline=None)
@given(operations(), st.sampled_from(PAIRS), st.sampled_from(MEMORIES))
def test_more_macs_never_cost_cycles_but_in_three_cases(operation, pair, memory):
    small, large = pair
    if not any(case(operation, small, large) for case in CASES):
        assert _cycles(operation, large, memory) <= _cycles(operation, small, memory)


EXAMPLES = {
    _few_micro_blocks: (_operation(Kind.CONV, (3, 4, 64), 32, (2, 8, 64), 5), 128),
    _few_channels: (_operation(Kind.AVERAGE_POOL, (16, 16, 4), 4, (4, 8, 8), 9, dtype="int16"), 32),
    _half_bricks: (_operation(Kind.AVERAGE_POOL, (19, 17, 2), 2, (2, 2, 8), 2, 2, "int16", (True, False)), 64),
}


@pytest.mark.parametrize("case", CASES)
def test_each_case_has_an_operation_that_more_macs_make_slower(case):
    operation, macs = EXAMPLES[case]
    ((small, large),) = (pair for pair in PAIRS if pair[0].macs == macs)
    assert [one for one in CASES if one(operation, small, large)] == [case]
    assert any(_cycles(operation, large, memory) > _cycles(operation, small, memory) for memory in MEMORIES)


@pytest.mark.parametrize("name", ["ad01_int8", "kws_ref_int8", "resnet8_int8", "kws_micronet_m"])
def test_more_macs_never_cost_a_network_cycles(shared_models, vela, name):
    int8, found = (shared_models / f"{name}.tflite").read_bytes(), []
    for accelerator in U55:
        model = read_compiled(vela(int8, accelerator.name))
        program = model.main.operators[0].bind(model).program
        found.append(cycles(program, MemorySystem.of(NpuConfig(accelerator.name))).total)
    assert found == sorted(found, reverse=True)
