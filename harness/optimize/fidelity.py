"""Fidelity of an int8 file to the Keras model that it was made from: signal to quantization noise of its outputs.

    found = measure_fidelity(int8, keras_model, samples)
    found.sqnr_db                                  # 34.2, of the worst output
    shortfall(found, 34.2)                         # "0.1 dB, ptq has 34.2 dB" if it is another function, else ""

A quantization-aware model is compared with its fake quantization, so only what the conversion changed is noise.

- *Signal* is the variance of an output over samples and elements: a mean of 100 in a regression would flatter any file.
  (The variance over the samples alone flatters less, but not even a good file has it right where a network repeats a
  pattern: MLPerf Tiny's autoencoder has 27 dB, and 7 dB of what the input changes.)
- *Noise* is the power of the difference.  One within a step (a 255th of the output's range) makes no other function,
  however small the signal: 300 untrained classes lie below the step of a softmax, and a network trained with ranges of
  -6 to 6 for values of 0.1 has 7 dB, at 0.4 steps.
- A file is *another function* if its noise is more than a step and its figure lies below `FLOOR_DB`, or more than
  `MARGIN_DB` below `ptq` of the same model.

`python -m benchmarks.fidelity` measures both limits, on 11 small networks (plain, residual, separable, inverted, 14
layers deep, softmax, tanh, regression, autoencoder, sequence) and two of MLPerf Tiny's, with 165 leaves.  Where the
noise is more than a step, `ptq` has 18 to 32 dB and a leaf lies at most 14 dB below it, but for two that are refused:
`npu_cluster` of ResNet8 and of the autoencoder, whose kernels have one scale each, at 3 and -7 dB.  Of files broken on
purpose, it refuses 53 of 54 with an activation dropped, 68 of 71 with channels reversed and 63 of 71 with a kernel 1.5
times as large; two exchanged channels (40 of 71) or a dropped bias (3 of 54) may cost less than quantization.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import ConvertError
from hil.harness.blame import first_cause
from hil.harness.optimize.keras.keras2 import import_tensorflow, quiet
from hil.harness.optimize.network_inputs import as_inputs, as_outputs
from hil.targets.execution.signature import TensorSpec, dequantize, quantize_samples, read_signature

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


def measure_fidelity(int8: bytes, keras_model: Any, samples: Sequence[Array]) -> Fidelity:
    """Compares a quantized TFLite file with a Keras model on samples float32 (n, *input shape)."""
    specs = read_signature(int8).outputs
    runs = [
        [interpreter.get_tensor(detail["index"])[0] for detail in interpreter.get_output_details()]
        for interpreter in invocations(int8, samples)
    ]
    wanted = as_outputs(keras_model(as_inputs(keras_model, samples), training=False))
    wanted = tuple(np.asarray(output) for output in wanted)
    got = [dequantize(spec, np.stack(values)) for spec, values in zip(specs, zip(*runs, strict=True), strict=True)]
    steps = [_rms_noise(*pair) / _step(spec) for *pair, spec in zip(wanted, got, specs, strict=True)]
    figures = [signal_to_noise(*pair) for pair in zip(wanted, got, strict=True)]
    return Fidelity(tuple(figures), tuple(steps), len(samples[0]))


def shortfall(found: Fidelity, ptq_db: float | None) -> str:
    """Returns how far a file misses the fidelity that a conversion has; empty if it does not.

    `ptq_db` is the figure of `ptq` of the same model, None for `ptq` itself and where it could not be made.
    """
    worst = min((db for db, steps in zip(found.db, found.steps, strict=True) if steps > 1), default=_BEST_DB)
    if worst >= max(FLOOR_DB, (ptq_db or 0.0) - MARGIN_DB):
        return ""
    needed = f"at least {FLOOR_DB:.0f} are needed"
    return f"{worst:.1f} dB, {needed if ptq_db is None or ptq_db < worst else f'ptq has {ptq_db:.1f} dB'}"


def invocations(int8: bytes, samples: Sequence[Array], *, every_tensor: bool = False) -> Iterator[Any]:
    """Runs a file on each sample; yields TensorFlow's interpreter after each, with every tensor if asked for.

    Raises `ConvertError` for an operator of a type that TensorFlow's kernels do not have.
    """
    lite = import_tensorflow().lite
    with quiet():
        interpreter = lite.Interpreter(
            model_content=int8,
            experimental_op_resolver_type=lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=every_tensor,
        )
        with _kernels_needed():
            interpreter.allocate_tensors()
    quantized = quantize_samples(read_signature(int8), samples)
    places = [detail["index"] for detail in interpreter.get_input_details()]
    for number in range(len(samples[0])):
        interpreter.reset_all_variables()
        for place, array in zip(places, quantized, strict=True):
            interpreter.set_tensor(place, array[number : number + 1])
        with _kernels_needed():
            interpreter.invoke()
        yield interpreter


@contextmanager
def _kernels_needed() -> Iterator[None]:
    """Turns what TensorFlow's interpreter raises into a `ConvertError`."""
    try:
        yield
    except RuntimeError as error:
        raise ConvertError(f"TensorFlow's kernels do not run the quantized file: {first_cause(error)}") from error


def signal_to_noise(reference: Array, got: Array) -> float:
    """Returns the variance of `reference` over the power of the difference, in dB; both (samples, ...)."""
    signal, noise = float(np.var(np.asarray(reference, np.float64))), _rms_noise(reference, got) ** 2
    if noise == 0:
        return _BEST_DB
    return float(np.clip(10 * np.log10(max(signal, 1e-300) / noise), -_BEST_DB, _BEST_DB))


def _rms_noise(reference: Array, got: Array) -> float:
    """Returns the root mean square of the difference of two arrays of one size."""
    difference = np.asarray(got, np.float64).reshape(len(got), -1) - np.asarray(reference).reshape(len(reference), -1)
    return float(np.sqrt(np.mean(difference**2)))


def _step(spec: TensorSpec) -> float:
    """Returns a 255th of the range of a quantized tensor: the scale of an int8 one, 257 scales of an int16 one."""
    limits = np.iinfo(spec.dtype)
    return (int(limits.max) - int(limits.min)) / 255 * (spec.scale or 1.0)
