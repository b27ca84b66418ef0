"""The oracle: the int8 model on TensorFlow Lite's reference kernels.

    oracle = Interpreter(int8)
    outputs = oracle.run([x])                    # x: (samples, ...), outputs alike
    tensors = oracle.intermediate([x[:1]])       # every tensor of the graph, by name

TFLite has three sets of kernels for the same operators: the reference ones, optimised ones and XNNPACK.  Only the
first compute what the Ethos-U computes, bit for bit; so this asks for `BUILTIN_REF`.  The kernels exist in three
distributions, `tensorflow`, `litert` (ai-edge-litert) and `tflite-runtime`; their reference kernels differ in places
(LiteRT 2.3's fully-connected does), so `tensorflow` is the oracle and the others are there to see the difference.

What TensorFlow does not take, such as an operator of a version that it does not know, runs on a *stand-in*: TFLite
Micro's kernels, else LiteRT's where they compute the same.  `stand_in` says so.

Kernels trust the file they are given and may crash on a damaged one, so they run in a child process
(`hil.core.worker`).

Each sample starts from the model's initial state, as on a freshly booted board, unless `keep_state` makes the samples
of a run one sequence.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import BadInputError, UnavailableError, WorkerDiedError
from hil.core.worker import Worker
from hil.targets.base import Progress
from hil.targets.execution.signature import check_inputs, read_signature
from hil.targets.execution.submodel import Submodel

_DISTRIBUTIONS = {
    "tensorflow": "tensorflow",
    "litert": "ai-edge-litert",
    "tflite-runtime": "tflite-runtime",
    "tflite-micro": "tflite-micro",
}
INTERPRETERS = tuple(_DISTRIBUTIONS)
"""Names that `Interpreter` takes; the first is the oracle."""

_STAND_INS = ("tflite-micro", "litert")
_DIFFERENT = {"litert": ("FULLY_CONNECTED", "UNIDIRECTIONAL_SEQUENCE_LSTM"), "tflite-micro": ()}
"""Stand-ins -> operators whose results are not those of the chip."""
_ON_MICRO = ("UNIDIRECTIONAL_SEQUENCE_LSTM", "SUM")
"""Operators of which the NPU and the firmware compute what TFLite Micro computes, and TensorFlow something else: its
reference kernel of an int8 SUM, of TensorFlow 2.19, gives -1.
"""

_NOT_KNOWN = (
    *("Didn't find op", "unresolved custom op", "crashed TFLite's reference kernels"),
    "quantized_dimension must be in range",  # of a tensor with one scale, for which it means nothing
)
"""Errors that say that TensorFlow's kernels do not take what the chip runs, and not that the model is wrong."""

_CHUNK = 32  # samples a request, so that progress can be told
_START_S = 120.0  # loading the kernels from a slow disk
_SAMPLE_S = 60.0


class Interpreter:
    """A model on reference kernels; `interpreter` is one of `INTERPRETERS`.

    `stand_in` says after a run which other kernels ran in place of the oracle's, and why; none do with `stand_ins`
    False.  Raises `BadInputError` for an unknown name, `UnavailableError` where its distribution is not installed.
    """

    def __init__(self, model: bytes, interpreter: str = "tensorflow", *, stand_ins: bool = True) -> None:
        self._model = model
        self._stand_ins = stand_ins
        self._name = interpreter
        interpreter_version(interpreter)
        self.signature = read_signature(model)
        self.stand_in = ""

    def run(
        self, inputs: Sequence[Array], *, keep_state: bool = False, progress: Progress | None = None
    ) -> tuple[Array, ...]:
        """Outputs in the model's order, each (samples, ...); raises `BadInputError` for inputs that do not fit."""
        samples = check_inputs(self.signature, inputs)
        chunk = samples if keep_state else _CHUNK
        parts = []
        for start in range(0, samples, chunk):
            part = [array[start : start + chunk] for array in inputs]
            parts.append(list(self._ask(part, {"every_tensor": False, "keep_state": keep_state}).values()))
            if progress:
                progress(min(start + chunk, samples), samples)
        return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))

    def intermediate(self, inputs: Sequence[Array]) -> dict[str, Array]:
        """All tensors of the graph after one sample (a leading axis of 1), by name, without a sample axis."""
        check_inputs(self.signature, inputs)
        return self._ask([array[:1] for array in inputs], {"every_tensor": True, "keep_state": False})

    def _ask(self, inputs: Sequence[Array], header: dict[str, Any]) -> dict[str, Array]:
        ask = functools.partial(_request, self._model, inputs, len(inputs[0]))
        if self._name != INTERPRETERS[0] or not self._stand_ins:
            return ask({**header, "interpreter": self._name})
        found, self.stand_in = _by_oracle(self._model, ask, header)
        return found


