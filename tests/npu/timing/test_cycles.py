"""Modelled cycles and traffic against Vela's estimates and published figures of Arm's simulator."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path

import pytest

from hil.core.errors import BadInputError
from hil.core.npu_config import NpuConfig
from hil.npu.stream.operations import BlockOperation, Kind
from hil.npu.timing.cycles import cycles
from hil.npu.timing.memory_system import MemorySystem, check_memories
from hil.npu.vela_output import read_compiled

SYSTEM = "Ethos_U55_High_End_Embedded"
FVP = {32: 1_416_050, 64: 730_050, 128: 405_050, 256: 244_050}
"""NPU cycles of kws_micronet_m on Arm's FVP as published (Shared_Sram, High_End; a personal repository's sweep)."""


def _timing(compiled, mode="", system=""):
    model = read_compiled(compiled)
    npu = NpuConfig(model.accelerator.name, mode, system)
    return cycles(model.main.operators[0].bind(model).program, MemorySystem.of(npu))


@pytest.mark.parametrize("macs", FVP)
def test_within_a_tenth_of_the_published_simulator(shared_models, vela, macs):
    timing = _timing(vela((shared_models / "kws_micronet_m.tflite").read_bytes(), f"ethos-u55-{macs}"))
    assert timing.total == pytest.approx(FVP[macs], rel=0.1)


def test_beats_near_the_published(shared_models, vela):
    timing = _timing(vela((shared_models / "kws_micronet_m.tflite").read_bytes(), "ethos-u55-128"))
    assert timing.axi0_read_beats + timing.axi0_write_beats == pytest.approx(176_428, rel=0.05)
    assert timing.axi1_read_beats == pytest.approx(17_563, rel=0.05)
    assert timing.axi1_write_beats == 0


def _near_velas_estimate(model, accelerator, system, mode, folder, within):
    from ethosu.vela import vela as program

    program.main([str(model), "--accelerator-config", accelerator, "--memory-mode", mode, "--system-config", system,
                  "--output-dir", str(folder)])  # fmt: skip
    with next(folder.glob("*_summary_*.csv")).open() as file:
        estimate = float(next(csv.DictReader(file))["cycles_total"])
    timing = _timing((folder / f"{model.stem}_vela.tflite").read_bytes(), mode, system)
    assert timing.total == pytest.approx(estimate, rel=within)


NETWORKS = ("ad01_int8", "kws_ref_int8", "resnet8_int8", "kws_micronet_m")


@pytest.mark.parametrize("mode", ["Shared_Sram", "Sram_Only"])
@pytest.mark.parametrize("macs", FVP)
@pytest.mark.parametrize("name", NETWORKS)
def test_near_velas_estimate(shared_models, name, macs, mode, tmp_path):
    _near_velas_estimate(shared_models / f"{name}.tflite", f"ethos-u55-{macs}", SYSTEM, mode, tmp_path, 0.15)


@pytest.mark.parametrize(
    ("system", "mode"), [("Ethos_U65_Embedded", "Sram_Only"), ("Ethos_U65_High_End", "Dedicated_Sram")]
)
@pytest.mark.parametrize(("macs", "within"), [(256, 0.1), (512, 0.25)])
@pytest.mark.parametrize("name", NETWORKS)
def test_near_velas_estimate_of_a_u65(shared_models, name, macs, within, system, mode, tmp_path):
    _near_velas_estimate(shared_models / f"{name}.tflite", f"ethos-u65-{macs}", system, mode, tmp_path, within)


def test_operations_are_in_order_and_waits_hold(shared_models, vela):
    timing = _timing(vela((shared_models / "kws_micronet_m.tflite").read_bytes(), "ethos-u55-128"))
    blocks = [t for t in timing.per_operation if t.operation.kind is not Kind.DMA]
    copies = [t for t in timing.per_operation if t.operation.kind is Kind.DMA]
    for row in (blocks, copies):
        assert all(a.end <= b.start for a, b in itertools.pairwise(row))
    assert timing.total == max(t.end + t.drain for t in timing.per_operation)
    assert timing.active + timing.idle == timing.total
    assert any(c.start < b.end and b.start < c.end for c in copies for b in blocks), "copies run beside operations"
    assert timing.events()[0x11] == timing.total


@pytest.mark.parametrize(
    ("accelerator", "mode", "megahertz"),
    [("ethos-u55-256", "Shared_Sram", 500), ("ethos-u65-256", "Dedicated_Sram", 1000)],
)
def test_clock_and_memories_follow_the_accelerator(accelerator: str, mode: str, megahertz: int) -> None:
    npu = NpuConfig(accelerator)
    check_memories(npu)
    assert (npu.memory_mode, MemorySystem.of(npu).clock_hz) == (mode, megahertz * 1e6)


def test_another_family_has_memories_of_its_own() -> None:
    npu = NpuConfig("ethos-u55-64", "Sram_Only", "Ethos_U55_Deep_Embedded")
    assert npu.for_accelerator("ethos-u55-256") == NpuConfig("ethos-u55-256", "Sram_Only", "Ethos_U55_Deep_Embedded")
    assert npu.for_accelerator("ethos-u65-512") == NpuConfig("ethos-u65-512")


@pytest.mark.parametrize(
    ("mode", "system", "message"),
    [
        ("", "Ethos_U65_High_End", "Ethos_U65_High_End is no system configuration of ethos-u55-128"),
        (
            "Dedicated_Sram",
            "",
            "Dedicated_Sram puts the arena into OffChipFlash in system configuration Ethos_U55_High",
        ),
        ("Fast", "", r"no usable section Memory_Mode.Fast \(known are Sram_Only, Shared_Sram, "),
        (
            *("", "Ethos_U55_High"),
            r"System_Config.Ethos_U55_High \(known are Ethos_U55_Deep_Embedded, Ethos_U55_High_End_Embedded, "
            r"Ethos_U55_No_Adapters\)$",
        ),
    ],
)
def test_memories_that_do_not_fit_are_refused(mode: str, system: str, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        check_memories(NpuConfig("ethos-u55-128", mode, system))


def test_memory_systems(tmp_path: Path):
    shared = MemorySystem.of(NpuConfig())
    assert shared.clock_hz == 500e6
    assert [shared.port_number(region) for region in (0, 1, 2)] == [1, 0, 0]
    assert [port.bytes_per_cycle for port in shared.ports] == [8.0, 56 * 8 / 400]
    assert MemorySystem.of(NpuConfig(memory_mode="Dedicated_Sram_512KB")).port_number(1) == 1
    assert [port.bytes_per_cycle for port in shared.with_beat_bytes(16).ports] == [16.0, 2 * 1.12]
    assert shared.with_region_ports({0: 0, 1: 0}).port_number(0) == 0
    for text, system, mode in (
        ("\n", SYSTEM, "Shared_Sram"),
        ("", "Nothing", "Shared_Sram"),
        ("", SYSTEM, "Nothing"),
        ("no [ini", SYSTEM, "Shared_Sram"),
        (f"[System_Config.{SYSTEM}]\n[Memory_Mode.M]\n", SYSTEM, "M"),
        ("[System_Config.S]\ninherit=System_Config.S\n[Memory_Mode.M]\n", "S", "M"),
    ):
        with pytest.raises(BadInputError):
            MemorySystem.of(NpuConfig("ethos-u55-128", mode, system, text))


def test_the_first_read_hides_behind_an_operation_that_computes(shared_models, vela):
    """Layers of MicroNet-M in several streams: each reads the IFM of the one before, whose OFM it does not need."""
    timing = _timing(vela((shared_models / "kws_micronet_m.tflite").read_bytes(), "ethos-u55-64"))
    blocks = [one for one in timing.per_operation if isinstance(one.operation, BlockOperation)]
    first = {False: [], True: []}
    for before, one in itertools.pairwise(blocks):
        same = one.operation.ifm == before.operation.ifm and one.start == before.end
        if before.compute > before.transfer + 300 and one.operation.kind is Kind.CONV:
            first[same].append(one.fill)
    assert first[True]
    assert not any(first[True]), "read ahead"
    assert all(first[False]), "after the operation that writes its IFM, or after a wait"
