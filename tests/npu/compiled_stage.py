"""The output stage of the compiled code alone, for accumulators that no operation here would reach."""

from __future__ import annotations

import ctypes

import numpy as np

from hil.core.arrays import Array
from hil.npu.arithmetic.native_layout import stage_record
from hil.npu.arithmetic.output import OutputStage
from hil.npu.native import library


def compiled_stage(stage: OutputStage, accumulators: Array) -> Array:
    """Outputs of the compiled code for accumulators, last axis channels; NumPy's where it leaves the stage to NumPy."""
    found = library.loaded()
    assert found is not None
    channels, kept = accumulators.shape[-1], []
    record = stage_record(stage, channels, kept)
    if record is None:
        return stage(accumulators)
    sums = np.ascontiguousarray(accumulators, np.int64)
    out = np.empty(sums.shape, stage.dtype)
    for row, result in zip(sums.reshape(-1, channels), out.reshape(-1, channels), strict=True):
        addresses = ctypes.c_void_p(row.ctypes.data), ctypes.c_void_p(result.ctypes.data)
        numbers = (ctypes.c_int64(number) for number in (0, channels, out.itemsize))
        found.code.finish(ctypes.byref(record), addresses[0], *numbers, addresses[1])
    return out
