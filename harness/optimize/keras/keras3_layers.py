"""Translation of Keras 3 layers to Keras 2: the usual layers by a table; an error names every other.

    layers = layers_for({"class_name": "Conv2D", "config": {...}}, "conv")      # [Conv2D], or [Conv2D, ReLU] for relu6

Differences between the versions (source: both versions' `get_config`): the dtype is a policy object, `negative_slope`
was `alpha` in LeakyReLU, activations differ (`keras3_activations`), and Keras 3 has more settings.  Such a setting is
left out where its value means the behaviour of Keras 2, and refused where it does not.  Initializers are left out,
because the weights are copied.  `activity_regularizer` means another thing in Keras 3.

Random augmentation is the identity at inference.  What Keras 2 has of it is rebuilt, so that the base trains with it;
the rest is left out: `Activation("linear")` stands in its place.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from hil.core.errors import OptimizeError
from hil.harness.optimize.keras.keras2 import import_keras
from hil.harness.optimize.keras.keras3_activations import Step, activation_for
from hil.harness.optimize.keras.keras3_operations import operation_for

AUGMENTATION = (
    *("RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom", "RandomContrast", "RandomBrightness"),
)
"""Random layers, the identity at inference, that both versions have."""
LEFT_OUT = (
    *("AugMix", "CutMix", "MixUp", "RandAugment", "RandomColorDegeneration", "RandomColorJitter"),
    *("RandomElasticTransform", "RandomErasing", "RandomGaussianBlur", "RandomGrayscale", "RandomHue", "RandomInvert"),
    *("RandomPerspective", "RandomPosterization", "RandomSaturation", "RandomSharpness", "RandomShear"),
)
"""Random layers, the identity at inference, that Keras 2 lacks."""

_OF_THREE_DIMENSIONS = (
    *("Conv", "MaxPooling", "AveragePooling", "GlobalMaxPooling", "GlobalAveragePooling"),
    *("ZeroPadding", "Cropping", "UpSampling", "SpatialDropout"),
)
LAYERS = frozenset(
    (
        *(f"{kind}{dimensions}D" for kind in _OF_THREE_DIMENSIONS for dimensions in (1, 2, 3)),
        *(f"Conv{dimensions}DTranspose" for dimensions in (1, 2, 3)),
        *("DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D"),
        *("Dense", "Activation", "Flatten", "Reshape", "Permute", "RepeatVector", "Embedding"),
        *(
            "Dropout",
            "GaussianNoise",
            "GaussianDropout",
            "ActivityRegularization",
            "Identity",
            *AUGMENTATION,
            *LEFT_OUT,
        ),
        *("BatchNormalization", "LayerNormalization", "GroupNormalization", "UnitNormalization"),
        *("ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax"),
        *("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Dot"),
        *("Rescaling", "Normalization", "Resizing"),
        *("SimpleRNN", "LSTM", "GRU", "Bidirectional", "TimeDistributed"),
    )
)
"""Layers that both versions have under the same name, and those that are left out."""
REGULARIZERS = ("L1", "L2", "L1L2")
CONSTRAINTS = ("MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm")
MODELS = ("Functional", "Sequential")
_UNUSED = ("name", "dtype", "fill_mode", "fill_value", "renorm_clipping", "renorm_momentum", "zero_output_for_mask")
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("synchronized", "renorm", "antialias", "pad_to_aspect_ratio", "rms_scaling"), (False,)),
    **dict.fromkeys(("quantization_config", "activity_regularizer"), (None,)),
    **dict.fromkeys(("mask_zero", "stateful"), (False,)),
    "data_format": ("channels_last", None),
}
"""Setting that Keras 2 lacks -> its values that mean the behaviour of Keras 2."""


def left_out_notes(entries: Iterable[dict[str, Any]]) -> list[str]:
    """Describes, in lines, the random layers that are left out."""
    found = ((entry["class_name"], entry["config"]["name"]) for entry in entries if entry["class_name"] in LEFT_OUT)
    return [f"layer {name} ({kind}): Keras 2 has no such augmentation, left out" for kind, name in found]


def is_operation(entry: dict[str, Any]) -> bool:
    """Returns whether an entry of a model's configuration is a function of `keras.ops`, such as `x + y`."""
    return str(entry.get("module")).startswith("keras.src.ops.")


def label(path: Sequence[str]) -> str:
    """Formats a layer's name for errors, with the names of the enclosing models."""
    return f"layer {'/'.join(path)}"


def refuse(where: str, what: str, hint: str = "") -> NoReturn:
    """Raises `OptimizeError` for a layer that cannot be rebuilt."""
    raise OptimizeError(f"{where} cannot be rebuilt under tf_keras: {what}", hint=hint)


