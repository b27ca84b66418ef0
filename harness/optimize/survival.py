"""Check of the promised zeros and clusters after every step of a path, in the Keras model and in the int8 file.

    rows = check_keras(before, after, promises, "pqat", recipe)     # after a step; LostError names the layer
    rows = check_tflite(int8, model, promises, "ptq")               # after conversion

- **zeros**: at least the promised number of a kernel's weights are zero.  int8 weights are symmetric (zero point 0), so
  a zero stays exactly zero: the promise is the same for the file.
- **clusters**: a kernel has at most the promised number of distinct weights.  In the file each output channel has a
  scale of its own, and folding batch normalization multiplies each channel by its own factor; the number of values in
  one channel cannot grow, but channels need not agree.  So the file holds at most that many distinct values *in each
  channel*, and in the whole kernel only where it has a single scale.  The steps for the NPU promise the whole kernel.

The number in the whole kernel is measured and reported: the fewer, the better Vela compresses it.  `loss_causes` finds
the reason for a loss.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hil.core.errors import LostError
from hil.harness.model import Recipe
from hil.harness.optimize.layer_weights import LayerWeights, measure_keras, measure_tflite
from hil.harness.optimize.loss_causes import Cause, cause_in_file, cause_in_keras, cause_of_absence
from hil.harness.optimize.promises import Promise


def check_keras(before: Any, after: Any, promises: Iterable[Promise], step: str, recipe: Recipe) -> list[LayerWeights]:
    """Measures `after`, the Keras model that `step` made of `before`; raises `LostError` for a broken promise."""
    rows = measure_keras(after)
    for promise in promises:
        row = _row(rows, promise)
        if row is None:
            raise _error(f"layer {promise.layer} is not in the model after {step}", promise, step)
        if loss := _loss(promise, row, row.unique):
            cause = cause_in_keras(promise, before, after, step, recipe)
            raise _error(f"layer {_place(promise)} lost its {promise.kind} after {step}: {loss}", promise, step, cause)
    return rows


def check_tflite(content: bytes, model: Any, promises: Iterable[Promise], step: str) -> list[LayerWeights]:
    """Measures the int8 file of `model`, converted by `step`; raises `LostError` for a broken promise."""
    rows = measure_tflite(content, model)
    in_keras = measure_keras(model)
    for promise in promises:
        found = [row for row in rows if (row.layer, row.kernel) == (promise.layer, promise.kernel)]
        if not found:
            cause = cause_of_absence(content, model, promise.layer)
            raise _error(f"layer {_place(promise)} is not in the int8 file", promise, step, cause)
        for row in found:
            whole = promise.whole or row.scales == 1
            if loss := _loss(promise, row, row.unique if whole else row.unique_per_channel):
                source = _row(in_keras, promise)
                earlier = source is not None and _loss(promise, source, source.unique) != ""
                cause = cause_in_file(promise, row, lost_in_keras=earlier)
                text = f"layer {_place(promise)} of the int8 file lost its {promise.kind} after {step}: {loss}"
                raise _error(text, promise, step, cause)
    return rows


def _row(rows: Iterable[LayerWeights], promise: Promise) -> LayerWeights | None:
    return next((row for row in rows if (row.layer, row.kernel) == (promise.layer, promise.kernel)), None)


def _place(promise: Promise) -> str:
    """Names the layer, and which of its kernels where it has several."""
    return promise.layer if promise.kernel == "kernel" else f"{promise.layer} ({promise.kernel})"


def _loss(promise: Promise, row: LayerWeights, distinct: int) -> str:
    """Describes by how much a measured layer breaks a promise; empty if it keeps it."""
    by = f"were promised by {promise.step}"
    if promise.kind == "zeros" and round(row.zeros * row.size) < promise.bound:
        return f"{row.zeros:.1%} of its weights are zero, {promise.bound / row.size:.1%} {by}"
    if promise.kind == "clusters" and distinct > promise.bound:
        return f"{distinct} distinct weights, {promise.bound} {by}"
    return ""


def _error(text: str, promise: Promise, step: str, cause: Cause | None = None) -> LostError:
    reason = f"; {cause.reason}" if cause else ""
    return LostError(f"{text}{reason}", layer=promise.layer, step=step, hint=cause.hint if cause else "")
