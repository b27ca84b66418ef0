"""Every way of computing gives the same bytes, and leaves alone what lies around its memory.

There are four: NumPy alone, and compiled code with the instructions of any CPU, of AVX2 and of AVX-512 VNNI.  The code
works on bare addresses, so operations are drawn that lie in memory as awkwardly as they can.
"""

from __future__ import annotations

import numpy as np

from hil.core.errors import StreamError
from hil.npu.arithmetic import native_packing
from hil.npu.native import code, library, records
from hil.npu.program import decode
from hil.npu.stream.operations import Elementwise, Kind
from tests.support.fuzzing.geometry import ARENA, U55, draw, draw_sum

SEEDS = 300
GUARD = 256


def drawn(draw=draw):
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
    for name in ("TILE_BYTES", "ROW_TILE_BYTES"):
        monkeypatch.setattr(native_packing, name, 500)
    operations = [*drawn()]
    assert len(operations) > SEEDS * 0.7
    with computing("numpy"):
        expected = [results(program, 0x5A, 1 + seed % 3) for seed, _, program in operations]
    assert sum(isinstance(result, bytes) for result in expected) > SEEDS * 0.7
    with computing(way):
        for (seed, operation, _), wanted in zip(operations, expected, strict=True):
            program = decode(operation.words, U55, {0: operation.constants})
            assert results(program, 0xA5, 1 + seed % 3) == wanted, f"operation {seed}"


def test_every_kind_of_step_is_among_them(computing):
    found = set()
    with computing("vnni"):
        for _, operation, _ in drawn():
            program = decode(operation.words, U55, {0: operation.constants})
            steps = [getattr(step, "native", None) for step in program._steps]
            found |= {(step.kind, getattr(step.data, "operands", None)) for step in steps if step is not None}
    assert {kind for kind, _ in found} >= {records.CONVOLUTION, records.POOL, records.ELEMENTWISE}
    operands = {operands for kind, operands in found if kind == records.CONVOLUTION}
    assert operands >= {records.ANY_OPERANDS, records.PAIRS_OF_BYTES}
    assert (records.DOTS_OF_BYTES in operands) == (library.loaded().level == library.VNNI)


def test_the_pairs_of_two_bytes(way, computing):
    """Long runs of elementwise operations look results up, which short ones compute."""
    found = [native for _, native in looked_up(draw, way, computing)]
    assert sum(native.data.pairs is not None for native in found) > 10


def test_most_sums_of_two_bytes_are_points_of_a_line(way, computing):
    """In float32, with the vectors of AVX2, where it is sure; some outputs have a table, or values that are none."""
    tabulated = [
        (kind, native) for kind, native in looked_up(draw_sum, way, computing) if native.data.pairs is not None
    ]
    linear = [kind for kind, native in tabulated if native.data.linear]
    if way == "plain":
        assert not linear
        return
    assert set(linear) == {Kind.ADD, Kind.SUB}
    assert len(tabulated) / 4 < len(linear) < len(tabulated)


def looked_up(draw, way, computing):
    """Kinds and steps in compiled code of elementwise operations, each run as one of many elements."""
    with computing("numpy"):
        expected = {seed: results(program, 0, 1) for seed, _, program in drawn(draw) if is_elementwise(program)}
    found = []
    with computing(way):
        for seed, operation, _ in drawn(draw):
            if seed not in expected:
                continue
            program = decode(operation.words, U55, {0: operation.constants})
            native = program._steps[-1].native
            if native is not None:
                native.data.computed = 1 << 40
                found.append((program.operations[-1].kind, native))
            assert results(program, 0, 1) == expected[seed], f"operation {seed}"
    return found


def is_elementwise(program):
    return isinstance(program.operations[-1], Elementwise)


def test_a_library_of_other_sources_is_not_used(monkeypatch):
    assert code.open_code.__wrapped__() is not None
    monkeypatch.setattr(code, "source_version", lambda: 0)
    assert code.open_code.__wrapped__() is None


def test_without_a_compiler_numpy_computes(tmp_path, monkeypatch):
    monkeypatch.setattr(code, "FOLDER", tmp_path)
    assert code.open_code.__wrapped__() is None
