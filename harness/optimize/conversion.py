"""Conversion of a Keras model to a fully quantized TFLite file.

    int8 = to_tflite(model, "ptq", [x_train[:200]])     # float model, calibrated on samples
    int8 = to_tflite(model, "qat", [x_train[:200]])     # quantization-aware model, with its trained ranges
    int8 = to_tflite(model, "npu_ptq", [x_train[:200]]) # post-training, per-tensor weight scales
    int8 = to_tflite(model, "litert_ptq", [x_train[:200]])   # post-training, by LiteRT's quantizer

Inputs and outputs are int8 (int16 for "int16x8" and "litert_int16x8"), the batch is fixed at 1: with a dynamic batch
the converter leaves SHAPE and PACK operators that no NPU takes.  The graph is frozen in memory; through a SavedModel,
TensorFlow's default, the conversion of a quantization-aware model takes 25 times as long (11.5 s against 0.45 s) and
gives the same.  Only an LSTM needs the SavedModel, from which the converter makes UNIDIRECTIONAL_SEQUENCE_LSTM; of the
model, just the weights go into it (9.9 s against 71 s).  Other recurrent layers are unrolled (`recurrent`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import BadInputError, ConvertError
from hil.core.tflite.weights import read_tflite
from hil.harness.blame import first_cause
from hil.harness.optimize import litert
from hil.harness.optimize.dense_einsum import dense_einsums
from hil.harness.optimize.elu import quantizable_elu
from hil.harness.optimize.float_layers import float_layers
from hil.harness.optimize.interrupt import deferred_interrupt
from hil.harness.optimize.keras.keras2 import import_tensorflow, quiet
from hil.harness.optimize.layers import flat_layers, is_wrapped, weight_name
from hil.harness.optimize.network_inputs import Progress, as_inputs
from hil.harness.optimize.recurrent import has_fused, unrolled
from hil.harness.optimize.tensor_order import in_order
from hil.harness.optimize.unfused_relu6 import unfused_relu6
from hil.harness.optimize.zero_offsets import nonzero_offsets

CONVERSIONS = ("ptq", "npu_ptq", "qat", "int16x8", *litert.RECIPES)
_LARGEST_BIAS = 2**31 - 1


def to_tflite(
    keras_model: Any, conversion: str, calibration: Sequence[Array], progress: Progress | None = None
) -> bytes:
    """Converts a Keras model and checks that the file is fully quantized.

    `conversion` is one of `CONVERSIONS` (`paths.conversion` of a path); `calibration` are samples (n, *input shape)
    by input, which "qat" uses for `float_layers` only.  Raises `ConvertError` if TensorFlow refuses the model or
    leaves something in float.
    """
    if conversion not in CONVERSIONS:
        raise BadInputError(f"unknown conversion {conversion}", hint=f"known: {', '.join(CONVERSIONS)}")
    shapes = _sample_shapes(keras_model)
    given = [array.shape[1:] for array in calibration]
    if _is_calibrated(keras_model, conversion) and (given != shapes or any(len(array) == 0 for array in calibration)):
        raise BadInputError(f"calibration samples of shapes {given}, the model takes {shapes}")
    if conversion == "qat" and not any(is_wrapped(layer) for layer in keras_model.layers):
        raise ConvertError("the model has no fake quantization, which the conversion qat takes its ranges from")
    with (
        deferred_interrupt(),
        quiet() as log,
        nonzero_offsets(keras_model),
        quantizable_elu(keras_model),
        dense_einsums() if conversion == "qat" else nullcontext(),
        unfused_relu6(keras_model) if conversion.endswith("int16x8") else nullcontext(),
        unrolled(keras_model, conversion),
    ):
        try:
            content = bytes(_converter(keras_model, conversion, calibration, progress).convert())
            if conversion in litert.RECIPES:
                content = litert.quantize(content, conversion, list(_samples(keras_model, calibration, progress)))
        except ConvertError:
            raise
        except Exception as error:
            failure = error
            content = b""
    if not content:
        raise _refusal(failure, log.text, keras_model)
    quantizer = "LiteRT's quantizer" if conversion in litert.RECIPES else "TensorFlow"
    check_quantized(content, [layer.name for layer in flat_layers(keras_model)], quantizer)
    return in_order(content, list(keras_model.input_names)) if has_fused(keras_model, conversion) else content


def _refusal(failure: Exception | None, log: str, keras_model: Any) -> ConvertError:
    """The error for what the converter said, which names operators without a TFLite form, and their places."""
    missing = re.search(r"(?:TF Select|Custom) ops: ([\w, ]+)", log)
    missing = missing or re.search(r"'tf\.(\w+)' op is neither", str(failure))
    if missing is None:
        why = "no file" if failure is None else f"{type(failure).__name__}: {first_cause(failure)}"
        return ConvertError(f"TensorFlow cannot convert the model: {why}", log=log)
    first = missing[1].split(",")[0].strip()
    place = re.search(rf'"([^"]*{first}[^"]*)"\(', log)
    layer = layer_of(place[1] if place else "", [layer.name for layer in flat_layers(keras_model)])
    return ConvertError(
        f"{f'layer {layer}: ' if layer else ''}TensorFlow Lite has no operator {missing[1].strip()}",
        hint="use an activation or a layer that it has",
        log=log,
    )


def layer_of(tensor: str, layers: Collection[str]) -> str:
    """Returns the last layer that a tensor's name names, such as dense of "net/dense/Elu"; empty if it names none."""
    words = re.split("[/;:]", tensor)
    named = [word.removeprefix("quant_") for word in words]
    return next((word for word in reversed(named) if word in layers), "")


