"""Makes `litert_torch_*.tflite` of networks in PyTorch, and `litert_torch.npz`: samples and PyTorch's outputs.

    python3.11 -m venv torch_env
    torch_env/bin/pip install litert-torch==0.10.0 torch==2.14.1 litert-quantizer==0.11.0
    torch_env/bin/python tests/support/converters/make_litert_torch.py

Torch is in no environment of this project: the files are committed.  PyTorch's images are (batch, channels, height,
width), TFLite's (batch, height, width, channels).
"""

from __future__ import annotations

from pathlib import Path

import litert_torch
import numpy as np
import torch
from litert_quantizer import calibrator, quantizer, recipe, recipe_manager
from litert_quantizer.utils import qsv_utils

FOLDER = Path(__file__).parent
SHAPE, SAMPLES, KEPT = (3, 12, 12), 64, 8


class Classifier(torch.nn.Module):
    """Convolutions with batch normalization, a residual, depthwise and strided, then mean and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.BatchNorm2d(8), torch.nn.ReLU())
        self.deep = torch.nn.Sequential(torch.nn.Conv2d(8, 8, 3, padding=1, groups=8), torch.nn.ReLU6())
        self.last = torch.nn.Sequential(torch.nn.Conv2d(8, 16, 3, stride=2, padding=1), torch.nn.ReLU())
        self.head = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(16, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        return self.head(self.last(x + self.deep(x)))


class Upscaler(torch.nn.Module):
    """An image to an image, with channels first at both ends."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Conv2d(8, 3, 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def converted(network: torch.nn.Module, x: torch.Tensor, *, open_batch: bool = False) -> bytes:
    """Returns the float file; with `open_batch` its batch has no size."""
    shapes = {"dynamic_shapes": ({0: torch.export.Dim("batch", min=1, max=64)},)} if open_batch else {}
    given = x[:2] if open_batch else x[:1]
    path = FOLDER / "float.tflite"
    litert_torch.convert(network, (given,), **shapes).export(str(path))
    content = path.read_bytes()
    path.unlink()
    return content


def quantized(content: bytes, x: np.ndarray) -> bytes:
    """Returns the file in int8, with the extremes of the samples as ranges."""
    settings, manager = recipe.static_wi8_ai8(), recipe_manager.RecipeManager()
    manager.load_quantization_recipe(settings)
    ranges = calibrator.Calibrator(content, qsv_update_func=qsv_utils.min_max_update)
    ranges.calibrate({"serving_default": [{"args_0": sample[None]} for sample in x]}, manager)
    return bytes(quantizer.Quantizer(content, settings).quantize(ranges.get_model_qsvs()).quantized_model)


def main() -> None:
    torch.manual_seed(0)
    x = torch.randn(SAMPLES, *SHAPE)
    networks = {"classifier": Classifier().eval(), "upscaler": Upscaler().eval()}
    floats = {name: converted(network, x) for name, network in networks.items()}
    floats["open_batch"] = converted(networks["upscaler"], x, open_batch=True)  # it flattens no open batch
    channels_last = litert_torch.to_channel_last_io(networks["classifier"], args=[0])
    floats["channels_last"] = converted(channels_last, x.permute(0, 2, 3, 1))
    (FOLDER / "litert_torch_float.tflite").write_bytes(floats["classifier"])
    for name, content in floats.items():
        samples = x.permute(0, 2, 3, 1) if name == "channels_last" else x
        (FOLDER / f"litert_torch_{name}.tflite").write_bytes(quantized(content, samples.numpy()))
    outputs = {name: network(x[:KEPT]).detach().numpy() for name, network in networks.items()}
    np.savez_compressed(FOLDER / "litert_torch.npz", x=x[:KEPT].numpy(), **outputs)


if __name__ == "__main__":
    main()
