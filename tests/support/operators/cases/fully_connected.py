"""FULLY_CONNECTED."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product

from tests.support.operators.builder import Op, build
from tests.support.operators.case import Case, Generator
from tests.support.operators.quantization import activation_tensor
from tests.support.operators.weight_tensors import Weighting, output_of, weights_of

_PLAIN = Weighting(per_channel=False)


def cases() -> Iterator[Case]:
    """Depths, batches, ranks, fused activations and ways to quantize."""
    for dtype in ("int8", "uint8", "int16"):

        def case(
            name: str,
            shape: tuple[int, ...],
            outputs: int,
            how: Weighting = _PLAIN,
            fused: str = "NONE",
            keep: bool = False,
            dtype: str = dtype,
        ) -> Case:
            return Case("FULLY_CONNECTED", dtype, name, partial(_model, dtype, shape, outputs, how, fused, keep))

        for depth, outputs in product((1, 7, 16, 33, 100, 520), (1, 5, 16, 41)):
            yield case(f"depth{depth}-{outputs}", (1, depth), outputs)
        yield case("depth64-300", (1, 64), 300)
        yield case("depth2000-12", (1, 2000), 12)
        for batch in (2, 3, 4, 8, 9, 16, 17, 33):
            yield case(f"batch{batch}", (batch, 24), 10)
        yield case("rank3", (1, 6, 20), 9)
        yield case("rank3-kept", (1, 6, 20), 9, keep=True)
        yield case("rank4-kept", (1, 2, 3, 20), 9, keep=True)
        for fused in ("RELU", "RELU6", "RELU_N1_TO_1"):
            yield case(fused, (1, 40), 20, fused=fused)
        yield case("per-channel", (1, 40), 20, Weighting())
        yield case("no-bias", (1, 40), 20, Weighting(per_channel=False, bias=False))
        yield case("extreme", (1, 200), 20, Weighting(per_channel=False, extreme=True))
        yield case("zeros", (1, 200), 20, Weighting(per_channel=False, zeros=0.9))
        yield case("all-zero", (1, 20), 20, Weighting(per_channel=False, zeros=1.0))
        for spread in (0.01, 0.1, 10.0, 1000.0):
            yield case(f"spread{spread:g}", (1, 40), 20, Weighting(per_channel=False, spread=spread))
        if dtype == "int16":
            yield case("bias32", (1, 40), 20, Weighting(per_channel=False, bias_type="int32"))
        if dtype == "int8":
            yield case("int4", (1, 40), 20, Weighting(per_channel=False, bits=4))


def _model(
    dtype: str, shape: tuple[int, ...], outputs: int, how: Weighting, fused: str, keep: bool, random: Generator
) -> bytes:
    x = activation_tensor(random, shape, dtype)
    weights, bias = weights_of(random, x, (outputs, shape[-1]), 0, how)
    rows = 1
    for length in shape[:-1]:
        rows *= length
    result = (*shape[:-1], outputs) if keep else (rows, outputs)
    y = output_of(random, x, weights, result, shape[-1], how)
    options = {"quantized_bias_type": how.bias_type.upper()} if how.bias_type else {}
    operator = Op(
        "FULLY_CONNECTED", (x, weights, bias), (y,), fused_activation_function=fused, keep_num_dims=keep, **options
    )
    return build(operator)
