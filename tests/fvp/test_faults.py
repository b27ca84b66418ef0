"""The fault table: each failure ends in its typed error with the UART log, and nothing is left behind.

Arm's firmware and QEMU are the real ones in every row; only the fault is made.  Faults that Arm's firmware
cannot show (a driver that waits for ever) come from a tiny one.  `test_inference` has the rows on models: too large for
the arena or its region, an operator that the firmware lacks.
"""

from __future__ import annotations

import contextlib
import gc
import os
import random
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from hil.core.errors import BootError, FaultError, FvpError, HangError, QemuHangsError, StoppedError, StreamError
from hil.fvp.command_line import contract
from hil.fvp.command_line.contract import CommandLine
from hil.fvp.inference import admission, firmware
from hil.fvp.inference.inference import run_inference
from hil.fvp.machine import qemu
from hil.fvp.machine.simulation import Machine
from hil.fvp.machine.start import start
from hil.fvp.machine.time_limits import End, TimeLimits, TimeUpError
from hil.npu.stream.payload import parse_payload
from hil.npu.vela_output import NpuOperator, read_compiled
from tests.support.corstone300 import COMMAND, UART_OUT
from tests.support.own_firmware import MESSAGE, own_firmware, stuck_firmware
from tests.support.processes import children_of, code_after, wait_until_gone
from tests.support.reference import oracle
from tests.support.thumb import Program

Compile = Callable[..., tuple[bytes, bytes]]

INPUT = bytes(490)


def _with_tensors_at(model: bytes, offset: int) -> bytes:
    """A TFLite file whose first subgraph says that its tensors are `offset` bytes further on."""

    def field(table: int, number: int) -> int:
        entries = table - struct.unpack_from("<i", model, table)[0]
        return table + struct.unpack_from("<H", model, entries + 4 + 2 * number)[0]

    def follow(at: int) -> int:
        return at + struct.unpack_from("<I", model, at)[0]

    tensors = field(follow(follow(field(follow(0), 2)) + 4), 0)
    return model[:tensors] + struct.pack("<I", offset) + model[tensors + 4 :]


def _left_behind(before: set[str]) -> list[object]:
    """Processes below this one that are simulators, and files in /dev/shm that were not there `before`."""
    until = time.monotonic() + 120
    while found := [pid for pid in children_of(os.getpid()) if _is_simulator(pid)]:
        if time.monotonic() > until:
            break
        time.sleep(0.02)
    return [*found, *(_shared_memory() - before)]


def _is_simulator(pid: int) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"corstone300" in command or b"qemu-system" in command


def _shared_memory() -> set[str]:
    folder = Path("/dev/shm")
    return {file.name for file in folder.iterdir() if "corstone" in file.name or "fvp" in file.name}


@pytest.mark.parametrize(("offset", "said"), [(0x5FFF_0000, "HardFault_Handler"), (0x0FFF_FF00, "assertion")])
def test_a_fault_or_an_assertion_of_arms_firmware_is_told_at_once(
    runner: firmware.Firmware, compiled: Compile, offset: int, said: str
) -> None:
    damaged = _with_tensors_at(compiled("kws_ref_int8")[0], offset)
    started = time.monotonic()
    with pytest.raises(FaultError, match=f"the firmware faulted: .*{said}") as caught:
        run_inference(damaged, [INPUT], [12], time_limit_s=600)
    assert "Model pointer" in caught.value.log
    assert time.monotonic() - started < 600


@pytest.fixture
def endless(compiled: Compile) -> bytes:
    """A model whose command stream never stops."""
    _, model = compiled("kws_ref_int8")
    stream = parse_payload(model[model.index(b"COP1") :])[1].astype("<u4").tobytes()
    words = np.frombuffer(stream, "<u4").copy()
    words[(words & 0xFFFF) == 0] = 0x0012  # NPU_OP_KERNEL_WAIT 0, for each NPU_OP_STOP
    return model.replace(stream, words.tobytes())


def test_a_stream_that_never_stops_is_the_npus_error(
    runner: firmware.Firmware, endless: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "check_streams", lambda model: None)  # as a firmware that makes its own stream
    with pytest.raises(FaultError, match=r"the NPU met an error: .*word") as caught:
        run_inference(endless, [INPUT], [12])
    assert "Model pointer" in caught.value.log


@pytest.mark.usefixtures("runner")
def test_a_damaged_stream_or_damaged_weights_of_a_file_are_bad_input(compiled: Compile, endless: bytes) -> None:
    _, model = compiled("kws_ref_int8")
    found = read_compiled(model).main
    weights = found.tensors[next(one.read_only for one in found.operators if isinstance(one, NpuOperator))].data
    assert weights is not None
    noise = np.random.default_rng(0).bytes(len(weights))
    for damaged in (endless, model.replace(weights.tobytes(), noise)):
        with pytest.raises(StreamError, match="word"):
            run_inference(damaged, [INPUT], [12])


