"""Arm's firmware on the open Corstone-300: the oracle's outputs, counters, one clear error for each failure."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from hil.core.errors import BadInputError, BootError, FaultError, HangError, StreamError
from hil.core.npu_config import NpuConfig
from hil.fvp.engines.engine import Engine
from hil.fvp.inference import admission, firmware
from hil.fvp.inference.inference import run_inference
from hil.harness.vela.compiler import compile_model
from hil.harness.vela.settings import VelaSettings
from hil.npu.vela_output import CpuOperator, NpuOperator, read_compiled
from hil.targets import create
from hil.targets.base import Deployable
from tests.support.arm_program import program
from tests.support.processes import children_of
from tests.support.reference import oracle
from tests.support.thumb import Program

Compile = Callable[..., tuple[bytes, bytes]]

SHAPES = {"ad01_int8": (640,), "kws_micronet_m": (49, 10, 1), "kws_ref_int8": (49, 10, 1), "resnet8_int8": (32, 32, 3)}


def _with_stream_of_4_bytes(model: bytes) -> bytes:
    at = model.index(b"COP1")  # before it stands the length of the vector
    return model[: at - 4] + (4).to_bytes(4, "little") + model[at:]


def _input(name: str, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-128, 128, SHAPES[name], np.int8)


def test_a_compiled_model_gives_the_oracles_outputs_and_its_counters(
    runner: firmware.Firmware, compiled: Compile
) -> None:
    """One of many: `test_conformance` has every model and accelerator."""
    int8, model = compiled("ad01_int8", "ethos-u55-64")
    data = _input("ad01_int8")
    inference = run_inference(model, [data.tobytes()], [640], macs=64)
    assert list(inference.outputs) == oracle(int8, data)
    assert inference.used_npu
    assert inference.counters["NPU TOTAL"] == inference.counters["NPU ACTIVE"] + inference.counters["NPU IDLE"]
    assert inference.counters["NPU AXI0_RD_DATA_BEAT_RECEIVED"] > 0
    assert inference.counters["NPU AXI1_RD_DATA_BEAT_RECEIVED"] > 0
    assert inference.arena_used is not None
    assert 0 < inference.arena_used <= runner.layout.arena.size
    assert (inference.engine, inference.modelled) == ("open", True)
    assert inference.firmware_sha256 == runner.sha256


def test_a_model_that_vela_never_saw_runs_on_the_cpu_and_reports_no_npu_cycles(
    runner: firmware.Firmware, compiled: Compile
) -> None:
    int8, _ = compiled("kws_ref_int8")
    data = _input("kws_ref_int8", 1)
    inference = run_inference(int8, [data.tobytes()], [12])
    assert list(inference.outputs) == oracle(int8, data)
    assert not inference.used_npu
    assert not [name for name in inference.counters if name.startswith("NPU")]


def test_operators_on_the_cpu_between_npu_operators(runner: firmware.Firmware, compiled: Compile) -> None:
    int8, _ = compiled("resnet8_int8")
    model = compile_model(int8, VelaSettings(options=("--ignore-ops ADD",))).model
    kinds = [type(operator) for operator in read_compiled(model).main.operators]
    assert kinds.count(NpuOperator) > 1
    assert CpuOperator in kinds
    data = _input("resnet8_int8")
    inference = run_inference(model, [data.tobytes()], [10])
    assert list(inference.outputs) == oracle(int8, data)
    sim = create("sim").run(Deployable(int8, model), [data[None]])
    cycles = next(found.value for found in sim.measurements if found.name == "npu_cycles")
    assert inference.counters["NPU TOTAL"] == cycles  # The sum over all NPU operators.


@pytest.fixture(scope="session")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the models that `networks.py` makes; workers of one run share it."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    base = tmp_path_factory.getbasetemp()
    folder = base.parent / f"fvp-{run}" if run else base / "fvp"
    folder.mkdir(exist_ok=True)
    with FileLock(folder / "lock"):
        if not (folder / "too_large.tflite").exists():  # the last one that is made
            subprocess.run([sys.executable, str(Path(__file__).with_name("networks.py")), str(folder)], check=True)
    return folder


@pytest.fixture
def two_inputs(networks: Path) -> bytes:
    return (networks / "two_inputs.tflite").read_bytes()


@pytest.fixture
def too_large(networks: Path) -> bytes:
    return (networks / "too_large.tflite").read_bytes()


@pytest.mark.parametrize("use_npu", [True, False], ids=["npu", "cpu"])
def test_several_inputs_and_outputs_lie_one_after_the_other_in_the_models_order(
    runner: firmware.Firmware, two_inputs: bytes, use_npu: bool
) -> None:
    model = compile_model(two_inputs, VelaSettings()).model
    main = read_compiled(model).main
    random = np.random.default_rng(2)
    inputs = [random.integers(-128, 128, main.tensors[index].shape[1:], np.int8) for index in main.inputs]
    sizes = [main.tensors[index].bytes for index in main.outputs]
    assert sorted(sizes) == [7, 108]
    inference = run_inference(model if use_npu else two_inputs, [data.tobytes() for data in inputs], sizes)
    assert list(inference.outputs) == oracle(two_inputs, *inputs)


def test_cycles_follow_the_memories_that_are_assumed(runner: firmware.Firmware, compiled: Compile) -> None:
    _, model = compiled("kws_ref_int8")
    data = _input("kws_ref_int8").tobytes()
    fast = run_inference(model, [data], [12])
    slow = run_inference(model, [data], [12], npu=NpuConfig(system_config="Ethos_U55_Deep_Embedded"))
    assert slow.counters["NPU TOTAL"] > fast.counters["NPU TOTAL"]
    with pytest.raises(BadInputError, match="No_Such"):
        run_inference(model, [data], [12], npu=NpuConfig(system_config="No_Such"))


def test_a_model_for_other_macs_is_refused_before_anything_starts(runner: firmware.Firmware, compiled: Compile) -> None:
    _, model = compiled("kws_ref_int8", "ethos-u55-32")
    with pytest.raises(BadInputError, match=r"compiled for ethos-u55-32 .* 128 MACs") as caught:
        run_inference(model, [bytes(490)], [12])
    assert "ethos-u55-128" in caught.value.hint


def test_the_firmware_refuses_a_model_for_other_macs_too(
    runner: firmware.Firmware, compiled: Compile, tmp_path: Path
) -> None:
    _, model = compiled("kws_ref_int8", "ethos-u55-32")
    (tmp_path / "m").write_bytes(model)
    done = subprocess.run(
        [sys.executable, "-m", "hil.fvp.corstone300", "-a", str(runner.path), "--data", f"{tmp_path}/m@0x90000000",
         "-C", "mps3_board.uart0.out_file=-", "-C", "mps3_board.uart0.shutdown_on_eot=1", "--timelimit", "600"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert "Node ethos-u (number 0) failed to invoke" in done.stdout


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda model: b"x" * 4000, "not a TFLite file"),
        (lambda model: model + bytes(33 << 20), "do not fit"),
        (lambda model: model[: len(model) // 2], "damaged|cut short|tensor|ends"),
        (lambda model: _with_stream_of_4_bytes(model), "has 4 bytes"),
    ],
    ids=["text", "too large", "cut", "stream cut"],
)
def test_what_is_no_model_is_one_clear_error(
    runner: firmware.Firmware, compiled: Compile, change: Callable[[bytes], bytes], said: str
) -> None:
    _, model = compiled("kws_ref_int8")
    with pytest.raises(BadInputError, match=said):
        run_inference(change(model), [bytes(490)], [12])


@pytest.mark.parametrize(("inputs", "outputs"), [([489], [12]), ([490, 1], [12]), ([490], [11])])
def test_wrong_sizes_are_refused(
    runner: firmware.Firmware, compiled: Compile, inputs: list[int], outputs: list[int]
) -> None:
    _, model = compiled("kws_ref_int8")
    with pytest.raises(BadInputError, match="bytes, not"):
        run_inference(model, [bytes(size) for size in inputs], outputs)


def test_a_model_too_large_for_the_arena_is_told_with_the_firmwares_words(
    runner: firmware.Firmware, too_large: bytes
) -> None:
    match = r"did not complete the inference: .*(allocat|arena|resize).*\(smaller inputs or fewer channels"
    with pytest.raises(BadInputError, match=match) as caught:
        run_inference(too_large, [bytes(512 * 512 * 4)], [512 * 512 * 4])
    assert "Allocating tensors" in caught.value.log


@pytest.mark.parametrize(
    ("npu", "macs", "hint"),
    [
        (
            "ethos-u55",
            128,
            'compile it with --vela-option "--arena-cache-size 1048576"; if that is not enough, smaller',
        ),
        ("ethos-u65", 256, "smaller inputs or fewer channels need less, and --target sim has no limit"),
    ],
)
def test_a_compiled_model_too_large_for_the_arena_is_refused_before_anything_starts(
    too_large: bytes, npu: str, macs: int, hint: str
) -> None:
    """A U65's fast memory is named in its own error: its arena is for what Vela left out of it."""
    model = compile_model(too_large, VelaSettings(f"{npu}-{macs}")).model
    known = firmware.known_runner(npu)
    small = replace(known, layout=replace(known.layout, arena=replace(known.layout.arena, size=1 << 20)))
    with pytest.raises(BadInputError, match=r"an arena of \d+ bytes and the firmware has 1048576") as caught:
        admission.check(model, [512 * 512 * 4], [512 * 512 * 4], macs, small)
    assert caught.value.hint.startswith(hint)


