"""Handlers that misbehave in the ways native code does; `test_worker.py` puts this folder on the child's path."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from hil.core.errors import BadInputError
from hil.core.worker_child import tell

_held: list[bytes] = []

Message = tuple[dict[str, Any], list[bytes]]


def act(header: dict[str, Any], blobs: list[bytes]) -> Message:
    """Does what `header["do"]` says."""
    what = header["do"]
    if what == "crash":
        print("about to crash", file=sys.stderr, flush=True)
        ctypes.string_at(0)
    if what == "exit":
        os._exit(7)
    if what == "tell":
        for done in range(3):
            tell({"done": done})
    if what == "leave":
        (Path(tempfile.gettempdir()) / "left.py").touch()
    if what == "start":
        started = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        tell({"pid": started.pid})
        os._exit(7)
    if what == "hang":
        tell({"pid": os.getpid()})
        time.sleep(600)
    if what == "decode":
        from ethosu import mlw_codec

        return {"weights": len(mlw_codec.decode(bytearray(blobs[0])))}, []
    if what == "hold":
        _held.append(b"x" * int(header["bytes"]))
    if what == "refuse":
        raise BadInputError("that is no model", hint="give a model")
    if what == "bug":
        raise ZeroDivisionError("one by zero")
    if what == "print":
        print("a handler's own words must not end up among the frames")
        os.write(1, b"nor those of native code\n")
    return {"pid": os.getpid(), "echo": header.get("echo")}, blobs
