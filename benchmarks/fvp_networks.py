"""Networks of published FVP figures, rebuilt where their files are not at hand: shapes exact, weights drawn.

    model = rebuilt("mobilenet_v2_1.0_224_INT8", reference)      # the int8 `.tflite`

`ad_medium_int8` and `vww4_128_128_INT8` come from a table of their layers (`u55_layers.csv` of the folder `reference`
of HIL_TEST_DATA), MobileNetV2 from its published architecture (Sandler et al., arXiv 1801.04381, table 2).  The values
of quantization parameters and weights do not change an Ethos-U's cycles, the encoded size of the weights does: weights
are drawn as powers of uniform numbers, with the exponent that makes each layer encode to the given size.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from hil.harness.model import sibling
from hil.harness.vela.compiler import compile_model
from hil.harness.vela.settings import VelaSettings
from hil.npu.stream.operations import Convolution
from hil.npu.vela_output import NpuOperator, read_compiled
from tests.support.operators.builder import Op, Tensor, build

RELU6 = 6.0 / 255
"""Scale of an activation between 0 and 6, with zero point -128."""

MOBILENET_V2_EXPONENT = 4.26171875
"""Exponent with which MobileNetV2's weights encode to the published 3.27 MB."""

WHOLE_NETWORK = {"ad_medium_int8": 1.035}
"""Size of a layer compiled alone to its size in the network, where Vela cuts its channels into several streams."""

_BLOCKS = sibling(__file__, "../models/networks/mobilenet_v2.py").GROUPS
"""MobileNetV2's bottlenecks: expansion, output channels, repetitions, stride of the first."""


def rebuilt(name: str, reference: Path) -> bytes:
    """The int8 model of `name` as `.tflite`; raises `KeyError` for a network that cannot be rebuilt."""
    if name == "mobilenet_v2_1.0_224_INT8":
        return _mobilenet_v2()
    rows = [row for row in _rows(reference / "u55_layers.csv") if row["network"] == name]
    if not rows:
        raise KeyError(name)
    return _from_layers(rows)


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="") as file:
        yield from csv.DictReader(file)