def _sample_shapes(keras_model: Any) -> list[tuple[int, ...]]:
    """Returns the shapes of one sample by input; raises `ConvertError` for a dynamic axis."""
    shapes = [tuple(tensor.shape)[1:] for tensor in keras_model.inputs]
    for shape in shapes:
        if None in shape:
            hint = "give every axis of Input a size"
            raise ConvertError(f"the model's input shape {shape} is not fixed", hint=hint)
    return shapes


def _converter(keras_model: Any, conversion: str, calibration: Sequence[Array], progress: Progress | None) -> Any:
    """Configures TensorFlow's converter.

    A frozen graph keeps the order of inputs and outputs; a SavedModel does not (`tensor_order`).
    """
    tf = import_tensorflow()
    specs = [
        tf.TensorSpec((1, *tensor.shape[1:]), tensor.dtype, name=name)
        for tensor, name in zip(keras_model.inputs, keras_model.input_names, strict=True)
    ]

    def run(*inputs: Any) -> Any:  # calls TensorFlow alone: AutoGraph's log has the objects of all other functions
        outputs = tf.nest.flatten(keras_model(list(inputs) if len(inputs) > 1 else inputs[0], training=False))
        return outputs if len(outputs) > 1 else outputs[0]

    graph = tf.function(run).get_concrete_function(*specs)
    fused, holder = has_fused(keras_model, conversion), tf.Module()
    holder.held = keras_model.weights
    converter = tf.lite.TFLiteConverter.from_concrete_functions([graph], holder)
    converter.experimental_lower_to_saved_model = fused  # a frozen LSTM crashes the converter
    if conversion not in litert.RECIPES:
        _set_quantization(converter, keras_model, conversion, calibration, progress)
    return converter


def _set_quantization(
    converter: Any, keras_model: Any, conversion: str, calibration: Sequence[Array], progress: Progress | None
) -> None:
    """Makes TensorFlow's converter quantize; without, it gives a float file."""
    tf = import_tensorflow()
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    kind = tf.int16 if conversion == "int16x8" else tf.int8
    converter.inference_input_type = converter.inference_output_type = kind
    if _is_calibrated(keras_model, conversion):  # with supported_ops set, a quantization-aware model would need samples
        operators = tf.lite.OpsSet
        named = has_fused(keras_model, conversion) and len(calibration) > 1  # a SavedModel takes several by name
        converter.representative_dataset = lambda: (
            ("serving_default", dict(zip(keras_model.input_names, sample, strict=True))) if named else sample
            for sample in _samples(keras_model, calibration, progress)
        )
        converter.target_spec.supported_ops = [
            operators.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
            if conversion == "int16x8"
            else operators.TFLITE_BUILTINS_INT8
        ]
    trained = conversion == "qat" and _is_calibrated(keras_model, conversion)
    if conversion == "npu_ptq" or (trained and _is_trained_per_tensor(keras_model)):
        _one_scale_a_kernel(converter)


def _is_calibrated(keras_model: Any, conversion: str) -> bool:
    """Returns whether the converter needs samples: not for a model with a trained range everywhere."""
    return conversion != "qat" or any(float_layers(keras_model))


def _is_trained_per_tensor(keras_model: Any) -> bool:
    """Returns whether a quantization-aware model has one scale a kernel; with samples, the converter makes many."""
    ends = [weight for weight in keras_model.weights if weight_name(weight).endswith("kernel_min")]
    return all(len(end.shape) == 0 for end in ends)


def _samples(keras_model: Any, calibration: Sequence[Array], progress: Progress | None) -> Iterator[list[Array]]:
    """Iterates over calibration samples, each the inputs (1, ...) in the network's order."""
    for number in range(len(calibration[0])):
        if progress is not None:
            progress(number, len(calibration[0]), "calibrate")
        given = as_inputs(keras_model, [array[number : number + 1] for array in calibration])
        yield given if isinstance(given, list) else [given]


def _one_scale_a_kernel(converter: Any) -> None:
    """Makes the converter quantize weights per tensor instead of per channel.

    TensorFlow has no public option for it; raises `AttributeError` without this attribute, which 2.19 has.
    """
    name = "_experimental_disable_per_channel"
    getattr(converter, name)
    setattr(converter, name, True)


def check_quantized(content: bytes, layers: Collection[str] = (), quantizer: str = "TensorFlow") -> None:
    """Raises `ConvertError` if a TFLite file computes anything in float, or if a bias does not fit 32 bits.

    `layers` are the names of the network's layers, which the message uses, as it does `quantizer`.
    """
    operators = read_tflite(content)
    floats = [operator for operator in operators if operator.float_tensors]
    if floats:
        computing = [operator for operator in floats if operator.kind not in ("QUANTIZE", "DEQUANTIZE")]
        operator = (computing or floats)[0]
        where = layer_of(operator.output_name, layers)
        raise ConvertError(
            f"operator {operator.kind} of {f'layer {where}' if where else operator.output_name} was left in float",
            hint=f"{quantizer} cannot quantize it, cannot fold batch normalization into it, or found no range: look at "
            "the values of its inputs",
        )
    for operator in operators:
        bias = operator.bias
        if (
            bias is not None
            and bias.dtype == np.int32
            and bias.size
            and int(np.abs(bias.astype(np.int64)).max()) >= _LARGEST_BIAS
        ):
            raise ConvertError(
                f"a bias of {operator.output_name} does not fit 32 bits: a channel of its weights is all zero",
                hint="the repair dead_channels gives such a channel a range",
            )
