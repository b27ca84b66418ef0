"""Keras models as files: HDF5 (structure and weights), never pickle; quantization-aware models included.

    save_model(model, Path("pqat.h5"))
    model = load_model(Path("pqat.h5"))

The steps give quantization-aware models with TFMOT's default quantizers only (`quantized.settle`), so nothing but
TFMOT's own `quantize_scope` is needed to read one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hil.harness.optimize.keras2 import import_keras, import_tfmot, quiet
from hil.npu.errors import BadInputError


def save_model(model: Any, path: Path) -> None:
    """Writes a Keras model, weights and structure, without its optimizer."""
    with quiet():
        model.save(str(path), save_format="h5", include_optimizer=False)


def load_model(path: Path) -> Any:
    """Reads what `save_model` wrote; raises `BadInputError` for anything else.

    HDF5 models may hold Lambda layers, that is, code; none is run.
    """
    keras, tfmot = import_keras(), import_tfmot()
    if not path.is_file():
        raise BadInputError(f"no Keras model {path}")
    try:
        with quiet(), tfmot.quantization.keras.quantize_scope():
            return keras.models.load_model(str(path), compile=False, safe_mode=True)
    except Exception as error:
        first_line = (str(error).splitlines() or [""])[0]
        raise BadInputError(f"{path} is no Keras HDF5 model: {type(error).__name__}: {first_line}") from None
