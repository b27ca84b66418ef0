"""`FvpTarget` over real boots: a run that is wanted no more ends at once, whatever its firmware does."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hil.core.measurement import Trust
from hil.fvp.inference.firmware import Firmware
from hil.targets import create
from hil.targets.base import Deployable
from tests.support.processes import children_of, wait_until_gone
from tests.support.reference import oracle
from tests.support.thumb import Program

RUN = """
import sys
from pathlib import Path
import numpy as np
from hil.targets import create
from hil.targets.base import Deployable
model = Path(sys.argv[1]).read_bytes()
target = create("fvp", executable=Path(sys.argv[2]), jobs=2, time_limit_s=300)
target.run(Deployable(model, None), [np.zeros((3, 49, 10, 1), np.int8)])
"""


@pytest.fixture
def stuck(tmp_path: Path) -> Path:
    """An FVP executable on which every firmware stands still from its first instruction."""
    program = Program()
    program.code(0xE7FE)
    firmware = tmp_path / "endless.elf"
    firmware.write_bytes(program.elf())
    executable = tmp_path / "stuck-fvp"
    executable.write_text(
        f"#!{sys.executable}\n"
        + textwrap.dedent(f"""
            import sys
            from hil.fvp.corstone300 import main
            words = sys.argv[1:]
            if "-a" in words:
                words[words.index("-a") + 1] = {str(firmware)!r}
            sys.exit(main(words))
        """)
    )
    executable.chmod(executable.stat().st_mode | stat.S_IXUSR)
    return executable


def test_ctrl_c_to_the_process_alone_ends_runs_that_are_stuck(
    runner: Firmware, shared_models: Path, stuck: Path
) -> None:
    model = shared_models / "kws_ref_int8.tflite"
    run = subprocess.Popen([sys.executable, "-c", RUN, model, stuck], stderr=subprocess.PIPE, start_new_session=True)
    try:
        until = time.monotonic() + 600
        while len(children_of(run.pid)) < 4 and time.monotonic() < until:  # two executables, and a QEMU each
            assert run.poll() is None
            time.sleep(0.02)
        time.sleep(0.3)
        run.send_signal(signal.SIGINT)
        _, said = run.communicate(timeout=600)
    finally:
        run.kill()
        run.wait()
    assert said.rstrip().endswith(b"KeyboardInterrupt"), said
    assert not wait_until_gone(str(stuck))
    assert not wait_until_gone(str(stuck.with_name("endless.elf")))


def test_a_later_run_boots_no_board(
    runner: Firmware, compiled: Callable[..., tuple[bytes, bytes]], tmp_path: Path
) -> None:
    int8, model = compiled("kws_ref_int8")
    inputs = np.random.default_rng(7).integers(-128, 128, (3, 49, 10, 1), np.int8)
    runs = [create("fvp", engine="open", jobs=2, store=tmp_path).run(Deployable(int8, model), [inputs]) for _ in "12"]
    assert [row.tobytes() for row in runs[1].outputs[0]] == [oracle(int8, data)[0] for data in inputs]
    figures = [{found.name: found.value for found in run.measurements} for run in runs]
    assert [found.pop("boots") for found in figures] == [2, 0]
    assert figures[0] == figures[1]
    assert runs[0].log == runs[1].log
    assert runs[0].identity == runs[1].identity


def test_samples_share_a_boot_a_process_and_are_told_as_they_end(
    runner: Firmware, compiled: Callable[..., tuple[bytes, bytes]]
) -> None:
    int8, model = compiled("kws_ref_int8")
    inputs = np.random.default_rng(6).integers(-128, 128, (5, 49, 10, 1), np.int8)
    told: list[tuple[int, int]] = []
    run = create("fvp", engine="open", jobs=2).run(
        Deployable(int8, model), [inputs], progress=lambda done, of: told.append((done, of))
    )
    assert [row.tobytes() for row in run.outputs[0]] == [oracle(int8, data)[0] for data in inputs]
    boots = next(found for found in run.measurements if found.name == "boots")
    assert (boots.value, boots.trust) == (2, Trust.EXACT)
    assert told[-1] == (5, 5)
    assert told == sorted(told)
    assert run.log.count("Inference completed.") == run.log.count("CPU: Cortex-M55") == 5