def run_piece(
    model: bytes, piece: Submodel, inputs: Sequence[Array], samples: int, *, resume: bool = False
) -> list[Array]:
    """Runs operators cut out of `model` on the oracle's kernels; arrays as `Interpreter.run`, in the piece's order.

    `resume` continues from the state after the last call of this piece, else every sample starts from a fresh one.
    """
    header = {"every_tensor": False, "keep_state": False, "resume": resume, "piece": asdict(piece)}
    found, _ = _by_oracle(model, functools.partial(_request, model, inputs, samples), header)
    return list(found.values())


def alone(model: bytes, operator: int) -> bytes:
    """The `.tflite` of one operator of `model`, by its index; raises `BadInputError` for one that cannot be cut out."""
    _, results = _worker().request({"alone": operator, "interpreter": INTERPRETERS[0]}, [model], patience_s=_START_S)
    return results[0]


def _by_oracle(
    model: bytes, ask: Callable[[dict[str, Any]], dict[str, Array]], header: dict[str, Any]
) -> tuple[dict[str, Array], str]:
    """Arrays of the oracle's kernels, or of a stand-in's with a line that says so; the oracle's error if there is none.

    Once a stand-in has run a model or a piece of it, it runs it again: the state is there.
    """
    key = model, str(header.get("piece"))
    if key in _stood_in:
        name, line = _stood_in[key]
        return ask({**header, "interpreter": name}), line
    kinds = _kinds(model)
    of_micro = _of_micro(model)
    if of_micro and not header.get("resume"):
        with contextlib.suppress(BadInputError, UnavailableError):
            line = f"{_micro()} in place of TensorFlow, whose {' and '.join(of_micro)} is not the chip's"
            found = ask({**header, "interpreter": _STAND_INS[0]})
            _stood_in[key] = _STAND_INS[0], line
            return found, line
    try:
        return ask({**header, "interpreter": INTERPRETERS[0]}), ""
    except BadInputError as error:
        if not any(reason in error.args[0] for reason in _NOT_KNOWN):
            raise
        refusal = error
    for name in _STAND_INS:
        with contextlib.suppress(BadInputError, UnavailableError):
            if kinds.isdisjoint(_DIFFERENT[name]):
                line = f"{name} {interpreter_version(name)} in place of TensorFlow: {refusal.args[0]}"
                found = ask({**header, "interpreter": name})
                _stood_in[key] = name, line
                return found, line
    with contextlib.suppress(UnavailableError):
        _micro()
        raise refusal
    raise BadInputError(
        refusal.args[0], hint=refusal.hint or 'pip install "ethosu-hil[tflm]" lets TFLite Micro\'s kernels stand in'
    ) from refusal


def _of_micro(model: bytes) -> list[str]:
    """Operators for which TFLite Micro stands in; none where an output has no shape, which it takes from the file."""
    signature = read_signature(model)
    return [kind for kind in _ON_MICRO if kind in signature.operators and all(spec.shape for spec in signature.outputs)]


def _micro() -> str:
    """TFLite Micro with its version; raises `UnavailableError` where it is not installed."""
    return f"{_STAND_INS[0]} {interpreter_version(_STAND_INS[0])}"


@functools.lru_cache(maxsize=8)
def _kinds(model: bytes) -> frozenset[str]:
    return frozenset(read_signature(model).operators)


_stood_in: dict[tuple[bytes, str], tuple[str, str]] = {}
"""Models, with a piece of them, that a stand-in has run -> its name, and the line that says so."""


def _request(model: bytes, inputs: Sequence[Array], samples: int, header: dict[str, Any]) -> dict[str, Array]:
    sent = [np.ascontiguousarray(array) for array in inputs]
    described = [{"dtype": array.dtype.str, "shape": array.shape} for array in sent]
    blobs = [model, *(array.tobytes() for array in sent)]
    message = {**header, "inputs": described, "samples": samples}
    try:
        answer, results = _worker().request(message, blobs, patience_s=_START_S + _SAMPLE_S * samples)
    except WorkerDiedError as death:
        if not death.crashed:  # Too slow, or killed: that says nothing of the model.
            raise
        why, hint = death.last_words or death.args[0], "" if death.last_words else "the file may be damaged"
        raise BadInputError(f"the model crashed TFLite's reference kernels: {why}", hint=hint) from death
    arrays = {}
    for output in reversed(answer["outputs"]):  # the bytes of each go as they are copied
        arrays[output["key"]] = np.frombuffer(results.pop(), output["dtype"]).reshape(output["shape"]).copy()
    return dict(reversed(arrays.items()))


def interpreter_version(interpreter: str) -> str:
    """The installed version, such as "2.19.1"; errors as `Interpreter`'s."""
    if interpreter not in _DISTRIBUTIONS:
        raise BadInputError(f"no interpreter is called {interpreter!r}", hint=f"known are {', '.join(INTERPRETERS)}")
    distribution = _DISTRIBUTIONS[interpreter]
    names = (distribution, "tensorflow-cpu", "tensorflow-macos") if interpreter == "tensorflow" else (distribution,)
    for name in names:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    raise UnavailableError(f"{distribution} is not installed", hint=f"pip install {distribution}")


@functools.cache
def _worker() -> Worker:
    return Worker("hil.targets.execution.interpreter_child:run")
