"""The child's side of `hil.core.worker`: reads a request, calls the handler, writes the answer, until stdin ends.

Started with the arguments `module:function` and the parent's process id.  Standard output belongs to the frames, so
whatever a handler prints goes to stderr, which the parent keeps and shows when this process dies.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from hil.core.error_json import error_as_json
from hil.core.errors import HilError
from hil.core.lifeline import tie
from hil.core.machine_limits import machine_error
from hil.core.worker_frames import Blobs, Header, read_frame, write_frame

Handler = Callable[[Header, Blobs], tuple[Header, Blobs]]
_parent: BinaryIO | None = None


def tell(what: Header) -> None:
    """Sends the progress report `what` (JSON) to the parent's `told` while a request is under way."""
    assert _parent is not None
    write_frame(_parent, {"told": what}, [])


def main() -> None:
    """Serves until the parent closes the pipe."""
    global _parent
    handler_name, parent = sys.argv[1], int(sys.argv[2])
    tie(parent)  # native code that hangs would overlook that stdin has closed
    _die_first()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides what it means
    requests = os.fdopen(os.dup(0), "rb", buffering=0)
    answers = _parent = os.fdopen(os.dup(1), "wb", buffering=0)
    _no_stdin()
    os.dup2(2, 1)
    module, _, function = handler_name.partition(":")
    handler: Handler = getattr(importlib.import_module(module), function)
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            _serve(handler, requests, answers)


def _serve(handler: Handler, requests: BinaryIO | object, answers: BinaryIO | object) -> None:
    header, blobs = read_frame(requests)
    with contextlib.suppress(OSError):  # the log is of this request alone
        os.lseek(2, 0, os.SEEK_SET)
        os.ftruncate(2, 0)
    try:
        answer, result = handler(header, blobs)
    except Exception as error:
        answer, result = {"error": _described(error)}, []
    sys.stdout.flush()
    write_frame(answers, answer, result)


def _described(error: Exception) -> dict[str, Any]:
    if isinstance(error, HilError):
        return error_as_json(error)
    if limit := machine_error(error):
        return error_as_json(limit)
    return {"class": type(error).__name__, "message": str(error), "log": traceback.format_exc()}


def _die_first() -> None:
    """Has Linux end this process before its parent where memory ends."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("900")


def _no_stdin() -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
