"""Post-training quantization by LiteRT's quantizer (`litert-quantizer`, once `ai-edge-quantizer`).

    check_installed(["litert_ptq"])                              # before anything is trained
    int8 = quantize(float_tflite, "litert_ptq", [[x[:1]], [x[1:2]]])  # for each sample a list of inputs (1, ...)

It quantizes a float TFLite file, where TensorFlow's converter quantizes the graph that it converts.  Operators that it
does not know stay in float, which `conversion.check_quantized` refuses.

An activation's range are the extremes of all samples, as in TensorFlow.  The quantizer's own choice is a moving average
of each sample's extremes: on `fashion_cnn` that leaves 60 % of the range, and 13 dB of signal to noise in place of 34.
Source: litert_quantizer 0.11, `qsv_utils`, `recipe.static_wi8_ai8`, `recipe.static_wi8_ai16`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Sequence
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

from hil.core.arrays import Array
from hil.core.errors import BadInputError, ConvertError
from hil.harness.blame import first_cause

RECIPES = {"litert_ptq": "static_wi8_ai8", "litert_int16x8": "static_wi8_ai16"}
"""Conversion -> name of the quantizer's recipe."""
PACKAGES = ("litert-quantizer", "ai-edge-litert")
"""Distributions on which the files depend, beside TensorFlow."""
_SIGNATURE = "serving_default"


def check_installed(techniques: Iterable[str]) -> None:
    """Raises `BadInputError` if one of these techniques needs the quantizer and it is not installed."""
    needing = [name for name in techniques if name in RECIPES]
    if needing and importlib.util.find_spec("litert_quantizer") is None:
        hint = "pip install 'ethosu-hil[litert-quantizer]'"
        raise BadInputError(f"{needing[0]} needs the package litert-quantizer, which is not installed", hint=hint)


def quantize(float_tflite: bytes, conversion: str, samples: Sequence[Sequence[Array]]) -> bytes:
    """Quantizes a float TFLite file with activation ranges of `samples`, each a list of the inputs (1, ...) in order.

    Raises `ConvertError` if the quantizer refuses the file.
    """
    from litert_quantizer import calibrator, quantizer, recipe, recipe_manager
    from litert_quantizer.utils import qsv_utils

    content, names = _with_signature(float_tflite)
    calibration = [dict(zip(names, sample, strict=True)) for sample in samples]  # the quantizer iterates twice
    settings, manager = getattr(recipe, RECIPES[conversion])(), recipe_manager.RecipeManager()
    manager.load_quantization_recipe(settings)
    try:
        with redirect_stderr(StringIO()):  # a progress bar
            ranges = calibrator.Calibrator(content, num_threads=1, qsv_update_func=qsv_utils.min_max_update)
            ranges.calibrate({_SIGNATURE: calibration}, manager)
        tool = quantizer.Quantizer(content, settings)
        made = tool.quantize(ranges.get_model_qsvs(), enable_progress_bar=False, enable_progress_report=False)
    except Exception as error:  # whatever its code raises, of a file that it does not expect
        why = f"{type(error).__name__}: {first_cause(error)}"
        raise ConvertError(f"LiteRT's quantizer refuses the model: {why}", hint="ptq takes more models") from error
    return bytes(made.quantized_model)


def _with_signature(float_tflite: bytes) -> tuple[bytes, list[str]]:
    """Returns the file with a signature, which the quantizer needs, and the names of the inputs in it, in order."""
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model: Any = flatbuffer_utils.read_model_from_bytearray(bytearray(float_tflite))
    (graph,) = model.subgraphs

    def mapping(tensors: Sequence[int]) -> list[Any]:
        found = []
        for tensor in tensors:
            entry = schema.TensorMapT()
            entry.name, entry.tensorIndex = graph.tensors[tensor].name, int(tensor)
            found.append(entry)
        return found

    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = _SIGNATURE, 0
    signature.inputs, signature.outputs = mapping(graph.inputs), mapping(graph.outputs)
    model.signatureDefs = [signature]
    names = [graph.tensors[tensor].name.decode() for tensor in graph.inputs]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model)), names
