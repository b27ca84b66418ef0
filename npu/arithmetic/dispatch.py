"""Chooses the function that computes an operation, from its weights, scale records and lookup table.

    step = prepare_step(operation, accelerator, data)      # data: the bytes of `footprint.constant_ranges(operation)`
    step(memory)

Weights are unpacked, scales and tables read, and the arithmetic chosen once, for all runs of a program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hil.core.arrays import Bytes
from hil.core.errors import StreamError
from hil.npu.accelerator import Accelerator
from hil.npu.arithmetic.convolution import ConvolutionStep
from hil.npu.arithmetic.elementwise import ElementwiseStep
from hil.npu.arithmetic.exactness import largest_accumulator
from hil.npu.arithmetic.output import OutputStage, parse_table
from hil.npu.arithmetic.pooling import PoolStep
from hil.npu.arithmetic.scaling import scale_records
from hil.npu.stream.feature_map import Regions
from hil.npu.stream.operations import SCALE_RECORD, BlockOperation, Convolution, Elementwise, Kind, Windowed
from hil.npu.weights.order import decode_weights

Step = Callable[[Regions], None]
"""Computes one operation for every sample of the memory regions."""


def prepare_step(operation: BlockOperation, accelerator: Accelerator, data: Sequence[Bytes]) -> Step:
    """Prepares the step of `operation`; `data` are the bytes of `footprint.constant_ranges(operation)`.

    Raises `StreamError` with the word offset for malformed bytes, and if no arithmetic is exact.
    """
    try:
        if isinstance(operation, Convolution):
            weights = decode_weights(operation, accelerator, data[: len(operation.weight_streams)])
            stage = _stage(operation, data, largest_accumulator(operation, weights))
            return ConvolutionStep.prepare(operation, weights, stage)
        stage = _stage(operation, data, largest_accumulator(operation))
    except StreamError as error:
        if error.word_offset is not None:
            raise
        raise StreamError(str(error.args[0]), word_offset=operation.word_offset) from error
    if isinstance(operation, Elementwise):
        return ElementwiseStep(operation, stage)
    assert isinstance(operation, Windowed)
    return PoolStep(operation, stage)


def _stage(operation: BlockOperation, data: Sequence[Bytes], largest: int) -> OutputStage:
    bias = factor = shift = table = slope = None
    if operation.records is not None:
        bias, factor, shift = scale_records(_records(operation, data))
    elif operation.scale is not None and _scales_output(operation):
        factor, shift = np.array([operation.scale.factor], np.int64), np.array([operation.scale.shift], np.int64)
    if operation.activation.lut is not None:
        table, slope = parse_table(operation, np.ascontiguousarray(data[-1]))
    return OutputStage(
        operation.ofm.dtype,
        operation.rounding,
        bias,
        factor,
        shift,
        operation.output_zero_point,
        operation.activation,
        largest,
        table,
        slope,
    )


def _records(operation: BlockOperation, data: Sequence[Bytes]) -> Bytes:
    """Returns the scale records in channel order; the cores hold those of every second channel."""
    if not isinstance(operation, Convolution):
        return data[0]
    cores, first = len(operation.record_streams), len(operation.weight_streams)
    records = np.empty((operation.ofm.shape[2], SCALE_RECORD), np.uint8)
    for core in range(cores):
        records[core::cores] = data[first + core].reshape(-1, SCALE_RECORD)
    return records.reshape(-1)


def _scales_output(operation: BlockOperation) -> bool:
    """True if OFM_SCALE is applied in the output stage, rather than earlier or not at all."""
    if isinstance(operation, Elementwise):
        wide = operation.kind is Kind.MUL and operation.ifm.dtype.itemsize == 4
        return operation.kind in (Kind.ADD, Kind.SUB, Kind.MUL, Kind.ABS) and not wide
    return not (operation.kind is Kind.AVERAGE_POOL and isinstance(operation, Windowed) and operation.padding)
