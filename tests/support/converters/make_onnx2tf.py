"""Makes `onnx2tf_*.tflite` of a network in ONNX with an open batch, and `onnx2tf.npz`: samples and ONNX' own outputs.

    python3.11 -m venv onnx_env
    onnx_env/bin/pip install onnx2tf==1.29.24 onnx==1.19.1 onnx-graphsurgeon sng4onnx tensorflow==2.19.1 tf_keras
    onnx_env/bin/python tests/support/converters/make_onnx2tf.py

None of these is in an environment of this project: the files are committed.  The network is what `torch.onnx.export`
writes, with images (batch, channels, height, width); onnx2tf makes channels last of it, and quantizes by TensorFlow.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnx2tf
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

FOLDER = Path(__file__).parent
KEPT = 8


def network(random: np.random.Generator) -> onnx.ModelProto:
    """Returns convolutions, depthwise and strided, a residual, mean, flatten and a linear layer."""
    shapes = {"w1": (8, 3, 3, 3), "b1": (8,), "w2": (8, 1, 3, 3), "b2": (8,), "w3": (16, 8, 3, 3), "b3": (16,)}
    shapes |= {"w4": (4, 16), "b4": (4,)}
    weights = {name: random.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}
    weights |= {"least": np.float32(0), "most": np.float32(6)}
    window = {"pads": [1, 1, 1, 1], "kernel_shape": [3, 3]}
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["first"], **window),
        helper.make_node("Relu", ["first"], ["active"]),
        helper.make_node("Conv", ["active", "w2", "b2"], ["deep"], group=8, **window),
        helper.make_node("Clip", ["deep", "least", "most"], ["cut"]),
        helper.make_node("Add", ["active", "cut"], ["sum"]),
        helper.make_node("Conv", ["sum", "w3", "b3"], ["last"], strides=[2, 2], **window),
        helper.make_node("Relu", ["last"], ["found"]),
        helper.make_node("GlobalAveragePool", ["found"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w4", "b4"], ["y"], transB=1),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])
        for name, shape in (("x", (3, 12, 12)), ("y", (4,)))
    ]
    constants = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "network", ends[:1], ends[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def main() -> None:
    random = np.random.default_rng(0)
    model, x = network(random), random.normal(size=(64, 3, 12, 12)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        file, samples = Path(folder, "network.onnx"), Path(folder, "samples.npy")
        onnx.save(model, file)
        np.save(samples, x.transpose(0, 2, 3, 1))
        onnx2tf.convert(
            input_onnx_file_path=str(file),
            output_folder_path=folder,
            output_integer_quantized_tflite=True,
            custom_input_op_name_np_data_path=[["x", str(samples), [[[[0, 0, 0]]]], [[[[1, 1, 1]]]]]],
            not_use_onnxsim=True,
        )
        for made, name in (("full_integer_quant", "int8"), ("integer_quant", "float_edges"), ("float32", "float")):
            shutil.copy(Path(folder, f"network_{made}.tflite"), FOLDER / f"onnx2tf_{name}.tflite")
    (y,) = ReferenceEvaluator(model).run(None, {"x": x[:KEPT]})
    np.savez_compressed(FOLDER / "onnx2tf.npz", x=x[:KEPT], y=y)


if __name__ == "__main__":
    main()
