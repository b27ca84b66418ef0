"""Weight clustering: cluster centroids by k-means, and training that preserves the clusters.

    few = cluster_kernel(kernel, 16, zero=True)           # at most 16 distinct weights, zeros stay zero
    clusters = PreservedClusters.of_model(model, {"pw1"})
    callback = clusters.callback()      # in training every kernel still has its 16 values and its zeros

TFMOT clusters with a wrapper for each layer and, in quantization-aware training, with a quantizer for each kind of
layer, and both lose clusters (see `repairs`).  Here the weights of a cluster get the mean of their gradients, so an
optimizer that treats equal numbers alike moves them together; the zero cluster gets no gradient.  The end of the
training removes the differences that rounding leaves.  The method works for any kind of layer and needs no wrapper.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.harness.optimize.keras.keras2 import import_keras, import_tensorflow
from hil.harness.optimize.layers import kernel_variables, unwrap

ROUNDS = 100


@dataclass(frozen=True)
class Clusters:
    """A kernel's variable, cluster index of each weight (flat, int32), and index of the zero cluster (-1: none)."""

    variable: Any
    index: Array
    zero: int


def centroids(values: Array, count: int) -> Array:
    """Computes at most `count` cluster centroids, float32: Lloyd's k-means in one dimension, the better of two starts.

    Linear initialization between the extremes represents the few large weights (Han et al., "Deep Compression", 2016),
    quantiles the many small ones.
    """
    ordered = np.sort(values.astype(np.float64).ravel())
    starts = np.linspace(ordered[0], ordered[-1], count), np.quantile(ordered, (np.arange(count) + 0.5) / count)
    ends = [_lloyd(ordered, start) for start in starts]
    return min(ends, key=lambda end: float(np.sum((_nearest(ordered, end) - ordered) ** 2))).astype(np.float32)


def _nearest(values: Array, points: Array) -> Array:
    return np.asarray(points[np.searchsorted((points[1:] + points[:-1]) / 2, values)])


def _lloyd(ordered: Array, found: Array) -> Array:
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    for _ in range(ROUNDS):
        edges = np.searchsorted(ordered, (found[1:] + found[:-1]) / 2)
        low, high = np.concatenate([[0], edges]), np.concatenate([edges, [len(ordered)]])
        filled = high > low
        moved = (sums[high] - sums[low])[filled] / (high - low)[filled]
        if len(moved) == len(found) and np.array_equal(moved, found):
            break
        found = moved
    return found


def cluster_kernel(kernel: Array, count: int, *, zero: bool) -> Array:
    """Rounds a kernel to at most `count` centroids; with `zero`, zeros stay zero and no other weight becomes 0."""
    free = kernel[kernel != 0] if zero else kernel.ravel()
    if len(np.unique(free)) <= count - zero:
        return kernel
    nearest = _nearest(kernel, centroids(free, count - zero))
    return np.where(kernel == 0, np.float32(0), nearest) if zero else nearest


def cluster_layer(layer: Any, count: int, *, zero: bool) -> None:
    """Rounds each kernel of a layer to at most `count` centroids, in place."""
    for _, variable in kernel_variables(layer):
        variable.assign(cluster_kernel(variable.numpy(), count, zero=zero))


class PreservedClusters:
    """Preserves the clusters of kernels during a training; `callback` is the Keras callback."""

    def __init__(self, clusters: list[Clusters]) -> None:
        self.clusters = clusters

    @classmethod
    def of_model(cls, model: Any, names: Collection[str]) -> PreservedClusters:
        """Finds the clusters of the kernels in the layers `names`: one for each distinct weight, zero among them."""
        clusters = []
        for outer in model.layers:
            for _, variable in kernel_variables(outer) if unwrap(outer).name in names else ():
                values, index = np.unique(variable.numpy(), return_inverse=True)
                zero = np.flatnonzero(values == 0)
                clusters.append(Clusters(variable, index.ravel().astype(np.int32), int(zero[0]) if len(zero) else -1))
        return cls(clusters)

    @property
    def callback(self) -> Any:
        """Keras callback that averages gradients by cluster, and makes the clusters exact when the training ends."""
        kept = self

        class Callback(import_keras().callbacks.Callback):  # type: ignore[misc]
            shared = False

            def on_train_begin(self, logs: Any = None) -> None:
                if getattr(self.model, "optimizer", None) is not None:
                    kept._share_gradients(self.model.optimizer, self._note)

            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                if not self.shared:  # a loop of the user's own, with an optimizer of its own
                    kept._settle()

            def _note(self) -> None:
                self.shared = True

            def on_train_end(self, logs: Any = None) -> None:
                kept._settle()

        return Callback()

    def _share_gradients(self, optimizer: Any, note: Callable[[], None]) -> None:
        tf, original = import_tensorflow(), optimizer.apply_gradients
        places = {clusters.variable.ref(): clusters for clusters in self.clusters}

        def shared(gradient: Any, variable: Any) -> Any:
            clusters = places.get(variable.ref())
            if clusters is None or gradient is None:
                return gradient
            count = int(clusters.index.max()) + 1
            means = tf.math.unsorted_segment_mean(tf.reshape(gradient, [-1]), clusters.index, count)
            if clusters.zero >= 0:
                means *= np.float32(np.arange(count) != clusters.zero)
            return tf.reshape(tf.gather(means, clusters.index), gradient.shape)

        def apply_gradients(pairs: Any, *arguments: Any, **keywords: Any) -> Any:
            note()
            return original([(shared(g, v), v) for g, v in pairs], *arguments, **keywords)

        optimizer.apply_gradients = apply_gradients

    def _settle(self) -> None:
        """Sets every weight to the mean of its cluster, from which it differs by rounding alone."""
        for clusters in self.clusters:
            values = clusters.variable.numpy()
            sums = np.bincount(clusters.index, weights=values.ravel().astype(np.float64))
            means = (sums / np.bincount(clusters.index)).astype(np.float32)
            if clusters.zero >= 0:
                means[clusters.zero] = 0.0
            clusters.variable.assign(means[clusters.index].reshape(values.shape))
