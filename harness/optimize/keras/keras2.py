"""TensorFlow with Keras 2 for this project: lazy imports, suppressed output, seeds, threads of an operation.

    keras = import_keras()                  # tf_keras; TFMOT takes no Keras 3
    with seeded(0), quiet() as log:
        ...

Every module that needs TensorFlow imports it through here, inside a function: importing it takes seconds.

An operation runs in one thread, or in as many as `TF_NUM_INTRAOP_THREADS` says, which `hil.harness.compute` sets: the
number decides the last bits of the weights.
"""

from __future__ import annotations

import importlib
import os
import random
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from hil.core.errors import UnavailableError
from hil.core.machine_limits import require_address_space

_TFMOT = "tensorflow_model_optimization"
_WRAPPERS = (
    "sparsity.keras.pruning_wrapper",
    "clustering.keras.cluster_wrapper",
    "quantization.keras.quantize_wrapper",
)
"""Modules of TFMOT that call the layers of a network."""
_THREADS = "TF_NUM_INTRAOP_THREADS"
_ADDRESS_SPACE = 2 << 30
"""Bytes below which TensorFlow 2.19 cannot be imported, or computes nothing for ever (tried)."""


def import_tensorflow() -> Any:
    """Imports TensorFlow without its start-up messages.

    Raises `UnavailableError` if it is not installed, or was started with an unknown number of threads an operation,
    `NoMemoryError` if this process may use too little memory.
    """
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # TensorFlow's own choice depends on the CPU
    require_address_space(_ADDRESS_SPACE, "TensorFlow")
    try:
        if "tensorflow" in sys.modules:
            import tensorflow as tf

            _one_thread(tf)
            return tf
        with quiet():
            import tensorflow as tf
    except ImportError as error:
        raise UnavailableError(
            f"TensorFlow cannot be imported: {error}", hint="pip install tensorflow~=2.19.0"
        ) from None
    tf.get_logger().setLevel("ERROR")
    _one_thread(tf)
    return tf


def _one_thread(tf: Any) -> None:
    if os.environ.get(_THREADS):
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(1)
    except RuntimeError:  # it computed something before
        message = "TensorFlow was started in this process with more than one thread an operation: results would differ"
        raise UnavailableError(message, hint=f"set {_THREADS}=1 in the environment") from None


def import_keras() -> Any:
    """Imports Keras 2 (`tf_keras`), which TFMOT needs; raises `UnavailableError` if it is not installed."""
    import_tensorflow()
    try:
        import tf_keras
    except ImportError as error:
        raise UnavailableError(f"tf_keras cannot be imported: {error}", hint="pip install tf_keras~=2.19.0") from None
    return tf_keras


def import_tfmot() -> Any:
    """Imports the TensorFlow Model Optimization Toolkit; raises `UnavailableError` if it is not installed."""
    import_keras()
    try:
        with quiet(), _no_keras3():
            import tensorflow_model_optimization as tfmot
    except ImportError as error:
        hint = "pip install tensorflow-model-optimization~=0.8.0"
        raise UnavailableError(f"TFMOT cannot be imported: {error}", hint=hint) from None
    _without_autograph()
    return tfmot


def _without_autograph() -> None:
    """Lets TensorFlow trace TFMOT's code as it is, as it traces Keras': TFMOT has no Python control flow over tensors.

    TensorFlow's rules name Keras and not TFMOT, whose quantizers and masks it would translate for every layer: a fifth
    of the time of a technique on few samples.  The wrappers are translated, as they call layers of the user's own.
    """
    rules: Any = importlib.import_module("tensorflow.python.autograph.core.config")
    if not any(getattr(rule, "_prefix", "") == _TFMOT for rule in rules.CONVERSION_RULES):
        wrappers = (rules.Convert(f"{_TFMOT}.python.core.{module}") for module in _WRAPPERS)
        rules.CONVERSION_RULES = (*wrappers, rules.DoNotConvert(_TFMOT), *rules.CONVERSION_RULES)


@contextmanager
def _no_keras3() -> Iterator[None]:
    """Keeps Keras 3 from being imported, where it is not yet.

    TFMOT 0.8.1 tries `keras.engine`, which Keras 3 does not have and which it can do without; finding that out imports
    all of Keras 3, and Matplotlib with it: a fifth of the time that TensorFlow and TFMOT take.
    """
    if "keras" in sys.modules:
        yield
        return
    sys.modules["keras"] = None  # type: ignore[assignment]  # as the import system marks what cannot be imported
    try:
        yield
    finally:
        del sys.modules["keras"]


class Log:
    """Output that `quiet` suppressed; complete when its block has ended."""

    text = ""


@contextmanager
def quiet() -> Iterator[Log]:
    """Captures what native code writes to file descriptor 2, and suppresses Python's warnings."""
    log = Log()
    with tempfile.TemporaryFile() as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sys.stderr.flush()
        saved = os.dup(2)
        try:
            os.dup2(file.fileno(), 2)
            yield log
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
            file.seek(0)
            log.text = file.read().decode(errors="replace")


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seeds the random generators for the block; afterwards those of Python and NumPy continue where they were."""
    python, numpy = random.getstate(), np.random.get_state()
    import_keras().utils.set_random_seed(seed)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


@contextmanager
def own_gradients() -> Iterator[None]:
    """Forgets the gradients of functions that bring their own, such as TFMOT's clusters, which the block registered.

    TensorFlow 2.19 keeps each of them, and with it the graph that it was traced in, to the end of the process.  What is
    differentiated later registers its own again.
    """
    registry = importlib.import_module("tensorflow.python.framework.ops").gradient_registry._registry
    before = frozenset(registry)
    try:
        yield
    finally:
        for name in [name for name in registry if name.startswith("CustomGradient-") and name not in before]:
            del registry[name]
