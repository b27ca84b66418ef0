"""Profile of a Vela output.

    source = source_of(compiled, int8)
    profile_compiled(vela_output, settings, "resnet8.tflite", source).cycles

Streams run one after another; what runs on the CPU between them takes no cycles here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hil.core.errors import BadInputError
from hil.core.npu_config import NpuConfig
from hil.core.tflite.model import NPU_OPERATOR
from hil.harness.profile.cpu_operators import cpu_indices
from hil.harness.profile.layer import Layer, Placement
from hil.harness.profile.layer_rows import LayerRows, constants_in_sram
from hil.harness.profile.profile import Profile
from hil.harness.profile.source import Source
from hil.harness.profile.weight_figures import Constants
from hil.harness.vela.compiler import Compiled
from hil.harness.vela.mapping import stream_names
from hil.harness.vela.read_only_data import read_only_bytes
from hil.npu.disassembly.listing import Listing, list_compiled
from hil.npu.timing.memory_system import MemorySystem
from hil.npu.vela_output import READ_ONLY, CompiledModel, NpuOperator, is_compiled, read_compiled
from hil.targets.execution.signature import Signature, read_signature


def source_of(compiled: Compiled, int8: bytes, reasons: Mapping[int, str] | None = None) -> Source:
    """The source of what was compiled here, with its mapping; `reasons` are those of operators on the CPU by index."""
    estimates = {one.operator_index: one.cycles for one in compiled.estimates}
    summary = compiled.summary
    return Source(
        read_signature(int8), compiled.mapping, estimates, summary.cycles_total, summary.sram_bytes, reasons or {}
    )


def profile_compiled(
    compiled: bytes, npu: NpuConfig, name: str, source: Source | None = None, options: Sequence[str] = ()
) -> Profile:
    """Profiles a Vela output; `source` None: rows are operations of the stream, named by their outputs.

    Raises `BadInputError` if it is for another accelerator than `npu`, `StreamError` for a damaged one.
    """
    memory = MemorySystem.of(npu)
    placed = read_signature(compiled, name)
    rows = LayerRows(memory)
    if is_compiled(compiled):
        model = read_compiled(compiled)
        if model.accelerator.name != npu.accelerator:
            own = model.accelerator.name
            raise BadInputError(f"{name} is compiled for {own}, not for {npu.accelerator}", hint=f"--accelerator {own}")
        names = stream_names(source.mapping) if source else ()
        for listing in list_compiled(model, names):
            rows.add(listing, _constants(model, listing), source)
    layers = rows.layers(source) + _cpu_layers(placed, source)
    if source:
        layers += _fused_layers(layers, source)
        layers.sort(key=lambda layer: (layer.index < 0, layer.index))
    sram = source.sram_bytes if source and source.sram_bytes is not None else rows.sram_bytes
    read_only = read_only_bytes(compiled)
    return Profile(
        name=name,
        accelerator=npu.accelerator,
        macs_per_cycle=rows.macs_per_cycle,
        memory_mode=npu.memory_mode,
        system_config=npu.system_config,
        clock_hz=memory.clock_hz,
        cycles=rows.cycles,
        layers=tuple(layers),
        sram_bytes=sram + constants_in_sram(memory) * read_only,
        read_only_bytes=read_only,
        command_bytes=rows.command_bytes,
        vela_cycles=source.vela_cycles if source else None,
        vela_options=tuple(options),
        by_operation=source is None,
        spans=tuple(rows.spans),
    )


def _constants(model: CompiledModel, listing: Listing) -> Constants:
    """Read-only data of a stream."""
    found = [(graph, op) for graph in model.subgraphs for op in graph.operators if isinstance(op, NpuOperator)]
    graph, operator = found[listing.stream]
    data = graph.tensors[operator.read_only].data
    return {READ_ONLY: np.zeros(0, np.uint8) if data is None else data}


def _cpu_layers(placed: Signature, source: Source | None) -> list[Layer]:
    """Operators that Vela left to the CPU, by their index in the source where that is known."""
    pairs = zip(placed.operators, placed.all_outputs, strict=True)
    on_cpu = [pair for pair in pairs if pair[0] != NPU_OPERATOR]
    indices = cpu_indices(placed, source.signature) if source else (-1,) * len(on_cpu)
    reasons = source.reasons if source else {}
    return [
        Layer(index, kind, outputs[0] if outputs else "", Placement.CPU, reason=reasons.get(index, ""))
        for index, (kind, outputs) in zip(indices, on_cpu, strict=True)
    ]


def _fused_layers(layers: Sequence[Layer], source: Source) -> list[Layer]:
    """Operators of the model that are in no other layer: they have no operation of their own."""
    placed = {layer.index for layer in layers}
    return [
        Layer(index, kind, source.signature.operator_outputs[index], Placement.FUSED)
        for index, kind in enumerate(source.signature.operators)
        if index not in placed
    ]
