"""A later process starts from a kept state and gives what a boot gives, bit for bit."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hil.fvp.inference import firmware
from hil.fvp.inference.inference import Inference, run_inference, run_inferences
from hil.fvp.machine.kept_jobs import KeptJob
from hil.harness.store.store import Store
from hil.npu.native.image import Image
from tests.support.corstone300 import COMMAND
from tests.support.keeping_board import INPUTS, KeepingBoard, kept_in, replace_state
from tests.support.reference import oracle

Compile = Callable[..., tuple[bytes, bytes]]


def figures(run: Inference) -> tuple[object, ...]:
    return run.outputs, run.counters, run.arena_used, run.uart, run.pmu, run.overflowed


@pytest.mark.parametrize(
    ("model", "accelerator"),
    [
        ("kws_micronet_m", "ethos-u55-128"),
        pytest.param("kws_ref_int8", "ethos-u65-512", marks=pytest.mark.nightly),
    ],
)
def test_a_later_process_gives_what_a_boot_gives(
    qemu: None, compiled: Compile, tmp_path: Path, model: str, accelerator: str
) -> None:
    """Outputs, counters of the PMU, cycles and UART log, bit for bit."""
    _, vela = compiled(model, accelerator)
    used = firmware.runner(accelerator.rpartition("-")[0])
    macs = int(accelerator.rpartition("-")[2])
    samples = [[bytes((7 * number + seed) & 0xFF for number in range(490))] for seed in range(3)]
    booted = [run_inference(vela, sample, [12], macs=macs, firmware=used) for sample in samples]
    first = run_inference(vela, samples[0], [12], macs=macs, firmware=used, store=tmp_path)
    later = [run_inference(vela, sample, [12], macs=macs, firmware=used, store=tmp_path) for sample in samples]
    together = run_inferences(vela, samples, [12], macs=macs, firmware=used, store=tmp_path)
    assert [run.restored for run in (*booted, first)] == [False] * 4
    assert all(run.restored for run in (*later, *together))
    assert figures(first) == figures(booted[0])
    assert [*map(figures, later)] == [*map(figures, together)] == [*map(figures, booted)]
    assert booted[0].counters["NPU TOTAL"] > 0
    state = kept_in(tmp_path)
    assert state.complete
    assert state.jobs


def test_a_state_of_several_samples_serves_one(runner: firmware.Firmware, compiled: Compile, tmp_path: Path) -> None:
    vela = compiled("kws_ref_int8")[1]
    samples = [[bytes([seed]) * 490] for seed in range(2)]
    together = run_inferences(vela, samples, [12], store=tmp_path)
    alone = run_inference(vela, samples[1], [12], store=tmp_path)
    assert [run.restored for run in (*together, alone)] == [False, True, True]
    assert figures(alone) == figures(together[1])


def test_kernels_of_the_cpu_start_from_a_state_too(
    runner: firmware.Firmware, compiled: Compile, tmp_path: Path
) -> None:
    import numpy as np

    int8 = compiled("kws_ref_int8")[0]
    samples = [np.random.default_rng(seed).integers(-128, 128, (49, 10, 1), np.int8) for seed in range(2)]
    runs = [run_inference(int8, [data.tobytes()], [12], store=tmp_path) for data in samples]
    assert [run.restored for run in runs] == [False, True]
    assert [list(run.outputs) for run in runs] == [oracle(int8, data) for data in samples]


def test_damaged_jobs_are_made_again(runner: firmware.Firmware, compiled: Compile, tmp_path: Path) -> None:
    vela, sample = compiled("kws_ref_int8")[1], [bytes(490)]
    first = run_inference(vela, sample, [12], store=tmp_path)
    (jobs,) = tmp_path.glob("fvp-state/*/jobs.bin")
    data = bytearray(jobs.read_bytes())
    data[len(data) // 2] ^= 1
    jobs.write_bytes(data)
    later = [run_inference(vela, sample, [12], store=tmp_path) for _ in range(2)]
    assert [run.restored for run in later] == [False, True]
    assert [*map(figures, later)] == [figures(first)] * 2


CHANGED_JOBS: dict[str, Callable[[KeptJob], KeptJob]] = {
    "stream": lambda job: job._replace(stream=job.stream[:-4] + bytes(4)),
    "length of the stream": lambda job: job._replace(stream=job.stream + bytes(4)),
    "regions": lambda job: job._replace(base_pointers=(*job.base_pointers[:-1], 1)),
    "ports": lambda job: job._replace(region_config=job.region_config ^ 2),
    "weights": lambda job: job._replace(digest="0" * 64),
    "instructions": lambda job: job._replace(
        image=Image.from_bytes(job.image)._replace(level=99).to_bytes(),
    ),
}


@pytest.mark.parametrize("change", CHANGED_JOBS)
def test_a_job_that_does_not_fit_is_computed(
    runner: firmware.Firmware, compiled: Compile, tmp_path: Path, change: str
) -> None:
    """With an image that would give other outputs, which are therefore not those of the run."""
    vela, sample = compiled("kws_ref_int8")[1], [bytes(range(98)) * 5]
    first = run_inference(vela, sample, [12], store=tmp_path)
    state = kept_in(tmp_path)
    (job,) = state.jobs
    wrong = Image.from_bytes(job.image)._replace(length=0).to_bytes()
    replace_state(tmp_path, state._replace(jobs=(job._replace(image=wrong),)))
    misled = run_inference(vela, sample, [12], store=tmp_path)
    assert misled.restored
    assert misled.outputs != first.outputs
    replace_state(tmp_path, state._replace(jobs=(CHANGED_JOBS[change](job._replace(image=wrong)),)))
    later = run_inference(vela, sample, [12], store=tmp_path)
    assert later.restored
    assert figures(later) == figures(first)


def test_a_run_without_a_store_keeps_nothing(board: KeepingBoard) -> None:
    assert board.run(3, "-C", "open.store=")[:2] == (False, (5, 3))
    assert not board.store.exists()


def test_the_inputs_are_not_in_the_state(board: KeepingBoard) -> None:
    assert [board.run(value) for value in (3, 4, 3)] == [(False, (5, 3), ""), (True, (5, 4), ""), (True, (5, 3), "")]


def test_inputs_with_two_addresses_keep_no_state(board: KeepingBoard) -> None:
    """The firmware could read them at the one that is not watched."""
    (board.folder / "in").write_bytes(bytes(4))
    address = "0x31000000"
    more = ("--data", f"in@{address}", "-C", f"open.samples_address={address}")
    assert [board.run(4, *more)[0] for _ in "12"] == [False, False]
    assert not board.store.exists()


def test_other_data_over_the_inputs_are_refused(board: KeepingBoard) -> None:
    (board.folder / "in").write_bytes(bytes(4))
    more = ("--data", f"model@{INPUTS + 2:#x}")
    done = subprocess.run([*COMMAND, *board.arguments(*more)], capture_output=True, cwd=board.folder)
    assert done.returncode == 2
    assert b"open.store: the --data at 0x92000002 lies over the inputs" in done.stderr


def test_the_store_lists_checks_and_removes_states(board: KeepingBoard) -> None:
    board.run(3)
    store = Store(board.store)
    (found,) = store.artifacts()
    assert (found.step, found.origin.model) == ("fvp-state", "states of the open FVP")
    assert found.intact()
    assert found.size < 4 << 20
    used = found.used
    board.run(4)
    assert found.used > used
    store.remove(found)
    assert board.run(4) == (False, (5, 4), "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-C", "open.samples_address=0"), "open.store needs one --data"),
        (("-C", "cpu0.semihosting-enable=1"), "open.store: what firmware does on the host"),
    ],
)
def test_a_store_needs_to_know_the_inputs(board: KeepingBoard, arguments: tuple[str, ...], said: str) -> None:
    (board.folder / "in").write_bytes(bytes(4))
    done = subprocess.run([*COMMAND, *board.arguments(*arguments)], capture_output=True, cwd=board.folder)
    assert done.returncode == 2
    assert said in done.stderr.decode()
