"""Functions of one element: activations, ABS, NEG, EXP, LOG, RSQRT, QUANTIZE.  Every case runs through all inputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.support.operators.arithmetic.unary import absolute, clamped, elu, exponential, negated
from tests.support.operators.builder import Op, Tensor, build
from tests.support.operators.case import Case, Generator
from tests.support.operators.quantization import scale, zero_point

Shape = tuple[int, ...]

_EIGHT_BITS = ("int8", "uint8")
_LOWEST = {"int8": -128, "uint8": 0, "int16": 0}
_MIDDLE = {"int8": 0, "uint8": 128, "int16": 0}
_EVERY: dict[str, Shape] = {"int8": (1, 16, 16, 1), "uint8": (1, 16, 16, 1), "int16": (1, 64, 64, 16)}
"""Shapes that hold every value of a type."""

_SHAPES: dict[str, Shape] = {
    "rank1": (300,),
    "rank2": (20, 17),
    "rank3": (3, 9, 33),
    "rank5": (2, 3, 2, 5, 6),
    "batch": (3, 4, 5, 6),
    "deep": (1, 3, 4, 130),
}


@dataclass(frozen=True)
class _Form:
    """A pair of quantizations (scale, zero point) of input and output, the shape, and the operator's options.

    Without a scale it is drawn; without a zero point too.
    """

    x: tuple[float | None, int | None] = (None, None)
    y: tuple[float | None, int | None] = (None, None)
    shape: Shape | None = None
    options: dict[str, Any] = field(default_factory=dict)
    out: str = ""


def cases() -> Iterator[Case]:
    """Each operator over its types, with scales that matter to it, then over shapes."""
    yield from _plain("RELU", ("int8", "uint8", "int16"))
    yield from _plain("RELU6", ("int8", "uint8", "int16"))
    yield from _plain("ABS", ("int8", "int16"))
    yield from _plain("ABS", ("uint8",), arithmetic=absolute)
    yield from _plain("HARD_SWISH", _EIGHT_BITS)
    yield from _plain("ELU", ("int8",), arithmetic=elu)
    yield from _clamps()
    yield from _negations()
    yield from _leaky()
    yield from _gelu()
    yield from _sigmoids()
    yield from _powers()
    yield from _requantizations()


def _plain(operator: str, dtypes: tuple[str, ...], **more: Any) -> Iterator[Case]:
    for dtype in dtypes:
        for number in range(4):
            yield _case(operator, dtype, f"every{number}", _Form(), **more)
        yield _case(operator, dtype, "one-scale", _Form((0.04, _MIDDLE[dtype]), (0.04, _MIDDLE[dtype])), **more)
        for name, shape in _SHAPES.items():
            yield _case(operator, dtype, name, _Form(shape=shape), **more)


def _clamps() -> Iterator[Case]:
    """The reference kernels have no int16 here."""
    for operator, low, high in (("RELU_N1_TO_1", -1.0, 1.0), ("RELU_0_TO_1", 0.0, 1.0)):
        yield from _plain(operator, _EIGHT_BITS)
        for name, form in (("one-scale", _Form((0.0001, 0), (0.0001, 0))), ("rescaled", _Form((0.0001, 0), (5e-5, 0)))):
            yield _case(operator, "int16", name, form, arithmetic=partial(clamped, low, high))


def _negations() -> Iterator[Case]:
    """The reference kernels have int32 alone."""
    for dtype in ("int8", "uint8", "int16"):
        for number in range(3):
            yield _case("NEG", dtype, f"every{number}", _Form((0.03, None), (0.03, None)), arithmetic=negated)
    yield Case("NEG", "int32", "map", partial(_model, "NEG", "int32", _Form((0.01, 0), (0.01, 0), (1, 5, 7, 19))))


def _leaky() -> Iterator[Case]:
    for dtype in ("int8", "uint8", "int16"):
        for alpha in (0.0, 0.013, 0.1, 0.3, 1.0, 1.5, -0.5):
            yield _case("LEAKY_RELU", dtype, f"alpha{alpha:g}", _Form(options={"alpha": alpha}))
            same = _Form((0.03, _MIDDLE[dtype]), (0.03, _MIDDLE[dtype]), options={"alpha": alpha})
            yield _case("LEAKY_RELU", dtype, f"one-scale-alpha{alpha:g}", same)
        for name, shape in _SHAPES.items():
            yield _case("LEAKY_RELU", dtype, name, _Form(shape=shape, options={"alpha": 0.2}))


def _gelu() -> Iterator[Case]:
    for dtype in _EIGHT_BITS:
        for approximate in (False, True):
            for number in range(3):
                form = _Form(options={"approximate": approximate})
                yield _case("GELU", dtype, f"{'approximate' if approximate else 'exact'}{number}", form)


def _sigmoids() -> Iterator[Case]:
    """Outputs have the one quantization that the reference kernels allow."""
    steps = {"int8": 1 / 256, "uint8": 1 / 256, "int16": 1 / 32768}
    for dtype, step in steps.items():
        wide = step if dtype == "int16" else 1 / 128
        for reach in (0.5, 2.0, 6.0, 8.0, 10.7, 16.0, 100.0):
            size = reach / (32768 if dtype == "int16" else 128)
            zero = 0 if dtype == "int16" else None
            yield _case("LOGISTIC", dtype, f"reach{reach:g}", _Form((size, zero), (step, _LOWEST[dtype])))
            yield _case("TANH", dtype, f"reach{reach:g}", _Form((size, zero), (wide, _MIDDLE[dtype])))
        for name, shape in _SHAPES.items():
            yield _case("LOGISTIC", dtype, name, _Form((None, None), (step, _LOWEST[dtype]), shape))
            yield _case("TANH", dtype, name, _Form((None, None), (wide, _MIDDLE[dtype]), shape))
        if dtype != "int16":  # an entry of the table lies within 1e-5 of a half
            half = _Form((0.24310889840126038, _MIDDLE[dtype] - 7), (step, _LOWEST[dtype]))
            yield _case("LOGISTIC", dtype, "half", half)
            yield _case("TANH", dtype, "half", _Form((0.05029325187206268, _MIDDLE[dtype]), (wide, _MIDDLE[dtype])))


def _powers() -> Iterator[Case]:
    """EXP, LOG and RSQRT, of values for which they are defined."""
    for number, (x, y) in enumerate(((0.05, 0.1), (0.01, 0.05), (0.03, 0.01))):
        yield _case("EXP", "int8", f"every{number}", _Form((x, None), (y, None)))
        yield _case("EXP", "uint8", f"every{number}", _Form((x, None), (y, None)), arithmetic=exponential)
        yield _case("RSQRT", "int8", f"every{number}", _Form((x, -128), (y, -128)))
        yield _case("LOG", "int8", f"every{number}", _Form((x, -128), (y, 0)))
    for number, (x, y) in enumerate(((1e-4, 27 / 32768), (5e-5, 1.8e-4), (2e-4, 2.2e-2))):
        yield _case("EXP", "int16", f"every{number}", _Form((x, 0), (y, 0)))
    for number, (x, y) in enumerate(((0.002, 0.04), (0.002, 0.002), (0.01, 1e-4))):
        yield _case("RSQRT", "int16", f"every{number}", _Form((x, 0), (y, 0)), (1, 32767))
        yield _case("LOG", "int16", f"every{number}", _Form((x, 0), (y, 0)), (1, 32767))


def _requantizations() -> Iterator[Case]:
    """The pairs of types that the reference kernels take."""
    for source, result in (
        ("int8", "int8"),
        ("int8", "uint8"),
        ("uint8", "int8"),
        ("uint8", "uint8"),
        ("int16", "int8"),
        ("int16", "int16"),
    ):
        for number in range(3):
            yield _case("QUANTIZE", source, f"to-{result}{number}", _Form(out=result))
        for name in ("rank2", "batch", "deep"):
            yield _case("QUANTIZE", source, f"to-{result}-{name}", _Form(shape=_SHAPES[name], out=result))


def _case(
    operator: str, dtype: str, name: str, form: _Form, limits: tuple[int, int] | None = None, **more: Any
) -> Case:
    held = {0: limits} if limits else {}
    samples = 1 if form.shape is None else 6
    made = partial(_model, operator, dtype, form)
    return Case(operator, dtype, name, made, samples, held, sweep=form.shape is None, **more)


def _model(operator: str, dtype: str, form: _Form, random: Generator) -> bytes:
    shape = form.shape or _EVERY[dtype]
    x, y = _tensor(random, shape, dtype, form.x), _tensor(random, shape, form.out or dtype, form.y)
    return build(Op(operator, (x,), (y,), **form.options))


def _tensor(random: Generator, shape: Shape, dtype: str, how: tuple[float | None, int | None]) -> Tensor:
    size, zero = how
    drawn_size, drawn_zero = scale(random, dtype), zero_point(random, dtype)
    return Tensor(shape, dtype, drawn_size if size is None else size, drawn_zero if zero is None else zero)
