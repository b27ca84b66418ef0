"""MobileNetV2 at 224x224, int8, with random weights: a network of the size that people ship.

    path = mobilenet_v2(folder)      # made once, in a quarter of a minute, and kept there

The network is that of `models/zoo/mobilenet_v2_224.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

SAMPLES = 8
MODEL = Path(__file__).resolve().parent.parent / "models" / "zoo" / "mobilenet_v2_224.py"


def mobilenet_v2(folder: Path) -> Path:
    """The TFLite file in `folder`, made if it is not there."""
    path = folder / "mobilenet_v2_1.0_224.tflite"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_bytes(_make())
        partial.replace(path)
    return path


def _make() -> bytes:
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    import tf_keras

    from hil.harness.model import load_model_file
    from hil.harness.optimize.conversion import to_tflite

    tf_keras.utils.set_random_seed(0)
    network = load_model_file(MODEL).build()
    samples = np.random.default_rng(0).uniform(-1, 1, (SAMPLES, 224, 224, 3)).astype(np.float32)
    return to_tflite(network, "ptq", [samples])
