"""Ctrl-C of the command `hil`: answered within a second by a line, wherever the program is.

    answer_interrupts()
    try: ...
    except KeyboardInterrupt:
        end_interrupted()

The first press raises `KeyboardInterrupt`, on which everything ends in order; later ones do not disturb that.  Python
raises it only when native code returns, so a thread answers; after the third press it ends this process with its
children, should the orderly end take longer than two seconds.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
import time
from types import FrameType
from typing import NoReturn

EXIT_INTERRUPTED = 130
LINE = "hil: interrupted; what was finished is kept"
_ENDING = "hil: interrupted; ending (Ctrl-C three times ends it at once)"
_PRESSES = 3
_ANSWER_S, _GRACE_S = 0.5, 2.0


def answer_interrupts() -> None:
    """Answers SIGINT from now on; does nothing where it is ignored, or outside the main thread."""
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return
    presses, noted = os.pipe()
    os.set_blocking(noted, False)
    signal.set_wakeup_fd(noted, warn_on_full_buffer=False)
    signal.signal(signal.SIGINT, _raise_once)
    threading.Thread(target=_answer, args=(presses,), name="hil-interrupts", daemon=True).start()


def end_interrupted() -> NoReturn:
    """Says so and ends the process with `EXIT_INTERRUPTED`, whatever is pressed while the interpreter ends.

    Its end gives every signal with a handler back to the system, to which one more press is death by SIGINT.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _say(LINE)
    sys.exit(EXIT_INTERRUPTED)


def _raise_once(number: int, frame: FrameType | None) -> None:
    signal.signal(number, lambda number, frame: None)
    raise KeyboardInterrupt


def _answer(presses: int) -> None:
    while not _count(presses):
        pass
    count, first = 1, time.monotonic()
    if select.select([presses], [], [], _ANSWER_S)[0]:
        count += _count(presses)
    _say(_ENDING)
    while count < _PRESSES:
        count += _count(presses)
    time.sleep(max(0.0, first + _GRACE_S - time.monotonic()))
    _end_now()


def _count(presses: int) -> int:
    """Waits for signals; returns how many of them were SIGINT."""
    return os.read(presses, 64).count(signal.SIGINT)


def _end_now() -> None:
    from hil.core.worker import end_children

    try:
        end_children()
        _say(LINE)
    finally:
        os._exit(EXIT_INTERRUPTED)


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # nobody may be reading any more
        print(line, file=sys.stderr, flush=True)
