"""Run of a target on many samples, part by part: memory holds the inputs of a part and all outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from hil.core.arrays import Array
from hil.targets.base import Deployable, Progress, Run, Target

PART_BYTES = 64 << 20
"""Bytes of the inputs of a part."""


def run_in_parts(target: Target, model: Deployable, inputs: Sequence[Array], progress: Progress) -> Run:
    """Runs every sample from a fresh state, as the target does with all at once; its figures are those of a part."""
    total = len(inputs[0]) if inputs else 0
    step = max(1, PART_BYTES // max(1, sum(array[:1].nbytes for array in inputs)))
    if total <= step:
        return target.run(model, inputs, progress=progress)
    runs = []
    for start in range(0, total, step):
        part = [np.ascontiguousarray(array[start : start + step]) for array in inputs]
        runs.append(target.run(model, part, progress=partial(_report, progress, start, total)))
    outputs = zip(*(run.outputs for run in runs), strict=True)
    return replace(runs[0], outputs=tuple(np.concatenate(parts) for parts in outputs))


def _report(progress: Progress, before: int, total: int, done: int, _: int) -> None:
    progress(before + done, total)
