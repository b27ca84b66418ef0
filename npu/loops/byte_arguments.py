"""Arguments of `byte_loops`: tuples of numbers that NumPy's side fills and numba reads; no numba is imported."""

from __future__ import annotations

from typing import NamedTuple


class BatchAddresses(NamedTuple):
    """Addresses of the first sample in the IFM's and the OFM's region, and bytes from a sample to the next."""

    source: int
    source_step: int
    target: int
    target_step: int


class InputCopy(NamedTuple):
    """Parameters of copying a sample to the buffer: pieces of `length` bytes, by `unit` bytes, `step` bytes apart.

    Bytes are xored with `flip`, padding is `fill`, a padded sample has `size` bytes and `group` samples are copied at a
    time.
    """

    length: int
    unit: int
    step: int
    flip: int
    fill: int
    size: int
    group: int


class OutputLayout(NamedTuple):
    """Parameters of the OFM: depth, bytes from 16 channels to the next, zero point, limits less the zero point."""

    depth: int
    step: int
    zero_point: int
    low: int
    high: int


class Operand(NamedTuple):
    """An 8-bit feature map: address of its region's first sample, bytes to the next sample and the next 16 channels."""

    address: int
    sample_step: int
    step: int
