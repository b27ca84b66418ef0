"""A child is waited for while it makes progress, also where it gets hardly any processor time."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

from hil.core.child_output import wait_for_output

BUSY = "while True: pass"
SLOW = """
import os, time
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
os.nice(10)
while time.process_time() < 0.3: pass
print("here", flush=True)
"""
CROWD = "import os\nos.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n" + BUSY


@contextlib.contextmanager
def running(code: str):
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        try:
            yield child
        finally:
            child.kill()


@pytest.mark.parametrize(
    ("code", "sign", "why"),
    [
        (BUSY, None, "computing for 1 s without progress"),
        ("import time; time.sleep(600)", None, "waiting for 1 s without computing anything"),
        (BUSY, signal.SIGSTOP, "waiting for 1 s without computing anything"),
        ("while True: open('/dev/null').read()", None, "computing for 1 s without progress"),
    ],
    ids=["loop", "sleep", "stopped", "reads-without-end"],
)
def test_a_child_that_hangs_is_waited_for_no_longer(code: str, sign: signal.Signals | None, why: str) -> None:
    with running(code) as child:
        if sign is not None:
            os.kill(child.pid, sign)
        assert wait_for_output(child.stdout, child.pid, 1.0) == why


def test_a_slow_child_is_waited_for_on_a_busy_machine() -> None:
    with running(CROWD), running(CROWD):
        started = time.monotonic()
        with running(SLOW) as child:
            assert wait_for_output(child.stdout, child.pid, 1.0) == ""
            assert child.stdout.readline() == b"here\n"
        assert time.monotonic() - started > 1.0, "nothing was slow"


def test_a_child_that_ends_is_no_child_that_hangs() -> None:
    with running("import time; time.sleep(1.5)") as child:
        assert wait_for_output(child.stdout, child.pid, 60.0) == ""
        assert child.stdout.readline() == b""