def test_a_driver_that_waits_for_ever_hangs(runner: firmware.Firmware, compiled: Compile, tmp_path: Path) -> None:
    waiting = Program()
    waiting.send(MESSAGE)
    waiting.set(0, 0x5810_2000)
    waiting.code(0x6841, 0xE7FD)  # LDR r1, [r0, #4]: STATUS; B back to it
    before = _shared_memory()
    with pytest.raises(HangError, match="last line: INFO - Allocating tensors") as caught:
        run_inference(
            compiled("kws_ref_int8")[0], [INPUT], [12], time_limit_s=3, firmware=own_firmware(tmp_path / "a", waiting)
        )
    assert "Allocating" in caught.value.log
    assert not _left_behind(before)


def _work_for_ever(limits: TimeLimits) -> None:
    with limits.guarding():
        while True:
            pass


def test_the_hosts_time_limit_ends_the_npus_work_too() -> None:
    limits = TimeLimits(CommandLine(timelimit=0.05))
    limits.begin()
    with pytest.raises(TimeUpError):
        _work_for_ever(limits)
    time.sleep(0.1)  # The alarm is off.
    with TimeLimits(CommandLine()).guarding():
        pass


def _kill_qemu(parent: int, after: float) -> None:
    for pid in _wait_for_boards(parent):
        time.sleep(after)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _wait_for_boards(parent: int) -> list[int]:
    """Waits until a QEMU that plays a board runs below `parent`; gives the first few of them."""
    until = time.monotonic() + 600
    found: list[int] = []
    while not found and time.monotonic() < until:
        for pid in children_of(parent):
            with contextlib.suppress(OSError):
                if b"-gdb" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                    found.append(pid)
        time.sleep(0.002)
    return found


@pytest.mark.parametrize("after", [0.0, 0.5])
def test_a_killed_qemu_is_told_with_the_log(
    runner: firmware.Firmware, compiled: Compile, tmp_path: Path, after: float
) -> None:
    killer = threading.Thread(target=_kill_qemu, args=[os.getpid(), after])
    before = _shared_memory()
    killer.start()
    with pytest.raises(FvpError, match=r"signal 9") as caught:
        run_inference(
            compiled("kws_ref_int8")[0], [INPUT], [12], time_limit_s=600, firmware=stuck_firmware(tmp_path / "a")
        )
    killer.join()
    assert isinstance(caught.value, BootError | FaultError)
    assert not after or "Allocating" in caught.value.log or isinstance(caught.value, BootError)
    assert not _left_behind(before)


