"""Firmware of the user's own, and Arm's for each NPU: places of its data, models that it runs, refusals."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hil.core.errors import BadInputError, FaultError
from hil.core.npu_config import NpuConfig
from hil.fvp.inference.firmware import Firmware
from hil.fvp.inference.firmware import runner as load_runner
from hil.fvp.inference.firmware_description import load
from hil.fvp.inference.inference import run_inference
from hil.harness.vela.compiler import compile_model
from hil.harness.vela.settings import VelaSettings
from hil.targets import create
from hil.targets.base import Deployable
from tests.support.reference import oracle
from tests.support.thumb import Program

Compile = Callable[..., tuple[bytes, bytes]]

TOML = """
elf = "own.elf"
metrics = false
completed = "done"
model   = { address = 0x91000000, size = 0x100000 }
inputs  = { address = 0x70100000, size = 0x1000 }
outputs = { address = 0x31100000, size = 0x1000 }
arena   = { address = 0x31000000, size = 0x100000 }
"""
U65 = {"memory_mode": "Dedicated_Sram", "system_config": "Ethos_U65_High_End"}


def _own(folder: Path, text: str = TOML, says: bytes = b"done") -> Path:
    """A firmware whose output is the first word of its input plus the first of the model, and its description."""
    program = Program()
    program.set(4, 0x7010_0000)
    program.set(5, 0x9100_0000)
    program.set(6, 0x3110_0000)
    program.code(0x6821, 0x682A, 0x1889, 0x6031)  # LDR r1, [r4]; LDR r2, [r5]; ADDS r1, r1, r2; STR r1, [r6]
    program.send(says)
    program.end()
    (folder / "own.elf").write_bytes(program.elf())
    (folder / "own.toml").write_text(text)
    return folder / "own.toml"


@pytest.mark.parametrize("name", ["own.toml", "own.elf"])
def test_a_described_firmware_gets_and_gives_its_data_where_it_wants(qemu: None, tmp_path: Path, name: str) -> None:
    _own(tmp_path)
    model = (28).to_bytes(4, "little") + b"TFL3" + bytes(64)
    inference = run_inference(model, [(14).to_bytes(4, "little")], [4], firmware=load(tmp_path / name))
    assert inference.outputs == ((42).to_bytes(4, "little"),)
    assert inference.counters == {}


def test_a_described_firmware_that_does_not_say_that_all_went_well_failed(qemu: None, tmp_path: Path) -> None:
    firmware = load(_own(tmp_path, says=b"ERROR - no luck\n"))
    with pytest.raises(FaultError, match="did not complete the inference: no luck"):
        run_inference(bytes(4) + b"TFL3" + bytes(64), [bytes(4)], [4], firmware=firmware)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("metrics", "metric", r"the top level has no key 'metric' \(did you mean metrics\?\)"),
        ("false", "'no'", "metrics: is str 'no', not true or false"),
        ('elf = "own.elf"', "", "elf: is missing"),
        ('elf = "own.elf"', 'elv = "own.elf"', r"elf: is missing, and has no default \(is elv meant to be it\?\)"),
        ("own.elf", "other.elf", "there is no file"),
        (", size = 0x100000 }\ninputs", " }\ninputs", "model.size: is missing"),
        ("0x31100000", "0x31080000", "arena and outputs overlap"),
        ("0x31100000", "0xfffff800", "outputs.size: 4096 is not within 1 to 2048"),
        ("metrics = false", "npu = 'ethos-u99'", "npu: 'ethos-u99' is none of ethos-u55, ethos-u65"),
        ("metrics = false", "memory_modes = [3]", "memory_modes: 3 is no string"),
        ("metrics = false", "metrics =", "is no TOML"),
        ("metrics = false", "metrics = " + "9" * 5000, "is no TOML"),
        ("metrics = false", "metrics = " + "[" * 5000, "is no TOML"),
        ("own.elf", "own.toml", "no ELF file for a 32-bit Arm CPU"),
    ],
)
def test_a_wrong_description_names_what_is_wrong(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in TOML
    path = _own(tmp_path, TOML.replace(old, new))
    with pytest.raises(BadInputError, match=said) as caught:
        load(path)
    assert "own.toml" in str(caught.value)


def test_what_is_neither_elf_nor_description_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="cannot be read"):
        load(tmp_path / "nothing.elf")
    (tmp_path / "text.bin").write_text("text")
    with pytest.raises(BadInputError, match="no ELF file for a 32-bit Arm CPU"):
        load(tmp_path / "text.bin")


def test_an_elf_alone_has_the_addresses_of_arms_runner(runner: Firmware, compiled: Compile, tmp_path: Path) -> None:
    shutil.copy(runner.path, tmp_path / "mine.axf")
    firmware = load(tmp_path / "mine.axf")
    assert firmware == replace(runner, path=tmp_path / "mine.axf")
    int8, model = compiled("kws_ref_int8")
    data = np.random.default_rng(1).integers(-128, 128, (49, 10, 1), np.int8)
    run = create("fvp", engine="open", firmware=firmware.path).run(Deployable(int8, model), [data[None]])
    assert [output[0].tobytes() for output in run.outputs] == oracle(int8, data)
    said = {name: run.identity[name] for name in ("engine", "firmware", "npu", "macs", "memory_mode")}
    assert said == {
        "engine": "open",
        "firmware": runner.sha256,
        "npu": "ethos-u55-128",
        "macs": "128",
        "memory_mode": "Shared_Sram",
    }


@pytest.mark.parametrize("accelerator", ["ethos-u65-256", "ethos-u65-512"])
def test_arms_u65_firmware_runs_models_for_it(runner: Firmware, shared_models: Path, accelerator: str) -> None:
    int8 = (shared_models / "ad01_int8.tflite").read_bytes()
    model = Deployable(int8, compile_model(int8, VelaSettings(accelerator, **U65)).model, NpuConfig(accelerator, **U65))
    data = np.random.default_rng(2).integers(-128, 128, (2, 640), np.int8)
    run = create("fvp", engine="open").run(model, [data])
    assert [output.tobytes() for output in run.outputs[0]] == [oracle(int8, sample)[0] for sample in data]
    assert run.identity["firmware"] != runner.sha256
    assert "Dedicated_Sram memory mode; fast cache size: 393216" in run.log
    sim = {found.name: found.value for found in create("sim").run(model, [data]).measurements}
    fvp = {found.name: found.value for found in run.measurements}
    assert fvp["npu_cycles"] == sim["npu_cycles"]


def test_the_addresses_are_those_that_arms_firmware_prints(runner: Firmware, compiled: Compile) -> None:
    int8, _ = compiled("kws_ref_int8")
    for npu in ("ethos-u55", "ethos-u65"):
        firmware = load_runner(npu)
        uart = run_inference(int8, [bytes(490)], [12], macs=256, firmware=firmware).uart
        assert f"tensor arena at 0x0x{firmware.layout.arena.address:x}" in uart
        assert f"Model pointer: 0x{firmware.layout.model.address:x}" in uart
        assert f"read from 0x{firmware.layout.inputs.address:x}" in uart


def test_a_firmware_refuses_models_for_another_npu_or_other_memories(
    runner: Firmware, shared_models: Path, compiled: Compile
) -> None:
    int8, for_u55 = compiled("ad01_int8")
    for_u65 = compile_model(int8, VelaSettings("ethos-u65-256", **U65)).model
    with pytest.raises(BadInputError, match="for ethos-u55-128 and the firmware's driver is for ethos-u65"):
        run_inference(for_u55, [bytes(640)], [640], firmware=load_runner("ethos-u65"))
    with pytest.raises(BadInputError, match="for ethos-u65-256 and the NPU has 512 MACs"):
        run_inference(for_u65, [bytes(640)], [640], macs=512, firmware=load_runner("ethos-u65"))
    small = load_runner("ethos-u65")
    small = replace(small, layout=replace(small.layout, fast=replace(small.layout.arena, size=16)))
    with pytest.raises(BadInputError, match=r'bytes of fast memory and the firmware has 16 \(.*--arena-cache-size 16"'):
        run_inference(for_u65, [bytes(640)], [640], macs=256, firmware=small)
    shared = Deployable(int8, for_u65, NpuConfig("ethos-u65-256", "Shared_Sram", "Ethos_U65_High_End"))
    with pytest.raises(BadInputError, match=r"memories as in Dedicated_Sram.*not as in Shared_Sram"):
        create("fvp", engine="open").run(shared, [np.zeros((1, 640), np.int8)])
