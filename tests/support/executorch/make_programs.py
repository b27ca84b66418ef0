"""Makes the `.pte` files of this folder, and the outputs that ExecuTorch's own references give for them.

    python3.11 -m venv executorch_env
    executorch_env/bin/pip install 'executorch[ethos-u]==1.5.1' torch
    executorch_env/bin/python tests/support/executorch/make_programs.py

Torch is in no environment of this project: the files are committed.  `NAME.npz` holds the inputs with a leading sample
axis (`input_0` ...), `tosa_0` ..., the outputs of the TOSA reference model for the graph that Vela compiled, and
`torch_0` ..., those of the quantized PyTorch network.  The first are integers and exact, the second are computed in
real numbers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from executorch.backends.arm.ethosu import EthosUCompileSpec, EthosUPartitioner
from executorch.backends.arm.quantizer import EthosUQuantizer, get_symmetric_quantization_config
from executorch.backends.arm.tosa import TosaSpecification
from executorch.backends.arm.tosa.compile_spec import TosaCompileSpec
from executorch.backends.arm.tosa.partitioner import TOSAPartitioner
from executorch.exir import EdgeCompileConfig, ExecutorchBackendConfig, to_edge_transform_and_lower
from executorch.exir.passes.quantize_io_pass import QuantizeInputs, QuantizeOutputs
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

FOLDER = Path(__file__).parent
ACCELERATOR, SAMPLES = "ethos-u55-128", 4
Tensors = tuple[torch.Tensor, ...]


class FourConvolutions(torch.nn.Module):
    """A small image classifier: 3x3, depthwise, pointwise and strided convolutions, then mean and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(),
            torch.nn.Conv2d(8, 8, 3, padding=1, groups=8), torch.nn.ReLU(),
            torch.nn.Conv2d(8, 16, 1), torch.nn.ReLU(),
            torch.nn.Conv2d(16, 16, 3, stride=2, padding=1), torch.nn.ReLU(),
            torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(16, 10),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


class Add(torch.nn.Module):
    """Two inputs and one operator."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x + y


class Mean(torch.nn.Module):
    """A network that nothing delegates."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1.0


def main() -> None:
    torch.manual_seed(1)
    image = [(torch.rand(1, 3, 16, 16) * 2 - 1,) for _ in range(SAMPLES)]
    pair = [(torch.rand(1, 4, 4, 8) * 2 - 1, torch.rand(1, 4, 4, 8) * 4 - 2) for _ in range(SAMPLES)]
    make("four_convolutions", FourConvolutions().eval(), image, quantized_interface=True)
    make("add", Add().eval(), pair, quantized_interface=False)
    plain = to_edge_transform_and_lower(torch.export.export(Mean().eval(), (torch.zeros(1, 4),)))
    (FOLDER / "without_delegate.pte").write_bytes(plain.to_executorch().buffer)


def make(name: str, network: torch.nn.Module, samples: list[Tensors], *, quantized_interface: bool) -> None:
    """Writes `NAME.pte` and `NAME.npz`; with a `quantized_interface` the program takes and gives int8."""
    spec = EthosUCompileSpec(ACCELERATOR)
    quantizer = EthosUQuantizer(spec)
    quantizer.set_global(get_symmetric_quantization_config(is_per_channel=True))
    prepared = prepare_pt2e(torch.export.export(network, samples[0]).module(), quantizer)
    for sample in samples:
        prepared(*sample)
    quantized = convert_pt2e(prepared)
    exported = torch.export.export(quantized, samples[0])
    edge = to_edge_transform_and_lower(
        exported, partitioner=[EthosUPartitioner(spec)], compile_config=EdgeCompileConfig(_check_ir_validity=False)
    )
    ends, inputs = scales(exported), [list(sample) for sample in samples]
    if quantized_interface:
        edge = edge.transform([QuantizeInputs(edge, [0]), QuantizeOutputs(edge, [0])])
    program = edge.to_executorch(ExecutorchBackendConfig(extract_delegate_segments=False))
    (FOLDER / f"{name}.pte").write_bytes(program.buffer)
    tosa = tosa_graph(exported)
    arrays: dict[str, list[np.ndarray]] = {}
    for sample in inputs:
        integers = [quantize(x, scale) for x, scale in zip(sample, ends[:-1], strict=True)]
        given = integers if quantized_interface else [x.numpy() for x in sample]
        output = run_tosa(tosa, integers)
        real = quantized(*sample).detach().numpy()
        for index, array in enumerate(given):
            arrays.setdefault(f"input_{index}", []).append(array[0])
        exact = output if quantized_interface else dequantize(output, ends[-1])
        arrays.setdefault("tosa_0", []).append(exact[0])
        of_torch = quantize(torch.from_numpy(real), ends[-1]) if quantized_interface else real
        arrays.setdefault("torch_0", []).append(of_torch[0])
    stacked = {key: np.stack(rows) for key, rows in arrays.items()}
    differing = int((stacked["tosa_0"] != stacked["torch_0"]).sum())
    print(f"{name}: {len(program.buffer)} bytes, {differing} of {stacked['tosa_0'].size} differ between TOSA and torch")
    np.savez_compressed(FOLDER / f"{name}.npz", **stacked)


def scales(exported: torch.export.ExportedProgram) -> list[tuple[float, int]]:
    """Scale and zero point of each input, in order, and of the output."""
    nodes = exported.graph_module.graph.nodes
    quantized = torch.ops.quantized_decomposed.quantize_per_tensor.default
    found = []
    for node in nodes:
        if node.op == "placeholder" and node.name in exported.graph_signature.user_inputs:
            user = next(user for user in node.users if user.target is quantized)
            found.append((user.args[1], user.args[2]))
    output = next(node for node in nodes if node.op == "output").args[0][0]
    return [*found, (output.args[1], output.args[2])]


def quantize(x: torch.Tensor, scale: tuple[float, int]) -> np.ndarray:
    """PyTorch's own quantization to int8."""
    op = torch.ops.quantized_decomposed.quantize_per_tensor
    return op(x, *scale, -128, 127, torch.int8).detach().numpy()


def dequantize(x: np.ndarray, scale: tuple[float, int]) -> np.ndarray:
    op = torch.ops.quantized_decomposed.dequantize_per_tensor
    return op(torch.from_numpy(x), *scale, -128, 127, torch.int8).numpy()


def tosa_graph(exported: torch.export.ExportedProgram) -> bytes:
    """The TOSA graph of the delegate, as the Ethos-U backend hands it to Vela."""
    spec = TosaCompileSpec(TosaSpecification.create_from_string("TOSA-1.0+INT+int16+int4+u55"))
    edge = to_edge_transform_and_lower(
        exported, partitioner=[TOSAPartitioner(spec)], compile_config=EdgeCompileConfig(_check_ir_validity=False)
    )
    nodes = edge.exported_program().graph_module.graph.nodes
    lowered = [node for node in nodes if node.op == "get_attr"]
    (module,) = [getattr(edge.exported_program().graph_module, node.target) for node in lowered]
    return module.processed_bytes


def run_tosa(graph: bytes, inputs: list[np.ndarray]) -> np.ndarray:
    import tosa_reference_model

    outputs, status = tosa_reference_model.run(graph, inputs, verbosity="NONE")
    assert status == tosa_reference_model.GraphStatus.TOSA_VALID
    return outputs[0]


if __name__ == "__main__":
    main()
