"""Samples: draws, parts, classes, and the share that is held out."""

from __future__ import annotations

import numpy as np
import pytest

from hil.core.errors import BadInputError
from hil.harness.data.held_out import held_out
from hil.harness.data.interface import interface
from hil.harness.data.samples import Samples
from hil.harness.data.stratified import stratified

X = np.arange(100)[:, None]
MANY, FEW = np.repeat([0, 1], [95, 5]), np.repeat([0, 1, 2], [90, 8, 2])


def test_a_draw_is_the_same_for_a_seed_and_copies_nothing_yet() -> None:
    samples = Samples(X, MANY)
    few = samples.sample(10, 3)
    assert few.inputs is samples.inputs
    assert np.array_equal(few.x[0], samples.sample(10, 3).x[0])
    assert not np.array_equal(few.x[0], samples.sample(10, 4).x[0])
    assert len({int(row) for row in few.x[0].ravel()}) == len(few) == 10
    assert samples.sample(100, 0) is samples is samples.sample(None, 0)


def test_some_of_some_are_their_rows() -> None:
    some = Samples(X, MANY, np.arange(100.0)).take(np.arange(10, 50)).take(slice(5, 8))
    assert some.x[0].ravel().tolist() == [15, 16, 17]
    assert some.w.tolist() == [15, 16, 17]
    assert [len(part) for part in some.chunks(2)] == [2, 1]


@pytest.mark.parametrize("labels", [FEW, FEW[:, None], np.eye(3)[FEW], FEW.astype(np.uint8)])
def test_a_stratified_draw_has_as_many_of_each_class(labels: np.ndarray) -> None:
    few = stratified(Samples(X, labels), 30, 0)
    classes = few.y[0].argmax(axis=1) if labels.ndim == 2 and labels.shape[1] == 3 else few.y[0].ravel()
    assert np.bincount(classes.astype(int)).tolist() == [20, 8, 2]


def test_without_classes_every_sample_is_as_likely() -> None:
    samples = Samples(X, X / 7)
    assert np.array_equal(stratified(samples, 30, 0).x[0], samples.sample(30, 0).x[0])


def test_the_share_that_is_held_out_trains_nothing() -> None:
    train, held = held_out(Samples(X, MANY), 0.2, 0)
    assert (len(train), len(held)) == (80, 20)
    assert not set(train.x[0].ravel()) & set(held.x[0].ravel())
    with pytest.raises(BadInputError, match="holds out 0"):
        held_out(Samples(X, MANY), 0.001, 0)


TWO = Samples(X, (MANY, X)).arranged(["x"], ["kind", "box"])
ONE = Samples(X, {"box": X}).arranged(["x"], ["kind", "box"])


@pytest.mark.parametrize(
    ("samples", "output", "takes_all", "number"),
    [(TWO, "box", False, 1), (TWO, "", True, None), (ONE, "", False, 1), (ONE, "", True, None), (ONE, "box", True, 1)],
)
def test_the_metric_is_of_one_output_or_of_all(
    samples: Samples, output: str, takes_all: bool, number: int | None
) -> None:
    assert interface(["x"], ["kind", "box"], samples, output, takes_all=takes_all).output == number


@pytest.mark.parametrize(
    ("samples", "output", "line"),
    [
        (TWO, "", "kind, box have labels: say of which"),
        (TWO, "boxes", "no output of the network"),
        (ONE, "kind", "has no labels"),
    ],
)
def test_an_output_that_is_not_clear_is_one_line(samples: Samples, output: str, line: str) -> None:
    with pytest.raises(BadInputError, match=line):
        interface(["x"], ["kind", "box"], samples, output, takes_all=False)
