"""What is known of cells that are not equal, and of operators without a comparison: read by the table and the tests.

Every cell of the table that has mismatching cases must have a reason here, and every reason such a cell.
"""

from __future__ import annotations

DIFFERENCES: dict[tuple[str, str], str] = {
    ("ABS", "int16"): "Regor takes the ratio of the scales in float64, TFLite in float32: another factor, off by 1",
    (
        "ADD",
        "int16",
    ): "power-of-two scales (`pot_scale_int16`): TFLite rounds the smaller operand before it adds, Vela's "
    "stream rounds the sum",
    ("CONV_2D", "int16"): "with a bias of 32 bits: the legacy core's stream rounds once, TFLite twice",
    (
        "EXP",
        "int16",
    ): "the legacy core makes its table in float64, TFLite (and Regor) in float32: other entries, off by 1",
    ("MUL", "int32"): "TFLite does not look at the scales of int32; Vela divides by them",
    (
        "SQUARED_DIFFERENCE",
        "int8",
    ): "the legacy core's stream lays the second operand wrongly if the first is broadcast",
    ("SUB", "int16"): "as ADD",
    ("TRANSPOSE_CONV", "int8"): "stride 1 by the legacy core, which pads as for a convolution that is not transposed: its "
    "stream reads beside the input",
    ("TRANSPOSE_CONV", "uint8"): "as int8",
    ("TRANSPOSE_CONV", "int16"): "as int8",
}
"""Reason by (operator, type) for cells in which cases differ."""

OWN_ARITHMETIC: dict[str, str] = {
    "ELU": "TensorFlow's reference kernels have none: the table of TFLite's optimised kernel, in float32",
    "NEG": "TFLite has none of quantized types: the difference to the zero point with its sign turned",
    "RELU_0_TO_1": "int16, which TFLite does not take: rescaled and clamped as its 8-bit kernel",
    "RELU_N1_TO_1": "as RELU_0_TO_1",
}
"""By operator, why its cases are held to arithmetic of the suite's own and not to the oracle, and what that is."""

NO_CASES: dict[str, str] = {}
"""By operator, why an operator of Vela's list of supported operators has no cases."""
