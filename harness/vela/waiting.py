"""Lines while Vela works: a compilation says nothing until it ends, and may take minutes.

with waiting(say, "Vela is compiling model.tflite", lambda: "CONV_2D 0 has stride 4 ..."):
    ...                         # after 10 s: "Vela is compiling model.tflite, 10 s: CONV_2D 0 has stride 4 ..."
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hil.harness.say import Say

EVERY_S = 10.0


@contextmanager
def waiting(say: Say | None, text: str, why: Callable[[], str], every_s: float = EVERY_S) -> Iterator[None]:
    """Says `text` with the seconds that have passed, every `every_s` seconds until the block ends.

    `why` gives the reason, empty if none is known; it is asked once, if the block takes that long.  `say` is called
    from another thread; None says nothing.
    """
    if say is None:
        yield
        return
    over = threading.Event()
    thread = threading.Thread(target=_tell, args=(over, say, text, why, every_s), name="hil-waiting", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _tell(over: threading.Event, say: Say, text: str, why: Callable[[], str], every_s: float) -> None:
    began = time.monotonic()
    reason: str | None = None
    while not over.wait(every_s):
        reason = why() if reason is None else reason
        say(f"{text}, {time.monotonic() - began:.0f} s{f': {reason}' if reason else ''}", 0, 0)