@pytest.fixture
def silent(tmp_path: Path) -> Engine:
    """Stands for a firmware that aborts while it allocates: it says nothing, and its simulator ends as usual."""
    said = "INFO - Allocating tensors\\nINFO - program terminating...\\n"
    return Engine("arm", "", (str(program(tmp_path / "fvp", f"printf '{said}'")),), modelled=False)


def test_firmware_that_ends_silently_while_allocating_has_most_likely_too_small_an_arena(
    compiled: Compile, silent: Engine
) -> None:
    _, model = compiled("kws_ref_int8")
    known = firmware.known_runner("ethos-u55")
    small = replace(known, layout=replace(known.layout, arena=replace(known.layout.arena, size=32 << 10)))
    with pytest.raises(BadInputError, match=r"ended without a word after 'Allocating tensors' \(.*too small") as caught:
        run_inference(model, [bytes(490)], [12], engine=silent, firmware=small)
    assert "--arena-cache-size 32768" in caught.value.hint


@pytest.mark.usefixtures("runner")
def test_firmware_that_ends_silently_with_room_in_its_arena_has_a_kernel_that_aborts(
    compiled: Compile, silent: Engine
) -> None:
    int8, model = compiled("kws_ref_int8")
    with pytest.raises(BadInputError, match=r"2097152 bytes has room for the model's \d+; --target sim runs it"):
        run_inference(model, [bytes(490)], [12], engine=silent)
    with_cpu = compile_model(int8, VelaSettings(options=("--ignore-ops SOFTMAX",))).model
    with pytest.raises(BadInputError, match="one of its kernels ends it, for SOFTMAX, which Vela left to the CPU"):
        run_inference(with_cpu, [bytes(490)], [12], engine=silent)


