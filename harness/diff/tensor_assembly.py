"""Assembles the outputs of operations into the tensor that they make up.

    found = assemble(pieces, samples)
    found.values            # (samples, height, width, depth)
    found.owner             # (height, width, depth): which piece wrote an element last, -1 where none did

Vela writes a tensor with one operation or with several, and says of each (`hil.harness.vela.mapping`) which `part` of
the tensor its operator writes, from which `origin`.  Where in it a single operation writes follows from one of two
things:

- *order*: stripes of rows come from the top, in each the columns from the left, at each place the slices of depth from
  the first.  This also holds in a cascade, where the rows of a *rolling buffer* overwrite each other, so that addresses
  say nothing.  It is only believed of operations whose strides are those of the whole tensor and that fill whole rows;
- *addresses*: a resize writes every second row and column, a transposition strides along the other axis.  Then each
  element's address says where it belongs, if all pieces together fill the tensor without a gap.

An operation that works element by element may take a whole tensor in another shape of as many elements.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hil.core.arrays import Array
from hil.harness.vela.mapping import MappedCommand
from hil.npu.stream.feature_map import BRICK, FeatureMap
from hil.npu.stream.limits import ELEMENTS

Point = tuple[int, ...]


@dataclass(frozen=True)
class WrittenPart:
    """The output of one operation: `values` (samples, height, width, depth), its place, and its command."""

    entry: MappedCommand
    feature_map: FeatureMap
    values: Array


@dataclass(frozen=True)
class AssembledTensor:
    """A tensor's `values`, (samples, *shape), and by element the number of the piece that wrote it (-1: none)."""

    values: Array
    owner: Array


def assemble(pieces: Sequence[WrittenPart], samples: int) -> AssembledTensor | None:
    """Assembles the tensor that `pieces`, in the order of execution and all of one shape and type, make up.

    None if they do not fit together; elements that none of them wrote are 0 and without an owner.
    """
    entries = [piece.entry for piece in pieces]
    numbers = [number for entry in entries for number in (*entry.shape, *entry.origin, *entry.part)]
    if min(numbers) < 0 or math.prod(entries[0].shape) > ELEMENTS:
        return None  # A debug database is a file, and may be damaged.
    if all(_natural(piece) for piece in pieces):
        return _by_order(pieces, samples)
    return _by_address(pieces, samples)


def _empty(pieces: Sequence[WrittenPart], samples: int) -> AssembledTensor:
    shape = tuple(pieces[0].entry.shape)
    numbers = np.min_scalar_type(-len(pieces))  # of most tensors a byte, and not four for each element
    return AssembledTensor(np.zeros((samples, *shape), pieces[0].values.dtype), np.full(shape, -1, numbers))


def _by_order(pieces: Sequence[WrittenPart], samples: int) -> AssembledTensor | None:
    tensor = _empty(pieces, samples)
    following: dict[tuple[int, int], Point] = {}
    for number, piece in enumerate(pieces):
        key = piece.entry.stream, piece.entry.step
        shape = _shape(piece)
        position = following.get(key, (0, 0, 0))
        start = tuple(first + at for first, at in zip(piece.entry.origin, position, strict=True))
        if not _fits(position, shape, piece.entry.part) or not _fits(start, shape, piece.entry.shape):
            return None
        window = tuple(slice(low, low + size) for low, size in zip(start, shape, strict=True))
        tensor.values[(slice(None), *window)] = piece.values.reshape(samples, *shape)
        tensor.owner[window] = number
        following[key] = _behind(position, shape, piece.entry.part)
    whole_rows = all(position[1:] == (0, 0) for position in following.values())
    return tensor if whole_rows else None  # Vela may list some of the operations alone, such as the last column's.


def _behind(position: Point, shape: Point, part: Point) -> Point:
    row, column, channel = position[0], position[1], position[2] + shape[2]
    if channel == part[2]:
        column, channel = column + shape[1], 0
    if column == part[1]:
        row, column = row + shape[0], 0
    return row, column, channel


def _fits(start: Point, shape: Point, whole: Point) -> bool:
    return all(low + size <= length for low, size, length in zip(start, shape, whole, strict=True))


def _by_address(pieces: Sequence[WrittenPart], samples: int) -> AssembledTensor | None:
    tensor = _empty(pieces, samples)
    if any(piece.feature_map.bricks or len(piece.feature_map.tiles) > 1 for piece in pieces):
        return None
    addresses = [_addresses(piece.feature_map) for piece in pieces]
    base = min(int(found.min()) for found in addresses)
    elements, size = tensor.owner.size, tensor.values.dtype.itemsize
    if sum(found.size for found in addresses) != elements:
        return None
    for number, (piece, found) in enumerate(zip(pieces, addresses, strict=True)):
        flat, rest = np.divmod(found - base, size)
        if rest.any() or flat.max() >= elements:
            return None
        tensor.values.reshape(samples, -1)[:, flat.ravel()] = piece.values.reshape(samples, -1)
        tensor.owner.reshape(-1)[flat.ravel()] = number
    return tensor if (tensor.owner >= 0).all() else None


def _addresses(feature_map: FeatureMap) -> Array:
    """The address of every element of a feature map in format NHWC."""
    height, width, depth = (np.arange(size, dtype=np.int64) for size in feature_map.shape)
    stride_y, stride_x, _ = feature_map.strides
    rows = height[:, None, None] * stride_y + width[:, None] * stride_x
    return feature_map.address + rows + depth * feature_map.dtype.itemsize


def _shape(piece: WrittenPart) -> Point:
    """The shape of a piece in its tensor."""
    return tuple(piece.entry.shape) if _is_whole(piece) else piece.feature_map.shape


def _is_whole(piece: WrittenPart) -> bool:
    entry = piece.entry
    return entry.part == entry.shape and math.prod(piece.feature_map.shape) == math.prod(entry.shape)


def _natural(piece: WrittenPart) -> bool:
    """True if an operation's strides are those of the whole tensor, or of its own shape where it writes all of it."""
    feature_map = piece.feature_map
    _, width, depth = feature_map.shape if _is_whole(piece) else piece.entry.shape
    size = feature_map.dtype.itemsize
    stride_y, stride_x, stride_c = feature_map.strides
    if feature_map.bricks:
        brick = BRICK * width * size
        natural_y, natural_x = brick * -(-depth // BRICK), stride_x
        if feature_map.shape[2] > BRICK and stride_c != brick:
            return False
    else:
        natural_y, natural_x = width * depth * size, depth * size
    several_rows, several_columns = feature_map.shape[0] > 1, feature_map.shape[1] > 1
    return not (several_rows and stride_y != natural_y) and not (several_columns and stride_x != natural_x)
