"""Dot products of bytes and their scaling, in AVX-512 VNNI instructions.

    products(rows, runs, count, groups, weights, 2, first, scales, ..., outs, step, depth)     # in a numba function

LLVM does not generate these instructions from loops, so each function here is a numba intrinsic that emits LLVM code.
`VPDPBUSD` adds four products of an unsigned and a signed byte to each of sixteen 32-bit sums, `VPDPWSSD` two of 16-bit
numbers.  Neither saturates, so they are exact while the sums fit (`exactness`).  All arguments are 64-bit integers,
most of them addresses that the caller has checked.

Compile these functions only if `available()`, that is, if the CPU has the instructions.
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
"""Largest number of vectors of sums per row in `products`, which hold 24 of the 32 registers."""

MOVED = 64
"""Largest number of bytes that `move` copies."""

SCALES = 3
"""Rows of float64 constants: multiplier, addend, extra addend of negative sums."""

_DOWN = 9
"""Rounding mode of a conversion: towards minus infinity, without exceptions."""

_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_SUMS = ir.VectorType(_I32, LANES)
_BYTES = ir.VectorType(_I8, LANES)
_HALF = ir.VectorType(ir.DoubleType(), LANES // 2)

_intrinsic: Any = extending.intrinsic
_config: Any = config
Builder = Any
Value = Any


def available() -> bool:
    """True if numba compiles for this CPU and the CPU has AVX-512 VNNI."""
    if _config.CPU_NAME or _config.CPU_FEATURES or _config.DISABLE_JIT:
        return False
    features = llvmlite.binding.get_host_cpu_features()
    return all(features.get(name, False) for name in ("avx512f", "avx512bw", "avx512vl", "avx512vnni"))


def _typed(body: Callable[..., None], parameters: int) -> Any:
    """Makes the result of a numba intrinsic of `parameters` integers; `body(builder, *arguments)` emits its code."""

    def generate(context: Any, builder: Builder, signature: Any, arguments: Any) -> Value:
        body(builder, *arguments)
        return context.get_dummy_value()

    return types.void(*(types.int64,) * parameters), generate


@_intrinsic
def products(  # type: ignore[no-untyped-def]
    context, rows, runs, count, groups, weights, vectors, first, scales, stride, zero_point, low, high, outs, offset,
    step, depth,
):  # fmt: skip
    """Multiplies `ROWS` rows of bytes by `vectors` (1 to `WIDEST`, a literal) vectors of weights, scales and stores.

    `rows`: int64 addresses of the rows; a row is `count` runs of `groups`*4 bytes, `runs` their int64 offsets.
    `weights`: int8, per run and group and vector 16 sums x 4 bytes.  `first`: initial int32 sums, by column.

    A result is floor(sum*multiplier + added), plus twice the nudge if the sum is negative, from `low` to `high`, plus
    `zero_point`; `scales` are `SCALES` rows of these float64 constants by column, `stride` bytes apart.  `outs`: int64
    addresses of the rows' results, of which `depth` are stored from `offset` on, `step` bytes from 16 to the next.
    """
    if not isinstance(vectors, types.IntegerLiteral):
        return None
    number = vectors.literal_value

    def body(  # type: ignore[no-untyped-def]
        builder, rows, runs, count, groups, weights, vectors, first, scales, stride, zero_point, low, high, outs,
        offset, step, depth,
    ):  # fmt: skip
        totals = _products(builder, number, rows, runs, count, groups, weights, first)
        finish = _Finish(builder, stride, zero_point, low, high, outs)
        for v in range(number):
            place = builder.add(offset, builder.mul(step, _int(v)))
            finish(totals[v::number], builder.add(scales, _int(128 * v)), place, depth, LANES * v)

    signature, generate = _typed(body, 16)
    places = list(signature.args)
    places[5] = vectors
    return types.void(*places), generate


def _products(
    builder: Builder, number: int, rows: Value, runs: Value, count: Value, groups: Value, weights: Value, first: Value
) -> list[Value]:
    """Emits the sums: `number` vectors per row, row by row."""
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

    return _loop(builder, count, [weights, *start], run)[1:]


@_intrinsic
def taps(  # type: ignore[no-untyped-def]
    context, rows, runs, count, weights, width, first, scales, stride, zero_point, low, high, outs, offset, depth
):  # fmt: skip
    """Computes sixteen channels of `ROWS` depthwise windows, scales and stores as `products`.

    Element i of a window is at its row's address + int64 `runs[i]`, of `count`.  `weights`: pairs of int16 (weight, 0)
    by channel, `width` bytes from an element to the next.
    """

    def body(  # type: ignore[no-untyped-def]
        builder, rows, runs, count, weights, width, first, scales, stride, zero_point, low, high, outs, offset, depth
    ):  # fmt: skip
        bases = [_load(builder, _I64, rows, 8 * m) for m in range(ROWS)]

        def tap(index: Value, state: list[Value]) -> list[Value]:
            offset = _load(builder, _I64, builder.add(runs, builder.mul(index, _int(8))))
            column, totals = _load(builder, _SUMS, state[0]), []
            for base, total in zip(bases, state[1:], strict=True):
                values = builder.zext(_load(builder, _BYTES, builder.add(base, offset)), _SUMS)
                totals.append(_call(builder, "llvm.x86.avx512.vpdpwssd.512", total, values, column))
            return [builder.add(state[0], width), *totals]

        totals = _loop(builder, count, [weights, *[_load(builder, _SUMS, first)] * ROWS], tap)[1:]
        _Finish(builder, stride, zero_point, low, high, outs)(totals, scales, offset, depth)

    return _typed(body, 14)


class _Finish:
    """Emits the code that scales and stores sixteen sums of each row."""

    def __init__(
        self, builder: Builder, stride: Value, zero_point: Value, low: Value, high: Value, outs: Value
    ) -> None:
        self._builder, self._stride = builder, stride
        self._zero_point, self._low, self._high = (
            _splat(builder, builder.trunc(value, _I32)) for value in (zero_point, low, high)
        )
        self._outs = [_load(builder, _I64, outs, 8 * m) for m in range(ROWS)]

    def __call__(self, sums: list[Value], scales: Value, offset: Value, depth: Value, before: int = 0) -> None:
        """Stores `sums` of each row at its output + `offset`; only `depth` less `before` of them, if that is fewer."""
        builder = self._builder
        rows = [builder.add(scales, builder.mul(self._stride, _int(row))) for row in range(SCALES)]
        constants = [[_load(builder, _HALF, row, 64 * half) for row in rows] for half in range(2)]
        numbers = ir.Constant(_SUMS, list(range(before, before + LANES)))
        mask = builder.icmp_signed("<", numbers, _splat(builder, builder.trunc(depth, _I32)))
        for total, out in zip(sums, self._outs, strict=True):
            parts = [self._scaled(_lanes(builder, total, half), *constants[half]) for half in range(2)]
            values = builder.shuffle_vector(*parts, ir.Constant(_SUMS, list(range(LANES))))
            values = builder.select(builder.icmp_signed(">", values, self._low), values, self._low)
            values = builder.select(builder.icmp_signed("<", values, self._high), values, self._high)
            values = builder.add(values, self._zero_point)
            _masked_store(builder, builder.trunc(values, _BYTES), builder.add(out, offset), mask)

    def _scaled(self, sums: Value, multiplier: Value, added: Value, nudge: Value) -> Value:
        """Scales eight sums to int32."""
        builder = self._builder
        negative = builder.icmp_signed("<", sums, ir.Constant(sums.type, [0] * 8))
        values = _call(builder, "llvm.fma.v8f64", builder.sitofp(sums, _HALF), multiplier, added)
        values = builder.select(negative, builder.fadd(values, nudge), values)
        kinds = [_HALF, sums.type, _I8, _I32]
        convert = _declare(builder, "llvm.x86.avx512.mask.cvtpd2dq.512", sums.type, kinds)
        nothing = ir.Constant(sums.type, [0] * 8)
        return builder.call(convert, [values, nothing, ir.Constant(_I8, -1), ir.Constant(_I32, _DOWN)])


@_intrinsic
def move(context, source, out, count, flip):  # type: ignore[no-untyped-def]
    """Copies `count` bytes (at most `MOVED`) from `source` to `out`, each xor `flip`."""

    def body(builder, source, out, count, flip):  # type: ignore[no-untyped-def]
        numbers = ir.Constant(ir.VectorType(_I8, MOVED), list(range(MOVED)))
        mask = builder.icmp_signed("<", numbers, _splat(builder, builder.trunc(count, _I8), MOVED))
        data = _masked_load(builder, ir.VectorType(_I8, MOVED), source, mask)
        data = builder.xor(data, _splat(builder, builder.trunc(flip, _I8), MOVED))
        _masked_store(builder, data, out, mask)

    return _typed(body, 4)


@_intrinsic
def pairs(context, first, second, out, table, count):  # type: ignore[no-untyped-def]
    """Looks up `count` (at most 16) pairs (a, b) of bytes of `first` and `second`: entry 256*a + b of `table`.

    Stores the bytes at `out`.  Reads up to 3 bytes beyond the 65,536 of `table`.
    """

    def body(builder, first, second, out, table, count):  # type: ignore[no-untyped-def]
        numbers = ir.Constant(_SUMS, list(range(LANES)))
        mask = builder.icmp_signed("<", numbers, _splat(builder, builder.trunc(count, _I32)))
        high, low = (builder.zext(_masked_load(builder, _BYTES, place, mask), _SUMS) for place in (first, second))
        index = builder.or_(builder.shl(high, ir.Constant(_SUMS, [8] * LANES)), low)
        kinds = [_SUMS, _I8.as_pointer(), _SUMS, mask.type, _I32]
        gather = _declare(builder, "llvm.x86.avx512.mask.gather.dpi.512", _SUMS, kinds)
        base = builder.inttoptr(table, _I8.as_pointer())
        every = ir.Constant(mask.type, [1] * LANES)
        found = builder.call(gather, [ir.Constant(_SUMS, [0] * LANES), base, index, every, ir.Constant(_I32, 1)])
        _masked_store(builder, builder.trunc(found, _BYTES), out, mask)

    return _typed(body, 5)


def _masked_load(builder: Builder, kind: Any, source: Value, mask: Value) -> Value:
    name = f"llvm.masked.load.v{kind.count}i8.p0"
    load = _declare(builder, name, kind, [kind.as_pointer(), _I32, mask.type, kind])
    pointer = builder.inttoptr(source, kind.as_pointer())
    return builder.call(load, [pointer, ir.Constant(_I32, 1), mask, ir.Constant(kind, [0] * kind.count)])


def _masked_store(builder: Builder, values: Value, out: Value, mask: Value) -> None:
    kind = values.type
    store = _declare(
        builder, f"llvm.masked.store.v{kind.count}i8.p0", ir.VoidType(), [kind, kind.as_pointer(), _I32, mask.type]
    )
    builder.call(store, [values, builder.inttoptr(out, kind.as_pointer()), ir.Constant(_I32, 1), mask])


def _int(value: int) -> Value:
    return ir.Constant(_I64, value)


def _load(builder: Builder, kind: Any, address: Value, offset: int = 0) -> Value:
    pointer = builder.inttoptr(builder.add(address, _int(offset)), kind.as_pointer())
    return builder.load(pointer, align=1)


def _splat(builder: Builder, value: Value, lanes: int = LANES) -> Value:
    kind = ir.VectorType(value.type, lanes)
    single = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(single, single, ir.Constant(ir.VectorType(_I32, lanes), [0] * lanes))


def _lanes(builder: Builder, values: Value, half: int) -> Value:
    chosen = list(range(half * 8, half * 8 + 8))
    return builder.shuffle_vector(values, values, ir.Constant(ir.VectorType(_I32, 8), chosen))


def _declare(builder: Builder, name: str, result: Any, parameters: list[Any]) -> Value:
    known = builder.module.globals.get(name)
    return known or ir.Function(builder.module, ir.FunctionType(result, parameters), name)


def _call(builder: Builder, name: str, *arguments: Value) -> Value:
    """Calls an LLVM intrinsic whose result has the type of its arguments."""
    kinds = [argument.type for argument in arguments]
    return builder.call(_declare(builder, name, kinds[0], kinds), arguments)


def _loop(
    builder: Builder, count: Value, state: list[Value], body: Callable[[Value, list[Value]], list[Value]]
) -> list[Value]:
    """Emits a loop of `count` iterations of `state = body(index, state)`; returns the final state."""
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
