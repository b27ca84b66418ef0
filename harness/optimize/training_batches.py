"""Batches of a training: drawn anew for each epoch, read from the samples' files, augmented and weighted.

    batches = TrainingBatches(network, samples, losses, batch_size=64, epochs=2, seed=0)
    batches.as_dataset(), batches.steps         # what Keras' `fit` takes

Memory holds a few batches at a time.  The same seed gives the same batches.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import BadInputError, HilError
from hil.harness.blame import first_cause
from hil.harness.data.samples import Samples
from hil.harness.optimize.keras.keras2 import import_tensorflow
from hil.harness.optimize.network_inputs import as_inputs
from hil.harness.optimize.output_losses import OutputLosses

_OF_CLASSES = ("classes", "one-hot", "binary")
ClassWeight = str | Mapping[int, float] | None
Batch = tuple[Any, ...]
"""Inputs, labels and, where samples are weighted, weights float32 (batch,), as `fit` takes them."""


@dataclass
class TrainingBatches:
    """Whole batches of `samples` for a network.  `failure` is the error that ended the iteration, if any."""

    network: Any
    samples: Samples
    losses: OutputLosses
    batch_size: int
    epochs: int
    seed: int
    augment: Callable[..., Any] | None = None
    class_weights: tuple[int, dict[int, float]] | None = None
    failure: HilError | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        self.batch_size = min(self.batch_size, len(self.samples))

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return len(self.samples) // self.batch_size

    def with_goal(self, class_weight: ClassWeight, augment: Callable[..., Any] | None) -> TrainingBatches:
        """Returns the batches with weights by class (see `Recipe.class_weight`) and augmentation."""
        weights = None if class_weight is None else weights_by_class(self.samples, self.losses, class_weight)
        return replace(self, class_weights=weights, augment=augment)

    def __iter__(self) -> Iterator[Batch]:
        """Iterates over the batches of all epochs; raises `BadInputError` for what the user's augmentation does."""
        for epoch in range(self.epochs):
            random = np.random.default_rng((self.seed, epoch))
            order = random.permutation(len(self.samples))
            for step in range(self.steps):
                rows = np.sort(order[step * self.batch_size : (step + 1) * self.batch_size])
                yield self._batch(self.samples.take(rows), random)

    def as_dataset(self) -> Any:
        """Returns the batches as a `tf.data.Dataset`."""
        tf = import_tensorflow()
        example = self._batch(self.samples.take(np.arange(self.batch_size)), np.random.default_rng(0))
        signature = tf.nest.map_structure(lambda array: tf.TensorSpec(array.shape, array.dtype), example)
        here = weakref.ref(self)
        dataset = tf.data.Dataset.from_generator(lambda: _batches_of(here), output_signature=signature).prefetch(2)
        dataset.batches = self  # TensorFlow keeps the function to its end, and would keep network and samples with it
        return dataset

    def _until_failure(self) -> Iterator[Batch]:
        try:
            yield from self
        except HilError as error:
            self.failure = error
            raise

    def _batch(self, batch: Samples, random: np.random.Generator) -> Batch:
        x, y = batch.x, batch.y
        if self.augment is not None:
            x, y = _augmented(self.augment, x, y, random)
        labels = self.losses.labels(y)
        inputs = as_inputs(self.network, x)
        whole: Batch = (
            tuple(inputs) if isinstance(inputs, list) else inputs,
            tuple(labels) if len(labels) > 1 else labels[0],
        )
        weights = self._weights(batch, labels)
        return whole if weights is None else (*whole, weights)

    def _weights(self, batch: Samples, labels: list[Array]) -> Array | None:
        if self.class_weights is None:
            return batch.w
        place, weights = self.class_weights
        by_class = np.asarray([weights[int(label)] for label in _classes(labels[place])], np.float32)
        return by_class if batch.w is None else by_class * batch.w


def _batches_of(batches: weakref.ref[TrainingBatches]) -> Iterator[Batch]:
    alive = batches()
    assert alive is not None, "the dataset holds it"
    return alive._until_failure()


def weights_by_class(samples: Samples, losses: OutputLosses, wanted: ClassWeight) -> tuple[int, dict[int, float]]:
    """Returns the number of the output that has classes, and the weight of each class.

    Raises `BadInputError` unless exactly one output has one class a sample, and for a class without a weight.
    """
    places = [
        place for place in range(len(losses.names)) if losses.kind(place).kind in ("classes", "one-hot", "binary")
    ]
    if len(places) != 1:
        raise BadInputError(f"class_weight needs one output with classes, the network has {len(places)}")
    counts: dict[int, int] = {}
    for part in samples.chunks():
        labels = losses.labels(part.y)[places[0]]
        if _classes(labels).shape != (len(part),):
            raise BadInputError(f"class_weight needs one class a sample, the labels are {labels.shape[1:]}")
        for label, count in zip(*np.unique(_classes(labels), return_counts=True), strict=True):
            counts[int(label)] = counts.get(int(label), 0) + int(count)
    if not isinstance(wanted, Mapping):
        return places[0], {label: len(samples) / (len(counts) * count) for label, count in counts.items()}
    if missing := sorted(counts.keys() - wanted.keys()):
        raise BadInputError(f"class_weight has no weight for the class {missing[0]}")
    return places[0], {int(label): float(weight) for label, weight in wanted.items()}


def _classes(labels: Array) -> Array:
    """Returns the class of each sample, from labels in the form of a loss."""
    if labels.ndim > 1 and labels.shape[-1] > 1 and labels.dtype.kind == "f":
        return np.asarray(labels.argmax(axis=-1))
    return np.asarray(
        labels.reshape(labels.shape[0], -1).astype(np.int64).squeeze(axis=1) if labels.size == len(labels) else labels
    )


def _augmented(
    augment: Callable[..., Any], x: tuple[Array, ...], y: tuple[Array, ...], random: np.random.Generator
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Calls the user's augmentation; raises `BadInputError` if it fails or changes the number or shape of arrays."""
    name = getattr(augment, "__name__", type(augment).__name__)
    try:
        given = augment(x[0] if len(x) == 1 else x, y[0] if len(y) == 1 else y, random)
        new_x, new_y = (
            (part,) if isinstance(part, np.ndarray) else tuple(np.asarray(array) for array in part) for part in given
        )
    except HilError:
        raise
    except Exception as error:
        line = f"the augmentation {name} fails: {type(error).__name__}: {first_cause(error)}"
        raise BadInputError(line, hint="a function of (x, y, random) that returns (x, y)") from error
    for before, after in ((x, new_x), (y, new_y)):
        if [array.shape for array in before] != [array.shape for array in after]:
            shapes = f"{[array.shape for array in before]} to {[array.shape for array in after]}"
            raise BadInputError(f"the augmentation {name} changes shapes, from {shapes}")
    return new_x, new_y
