"""A process hangs when it makes no progress, whatever the clock on the wall says."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from hil.core.progress_watch import ProgressWatch

PATIENCE_S = 1.0
LIMIT_S = 120.0
BUSY = "print(flush=True)\nwhile True: pass"
WAITING = "import time; print(flush=True); time.sleep(600)"
WRITING = """
import time
print(flush=True)
file = open('/dev/null', 'w')
while True: file.write('x'); file.flush(); time.sleep(0.01)
"""


@contextmanager
def running(code: str) -> Iterator[subprocess.Popen[str]]:
    """A process that runs `code`, from its first line of output on."""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            process.stdout.readline()
            yield process
        finally:
            process.kill()


def verdict(watch: ProgressWatch, seconds: float = LIMIT_S) -> str:
    """The first reason within `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if why := watch.why_hanging():
            return why
        time.sleep(0.05)
    return ""


def test_a_loop_without_end_hangs_after_its_processor_time() -> None:
    with running(BUSY) as process:
        assert verdict(ProgressWatch(process.pid, PATIENCE_S)) == "computing for 1 s without progress"


def test_waiting_without_end_hangs() -> None:
    with running(WAITING) as process:
        assert verdict(ProgressWatch(process.pid, PATIENCE_S)) == "waiting for 1 s without computing anything"


def test_who_writes_reports_or_is_stopped_does_not_hang() -> None:
    with running(WRITING) as writing, running(BUSY) as stopped, running(BUSY) as reporting:
        stopped.send_signal(signal.SIGSTOP)
        assert verdict(ProgressWatch(writing.pid, PATIENCE_S), 3 * PATIENCE_S) == ""
        assert verdict(ProgressWatch(stopped.pid, PATIENCE_S), 3 * PATIENCE_S) == ""
        stopped.send_signal(signal.SIGCONT)
        watch = ProgressWatch(reporting.pid, PATIENCE_S)
        for _ in range(30):
            watch.progressed()
            assert watch.why_hanging() == ""
            time.sleep(0.1)


def test_a_process_that_has_ended_does_not_hang() -> None:
    with running("print(flush=True)") as process:
        watch = ProgressWatch(process.pid, PATIENCE_S)
        process.wait()
        assert watch.why_hanging() == ""
