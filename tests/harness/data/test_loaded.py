"""Results of loaders: arrays, tuples and mappings of them, or batches as Keras' `fit` takes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hil.core.errors import BadInputError
from hil.harness.data.loaded import batches, joined
from hil.harness.data.samples import CHUNK_BYTES, Samples
from hil.harness.data.samples_files import read_arrays, read_samples, write_arrays, write_samples

X = np.arange(40, dtype=np.uint8).reshape(20, 2)
Y = np.arange(20) % 3


def parts(size: int = 6) -> Iterator[tuple[Any, Any]]:
    for start in range(0, len(X), size):
        yield X[start : start + size], Y[start : start + size]


class Sequence:
    """The promises of `keras.utils.Sequence`: a length and items, and no end of its own."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, number: int) -> tuple[Any, Any]:
        return X[5 * number : 5 * number + 5], Y[5 * number : 5 * number + 5]


def dataset() -> Any:
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(7)


@pytest.mark.parametrize("make", [lambda: (X, Y), parts, Sequence, dataset, lambda: iter([(X, Y)])])
def test_every_way_gives_the_same_samples(make: Any) -> None:
    found = joined(batches(make(), "train"))
    assert found.x[0].dtype == np.uint8
    assert np.array_equal(found.x[0], X)
    assert np.array_equal(found.y[0], Y)
    assert found.w is None


def test_names_weights_and_several_arrays_pass_through_files(tmp_path: Path) -> None:
    weights = np.linspace(0, 1, 20)
    given = ({"image": X, "age": Y[:, None] / 2}, {"kind": Y, "box": np.ones((20, 4))}, weights)
    write_samples(batches(given, "train"), tmp_path)
    found = read_samples(tmp_path)
    assert isinstance(found.x[0], np.memmap)
    assert [array.dtype for array in found.x] == [np.uint8, np.float32]
    assert (found.inputs.names, found.labels.names) == (("image", "age"), ("kind", "box"))
    assert np.allclose(found.w, weights)
    arranged = found.arranged(["age", "image"], ["box", "kind"])
    assert np.array_equal(arranged.x[1], X)
    assert np.array_equal(arranged.y[1], Y)


def test_large_arrays_come_in_parts(tmp_path: Path) -> None:
    x = np.zeros((50, CHUNK_BYTES // 16), np.uint8)
    x[:, 0] = np.arange(50)
    sizes = [len(part) for part in batches((x, np.arange(50)), "train")]
    assert len(sizes) > 3
    assert sum(sizes) == 50
    write_samples(batches((x, np.arange(50)), "train"), tmp_path)
    assert np.array_equal(read_samples(tmp_path).x[0][:, 0], np.arange(50))


def test_arrays_by_place(tmp_path: Path) -> None:
    write_arrays(tmp_path, iter([(X[:7], Y[:7]), (X[7:], Y[7:])]))
    assert all(np.array_equal(*pair) for pair in zip(read_arrays(tmp_path), (X, Y), strict=True))


def endless() -> Iterator[tuple[Any, Any]]:
    while True:
        yield from parts()


def fails() -> Iterator[tuple[Any, Any]]:
    yield X, Y
    raise RuntimeError("the disk is gone")


@pytest.mark.parametrize(
    ("loaded", "line"),
    [
        ([X, Y], "no pair"),
        ({"x": X, "y": Y}, "no pair"),
        (7, "no pair .* but int"),
        (X, "no pair"),
        ((X,), "no pair"),
        ((X, [0] * 20), "y is no NumPy array but list"),
        ((X, Y[:3]), r"x uint8\[20, 2\] and y int64\[3\]"),
        ((X[:0], Y[:0]), "and y"),
        ((X[:, 0], Y), "and y"),
        ((X, Y, Y[:, None]), "weights"),
        ((X.astype(str), Y), "and y"),
        ((X, np.asarray([None] * 20)), "labels are objects"),
        (({"a": X, 3: X}, Y), "mapping of names"),
        (endless(), "gives its first 4 batches 4 times"),
        (fails(), "RuntimeError: the disk is gone"),
        (iter([]), "is empty"),
        (iter([(X, Y), (X[:, :1], Y)]), "changes after 20 samples"),
        (iter([(X, Y), (X[1:].astype("f4"), Y[1:])]), "from uint8"),
        (iter([(X, Y), ((X, X + 1), Y)]), "x0, x1, y0, the first one x0, y0"),
    ],
)
def test_anything_else_is_one_line(loaded: Any, line: str, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=line):
        write_samples(batches(loaded, "train"), tmp_path)


def test_a_dataset_without_an_end_is_refused() -> None:
    with pytest.raises(BadInputError, match="without an end"):
        list(batches(dataset().repeat(), "train"))


@pytest.mark.parametrize(
    ("x", "y", "line"),
    [
        (X, Y, r"2 inputs \(image, age\), the samples are 1 array"),
        ({"image": X}, Y, "age is missing"),
        ({"image": X, "age": X, "sex": X}, Y, "sex is none"),
        ((X, X), (Y, Y, Y), r"2 outputs \(kind, box\), the labels are 3 arrays"),
        ((X, X), {"kinds": Y}, "kinds is none"),
    ],
)
def test_names_and_numbers_are_those_of_the_network(x: Any, y: Any, line: str) -> None:
    with pytest.raises(BadInputError, match=line):
        Samples(x, y).arranged(["image", "age"], ["kind", "box"])


def test_an_output_may_have_no_labels() -> None:
    found = Samples(X, {"kind": Y}).arranged(["image"], ["box", "kind"])
    assert [array.shape for array in found.y] == [(20, 0), (20,)]
