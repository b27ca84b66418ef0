"""Vela in a child process: its outputs and messages, and the caller's survival of every input."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hil.core.errors import BadInputError, CompileError, HilError, InfrastructureError
from hil.harness.vela import compiler
from hil.harness.vela.compiler import Compiled, check_options, compile_model, vela_version
from hil.harness.vela.settings import VelaSettings, read_config
from hil.targets.execution.signature import read_signature
from tests.support.operators.settings import WITH_DRAM


@pytest.fixture(scope="module")
def resnet(shared_models: Path) -> bytes:
    return (shared_models / "resnet8_int8.tflite").read_bytes()


@pytest.fixture
def temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Folder of the temporary files of this process and of compiler processes that the test starts."""
    compiler._worker().close()
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield tmp_path
    compiler._worker().close()


def test_the_figures_are_velas_own(resnet: bytes) -> None:
    compiled = compile_model(resnet, VelaSettings())
    assert read_signature(compiled.model).operators == ("ethos-u",)
    summary = compiled.summary
    assert (summary.cycles_total, summary.macs, summary.clock_hz) == (201_747, 12_505_748, 500e6)
    assert (summary.sram_bytes, summary.flash_bytes) == (51_840, 79_248)
    assert (summary.weights_original, summary.weights_encoded) == (77_360, 74_592)
    assert summary.cpu_operators == ()
    assert summary.npu_operators.count("CONV_2D") == 9


@pytest.mark.parametrize("options", [(), ("--debug-force-legacy-core",)])
def test_without_a_mapping_the_model_is_the_same(resnet: bytes, options: tuple[str, ...]) -> None:
    mapped, plain = (compile_model(resnet, VelaSettings(options=options), mapped=mapped) for mapped in (True, False))
    assert plain.model == mapped.model
    assert plain.summary == mapped.summary
    assert mapped.mapping
    assert Compiled.from_record(plain.model, json.loads(json.dumps(plain.record()))) == plain
    with pytest.raises(ValueError, match="compiled without a mapping"):
        _ = plain.mapping


@pytest.mark.parametrize(
    ("accelerator", "memory_mode", "flash", "dram", "in_dram"),
    [
        ("ethos-u55-128", "Shared_Sram", 79_248, 0, False),
        ("ethos-u55-128", "Sram_Only", 79_232, 0, False),
        ("ethos-u65-256", "Shared_Sram", 79_248, 79_248, True),
        ("ethos-u65-256", "Dedicated_Sram", 79_248, 82_320, True),  # with part of the arena
    ],
)
def test_read_only_data_is_counted_in_any_memory(
    resnet: bytes, accelerator: str, memory_mode: str, flash: int, dram: int, in_dram: bool
) -> None:
    summary = compile_model(resnet, VelaSettings(accelerator, memory_mode)).summary
    assert (summary.flash_bytes, summary.dram_bytes, summary.weights_in_dram) == (flash, dram, in_dram)
    split = compile_model(resnet, VelaSettings(accelerator, memory_mode, options=("--ignore-ops ADD",))).summary
    assert summary.flash_bytes <= split.flash_bytes < summary.flash_bytes + 100  # operators share the data


def test_every_command_leads_back_to_its_operator(resnet: bytes) -> None:
    source = read_signature(resnet)
    for options in ((), ("--ignore-ops ADD",)):
        mapping = compile_model(resnet, VelaSettings(options=options)).mapping
        convolutions = [entry for entry in mapping if entry.operator == "CONV_2D"]
        assert {entry.operator_index for entry in convolutions} == {0, 1, 2, 4, 5, 6, 8, 9, 10}
        assert {entry.stream for entry in mapping} == set(range(4 if options else 1))
        for entry in convolutions:
            assert entry.tensor == source.operator_outputs[entry.operator_index]
        assert mapping[-1].operator == "SOFTMAX"
        assert mapping[-1].tensor == source.outputs[0].name


def test_options_pass_through(resnet: bytes) -> None:
    small = compile_model(resnet, VelaSettings(options=("--optimise Size",)))
    assert small.summary.sram_bytes < 40_000
    ignored = compile_model(resnet, VelaSettings(options=("--ignore-ops", "ADD")))
    assert ignored.summary.cpu_operators == ("ADD",) * 3


