"""Ctrl-C is answered by a line wherever it comes; three of them end `hil` without a traceback or anything left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from hil.harness.interruption import EXIT_INTERRUPTED, LINE
from hil.harness.store.store import Store
from tests.core import worker_handlers as handlers
from tests.support.blobs import model_file, write
from tests.support.processes import children_of

NATIVE = """
import hashlib
from hil.core.worker import Worker
from hil.harness.store.store import Store
from hil.harness.interruption import answer_interrupts
answer_interrupts()
worker = Worker("worker_handlers:act")
worker.request({"do": "echo"})

def native():
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)

try:
    print("begins", flush=True)
    native()
except KeyboardInterrupt:  # pressed before the call was reached; it is raised once
    native()
"""

IMPORTING = """
import sys, time

class Waiting:
    @staticmethod
    def find_spec(name, path, target=None):
        if name == "hil.harness.cli":
            print("imports", flush=True)
            time.sleep(600)

sys.meta_path.insert(0, Waiting)
from hil.harness.program import main
main()
"""

PRESSED_AT_THE_END = """
import os, signal
from hil.harness.interruption import answer_interrupts, end_interrupted

class Pressing:
    press = staticmethod(lambda kill=os.kill, pid=os.getpid(): kill(pid, 2))
    def __del__(self):
        self.press()

pressing = Pressing()
answer_interrupts()
end_interrupted()
"""


def press(child: subprocess.Popen[str], times: int = 1) -> None:
    """Presses Ctrl-C, which a terminal sends to the whole process group."""
    for _ in range(times):
        os.killpg(child.pid, signal.SIGINT)
        time.sleep(0.05)


@contextlib.contextmanager
def start(command: list[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    (folder / "temporary").mkdir()
    environment = {**os.environ, "TMPDIR": str(folder / "temporary"), "PYTHONPATH": str(Path(handlers.__file__).parent)}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def ended(child: subprocess.Popen[str], folder: Path, below: list[int]) -> str:
    """Waits for the end, checks that nothing is left, and returns the rest of what was said."""
    _, said = child.communicate(timeout=600)
    assert child.returncode == EXIT_INTERRUPTED, said
    assert "Traceback" not in said
    until = time.monotonic() + 600
    while any(_is_alive(pid) for pid in below):
        assert time.monotonic() < until, "a child is left"
        time.sleep(0.02)
    assert not list((folder / "temporary").iterdir())
    return said


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_native_code_that_does_not_return_is_answered_for_and_ended(tmp_path: Path) -> None:
    with start([sys.executable, "-c", NATIVE], tmp_path) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline() == "begins\n"
        below = children_of(child.pid)
        assert below
        press(child)
        assert child.stderr.readline().startswith("hil: interrupted; ending")
        while child.poll() is None:  # two more, or more where a busy machine takes two for one
            press(child)
            time.sleep(0.5)
        assert ended(child, tmp_path, below) == f"{LINE}\n"


def test_three_presses_end_a_training_in_order(tmp_path: Path) -> None:
    long = model_file().replace("base=FineTune(4, 1e-2)", "base=FineTune(100_000, 1e-2)")
    write(tmp_path, {"models/blobs.py": long})
    command = [sys.executable, "-m", "hil.harness.program", "optimize", "blobs", "--store", "store"]
    with start(command, tmp_path) as child:
        assert child.stderr is not None
        assert "blobs: base" in (line.strip() for line in child.stderr)  # in the middle of the training
        below = children_of(child.pid)
        press(child, 3)
        assert ended(child, tmp_path, below).splitlines()[-1] == LINE
    store = Store(tmp_path / "store")
    store.tidy()  # on a busy machine the third press may come before the end in order
    assert not list((store.root / "unfinished").iterdir())


def test_the_start_is_interrupted_by_a_line(tmp_path: Path) -> None:
    with start([sys.executable, "-c", IMPORTING, "tree", "nobody"], tmp_path) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "imports\n"
        press(child)
        _, said = child.communicate(timeout=600)
    assert child.returncode == EXIT_INTERRUPTED
    assert LINE in said
    assert "Traceback" not in said


def test_a_press_while_the_interpreter_ends_changes_nothing() -> None:
    ending = subprocess.run([sys.executable, "-c", PRESSED_AT_THE_END], capture_output=True, text=True)
    assert (ending.returncode, ending.stderr) == (EXIT_INTERRUPTED, f"{LINE}\n")