def test_an_operator_that_the_firmware_lacks_is_named(runner: firmware.Firmware, compiled: Compile) -> None:
    int8, _ = compiled("kws_ref_int8")
    softmax, embedding_lookup_sparse = 25, 33
    with pytest.raises(BadInputError, match=r"firmware did not complete.*EMBEDDING_LOOKUP_SPARSE") as caught:
        run_inference(_with_operator(int8, softmax, embedding_lookup_sparse), [bytes(490)], [12])
    assert "Model pointer" in caught.value.log


def _with_operator(model: bytes, old: int, new: int) -> bytes:
    """`model` with the operator code `old` (TFLite's builtin number, below 127) replaced."""
    from ethosu.vela.tflite import Model

    root = Model.Model.GetRootAsModel(bytearray(model), 0)
    changed = bytearray(model)
    for index in range(root.OperatorCodesLength()):
        code = root.OperatorCodes(index)
        if code.DeprecatedBuiltinCode() == old:
            changed[code._tab.Pos + code._tab.Offset(4)] = new
    assert bytes(changed) != model
    return bytes(changed)


def _with_firmware(path: Path, program: Program) -> firmware.Firmware:
    path.write_bytes(program.elf())
    return replace(firmware.runner(), path=path)


def test_firmware_that_says_nothing_did_not_boot(runner: firmware.Firmware, compiled: Compile, tmp_path: Path) -> None:
    silent = Program()
    silent.code(0xE7FE)
    int8, _ = compiled("kws_ref_int8")
    with pytest.raises(BootError, match=r"printed nothing: the FVP is computing for 0\.3 s"):
        run_inference(int8, [bytes(490)], [12], time_limit_s=0.3, firmware=_with_firmware(tmp_path / "a.elf", silent))
    assert not _fvps()


