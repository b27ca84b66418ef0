"""No temporary file outlives its run: a killed process's folder ends with the next run, a living one's does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = str(Path(__file__).parent)
WORK = """
import sys
from pathlib import Path
from hil.core.worker import Worker
worker = Worker("worker_handlers:act")
worker.request({"do": "leave"})
print(worker.pid, flush=True)
if sys.argv[1] == "wait":
    sys.stdin.read()
"""
FORK = """
import os
from hil.core.process_folder import process_folder
ours = process_folder()
if os.fork() == 0:
    theirs = process_folder()
    raise SystemExit(ours == theirs or not ours.is_dir() or not theirs.is_dir())
code = os.wait()[1]
raise SystemExit(code or [ours] != list(ours.parent.iterdir()))
"""


def start(script: str, temporary: Path, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": HERE, "TMPDIR": str(temporary)}
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)


def test_the_next_run_removes_what_a_killed_one_left_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "hil-temporary-files").mkdir()
    (tmp_path / "hil-temporary-12345678").write_text("a file of the user's")
    others = set(tmp_path.iterdir())
    with start(WORK, tmp_path, "wait") as living, start(WORK, tmp_path, "wait") as killed:
        for process in (living, killed):
            assert process.stdout is not None
            assert process.stdout.readline()
        killed.kill()
        killed.wait()
        before = set(tmp_path.iterdir()) - others
        assert len(before) == 2
        assert all(list(folder.glob("worker-*/left.py")) for folder in before)
        next_run = start(WORK, tmp_path, "end")
        next_run.communicate()
        assert next_run.returncode == 0
        (remaining,) = set(tmp_path.iterdir()) - others
        assert list(remaining.glob("worker-*/left.py")), "that of the run that goes on"
        living.communicate()
    assert living.returncode == 0
    assert set(tmp_path.iterdir()) == others


def test_a_killed_worker_leaves_nothing(tmp_path: Path) -> None:
    with start(WORK, tmp_path, "wait") as parent:
        assert parent.stdout is not None
        os.kill(int(parent.stdout.readline()), 9)
        parent.communicate()
    assert not list(tmp_path.iterdir())


def test_a_forked_process_has_a_folder_of_its_own(tmp_path: Path) -> None:
    process = start(FORK, tmp_path)
    process.communicate()
    assert process.returncode == 0
    assert not list(tmp_path.iterdir())
