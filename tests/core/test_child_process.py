"""A program that computes is judged by its progress; one that speaks with hardware has its time on the clock."""

from __future__ import annotations

import sys

from hil.core.child_process import run

SLOW = """
import time
until = time.monotonic() + 3
while time.monotonic() < until:
    time.sleep(0.01)  # another process has the processor
    sum(range(50_000))
print("done")
"""


def test_a_program_has_the_processor_time_that_it_needs_or_an_end_on_the_clock() -> None:
    slow = [sys.executable, "-c", SLOW]
    ended = run(slow, 2.5, by_progress=True)
    assert (ended.code, ended.last_line) == (0, "done")
    assert run(slow, 0.5).code is None


def test_a_program_that_computes_or_waits_without_end_is_ended() -> None:
    for code in ("while True: pass", "import time; time.sleep(3600)", "while True: print('x' * 4000)"):
        assert run([sys.executable, "-c", code], 0.5, by_progress=True).code is None