class Network:
    """Operators of a network in order; each method adds one and makes its output the current tensor `x`.

    `seed` is that of the next convolution's weights: equal weights of two layers would be stored once.
    """

    def __init__(self, shape: tuple[int, ...], seed: int = 0) -> None:
        self.x = Tensor((1, *shape), "int8", scale=RELU6, zero_point=-128)
        self.operators: list[Op] = []
        self.seed = seed

    def conv(self, channels: int, kernel: int, stride: int, activation: str, exponent: float) -> None:
        """Adds a CONV_2D with SAME padding."""
        self._convolution("CONV_2D", (channels, kernel, kernel, self.x.shape[3]), stride, activation, exponent, 0)

    def depthwise(self, kernel: int, stride: int, activation: str, exponent: float) -> None:
        """Adds a DEPTHWISE_CONV_2D with SAME padding."""
        shape = (1, kernel, kernel, self.x.shape[3])
        self._convolution("DEPTHWISE_CONV_2D", shape, stride, activation, exponent, 3)

    def _convolution(
        self, name: str, shape: tuple[int, ...], stride: int, activation: str, exponent: float, axis: int
    ) -> None:
        channels = shape[axis]
        random = np.random.default_rng(self.seed)
        self.seed += 1
        drawn = random.uniform(-1, 1, shape)
        values = np.clip(np.rint(128 * np.sign(drawn) * np.abs(drawn) ** exponent), -128, 127).astype(np.int8)
        weights = Tensor(shape, "int8", scale=(0.01,) * channels, data=values, axis=axis)
        bias = random.integers(-1000, 1000, channels).astype(np.int32)
        biases = Tensor((channels,), "int32", scale=(0.01 * RELU6,) * channels, data=bias)
        options = {"depth_multiplier": 1} if axis == 3 else {}
        self._add(
            Op(
                name,
                (self.x, weights, biases),
                (self._output(-(-self.x.shape[1] // stride), -(-self.x.shape[2] // stride), channels),),
                padding="SAME",
                stride_w=stride,
                stride_h=stride,
                dilation_w_factor=1,
                dilation_h_factor=1,
                fused_activation_function=activation,
                **options,
            )
        )

    def average_pool(self) -> None:
        """Adds an AVERAGE_POOL_2D over the whole plane."""
        _, height, width, channels = self.x.shape
        output = self._output(1, 1, channels)
        strides = {"stride_w": width, "stride_h": height, "filter_width": width, "filter_height": height}
        self._add(Op("AVERAGE_POOL_2D", (self.x,), (output,), padding="VALID", **strides))

    def pad_channels(self, channels: int) -> None:
        """Adds a PAD of the channels behind the current ones."""
        more = channels - self.x.shape[3]
        pads = np.array([[0, 0], [0, 0], [0, 0], [0, more]], np.int32)
        output = self._output(*self.x.shape[1:3], channels)
        self._add(Op("PAD", (self.x, Tensor((4, 2), "int32", data=pads)), (output,)))

    def add(self, other: Tensor) -> None:
        """Adds an ADD of the current tensor and `other`."""
        output = Tensor(self.x.shape, "int8", scale=2 * RELU6, zero_point=-128)
        self._add(Op("ADD", (self.x, other), (output,), fused_activation_function="NONE"))

    def _output(self, height: int, width: int, channels: int) -> Tensor:
        return Tensor((1, height, width, channels), "int8", scale=RELU6, zero_point=-128)

    def _add(self, operator: Op) -> None:
        self.operators.append(operator)
        self.x = operator.outputs[0]


def _mobilenet_v2() -> bytes:
    net, exponent = Network((224, 224, 3)), MOBILENET_V2_EXPONENT
    net.conv(32, 3, 2, "RELU6", exponent)
    for expansion, channels, repetitions, stride in _BLOCKS:
        for number in range(repetitions):
            before = net.x
            if expansion > 1:
                net.conv(before.shape[3] * expansion, 1, 1, "RELU6", exponent)
            net.depthwise(3, 1 if number else stride, "RELU6", exponent)
            net.conv(channels, 1, 1, "NONE", exponent)
            if number:
                net.add(before)
    net.conv(1280, 1, 1, "RELU6", exponent)
    net.average_pool()
    net.conv(1001, 1, 1, "NONE", exponent)
    return build(*net.operators)


def _from_layers(rows: list[Mapping[str, str]]) -> bytes:
    """A chain of the layers of `rows`; two MemoryCopies are a padding of channels, an Add closes a bottleneck."""
    net = Network(_shape(rows[0]["ifm_hwc"]))
    inputs: list[Tensor] = []  # of the convolutions
    for row in rows:
        depth = int(row["ofm_hwc"].split("x")[2].split("of")[-1])
        if row["op"] in ("Conv2D", "DepthwiseConv2D"):
            inputs.append(net.x)
            _add_convolution(net, row, depth)
        elif row["op"] == "AvgPool":
            net.average_pool()
        elif row["op"] == "Add":
            other = inputs[-3]
            if other.shape[3] < net.x.shape[3]:
                own, net.x = net.x, other
                net.pad_channels(depth)
                net.x, other = own, net.x
            elif net.x.shape[3] < depth:
                net.pad_channels(depth)
            net.add(other)
    return build(*net.operators)


def _add_convolution(net: Network, row: Mapping[str, str], depth: int) -> None:
    kernel, stride = int(row["kernel"]), int(row["stride"])
    size, depthwise = (
        round(int(row["encoded_weight_bytes"]) * WHOLE_NETWORK.get(row["network"], 1.0)),
        row["op"] == "DepthwiseConv2D",
    )
    projects = not depthwise and depth < net.x.shape[3]
    exponent = _exponent_of(net, depth, kernel, stride, depthwise, size)
    if depthwise:
        net.depthwise(kernel, stride, "RELU", exponent)
    else:
        net.conv(depth, kernel, stride, "NONE" if projects else "RELU", exponent)


def _shape(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("x"))


def _exponent_of(before: Network, channels: int, kernel: int, stride: int, depthwise: bool, size: int) -> float:
    """Exponent with which a layer's weights and scale records encode to `size` bytes at 128 MACs."""
    low, high = 0.5, 64.0
    for _ in range(12):
        middle = (low * high) ** 0.5
        net = Network(before.x.shape[1:], before.seed)
        if depthwise:
            net.depthwise(kernel, stride, "RELU", middle)
        else:
            net.conv(channels, kernel, stride, "RELU", middle)
        low, high = (middle, high) if _encoded_bytes(build(*net.operators)) > size else (low, middle)
    return (low * high) ** 0.5


def _encoded_bytes(model: bytes) -> int:
    """Bytes of the encoded weights and the scale records at 128 MACs."""
    compiled = compile_model(model, VelaSettings(accelerator="ethos-u55-128", memory_mode="Sram_Only"), mapped=False)
    main = read_compiled(compiled.model)
    (operator,) = (op for op in main.main.operators if isinstance(op, NpuOperator))
    ranges = {
        part
        for op in operator.bind(main).program.operations
        if isinstance(op, Convolution)
        for part in (*op.weight_streams, *op.record_streams)
    }
    return sum(part.length for part in ranges)
