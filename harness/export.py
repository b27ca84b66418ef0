"""Formats in which a TFLite model is written: the file itself, a C array, or its weights, by the suffix of the path.

export(Path("net.cc"), tflite, int8)       # const unsigned char net_data[], net_size; also .c, .cpp, .h
export(Path("net.npz"), tflite, int8)      # "conv.weights" (int8), "conv.scales", "conv.bias" (int32) by operator
export(Path("net.tflite"), tflite, int8)   # also without a suffix
"""

from __future__ import annotations

import io
import re
from pathlib import Path

from hil.core.errors import BadInputError

C_SOURCES = (".c", ".cc", ".cpp")
FORMATS = (".tflite", *C_SOURCES, ".h", ".npz", "")
"""Suffixes that name a format."""
_A_LINE = 12

_SOURCE = """\
// {bytes} bytes of a TFLite model, written by `hil`.
#ifdef __cplusplus
extern "C" {{
#endif
extern const unsigned char {name}_data[{bytes}];
extern const unsigned int {name}_size;

#if defined(__GNUC__)
__attribute__((aligned(16)))
#endif
const unsigned char {name}_data[{bytes}] = {{
{array}
}};
const unsigned int {name}_size = {bytes};
#ifdef __cplusplus
}}
#endif
"""
_HEADER = """\
// {bytes} bytes of a TFLite model, written by `hil`.  Each source that includes this file has a copy of its own.
#ifndef {guard}
#define {guard}

#if defined(__GNUC__)
__attribute__((aligned(16)))
#endif
static const unsigned char {name}_data[{bytes}] = {{
{array}
}};
static const unsigned int {name}_size = {bytes};

#endif
"""


def export(path: Path, tflite: bytes, int8: bytes) -> bytes:
    """A model in the format of the path's suffix, of `FORMATS`; an .npz gets the weights of the model `int8`."""
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return weights_archive(int8)
    if suffix in (*C_SOURCES, ".h"):
        return c_array(path, tflite).encode()
    return tflite


def c_array(path: Path, data: bytes) -> str:
    """Formats bytes as a C or C++ source, or as a header; the names of array and size begin with the file's."""
    name = re.sub(r"\W", "_", path.stem, flags=re.ASCII)
    name = f"model_{name}" if name[:1].isdigit() else name
    lines = (data[start : start + _A_LINE] for start in range(0, len(data), _A_LINE))
    array = "\n".join("  " + " ".join(f"0x{byte:02x}," for byte in line) for line in lines)
    template = _HEADER if path.suffix.lower() == ".h" else _SOURCE
    return template.format(name=name, guard=f"{name.upper()}_H", bytes=len(data), array=array)


def weights_archive(int8: bytes) -> bytes:
    """The quantized weights, scales and biases of a model's operators as a NumPy archive."""
    import numpy as np

    from hil.core.tflite.weights import read_tflite

    arrays = {}
    for number, operator in enumerate(read_tflite(int8)):
        if operator.weights is None:
            continue
        name = operator.output_name.partition(";")[0].strip("/") or operator.kind
        name = f"{name}.{number}" if f"{name}.weights" in arrays else name
        arrays[f"{name}.weights"] = operator.weights
        arrays[f"{name}.scales"] = np.asarray(operator.scales, np.float32)
        if operator.bias is not None:
            arrays[f"{name}.bias"] = operator.bias
    if not arrays:
        raise BadInputError("the model has no weights to write as .npz")
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()
