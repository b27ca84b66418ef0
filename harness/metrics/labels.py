"""Labels in the form that a metric or a loss takes, checked against the network's outputs.

    labels = Labels(y, outputs=(10,), split="test")
    labels.classes()        # int64 (n,) of 0 to 9, from integers, bools, whole floats or one-hot rows
    labels.yes_no()         # bool (n, *outputs), from labels 0 and 1 of the outputs' shape
    labels.numbers()        # float64 (n, *outputs)
    labels.boxes()          # float64 (n, g, 5): four corners and a class, negative in rows of padding

Axes of size one do not count: labels (n,) and (n, 1) are the same.  The last axis of the outputs has the classes, so a
network that gives (H, W, C) takes classes (H, W).  Labels that do not fit raise `BadInputError`, whose line names both
shapes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.core.arrays import Array
from hil.core.errors import BadInputError

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels `y` (n, ...) of the samples of a split, beside the shape of the network's `outputs` for one sample.

    `output` is the output's name where the network has several.
    """

    y: Array
    outputs: Shape
    split: str = "test"
    output: str = ""

    def __str__(self) -> str:
        """Both shapes, and the range of the labels where they are finite numbers."""
        span = f" from {self.y.min()} to {self.y.max()}" if self.y.dtype.kind in "iuf" and self.y.size else ""
        of = f" of {self.output}" if self.output else ""
        labels = f"the {self.split} labels{of} are {self.y.dtype} {self.y.shape[1:]}{span}"
        return f"the network gives {self.outputs} a sample, {labels}"

    def classes(self) -> NDArray[np.int64]:
        """Class indices (n, *outputs without the last axis)."""
        self.require_numbers()
        if self.count < 2:
            hint = "for labels 0 and 1 give a loss such as BinaryCrossentropy, for numbers loss='mse'"
            raise BadInputError(f"one output is no class count: {self}", hint=hint)
        if self.is_one_hot:
            return np.asarray(self.y.reshape(-1, *self.outputs).argmax(axis=-1), np.int64)
        if _core(self.y.shape[1:]) != _core(self.outputs[:-1]):
            raise BadInputError(f"the labels are no classes: {self}", hint="integers from 0, or one-hot rows")
        whole = self.y.astype(np.int64)
        if not np.array_equal(whole, self.y):
            raise BadInputError(f"labels that are no whole numbers are no classes: {self}")
        if whole.min() < 0 or whole.max() >= self.count:
            raise BadInputError(f"the network knows the classes 0 to {self.count - 1}: {self}")
        return whole.reshape(-1, *self.outputs[:-1])

    def one_hot(self) -> Array:
        """Rows of float32 (n, *outputs): the labels themselves where they have that shape, else one-hot rows."""
        if self.has_outputs_shape and self.count > 1:
            return self.numbers(np.float32)
        return np.eye(self.count, dtype=np.float32)[self.classes()]

    def yes_no(self) -> NDArray[np.bool_]:
        """Labels 0 and 1 as bool (n, *outputs)."""
        self._require_outputs_shape()
        if not self.is_zero_or_one:
            raise BadInputError(f"the labels are not 0 and 1 alone: {self}")
        return self.y.reshape(-1, *self.outputs).astype(bool)

    def signed(self) -> Labels:
        """The labels of a hinge loss, -1 and 1, as 0 and 1."""
        return self if self.y.dtype.kind not in "if" else replace(self, y=np.where(self.y == -1, 0, self.y))

    def numbers(self, dtype: type[np.floating[Any]] = np.float64) -> NDArray[np.floating[Any]]:
        """Labels as floats (n, *outputs)."""
        self._require_outputs_shape()
        return self.y.reshape(-1, *self.outputs).astype(dtype, copy=False)

    def one_yes_no(self) -> NDArray[np.bool_]:
        """One label 0 or 1 a sample as bool (n,), whatever the outputs are."""
        self.require_numbers()
        if self.y.size != len(self.y) or not self.is_zero_or_one:
            raise BadInputError(f"the labels are not one 0 or 1 a sample: {self}")
        return self.y.reshape(-1).astype(bool)

    def boxes(self) -> NDArray[np.float64]:
        """True boxes (n, g, 5): four corners and a class, which is negative in rows of padding."""
        self.require_numbers()
        if self.y.ndim != 3 or self.y.shape[-1] != 5:
            raise BadInputError(f"the labels are no boxes (g, 5) of four corners and a class: {self}")
        boxes = self.y.astype(np.float64)
        true = boxes[boxes[..., 4] >= 0]
        if not len(true) or (np.rint(true[:, 4]) != true[:, 4]).any():
            raise BadInputError(f"the last column of the labels has no classes from 0: {self}")
        if (true[:, 2:4] < true[:, :2]).any():
            hint = "boxes are (y, x, y, x) or (x, y, x, y)"
            raise BadInputError(f"the second corner of a box is before its first: {self}", hint=hint)
        return boxes

    @property
    def count(self) -> int:
        """Length of the outputs' last axis: the number of classes, if they are classes."""
        return self.outputs[-1] if self.outputs else 1

    @property
    def has_outputs_shape(self) -> bool:
        """True for labels of the outputs' shape, but for axes of size one."""
        return _core(self.y.shape[1:]) == _core(self.outputs)

    @property
    def are_classes(self) -> bool:
        """True if `classes` takes the labels."""
        return _accepts(self.classes)

    @property
    def are_yes_no(self) -> bool:
        """True if `yes_no` takes the labels."""
        return _accepts(self.yes_no)

    @property
    def are_one_yes_no(self) -> bool:
        """True if `one_yes_no` takes the labels."""
        return _accepts(self.one_yes_no)

    @property
    def is_zero_or_one(self) -> bool:
        """True if every label is 0 or 1."""
        return bool(np.isin(self.y, (0, 1)).all())

    @property
    def is_one_hot(self) -> bool:
        """True for labels of the outputs' shape in which each row has a single 1 among zeros, over two or more."""
        last = self.y.shape[-1] if self.y.ndim > 1 else 1
        same = last == self.count > 1 and self.has_outputs_shape
        return same and self.is_zero_or_one and bool((self.y.astype(bool).sum(axis=-1) == 1).all())

    def require_numbers(self) -> None:
        """Raises `BadInputError` for strings, objects and values that are not finite."""
        if self.y.dtype.kind not in "biuf":
            raise BadInputError(f"the labels are no numbers: {self}", hint="classes are integers from 0")
        if not np.isfinite(self.y).all():
            raise BadInputError(f"{not_finite(self.y, f'{self.split} labels')}: {self}")

    def _require_outputs_shape(self) -> None:
        self.require_numbers()
        if not self.has_outputs_shape:
            raise BadInputError(f"the labels do not have the shape of the outputs: {self}")


def not_finite(values: Array, name: str, first: int = 0) -> str:
    """Returns the line for `values` (n, ...) of which some are not finite: how many, and the first sample.

    `first` is the number of the first of the values.
    """
    bad = ~np.isfinite(values).reshape(len(values), -1)
    count = int(bad.sum())
    verb = "value is" if count == 1 else "values are"
    return f"{count} {verb} not finite in the {name}, first in sample {first + int(bad.any(axis=1).argmax())}"


def _core(shape: Shape) -> Shape:
    return tuple(size for size in shape if size != 1)


def _accepts(form: Callable[[], Array]) -> bool:
    try:
        form()
    except BadInputError:
        return False
    return True
