"""A profile accounts for every cycle, names the operators of the model, and counts what the file holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hil.core.errors import BadInputError
from hil.core.tflite.model import read_model
from hil.harness.profile.compiled_profile import profile_compiled, source_of
from hil.harness.profile.cpu_reasons import cpu_reasons
from hil.harness.profile.layer import Layer, Placement
from hil.harness.profile.profile import Profile
from hil.harness.profile.source import Source
from hil.harness.profile.stored_profile import profile_from_record, profile_record, read_profile
from hil.harness.vela.compiler import Compiled, compile_model
from hil.harness.vela.settings import VelaSettings
from hil.npu.timing.cycles import cycles
from hil.npu.timing.error_table import error_sentence
from hil.npu.timing.memory_system import MemorySystem
from hil.npu.vela_output import NpuOperator, read_compiled
from hil.targets.execution.signature import read_signature
from tests.support.edge_models import mixed_detector

U55 = VelaSettings("ethos-u55-128")
CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def profiled(int8: bytes, settings: VelaSettings = U55) -> tuple[Profile, Compiled]:
    compiled = compile_model(int8, settings)
    source = source_of(compiled, int8, cpu_reasons(int8, compiled, settings))
    return profile_compiled(compiled.model, settings, "model", source, settings.options), compiled


def modelled(compiled: bytes, settings: VelaSettings) -> int:
    """The total that `sim` reports."""
    model, memory = read_compiled(compiled), MemorySystem.of(settings)
    operators = [operator for operator in model.main.operators if isinstance(operator, NpuOperator)]
    return sum(cycles(operator.bind(model).program, memory).total for operator in operators)


@pytest.fixture(scope="module")
def resnet(shared_models: Path) -> bytes:
    return (shared_models / "resnet8_int8.tflite").read_bytes()


@pytest.fixture(scope="module")
def kws(shared_models: Path) -> bytes:
    return (shared_models / "kws_micronet_m.tflite").read_bytes()


@pytest.mark.parametrize(
    "settings",
    [
        U55,
        VelaSettings("ethos-u55-32", options=("--optimise Size",)),  # cascades
        VelaSettings("ethos-u55-256", "Sram_Only"),
        VelaSettings("ethos-u55-128", options=("--debug-force-legacy-core",)),
        VelaSettings("ethos-u65-512"),
        VelaSettings("ethos-u55-128", options=("--ignore-ops ADD",)),  # several streams
    ],
    ids=lambda settings: f"{settings.accelerator}-{settings.memory_mode}{''.join(settings.options)}",
)
def test_the_layers_add_up_to_the_modelled_total(resnet: bytes, settings: VelaSettings) -> None:
    profile, compiled = profiled(resnet, settings)
    assert sum(layer.cycles for layer in profile.layers) == profile.cycles == modelled(compiled.model, settings)
    assert all(sum(layer.causes.values()) == layer.cycles for layer in profile.layers)
    assert sum(profile.causes.values()) == profile.cycles
    alone = profile_compiled(compiled.model, settings, "output")  # without the debug database
    assert alone.cycles == profile.cycles == sum(layer.cycles for layer in alone.layers)
    assert {layer.kind for layer in alone.of(Placement.NPU)} >= {"conv", "max_pool"}


def test_every_operator_has_a_row_under_its_own_name(resnet: bytes) -> None:
    profile, compiled = profiled(resnet)
    signature = read_signature(resnet)
    assert [(layer.kind, layer.index) for layer in profile.layers] == [
        (kind, index) for index, kind in enumerate(signature.operators)
    ]
    assert [layer.name for layer in profile.layers] == list(signature.operator_outputs)
    assert [layer.title for layer in profile.of(Placement.FUSED)] == ["RESHAPE 13"]
    assert profile.macs == compiled.summary.macs
    assert sum(layer.vela_cycles or 0 for layer in profile.layers) == compiled.summary.cycles_total


def test_traffic_adds_up_to_the_counters(kws: bytes) -> None:
    profile, compiled = profiled(kws)
    model = read_compiled(compiled.model)
    (operator,) = (one for one in model.main.operators if isinstance(one, NpuOperator))
    timing = cycles(operator.bind(model).program, MemorySystem.of(U55))
    sums = {"Sram": [0, 0], "OffChipFlash": [0, 0]}
    for part in (part for layer in profile.layers for part in layer.traffic):
        sums[part.memory][0] += part.read
        sums[part.memory][1] += part.written
    assert sums["Sram"] == [8 * timing.axi0_read_beats, 8 * timing.axi0_write_beats]
    commands = 8 * -(-profile.command_bytes // 8)
    assert sums["OffChipFlash"] == [8 * timing.axi1_read_beats - commands, 0]


def test_weights_are_those_of_the_file(resnet: bytes) -> None:
    profile, compiled = profiled(resnet)
    main = read_model(resnet).main
    for layer in (layer for layer in profile.layers if layer.kind in CONVOLUTIONS):
        weights = main.tensors[main.operators[layer.index].inputs[1]].constant()
        assert weights is not None
        assert layer.weights is not None
        # The first operation of a model may have padded channels that Vela adds; none of this one's has.
        assert layer.weights.elements == weights.size
        assert layer.weights.zeros == int(np.count_nonzero(weights == 0))
        assert layer.weights.distinct == len(np.unique(weights))
    encoded = sum(layer.weights.encoded for layer in profile.layers if layer.weights)
    assert 0.9 * compiled.summary.weights_encoded <= encoded <= compiled.summary.weights_encoded


def test_live_sram_reaches_what_vela_allocated(resnet: bytes) -> None:
    profile, compiled = profiled(resnet)
    assert max(layer.live_bytes for layer in profile.layers) == compiled.summary.sram_bytes == profile.sram_bytes
    first = profile.layers[0]
    weights = first.weights.encoded + 16 * 10 if first.weights else 0
    assert first.live_bytes == 32 * 32 * 3 + 32 * 32 * 16 + weights  # input, output, weights and scales


def test_a_wait_for_weights_belongs_to_the_layer_that_waits(resnet: bytes) -> None:
    """The first convolution cannot begin before its weights are in SRAM."""
    profile, _ = profiled(resnet)
    first = profile.layers[0]
    waits = [span for span in profile.spans if span.track == "wait"]
    assert waits[0].layer == first.title
    assert {cause.value: cycles for cause, cycles in first.causes.items()}["DMA"] == waits[0].end
    assert max(span.end for span in profile.spans) == profile.cycles


def test_operators_on_the_cpu_say_why(resnet: bytes) -> None:
    detector, _ = profiled(mixed_detector())
    reasons = {layer.title: layer.reason for layer in detector.of(Placement.CPU)}
    assert list(reasons) == ["QUANTIZE 0", "DEQUANTIZE 2", "MUL 3"]
    assert "missing quantization parameters: real" in reasons["DEQUANTIZE 2"]
    ignored, _ = profiled(resnet, VelaSettings(options=("--ignore-ops AVERAGE_POOL_2D",)))
    assert [layer.reason for layer in ignored.of(Placement.CPU)] == ["the Vela option --ignore-ops leaves it there"]
    assert not any(layer.cycles for layer in ignored.of(Placement.CPU))


def test_a_profile_comes_back_from_its_file(resnet: bytes, tmp_path: Path) -> None:
    profile, _ = profiled(resnet, VelaSettings(options=("--ignore-ops SOFTMAX",)))
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(profile_record(profile)))
    assert read_profile(path) == replace(profile, spans=())
    assert profile_from_record(profile_record(profile)).causes == profile.causes
    record = json.loads(path.read_text())
    assert record["trust"]["cycles"] == "modelled"
    held = error_sentence(U55.accelerator, U55.memory_mode, U55.system_config)
    assert record["trust"]["held_against"] == held
    assert "against Arm's FVP" in held
    assert {point["accelerator"] for point in record["trust"]["points"]} == {U55.accelerator}
    path.write_text('{"format": "other"}')
    with pytest.raises(BadInputError, match=r"profile.json is no profile"):
        read_profile(path)


def test_another_accelerators_output_is_refused(resnet: bytes) -> None:
    compiled = compile_model(resnet, U55, mapped=False)
    with pytest.raises(BadInputError, match="compiled for ethos-u55-128, not for ethos-u55-256"):
        profile_compiled(compiled.model, VelaSettings("ethos-u55-256"), "output")


def test_a_layer_is_bound_by_the_cause_of_most_of_its_cycles() -> None:
    empty = Layer(0, "RESHAPE", "out", Placement.FUSED)
    assert empty.bound is None
    assert Source(read_signature(mixed_detector()), ()).reasons == {}


def test_operators_without_outputs_are_found_by_their_kind(made: Callable[[str], bytes]) -> None:
    profile, compiled = profiled(made("variable"))
    titles = [layer.title for layer in profile.of(Placement.CPU)]
    assert titles == [layer.title for layer in profile.layers if layer.kind in compiled.summary.cpu_operators]
    assert {"CALL_ONCE 0", "ASSIGN_VARIABLE 9"} <= set(titles)
    assert all(
        "must not be dynamic" in profile.group(title).layers[0].reason for title in titles if "VARIABLE" in title
    )


def test_stripes_of_a_cascade_are_one_layer(made: Callable[[str], bytes]) -> None:
    settings = VelaSettings("ethos-u55-64", options=("--optimise Size",))
    profile, compiled = profiled(made("stripes"), settings)
    operations = {layer.kind: layer.operations for layer in profile.layers}
    assert operations["CONV_2D"] == operations["DEPTHWISE_CONV_2D"] == 24  # a stripe for each row
    assert sum(layer.cycles for layer in profile.layers) == profile.cycles == modelled(compiled.model, settings)
    first = profile.layers[0].weights
    assert first is not None
    assert first.elements == 3 * 3 * 4 * 24  # once, not once for each stripe