def test_a_qemu_killed_behind_the_firmwares_end_is_told_as_such(
    qemu: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The moment at which the memory is about to be saved: one in fifty random ones."""
    program = Program()
    program.send(MESSAGE)
    program.end()
    (tmp_path / "a.elf").write_bytes(program.elf())
    uart = ("-C", f"mps3_board.uart0.out_file={tmp_path}/uart", "-C", "mps3_board.uart0.shutdown_on_eot=1")
    line = contract.parse(["-a", f"{tmp_path}/a.elf", *uart, "--dump", f"{tmp_path}/out@0x93000000,16"])
    with start(line) as started, Machine(line, started) as machine:
        ended = machine._loop

        def killed_at_its_end() -> End:
            end = ended()
            started.process.kill()
            started.process.wait()
            return end

        monkeypatch.setattr(machine, "_loop", killed_at_its_end)
        with pytest.raises(FaultError, match=r"QEMU ended by itself \(signal 9\)"):
            machine.run()
    assert (tmp_path / "uart").read_bytes().startswith(MESSAGE)
    assert not (tmp_path / "out").exists()


def test_a_killed_qemu_is_an_infrastructure_failure_of_hil_run(
    runner: firmware.Firmware, compiled: Compile, tmp_path: Path
) -> None:
    (tmp_path / "model.tflite").write_bytes(compiled("kws_ref_int8")[1])
    child = subprocess.Popen(
        [sys.executable, "-m", "hil.harness.cli", "run", "model.tflite", "--target", "fvp", "--engine", "open",
         "--samples", "200"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
    )  # fmt: skip
    _kill_qemu(child.pid, 0.0)
    _, said = child.communicate(timeout=600)
    assert child.returncode == 3, said
    assert "signal 9" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -15)])
def test_hil_run_ended_by_a_signal_takes_everything_along(
    runner: firmware.Firmware, compiled: Compile, tmp_path: Path, sign: signal.Signals, code: int
) -> None:
    name = f"ended-{sign.name}-{os.getpid()}.tflite"
    (tmp_path / name).write_bytes(compiled("kws_ref_int8")[1])
    child = subprocess.Popen(
        [sys.executable, "-m", "hil.harness.cli", "run", name, "--target", "fvp", "--engine", "open", "--samples",
         "500"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
    )  # fmt: skip
    below = _wait_for_boards(child.pid)
    time.sleep(random.uniform(0, 0.5))
    child.send_signal(sign)
    _, said = child.communicate(timeout=600)
    assert below
    assert child.returncode == code
    assert "Traceback" not in said
    until = time.monotonic() + 120
    while (left := [pid for pid in below if _is_simulator(pid)]) and time.monotonic() < until:
        time.sleep(0.02)
    assert not left


def test_a_qemu_that_answers_no_more_is_told(runner: firmware.Firmware, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu, "ANSWER_SECONDS", 0.2)
    with qemu.start(runner.path, []) as started:
        started.gdb.connect()
        started.process.send_signal(signal.SIGSTOP)
        with pytest.raises(QemuHangsError):
            started.gdb.registers()
        with pytest.raises(QemuHangsError):
            started.qtest.read(0x3100_0000, 4)
    assert started.process.returncode == -signal.SIGKILL


def test_a_stopped_qemu_meets_the_time_limit(qemu: None, tmp_path: Path) -> None:
    path = stuck_firmware(tmp_path / "stopped.elf").path
    child = subprocess.Popen(
        [*COMMAND, "-a", str(path), *UART_OUT, "--timelimit", "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdout.readline() == MESSAGE  # The CPU runs.
    for pid in children_of(child.pid):
        os.kill(pid, signal.SIGSTOP)
    _, said = child.communicate(timeout=600)
    assert child.returncode == 0, said
    assert b"CPU time has been exceeded" in said
    assert not wait_until_gone(str(path))


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_any_moment_of_arms_firmware_leaves_nothing(
    runner: firmware.Firmware, compiled: Compile, tmp_path: Path, sign: signal.Signals
) -> None:
    model, inputs = tmp_path / f"signal-{sign.name}.tflite", tmp_path / "ifm"
    model.write_bytes(compiled("kws_ref_int8")[1])
    inputs.write_bytes(INPUT * 1000)
    samples = ["-C", "open.samples=1000", "-C", f"open.samples_address={runner.layout.inputs.address:#x}"]
    command = [
        *COMMAND, "-a", str(runner.path), *UART_OUT, *samples, "--data", f"{model}@{runner.layout.model.address:#x}",
        "--data", f"{inputs}@{runner.layout.inputs.address:#x}",
    ]  # fmt: skip
    before = _shared_memory()
    for delay in sorted(random.Random(int(sign)).uniform(0, 0.8) for _ in range(6)):
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=tmp_path)
        time.sleep(delay)
        assert code_after(child, sign) in (-sign, 1)  # 1: Python was not yet ready for signals.
    assert not wait_until_gone(str(model))
    assert not _left_behind(before)


def test_a_run_that_is_stopped_keeps_its_log(runner: firmware.Firmware, compiled: Compile, tmp_path: Path) -> None:
    stop, before = threading.Event(), _shared_memory()
    threading.Timer(1.5, stop.set).start()
    with pytest.raises(StoppedError):
        run_inference(
            compiled("kws_ref_int8")[0],
            [INPUT],
            [12],
            time_limit_s=600,
            firmware=stuck_firmware(tmp_path / "a"),
            stop=stop,
        )
    assert not _left_behind(before)


def test_eight_in_parallel_give_the_oracles_outputs(runner: firmware.Firmware, compiled: Compile) -> None:
    int8, model = compiled("kws_ref_int8")
    samples = [np.random.default_rng(seed).integers(-128, 128, (49, 10, 1), np.int8) for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda data: run_inference(model, [data.tobytes()], [12]), samples))
    assert [list(run.outputs) for run in runs] == [oracle(int8, data) for data in samples]
    assert len({run.uart for run in runs}) == 1


def test_run_after_run_leaves_nothing_in_this_process(runner: firmware.Firmware, compiled: Compile) -> None:
    _, model = compiled("kws_ref_int8")
    run_inference(model, [INPUT], [12])
    gc.collect()  # what other tests left to it closes descriptors when it likes
    before = _shared_memory(), len(list(Path("/proc/self/fd").iterdir())), threading.active_count()
    for _ in range(6):
        run_inference(model, [INPUT], [12])
    assert (_shared_memory(), len(list(Path("/proc/self/fd").iterdir())), threading.active_count()) == before
    assert not _left_behind(before[0])
