"""From numbers that a board printed back to the quantized outputs they stand for, where only one can be meant.

    found = recover(spec, printed, 0.001)
    found.values          # int8, or None
    found.reason          # why, in words

A firmware prints real outputs with three decimals, rounded or cut off: a printed 0.996 is a real number within 0.001 of
it.  The int8 outputs of a softmax are 1/256 apart: 0.996 can only be 255/256.  A print that is coarser than
the scale, another number of outputs, or a number that lies between the quantized ones identifies nothing; then it is
not known whether the board computes what the int8 model does, and no count of mismatches may be made of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hil.core.arrays import Array
from hil.targets.execution.signature import TensorSpec

_SLACK = 1e-6
"""Of a step: the board's own float arithmetic, before it prints."""


@dataclass(frozen=True)
class Recovered:
    """`values` (samples, *sample shape) in the output's dtype, or None; `reason` says what was found."""

    values: Array | None
    reason: str


def recover(spec: TensorSpec, printed: Array, resolution: float) -> Recovered:
    """`printed`: real numbers (samples, outputs), each within `resolution` of what the board has."""
    size = int(np.prod(spec.sample_shape))
    if printed.shape[1] != size:
        return Recovered(None, f"the board prints {printed.shape[1]} outputs, the model has {size}")
    if spec.dtype.kind == "f" or not spec.scale:
        return Recovered(None, f"output {spec.name!r} is not quantized")
    if not spec.scale >= 2 * resolution:
        return Recovered(
            None, f"the board prints steps of {resolution:g}, too coarse for an output with scale {spec.scale:g}"
        )
    limits = np.iinfo(spec.dtype)
    steps = np.rint(np.nan_to_num(printed, posinf=0.0, neginf=0.0) / spec.scale) + spec.zero_point
    nearest = np.clip(steps, limits.min, limits.max)
    off = np.abs((nearest - spec.zero_point) * spec.scale - printed)
    strange = ~(off < resolution * (1 + _SLACK))  # also where it is no number
    if strange.any():
        sample, place = (int(i) for i in np.argwhere(strange)[0])
        return Recovered(
            None,
            f"{int(strange.sum())} of {printed.size} printed outputs are none of the model's quantized values, "
            f"the first {printed[sample, place]:g} (sample {sample}, output {place}): the board carries another model",
        )
    values = nearest.astype(spec.dtype).reshape(len(printed), *spec.sample_shape)
    return Recovered(values, f"told by the print: steps of {resolution:g}, the output's scale is {spec.scale:g}")