def test_the_deprecated_core_maps_too_and_keeps_models_apart(resnet: bytes) -> None:
    legacy = VelaSettings(options=("--debug-force-legacy-core",))
    first, second = (compile_model(resnet, legacy) for _ in range(2))
    assert first.mapping == second.mapping
    assert {entry.operator_index for entry in first.mapping} == set(range(16)) - {13}  # RESHAPE costs nothing
    assert first.mapping[-1].tensor == read_signature(resnet).outputs[0].name


def test_a_configuration_of_the_users_own(resnet: bytes, tmp_path: Path) -> None:
    path = tmp_path / "board.ini"
    path.write_text(WITH_DRAM)
    settings = VelaSettings("ethos-u55-64", "Dedicated", "With_Dram", read_config(path))
    summary = compile_model(resnet, settings).summary
    assert summary.clock_hz == 400e6
    assert summary.dram_bytes > 0
    with pytest.raises(BadInputError, match="cannot be read"):
        read_config(tmp_path / "other.ini")


def test_what_is_stored_can_be_read_back(resnet: bytes) -> None:
    compiled = compile_model(resnet, VelaSettings(options=("--ignore-ops ADD",)))
    assert Compiled.from_record(compiled.model, compiled.record()) == compiled


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (VelaSettings("ethos-u99"), r"no accelerator is called 'ethos-u99' \(known are ethos-u55-32"),
        (VelaSettings("ethos-u85-256"), "no accelerator is called 'ethos-u85-256'"),
        (VelaSettings(memory_mode="Fast"), "Memory_Mode.Fast not found"),
        (VelaSettings(memory_mode="Dedicated_Sram"), "configuration file of your own"),
        (VelaSettings(system_config="Mine"), "System_Config.Mine not found"),
        (VelaSettings(config_text="no configuration"), "no section headers"),
        (VelaSettings(options=("--optimise Speed",)), "'Speed' is not known"),
        (VelaSettings(options=("--no-such-option",)), "unrecognized arguments: --no-such-option"),
        (VelaSettings(options=("--output-dir /",)), "'--output-dir' cannot be passed through"),
        (VelaSettings(options=("--accel=ethos-u55-32",)), "cannot be passed through"),
    ],
)
def test_settings_that_vela_does_not_know(resnet: bytes, settings: VelaSettings, message: str) -> None:
    with pytest.raises(BadInputError, match=message) as caught:
        compile_model(resnet, settings)
    assert "\n" not in str(caught.value)
    if settings.options:
        with pytest.raises(BadInputError, match=message):
            check_options(settings)


def test_files_that_are_no_quantized_model(resnet: bytes) -> None:
    with pytest.raises(BadInputError, match=r"notes\.txt is no TFLite model"):
        compile_model(b"these are notes, not a model", VelaSettings(), name="notes.txt")
    with pytest.raises(BadInputError, match="is a damaged TFLite file"):
        compile_model(resnet[:20_000], VelaSettings())
    with pytest.raises(BadInputError, match="is an output of Vela already"):
        compile_model(compile_model(resnet, VelaSettings()).model, VelaSettings())


def test_damaged_models_end_in_a_typed_error_or_a_model(
    resnet: bytes, temporary_files: Path, damaged: Callable[..., Iterator[bytes]]
) -> None:
    errors: list[HilError] = []
    tables = 78_000  # from here on are the graph's tables; before them are weights, any value of which is fine
    for model in damaged(resnet, 2, tables):
        try:
            compile_model(model, VelaSettings())
        except HilError as error:
            errors.append(error)
    left = [path for path in temporary_files.rglob("*") if not path.name.startswith("hil-worker-")]
    assert left == [], "a crash of the compiler leaves its folder"
    assert {type(error) for error in errors} == {BadInputError, CompileError}
    assert not any("\n" in str(error) for error in errors)
    assert compile_model(resnet, VelaSettings()).summary.cycles_total == 201_747


def test_a_compiler_that_is_killed_again_and_again_is_no_defect_of_the_model(
    resnet: bytes, temporary_files: Path, killed: Callable[..., contextlib.AbstractContextManager[None]]
) -> None:
    # The compiler takes a third of a second to start, in which it is killed.
    with killed(compiler._worker), pytest.raises(InfrastructureError, match="died of signal 9"):
        compile_model(resnet, VelaSettings())
    assert list(temporary_files.iterdir()) == []


def test_a_killed_compiler_is_started_again(resnet: bytes) -> None:
    compile_model(resnet, VelaSettings())
    pid = compiler._worker().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert compile_model(resnet, VelaSettings()).summary.cycles_total == 201_747


def test_the_version_is_the_installed_one() -> None:
    assert vela_version().startswith("5.")
