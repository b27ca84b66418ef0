"""Attribution of an exception: to the user's code, to a library that refuses the model, or to this package.

    raise blamed(error, "net: prune") from error

The traceback decides.  Of its frames, those of libraries are skipped from the innermost outward: a user's function is
to blame for what it raises, and for what a library raises that it called.  A library that this package called with the
user's model refuses that model.  An exception whose innermost frame is this package's own is a defect, and is returned
unchanged.
"""

from __future__ import annotations

import re
import traceback
from pathlib import Path
from types import FrameType

from hil.core.errors import BadInputError, OptimizeError
from hil.harness.store.imports import is_own

_LONGEST = 300
_TRACED = "__autograph_generated_file"
"""Beginning of the files that TensorFlow makes of Keras' functions and of the user's."""
_NOISE = re.compile(
    r"Graph execution error|Detected at node|File \"|in user code|\[\[|Call arguments received|Arguments received"
    r"|Original stack trace|Stack trace for op|Node: |\d+ root error|\(\d+\) |[•*] |\^+$|raise |return |inputs="
    r"|training="
)
"""Beginnings of the lines around the cause in messages of TensorFlow and Keras."""
_NODE = re.compile(r"\{\{.*?\}\}\s*")
"""TensorFlow's name of a node, which no user knows."""


def blamed(error: Exception, title: str) -> Exception:
    """Returns the error to raise for `error` of the step `title`: `BadInputError`, `OptimizeError`, or `error`."""
    frames = [(frame, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    if not frames or _is_ours(frames[-1][0]):
        return error
    caller = next((found for found in reversed(frames) if _is_ours(found[0]) or _is_users(found[0])), None)
    what = f"{type(error).__name__}: {first_cause(error)}"
    if caller is not None and _is_users(caller[0]):
        return BadInputError(f"{title}: {_place(*caller, str(error))}: {what}")
    library = str(frames[-1][0].f_globals.get("__name__", "a library")).split(".")[0]
    return OptimizeError(f"{title}: {_NAMES.get(library, library)} refuses this model: {what}")


_RAISED = re.compile(r"\w*(?:Error|Exception): (.+)")
_NAMES = {
    "tensorflow": "TensorFlow",
    "tf_keras": "Keras",
    "keras": "Keras",
    "tensorflow_model_optimization": "TFMOT",
}


def first_cause(error: BaseException) -> str:
    """Returns the line of an exception's message that names the cause, without TensorFlow's lines around it."""
    lines = [" ".join(line.split()) for line in _NODE.sub("", str(error)).splitlines()]
    if lines and lines[0].startswith("in user code"):  # TensorFlow's report of a trace, with the exception at its end
        raised = [found[1] for line in lines if (found := _RAISED.match(line))]
        return (raised or lines)[-1][:_LONGEST]
    telling = [line for line in lines if line and not _NOISE.match(line)]
    if not telling:
        return next((line for line in lines if line), type(error).__name__)[:_LONGEST]
    cause = telling[0]
    if cause.startswith("Exception encountered") and len(telling) > 1:
        cause = f"{cause} {telling[1]}"
    return cause[:_LONGEST]


def _is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).split(".")[0] == "hil"


def _is_users(frame: FrameType) -> bool:
    return not _is_ours(frame) and (file := _file(frame)).is_file() and is_own(file)


def _file(frame: FrameType) -> Path:
    """The file of a frame's module, also where TensorFlow runs a copy of its functions."""
    return Path(str(frame.f_globals.get("__file__") or frame.f_code.co_filename))


def _place(frame: FrameType, line: int, message: str) -> str:
    """Names file and line of the user's code; for TensorFlow's copy of it, by the lines of its message."""
    file = _file(frame)
    if Path(frame.f_code.co_filename).name.startswith(_TRACED):
        told = re.findall(rf'File "[^"]*{re.escape(file.name)}", line (\d+)', message)
        return f"{file.name}:{told[-1]}" if told else file.name
    return f"{file.name}:{line}"
