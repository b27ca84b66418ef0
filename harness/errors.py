"""Errors of the harness: what failed on the way from a Keras model to a verdict.

All belong to the one family of `hil.npu.errors`; a class says what failed, its message names the layer or file, its
`hint` says what to do.
"""

from __future__ import annotations

from hil.npu.errors import EXIT_GATE, EXIT_USAGE, HilError


class OptimizeError(HilError):
    """A technique could not be applied to this model: a layer or a setting that TFMOT does not take."""

    exit_code = EXIT_USAGE


class LostError(OptimizeError):
    """A technique ran but its promise does not hold: sparsity or clusters were lost in `layer` after `step`."""

    exit_code = EXIT_GATE

    def __init__(self, message: str, *, layer: str, step: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.layer = layer
        self.step = step


class ConvertError(OptimizeError):
    """The Keras model did not become a fully quantized TFLite model; `log` is the converter's own text."""


class MismatchError(HilError):
    """A target's outputs are not what the reference computes from the same int8 model."""

    exit_code = EXIT_GATE
