"""MEAN, SUM, REDUCE_MAX, REDUCE_MIN over every axis, and ARG_MAX over depth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tests.support.operators.arithmetic.reduction import summed
from tests.support.operators.builder import Op, Tensor, build
from tests.support.operators.case import Case, Generator
from tests.support.operators.quantization import activation_tensor, scale, zero_point

Shape = tuple[int, ...]

_EIGHT_AND_SIXTEEN = ("int8", "uint8", "int16")


@dataclass(frozen=True)
class _Form:
    """Shape of the input, axes to reduce, whether they stay as axes of one, and whether the output has a scale of its
    own."""

    shape: Shape
    axes: tuple[int, ...]
    keep: bool = True
    rescaled: bool = False


_FORMS = {
    "height": _Form((1, 5, 7, 19), (1,)),
    "width": _Form((1, 5, 7, 19), (2,)),
    "depth": _Form((1, 5, 7, 19), (3,)),
    "height-width": _Form((1, 5, 7, 19), (1, 2)),
    "height-width-away": _Form((1, 5, 7, 19), (1, 2), keep=False),
    "width-depth": _Form((1, 5, 7, 19), (2, 3)),
    "all": _Form((1, 5, 7, 19), (1, 2, 3)),
    "depth-of-column": _Form((1, 5, 1, 40), (3,)),
    "depth-away": _Form((1, 5, 1, 40), (3,), keep=False),
    "deep": _Form((1, 6, 4, 130), (1, 2)),
    "large": _Form((1, 40, 33, 9), (1, 2)),
    "batch": _Form((3, 4, 5, 6), (1,)),
    "rank1": _Form((64,), (0,)),
    "rank2-rows": _Form((5, 64), (0,)),
    "rank2-columns": _Form((5, 64), (1,)),
    "rank2-columns-away": _Form((5, 64), (1,), keep=False),
    "rank3": _Form((3, 5, 64), (1,), keep=False),
}


def cases() -> Iterator[Case]:
    """Axes and ranks, and for those that compute an output with a scale of its own."""
    for name, form in _FORMS.items():
        for dtype in _EIGHT_AND_SIXTEEN:
            yield _case("MEAN", dtype, name, form)
            yield _case("REDUCE_MAX", dtype, name, form)
            yield _case("REDUCE_MIN", dtype, name, form)
            yield _case("SUM", dtype, name, form, arithmetic=summed)
        yield _case("SUM", "int32", name, form, limits={0: (-100_000, 100_000)})
    for dtype in _EIGHT_AND_SIXTEEN:
        for name in ("height", "width", "depth", "height-width", "rank2-rows", "depth-of-column", "large"):
            form = _FORMS[name]
            rescaled = _Form(form.shape, form.axes, rescaled=True)
            yield _case("MEAN", dtype, f"{name}-rescaled", rescaled)
            yield _case("SUM", dtype, f"{name}-rescaled", rescaled, arithmetic=summed)
    yield from _arg_max()


def _arg_max() -> Iterator[Case]:
    """Vela takes a depth of up to 127; the first of equal values wins."""
    for dtype in ("int8", "uint8"):
        for shape in ((1, 5, 7, 19), (1, 5, 7, 127), (1, 5, 7, 128), (1, 10), (4, 33), (3, 4, 9), (2, 3, 4, 5)):
            name = "x".join(map(str, shape))
            for result in ("int32", "int64"):
                build_model = partial(_arg_max_model, dtype, shape, len(shape) - 1, result)
                yield Case("ARG_MAX", dtype, f"{name}-{result}", build_model)
        yield Case("ARG_MAX", dtype, "few-values", partial(_arg_max_model, dtype, (1, 6, 7, 30), 3, "int32"), 6, _FEW)
        yield Case("ARG_MAX", dtype, "height", partial(_arg_max_model, dtype, (1, 6, 7, 30), 1, "int32"))


_FEW = {0: (4, 6)}


def _case(operator: str, dtype: str, name: str, form: _Form, **more: Any) -> Case:
    return Case(operator, dtype, name, partial(_model, operator, dtype, form), **more)


def _model(operator: str, dtype: str, form: _Form, random: Generator) -> bytes:
    x = activation_tensor(random, form.shape, dtype)
    kept = tuple(1 if axis in form.axes else length for axis, length in enumerate(form.shape))
    away = tuple(length for axis, length in enumerate(form.shape) if axis not in form.axes)
    y = Tensor(kept if form.keep else away, dtype, x.scale, x.zero_point)
    if form.rescaled:
        y = Tensor(y.shape, dtype, scale(random, dtype), zero_point(random, dtype))
    axes = Tensor((len(form.axes),), "int32", data=np.array(form.axes, np.int32))
    return build(Op(operator, (x, axes), (y,), keep_dims=form.keep))


def _arg_max_model(dtype: str, shape: Shape, axis: int, result: str, random: Generator) -> bytes:
    x = activation_tensor(random, shape, dtype)
    y = Tensor(tuple(length for at, length in enumerate(shape) if at != axis), result)
    along = Tensor((), "int32", data=np.array(axis, np.int32))
    return build(Op("ARG_MAX", (x, along), (y,), output_type=result.upper()))
