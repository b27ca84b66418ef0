"""Fixtures of the NPU's tests: Vela, the oracle, and small models made here."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from numpy.typing import NDArray

from hil.core.arrays import Array
from hil.npu.native import library
from hil.npu.vela_output import CompiledModel, NpuOperator, read_compiled
from tests.support.operators.settings import LEGACY, WITH_DRAM


@pytest.fixture(scope="session")
def vela(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., bytes]:
    """`vela(model, accelerator, memory_mode, *options)`: Vela's output for an int8 model, cached for the session."""
    folder = tmp_path_factory.mktemp("vela")
    config = folder / "own.ini"
    config.write_text(WITH_DRAM)
    done: dict[tuple[Any, ...], bytes] = {}

    def compile_model(model: bytes, accelerator: str, memory_mode: str = "Shared_Sram", *options: str) -> bytes:
        from ethosu.vela import vela as program

        key = (hash(model), accelerator, memory_mode, options)
        if key not in done:
            source = folder / f"m{len(done)}.tflite"
            source.write_bytes(model)
            system, configs = "Ethos_U55_High_End_Embedded", []
            if memory_mode == "Dedicated":
                system, configs = "With_Dram", ["--config", str(config)]
            arguments = [str(source), "--accelerator-config", accelerator, "--memory-mode", memory_mode, *configs]
            arguments += ["--system-config", system, "--output-dir", str(folder), *options]
            if LEGACY in options:  # That core keeps state from model to model.
                command = [sys.executable, "-m", "ethosu.vela", *arguments]
                subprocess.run(command, check=True, capture_output=True)
            else:
                with contextlib.redirect_stdout(io.StringIO()):
                    program.main(arguments)
            done[key] = (folder / f"{source.stem}_vela.tflite").read_bytes()
        return done[key]

    return compile_model


@pytest.fixture(scope="session")
def random_inputs(interpreter: Callable[[bytes], Any]) -> Callable[..., list[Array]]:
    """`random_inputs(model, samples, seed)`: one array a model input, over the whole range of its type."""

    def make(model: bytes, samples: int, seed: int = 0) -> list[Array]:
        generator = np.random.default_rng(seed)
        inputs = []
        for detail in interpreter(model).get_input_details():
            limits = np.iinfo(detail["dtype"])
            shape = (samples, *detail["shape"][1:])
            inputs.append(generator.integers(limits.min, limits.max, shape, detail["dtype"], endpoint=True))
        return inputs

    return make


@pytest.fixture(scope="session")
def interpreter() -> Callable[[bytes], Any]:
    """`interpreter(model)`: a model on TensorFlow Lite's reference kernels, cached for the session."""

    @functools.cache
    def make(model: bytes) -> Any:
        import tensorflow as tf

        resolver = tf.lite.experimental.OpResolverType.BUILTIN_REF
        made = tf.lite.Interpreter(model_content=model, experimental_op_resolver_type=resolver)
        made.allocate_tensors()
        return made

    return make


@pytest.fixture(scope="session")
def oracle(interpreter: Callable[[bytes], Any]) -> Callable[[bytes, list[Array]], list[Array]]:
    """The reference kernels' outputs with a leading sample axis, every sample from a fresh state."""
    done: dict[tuple[bytes, ...], list[Array]] = {}

    def run(model: bytes, inputs: list[Array]) -> list[Array]:
        key = (model, *(values.tobytes() for values in inputs))
        if key not in done:
            done[key] = _reference(interpreter(model), inputs)
        return done[key]

    return run


def _reference(kernels: Any, inputs: list[Array]) -> list[Array]:
    rows = []
    for sample in range(len(inputs[0])):
        kernels.reset_all_variables()
        for detail, values in zip(kernels.get_input_details(), inputs, strict=True):
            kernels.set_tensor(detail["index"], values[sample : sample + 1])
        kernels.invoke()
        rows.append([kernels.get_tensor(detail["index"])[0] for detail in kernels.get_output_details()])
    return [np.stack(column) for column in zip(*rows, strict=True)]


def run_npu(compiled: bytes, inputs: list[Array], threads: int = 1) -> list[Array]:
    """Runs a model that is one NPU operator on a batch; outputs in the model's order."""
    model = read_compiled(compiled)
    (operator,) = model.main.operators
    assert isinstance(operator, NpuOperator)
    arena = np.zeros((len(inputs[0]), model.arena_bytes), np.uint8)
    for index, values in zip(model.main.inputs, inputs, strict=True):
        place(model, arena, index, values)
    operator.bind(model).run(arena, threads=threads)
    return [fetch(model, arena, index) for index in model.main.outputs]


def place(model: CompiledModel, arena: NDArray[np.uint8], index: int, values: Array) -> None:
    """Writes an input, shape (batch, ...), into the arena."""
    tensor = model.main.tensors[index]
    assert tensor.offset is not None
    arena[:, tensor.offset : tensor.offset + tensor.bytes] = (
        np.ascontiguousarray(values).reshape(len(arena), -1).view(np.uint8)
    )


def fetch(model: CompiledModel, arena: NDArray[np.uint8], index: int) -> Array:
    """Reads an output, shape (batch, ...), from the arena."""
    tensor = model.main.tensors[index]
    assert tensor.offset is not None
    raw = np.ascontiguousarray(arena[:, tensor.offset : tensor.offset + tensor.bytes])
    return raw.view(tensor.dtype).reshape(len(arena), *tensor.shape[1:])


@pytest.fixture(scope="session")
def npu() -> Callable[..., list[Array]]:
    """`npu(compiled, inputs, threads=1)`: outputs of a compiled model that is one NPU operator."""
    return run_npu


@pytest.fixture(scope="session")
def small_models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bytes]:
    """`small_models(name)`: a quantized model made here with random weights, of `tests/npu/networks.py`.

    Workers of one run share the files.
    """
    from . import networks

    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    base = tmp_path_factory.getbasetemp()
    folder = base.parent / f"npu-{run}" if run else base / "npu"
    folder.mkdir(exist_ok=True)

    @functools.cache
    def make(name: str) -> bytes:
        path = folder / f"{name.replace(':', '-')}.tflite"
        with FileLock(f"{path}.lock"):
            if not path.exists():
                path.write_bytes(networks.make(name))
            return path.read_bytes()

    return make


Ways = Callable[[str], contextlib.AbstractContextManager[None]]
LEVELS = {"numpy": library.NUMPY, "plain": library.PLAIN, "avx2": library.AVX2, "vnni": library.VNNI}
INSTRUCTIONS = {"avx2": "AVX2", "vnni": "AVX-512 VNNI"}


@pytest.fixture(params=["plain", "avx2", "vnni"])
def way(request: pytest.FixtureRequest) -> str:
    """The ways of computing that are not NumPy alone; the compiled code has to be there."""
    found = library.loaded()
    assert found is not None, "install the package with a C compiler"
    if found.level < LEVELS[request.param]:
        pytest.skip(f"this CPU has no {INSTRUCTIONS[request.param]}")
    return str(request.param)


@pytest.fixture(scope="session")
def computing() -> Ways:
    """`with computing(way)`: "numpy" alone, or compiled code that is held to any CPU's instructions ("plain"), to
    "avx2" or "vnni"; for what is decoded inside.
    """

    @contextlib.contextmanager
    def use(way: str) -> Iterator[None]:
        before = library.hold(LEVELS[way])
        try:
            yield
        finally:
            library.hold(before)

    return use
