"""Dot products of bytes and their scaling, in the CPU's own vector instructions (AVX-512 VNNI).

    products(rows, runs, count, groups, weights, vectors, first, sums, width)         # in a numba function

LLVM does not find these instructions in loops, so each function here is a numba intrinsic that writes its LLVM code.
`VPDPBUSD` adds four products of an unsigned and a signed byte to each of sixteen 32-bit sums, `VPDPWSSD` two of 16-bit
numbers.  Neither saturates, so they are exact while the sums fit (`exactness`).  All arguments are 64-bit integers,
most of them addresses that the caller has checked.

`available()` says whether this CPU has the instructions; without them nothing here may be compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import config, extending, types

LANES = 16
"""32-bit sums in a vector."""

ROWS = 8
"""Rows that `products` computes at a time."""

WIDEST = 3
"""Vectors of sums a row that `products` holds in registers at most: 24 of the 32 registers."""

MOVED = 64
"""Bytes that `move` moves at most."""

SCALES = 3
"""Rows of float64 constants that `scale_and_store` reads: multiplier, what is added below zero, what from zero on."""

_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_SUMS = ir.VectorType(_I32, LANES)
_BYTES = ir.VectorType(_I8, LANES)
_HALF = ir.VectorType(ir.DoubleType(), LANES // 2)

_intrinsic: Any = extending.intrinsic
_config: Any = config
Builder = Any
Value = Any


def available() -> bool:
    """Whether numba compiles for this CPU and it has the instructions."""
    if _config.CPU_NAME or _config.CPU_FEATURES:
        return False
    features = llvmlite.binding.get_host_cpu_features()
    return all(features.get(name, False) for name in ("avx512f", "avx512bw", "avx512vl", "avx512vnni"))


def _typed(body: Callable[..., None], parameters: int) -> Any:
    """What a numba intrinsic of `parameters` integers returns, whose code `body(builder, *arguments)` writes."""

    def generate(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
        body(builder, *arguments)
        return context.get_dummy_value()

    return types.void(*(types.int64,) * parameters), generate


@_intrinsic
def products(  # type: ignore[no-untyped-def]
    context, rows, runs, count, groups, weights, vectors, first, sums, width
):  # fmt: skip
    """`ROWS` rows of bytes times `vectors` (1 to `WIDEST`, a literal) vectors of weights.

    `rows`: int64 addresses of the rows; a row is `count` runs of `groups`*4 bytes, `runs` their int64 offsets.
    `weights`: int8, per run and group and vector 16 sums x 4 bytes.  `first`: int32 sums to begin with, by column.
    `sums`: int32 results, `width` in a row.
    """
    if not isinstance(vectors, types.IntegerLiteral):
        return None
    number = vectors.literal_value

    def body(builder, rows, runs, count, groups, weights, vectors, first, sums, width):  # type: ignore[no-untyped-def]
        _products(builder, number, rows, runs, count, groups, weights, first, sums, width)

    signature, generate = _typed(body, 9)
    places = list(signature.args)
    places[5] = vectors
    return types.void(*places), generate


def _products(
    builder: Builder, number: int, rows: Value, runs: Value, count: Value, groups: Value, weights: Value, first: Value,
    sums: Value, width: Value,
) -> None:  # fmt: skip
    start = [_load(builder, _SUMS, first, 64 * v) for v in range(number)] * ROWS
    bases = [_load(builder, _I64, rows, 8 * m) for m in range(ROWS)]

    def run(index: Value, state: list[Value]) -> list[Value]:
        offset = _load(builder, _I64, builder.add(runs, builder.mul(index, _int(8))))
        places = [builder.add(base, offset) for base in bases]

        def group(index: Value, state: list[Value]) -> list[Value]:
            at, totals = state[0], list(state[1:])
            columns = [_load(builder, _SUMS, at, 64 * v) for v in range(number)]
            along = builder.mul(index, _int(4))
            for m, place in enumerate(places):
                bytes4 = _splat(builder, _load(builder, _I32, builder.add(place, along)))
                for v, column in enumerate(columns):
                    at_sum = m * number + v
                    totals[at_sum] = _call(builder, "llvm.x86.avx512.vpdpbusd.512", totals[at_sum], bytes4, column)
            return [builder.add(at, _int(64 * number)), *totals]

        return _loop(builder, groups, state, group)

    totals = _loop(builder, count, [weights, *start], run)[1:]
    for m in range(ROWS):
        row = builder.add(sums, builder.mul(_int(4 * m), width))
        for v in range(number):
            _store(builder, totals[m * number + v], row, 64 * v)


@_intrinsic
def scale_and_store(context, sums, scales, stride, zero_point, low, high, out, count):  # type: ignore[no-untyped-def]
    """Sixteen int32 sums scaled, `count` of them (at most 16) stored as bytes at `out`.

    `scales`: `SCALES` rows of float64, `stride` bytes apart.  A result is floor(sum*multiplier + added) + zero point,
    from `low` to `high` (less the zero point they come in).
    """

    def body(builder, sums, scales, stride, zero_point, low, high, out, count):  # type: ignore[no-untyped-def]
        _scale_and_store(builder, _load(builder, _SUMS, sums), scales, stride, zero_point, low, high, out, count)

    return _typed(body, 8)


def _scale_and_store(
    builder: Builder, sums: Value, scales: Value, stride: Value, zero_point: Value, low: Value, high: Value, out: Value,
    count: Value,
) -> None:  # fmt: skip
    limits = [_splat(builder, builder.sitofp(limit, ir.DoubleType()), 8) for limit in (low, high)]
    halves = []
    for half in range(2):
        values = builder.sitofp(_lanes(builder, sums, range(half * 8, half * 8 + 8)), _HALF)
        rows = [builder.add(scales, builder.mul(stride, _int(row))) for row in range(SCALES)]
        multiplier, below, above = (_load(builder, _HALF, row, half * 64) for row in rows)
        values = builder.fmul(values, multiplier)
        negative = builder.fcmp_ordered("<", values, ir.Constant(_HALF, [0.0] * 8))
        values = builder.fadd(values, builder.select(negative, below, above))
        values = _call(builder, "llvm.floor.v8f64", values)
        values = builder.select(builder.fcmp_ordered(">", values, limits[0]), values, limits[0])
        values = builder.select(builder.fcmp_ordered("<", values, limits[1]), values, limits[1])
        halves.append(builder.fptosi(values, ir.VectorType(_I32, 8)))
    every = ir.Constant(_SUMS, list(range(LANES)))
    joined = builder.shuffle_vector(halves[0], halves[1], every)
    joined = builder.add(joined, _splat(builder, builder.trunc(zero_point, _I32)))
    _masked_store(builder, builder.trunc(joined, _BYTES), out, _mask(builder, count, LANES))


@_intrinsic
def taps(  # type: ignore[no-untyped-def]
    context, source, offsets, number, weights, step, first, scales, stride, zero_point, low, high, out, count
):  # fmt: skip
    """Sixteen channels of a depthwise convolution, scaled and stored as `scale_and_store` does.

    `number` taps: tap i reads 16 bytes at `source` + int64 `offsets[i]` and multiplies them with the 16 pairs of int16
    (weight, 0) at `weights` + i*`step`.  `first`: int32 sums to begin with.
    """

    def body(  # type: ignore[no-untyped-def]
        builder, source, offsets, number, weights, step, first, scales, stride, zero_point, low, high, out, count
    ):  # fmt: skip
        def tap(index: Value, state: list[Value]) -> list[Value]:
            offset = _load(builder, _I64, builder.add(offsets, builder.mul(index, _int(8))))
            values = builder.zext(_load(builder, _BYTES, builder.add(source, offset)), _SUMS)
            total = _call(builder, "llvm.x86.avx512.vpdpwssd.512", state[1], values, _load(builder, _SUMS, state[0]))
            return [builder.add(state[0], step), total]

        total = _loop(builder, number, [weights, _load(builder, _SUMS, first)], tap)[1]
        _scale_and_store(builder, total, scales, stride, zero_point, low, high, out, count)

    return _typed(body, 13)


@_intrinsic
def move(context, source, out, count, flip):  # type: ignore[no-untyped-def]
    """Copies `count` bytes (at most `MOVED`) from `source` to `out`, each xor `flip`."""

    def body(builder, source, out, count, flip):  # type: ignore[no-untyped-def]
        mask = _mask(builder, count, MOVED)
        kind = ir.VectorType(_I8, MOVED)
        name = "llvm.masked.load.v64i8.p0"
        load = _declare(builder, name, kind, [kind.as_pointer(), _I32, mask.type, kind])
        pointer = builder.inttoptr(source, kind.as_pointer())
        data = builder.call(load, [pointer, ir.Constant(_I32, 1), mask, ir.Constant(kind, [0] * MOVED)])
        data = builder.xor(data, _splat(builder, builder.trunc(flip, _I8), MOVED))
        _masked_store(builder, data, out, mask)

    return _typed(body, 4)


def _masked_store(builder: Builder, values: Value, out: Value, mask: Value) -> None:
    kind = values.type
    store = _declare(
        builder, f"llvm.masked.store.v{kind.count}i8.p0", ir.VoidType(), [kind, kind.as_pointer(), _I32, mask.type]
    )
    builder.call(store, [values, builder.inttoptr(out, kind.as_pointer()), ir.Constant(_I32, 1), mask])


def _mask(builder: Builder, count: Value, lanes: int) -> Value:
    """The first `count` lanes."""
    numbers = ir.Constant(ir.VectorType(_I8, lanes), list(range(lanes)))
    return builder.icmp_signed("<", numbers, _splat(builder, builder.trunc(count, _I8), lanes))


def _int(value: int) -> Value:
    return ir.Constant(_I64, value)


def _load(builder: Builder, kind: Any, address: Value, offset: int = 0) -> Value:
    pointer = builder.inttoptr(builder.add(address, _int(offset)), kind.as_pointer())
    return builder.load(pointer, align=1)


def _store(builder: Builder, value: Value, address: Value, offset: int) -> None:
    pointer = builder.inttoptr(builder.add(address, _int(offset)), value.type.as_pointer())
    builder.store(value, pointer, align=1)


def _splat(builder: Builder, value: Value, lanes: int = LANES) -> Value:
    kind = ir.VectorType(value.type, lanes)
    single = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(single, single, ir.Constant(ir.VectorType(_I32, lanes), [0] * lanes))


def _lanes(builder: Builder, values: Value, chosen: range) -> Value:
    return builder.shuffle_vector(values, values, ir.Constant(ir.VectorType(_I32, len(chosen)), list(chosen)))


def _declare(builder: Builder, name: str, result: Any, parameters: list[Any]) -> Value:
    known = builder.module.globals.get(name)
    return known or ir.Function(builder.module, ir.FunctionType(result, parameters), name)


def _call(builder: Builder, name: str, *arguments: Value) -> Value:
    """An LLVM intrinsic whose result has the type of its arguments."""
    kinds = [argument.type for argument in arguments]
    return builder.call(_declare(builder, name, kinds[0], kinds), arguments)


def _loop(
    builder: Builder, count: Value, state: list[Value], body: Callable[[Value, list[Value]], list[Value]]
) -> list[Value]:
    """`body(index, state)` gives the next state, `count` times; the state at the end."""
    before = builder.block
    head, inside, after = (builder.append_basic_block(name) for name in ("head", "inside", "after"))
    builder.branch(head)
    builder.position_at_end(head)
    index = builder.phi(_I64)
    index.add_incoming(_int(0), before)
    values = [builder.phi(value.type) for value in state]
    for phi, value in zip(values, state, strict=True):
        phi.add_incoming(value, before)
    builder.cbranch(builder.icmp_signed("<", index, count), inside, after)
    builder.position_at_end(inside)
    following = body(index, values)
    for phi, value in zip(values, following, strict=True):
        phi.add_incoming(value, builder.block)
    index.add_incoming(builder.add(index, _int(1)), builder.block)
    builder.branch(head)
    builder.position_at_end(after)
    return values