def test_firmware_that_stops_in_the_middle_hangs_and_its_last_line_is_told(
    runner: firmware.Firmware, compiled: Compile, tmp_path: Path
) -> None:
    stuck = Program()
    stuck.send(b"INFO - Allocating tensors\n")
    stuck.code(0xE7FE)
    int8, _ = compiled("kws_ref_int8")
    with pytest.raises(HangError, match="last line: INFO - Allocating tensors") as caught:
        run_inference(int8, [bytes(490)], [12], time_limit_s=2, firmware=_with_firmware(tmp_path / "a.elf", stuck))
    assert "Allocating" in caught.value.log
    assert not _fvps()


def test_a_fault_handlers_line_ends_the_run_at_once(
    runner: firmware.Firmware, compiled: Compile, tmp_path: Path
) -> None:
    faulty = Program()
    faulty.send(b"Interrupt caught by function HardFault_Handler\n")
    faulty.code(0xE7FE)
    int8, _ = compiled("kws_ref_int8")
    with pytest.raises(FaultError, match="HardFault_Handler"):
        run_inference(int8, [bytes(490)], [12], time_limit_s=600, firmware=_with_firmware(tmp_path / "a.elf", faulty))
    assert not _fvps()


def test_a_command_stream_that_is_not_modelled_names_the_command(runner: firmware.Firmware, compiled: Compile) -> None:
    _, model = compiled("kws_ref_int8")
    at = model.index(b"COP1")
    stream = model.index(b"\x0f\x01", at + 24)  # NPU_SET_IFM_REGION; 0x01ff is no command of the NPU
    broken = model[:stream] + b"\xff\x01" + model[stream + 2 :]
    with pytest.raises(StreamError, match=r"0x1ff \(command at word 9\)"):
        run_inference(broken, [bytes(490)], [12])


def test_four_at_a_time_give_the_same_as_one_after_the_other(runner: firmware.Firmware, compiled: Compile) -> None:
    int8, model = compiled("kws_micronet_m")
    samples = [_input("kws_micronet_m", seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda data: run_inference(model, [data.tobytes()], [12]), samples))
    assert [list(run.outputs) for run in runs] == [oracle(int8, data) for data in samples]
    assert not _fvps()


def test_without_its_wheel_the_install_command_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mlia").mkdir()
    (tmp_path / "mlia" / "__init__.py").touch()
    code = "from hil.fvp.inference.firmware import runner; runner()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(tmp_path)}
    )
    assert "pip install mlia-ethos-u" in done.stderr.splitlines()[-1]


def _fvps() -> list[int]:
    """Living children of this process that are FVPs or QEMUs."""
    return [pid for pid in children_of(os.getpid()) if b"corstone300" in _command(pid) or b"qemu" in _command(pid)]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