def layers_for(entry: dict[str, Any], name: str, where: str = "") -> list[Any]:
    """Returns the tf_keras layers, to be called one after another, for one Keras 3 layer's configuration.

    One of them may be a function of layers or operators.  The first has the weights and gets `name`; `where` is the
    layer's name in errors.  Raises `OptimizeError` for a layer or setting that Keras 2 lacks.
    """
    where = where or label([name])
    kind = str(entry["class_name"])
    if is_operation(entry):
        made = operation_for(kind, entry["config"], name)
        return [made or refuse(where, f"{kind} is a function of keras.ops", "use layers in its place")]
    if kind not in LAYERS:
        refuse(
            where, f"{kind} is none of the layers it knows", "replace it by usual ones, or leave it out of the model"
        )
    config = entry["config"]
    _check_type(config.get("dtype"), where)
    if kind in LEFT_OUT:
        return [import_keras().layers.Activation("linear", name=name)]
    if kind == "Activation":
        return _activation_layers(config["activation"], name, where)
    if kind in AUGMENTATION:
        return [_augmentation(kind, config, name)]
    arguments = _arguments(kind, config, where)
    named, after = _split_activation(arguments.get("activation"), name, where)
    if named is not None:
        arguments["activation"] = named
    try:
        layer = getattr(import_keras().layers, kind)(**arguments, name=name)
    except (TypeError, ValueError) as error:
        refuse(where, (str(error).splitlines() or [""])[0])
    return [layer, *after]


def _augmentation(kind: str, config: dict[str, Any], name: str) -> Any:
    """Returns the random layer of Keras 2, with the settings that it has."""
    layer = getattr(import_keras().layers, kind)
    known = set(inspect.signature(layer.__init__).parameters) - {"name", "dtype", "seed"}
    return layer(**{key: value for key, value in config.items() if key in known}, name=name)


def _arguments(kind: str, config: dict[str, Any], where: str) -> dict[str, Any]:
    """Returns the constructor arguments of the tf_keras layer, except its name."""
    arguments = {}
    for key, value in config.items():
        if key in _UNUSED or key.endswith("_initializer"):
            continue
        if key in _NEUTRAL:
            if value not in _NEUTRAL[key]:
                refuse(where, f"it has {key} {value.get('class_name') if isinstance(value, dict) else value}")
        elif key.endswith(("_regularizer", "_constraint")):
            arguments[key] = _object(value, where)
        elif key in ("layer", "backward_layer"):
            arguments[key] = _inner(value, where)
        elif key == "recurrent_activation":
            arguments[key], _ = _split_activation(value, "", where, alone=True)
        else:
            arguments["alpha" if (kind, key) == ("LeakyReLU", "negative_slope") else key] = value
    return arguments


def _inner(entry: Any, where: str) -> Any:
    """Returns the layer that a TimeDistributed or Bidirectional wraps."""
    name = str(entry["config"]["name"]).removeprefix("forward_").removeprefix("backward_")
    first, *after = layers_for(entry, name, where)
    if after:
        refuse(where, "the layer inside it has an activation that Keras 2 has only as a layer")
    return first


def _check_type(policy: Any, where: str) -> None:
    name = policy.get("config", {}).get("name") if isinstance(policy, dict) else policy
    if name not in (None, "float32"):
        refuse(where, f"it computes in {name}", "build or load the model in float32")


def _object(value: Any, where: str) -> Any:
    """Returns a regularizer or constraint as an object of Keras 2."""
    if value is None:
        return None
    keras, kind = import_keras(), value.get("class_name") if isinstance(value, dict) else value
    if kind in REGULARIZERS or kind in CONSTRAINTS:
        return getattr(keras.regularizers if kind in REGULARIZERS else keras.constraints, kind)(**value["config"])
    return refuse(where, f"it has the regularizer or constraint {kind}")


def _split_activation(value: Any, name: str, where: str, *, alone: bool = False) -> tuple[str | None, list[Step]]:
    """Returns (activation name in Keras 2, steps to call after it); `alone`: steps after it are not possible.

    `value` is the activation's name, or the configuration of a layer that serves as one.
    """
    if value is None:
        return None, []
    if isinstance(value, dict) and value.get("class_name") in LAYERS and not alone:
        return "linear", layers_for(value, f"{name}_{value['config']['name']}", where)
    try:
        known, after = activation_for(value, f"{name}_{value}")
        if not (after and alone):
            return known, after
    except (KeyError, TypeError):  # a dictionary is no key
        pass
    what = value if isinstance(value, str) else value.get("class_name", "of its own")
    return refuse(where, f"its activation is {what}", "use relu or another usual one, by name, or a layer of its own")


def _activation_layers(value: Any, name: str, where: str) -> list[Step]:
    if isinstance(value, dict) and value.get("class_name") in LAYERS:
        return layers_for(value, name, where)
    known, _ = _split_activation(value, name, where)
    _, after = activation_for(value, name)
    return after or [import_keras().layers.Activation(known, name=name)]
