"""Reasons for cells that are not equal and for operators without a comparison: read by the table and the tests.

Every cell of the table that has mismatching cases must have a reason here, and every reason such a cell.
"""

from __future__ import annotations

_SMALL = ("int8", "uint8", "int16")
_ALL = (*_SMALL, "int32")

_REASONS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("ABS", ("int16",), "Regor takes the ratio of the scales in float64, TFLite in float32: another factor, off by 1"),
    (
        "ADD",
        ("int16",),
        "power-of-two scales (`pot_scale_int16`): TFLite rounds one operand before it adds, Vela's stream the sum",
    ),
    (
        "CONCATENATION",
        _SMALL,
        "of a RESIZE_BILINEAR with half-pixel centres that is not the first input: Regor's stream writes all channels "
        "of the result, from its first channel on",
    ),
    ("CONV_2D", ("int16",), "with a bias of 32 bits: the legacy core's stream rounds once, TFLite twice"),
    (
        "DEPTHWISE_CONV_2D",
        ("uint8",),
        "with a depth multiplier and a fused activation: Regor's stream moves the result as int8 and clamps it there, "
        "to 127 at most",
    ),
    ("EXP", ("int16",), "the legacy core makes its table in float64, TFLite and Regor in float32: off by 1"),
    (
        "LOGISTIC",
        ("int8", "uint8"),
        "Vela makes its table in float64, TFLite in float32: an entry that lies on a half is off by 1",
    ),
    ("MIRROR_PAD", _ALL, "over depth: Regor's stream copies the middle and leaves the padding as it was"),
    ("MUL", ("int32",), "with scales, which TFLite does not look at for int32 and Vela applies"),
    ("PACK", _SMALL, "of a batch along an inner axis: the legacy core's stream writes the first sample alone"),
    (
        "REDUCE_MAX",
        _SMALL,
        "without `keep_dims`: Regor's stream gives the pool the shape of the result, so that its window slides over "
        "the first row alone",
    ),
    ("REDUCE_MIN", _SMALL, "as REDUCE_MAX"),
    ("SHAPE", _ALL, "the legacy core stores the shape in 64 bits and reads it as 32"),
    ("SLICE", _SMALL, "of a batch: the legacy core's stream takes the first sample alone"),
    (
        "SQUARED_DIFFERENCE",
        _SMALL,
        "the first operand broadcast: the legacy core's stream describes the second wrongly",
    ),
    ("STRIDED_SLICE", _SMALL, "backwards: the legacy core's stream reads before the tensor, which `sim` refuses"),
    ("SUB", ("int16",), "as ADD"),
    ("SUM", _ALL, "over several axes: Regor's stream adds along one alone; without `keep_dims`: as REDUCE_MAX"),
    ("TANH", ("int8", "uint8"), "as LOGISTIC"),
    (
        "TRANSPOSE",
        ("int32",),
        "the legacy core multiplies by 0x80000001 / 2**31: values of 2**30 and more come out one more",
    ),
    ("TRANSPOSE", ("uint8",), "Regor's stream moves uint8 as int8 and clamps it to 0..127"),
    (
        "TRANSPOSE_CONV",
        _SMALL,
        "stride 1 by the legacy core, which pads as for a convolution that is not transposed: its stream reads beside "
        "the input",
    ),
)

DIFFERENCES = {(operator, dtype): text for operator, dtypes, text in _REASONS for dtype in dtypes}
"""Reason by (operator, type) for cells in which cases differ."""

OWN_ARITHMETIC: dict[str, str] = {
    "ABS": "uint8, which TFLite does not take: its int8 kernel's steps",
    "EXP": "as ABS",
    "PRELU": "int16, which TFLite does not take: its int8 kernel's steps",
    "SQUARED_DIFFERENCE": "uint8 and int16, which TFLite does not take: its int8 kernel's steps, for int16 without its "
    "shift by 7 bits, as TFLite Micro",
    "ELU": "TensorFlow's reference kernels have none: the table of TFLite's optimised kernel, in float32",
    "NEG": "TFLite has none of quantized types: the difference to the zero point with its sign turned",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "TensorFlow's kernel takes sigmoid and tanh from gemmlowp and has no int16: TFLite "
    "Micro's arithmetic, which takes them from TFLite's int16 table and which the firmware runs",
    "SUM": "TensorFlow 2.19's kernel gives -1 for int8 and wraps for int16: a whole-number sum, rescaled, rounded once "
    "half up, clamped",
    "TILE": "int16, which TFLite does not take: NumPy's tile",
    "RELU_0_TO_1": "int16, which TFLite does not take: rescaled and clamped as its 8-bit kernel",
    "RELU_N1_TO_1": "as RELU_0_TO_1",
}
"""By operator, the reason for which its cases are compared with the suite's own arithmetic, and that arithmetic."""

NO_CASES: dict[str, str] = {}
"""By operator, the reason for which an operator of Vela's list of supported operators has no cases."""
