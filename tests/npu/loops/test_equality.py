"""Every way of computing gives the same bytes, and leaves alone what lies around its memory.

There are three: NumPy alone, compiled loops with NumPy's products, and vectors of bytes where the CPU has the
instructions.  The last work on bare addresses, so operations are drawn that lie in memory as awkwardly as they can.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import hil.npu
from hil.core.errors import StreamError
from hil.npu.arithmetic import byte_plan
from hil.npu.program import decode
from tests.support.fuzzing.geometry import ARENA, U55, draw

SEEDS = 300
GUARD = 256


def drawn():
    """Operations that can be decoded; some of those drawn lay elements over each other."""
    for seed in range(SEEDS):
        try:
            operation = draw(seed)
            yield seed, operation, decode(operation.words, U55, {0: operation.constants})
        except StreamError:
            continue


def results(program, guard, batch):
    whole = np.full((batch, GUARD + ARENA + GUARD), guard, np.uint8)
    arena = whole[:, GUARD:-GUARD]
    arena[:] = np.random.default_rng(1).integers(0, 256, arena.shape, np.uint8)
    try:
        program.run({1: arena})
    except StreamError as error:
        return str(error)
    assert (whole[:, :GUARD] == guard).all()
    assert (whole[:, -GUARD:] == guard).all()
    return arena.tobytes()


def test_the_same_bytes_wherever_an_operation_lies(way, computing, monkeypatch):
    monkeypatch.setattr(byte_plan, "GROUP_BYTES", 3000)
    operations = [*drawn()]
    assert len(operations) > SEEDS * 0.7
    with computing("numpy"):
        expected = [results(program, 0x5A, 1 + seed % 3) for seed, _, program in operations]
    assert sum(isinstance(result, bytes) for result in expected) > SEEDS * 0.7
    with computing(way):
        for (seed, operation, _), wanted in zip(operations, expected, strict=True):
            program = decode(operation.words, U55, {0: operation.constants})
            assert results(program, 0xA5, 1 + seed % 3) == wanted, f"operation {seed}"


def test_what_is_kept_on_disk_is_of_the_code_as_it_is():
    """Each file whose code is compiled counts: numba itself looks at the one of the outermost function."""
    loops = pytest.importorskip("hil.npu.loops.batch_loops", exc_type=ImportError)
    compilation = pytest.importorskip("hil.npu.loops.compilation", exc_type=ImportError)
    folder = Path(hil.npu.__file__).parent if hil.npu.__file__ else Path(next(iter(hil.npu.__path__)))
    compiled = {path.name for path in folder.rglob("*.py") if "@compiled" in path.read_text()}
    assert compiled | {"dot_products.py"} <= {*compilation.COMPILED}
    assert loops.finish.py_func.__qualname__.endswith(compilation.VERSION)


def test_loops_need_no_folder_to_keep_their_code_in():
    nowhere = "import numba.core.caching as c; c.CacheImpl._locator_classes = []"
    code = f"{nowhere}; import hil.npu.loops.batch_loops as loops; print(loops.finish)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_cpu_that_numba_is_told_of_has_no_instructions_of_its_own(monkeypatch):
    vectors = pytest.importorskip("hil.npu.loops.dot_products", exc_type=ImportError)
    monkeypatch.setattr("numba.config.CPU_NAME", "generic")
    assert not vectors.available()
