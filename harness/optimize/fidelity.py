"""Fidelity of an int8 file to the Keras model that it was made from: signal to quantization noise of its outputs.

    found = measure_fidelity(int8, keras_model, samples)
    found.sqnr_db                                  # 34.2, of the worst output
    shortfall(found, ptq.sqnr_db)                  # "0.1 dB, ptq has 34.2 dB" if it is another function, else ""

A quantization-aware model is compared with its fake quantization, so only what the conversion changed is noise.

- *Signal* is what the input changes: the power of each output element less its mean over the samples.  A mean of 100 in
  a regression, or of 0.99 in a class that nearly all samples have, would flatter any file.
- *Noise* is the power of the difference.  One within a step (a 255th of the output's range) makes no other function,
  however small the signal: 300 untrained classes lie below the step of a softmax and have -24 dB; a network trained
  with ranges of -6 to 6 for values of 0.1 has 7 dB, at 0.4 steps.
- A file is *another function* if its noise is more than a step and its figure lies below `FLOOR_DB`, or more than
  `MARGIN_DB` below `ptq` of the same model.

Calibrated on 26 networks (plain, residual, separable, inverted residual, 16 layers deep, autoencoders, regressions,
sigmoid, tanh, 95 % zeros, ...), MLPerf Tiny's Keras models and those in `models/`.  Where the noise is more than a
step, `ptq` has 24 to 49 dB, and a leaf lies at most 12 dB below it; the worst was ResNet8 at 7.9 dB, 16.6 below, with
one scale a kernel after a fine-tuning of 20 steps.  Of files broken on purpose, a dropped ReLU gives -6 to 4 dB, a
skipped normalization or reversed channels -5 to 12 dB, a scale off by half 1 to 23 dB, a dropped bias or two exchanged
channels -3 dB to what quantization alone costs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.harness.optimize.keras.keras2 import import_tensorflow, quiet
from hil.targets.execution.signature import TensorSpec, dequantize, quantize, read_signature

COMPARED = 64
"""Samples of a comparison."""
FLOOR_DB = 6.0
MARGIN_DB = 20.0
_BEST_DB = 100.0


@dataclass(frozen=True)
class Fidelity:
    """`db` and `steps` by output: signal to noise in dB (-100 to 100), and root mean square of the noise in 255ths of
    the output's range; on `samples`.
    """

    db: tuple[float, ...]
    steps: tuple[float, ...]
    samples: int

    @property
    def sqnr_db(self) -> float:
        """Figure of the worst output."""
        return min(self.db)


def measure_fidelity(int8: bytes, keras_model: Any, samples: Array) -> Fidelity:
    """Compares a quantized TFLite file with a Keras model on samples float32 (n, *input shape)."""
    specs = read_signature(int8).outputs
    runs = [
        [interpreter.get_tensor(detail["index"])[0] for detail in interpreter.get_output_details()]
        for interpreter in invocations(int8, samples)
    ]
    wanted = import_tensorflow().nest.flatten(keras_model.predict(samples, batch_size=COMPARED, verbose=0))
    got = [dequantize(spec, np.stack(values)) for spec, values in zip(specs, zip(*runs, strict=True), strict=True)]
    noise = [rms_noise(reference, values) for reference, values in zip(wanted, got, strict=True)]
    return Fidelity(
        tuple(signal_to_noise(reference, values) for reference, values in zip(wanted, got, strict=True)),
        tuple(value / _step(spec) for value, spec in zip(noise, specs, strict=True)),
        len(samples),
    )


def shortfall(found: Fidelity, ptq_db: float | None) -> str:
    """Returns how far a file misses the fidelity that a conversion has; empty if it does not.

    `ptq_db` is the figure of `ptq` of the same model, None for `ptq` itself and where it could not be made.
    """
    worst = min((db for db, steps in zip(found.db, found.steps, strict=True) if steps > 1), default=_BEST_DB)
    if worst < FLOOR_DB:
        return f"{worst:.1f} dB, " + (
            f"at least {FLOOR_DB:.0f} are needed" if ptq_db is None else f"ptq has {ptq_db:.1f} dB"
        )
    if ptq_db is not None and worst < ptq_db - MARGIN_DB:
        return f"{worst:.1f} dB, ptq has {ptq_db:.1f} dB"
    return ""


def invocations(int8: bytes, samples: Array, *, every_tensor: bool = False) -> Iterator[Any]:
    """Runs a file on each sample; yields TensorFlow's interpreter after each, with every tensor if asked for."""
    lite = import_tensorflow().lite
    with quiet():
        interpreter = lite.Interpreter(
            model_content=int8,
            experimental_op_resolver_type=lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=every_tensor,
        )
        interpreter.allocate_tensors()
    (spec,), (detail,) = read_signature(int8).inputs, interpreter.get_input_details()
    for sample in quantize(spec, samples):
        interpreter.reset_all_variables()
        interpreter.set_tensor(detail["index"], sample[None])
        interpreter.invoke()
        yield interpreter


def signal_to_noise(reference: Array, got: Array) -> float:
    """Returns the power of what the input changes in `reference` over that of the difference; both (samples, ...)."""
    wanted = np.asarray(reference, np.float64).reshape(len(reference), -1)
    mean = wanted.mean(axis=0) if len(wanted) > 1 else 0.0
    signal, noise = float(np.mean((wanted - mean) ** 2)), rms_noise(reference, got) ** 2
    if noise == 0:
        return _BEST_DB
    return float(np.clip(10 * np.log10(max(signal, 1e-300) / noise), -_BEST_DB, _BEST_DB))


def rms_noise(reference: Array, got: Array) -> float:
    """Returns the root mean square of the difference of two arrays of one size."""
    difference = np.asarray(got, np.float64).reshape(len(got), -1) - np.asarray(reference).reshape(len(reference), -1)
    return float(np.sqrt(np.mean(difference**2)))


def _step(spec: TensorSpec) -> float:
    """Returns a 255th of the range of a quantized tensor: the scale of an int8 one, 257 scales of an int16 one."""
    limits = np.iinfo(spec.dtype)
    return (int(limits.max) - int(limits.min)) / 255 * (spec.scale or 1.0)
