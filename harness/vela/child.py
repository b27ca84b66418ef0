"""Vela in the child process (see `hil.core.worker`): one call of its command line in a folder of its own.

Nothing of the harness is imported here but the error family: the child's start is Vela's, about a third of a second.

Vela's Python core keeps tables of a model in its classes, where the next model would find them.  It works in a copy
of the child's process that ends with the model (a fork, about 10 ms).
"""

from __future__ import annotations

import configparser
import contextlib
import io
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hil.core.lifeline import tie
from hil.core.machine_limits import machine_error
from hil.core.worker_frames import read_frame, write_frame

VelaAnswer = dict[str, Any]
_WITHOUT_MODEL = "--list-config-files"
"""An option with which Vela ends once it has read its options."""


def compile_in_copy(header: dict[str, Any], blobs: list[bytes]) -> tuple[VelaAnswer, list[bytes]]:
    """Handler: as `compile_in_child`, in a copy of this process."""
    import ethosu.vela.vela  # noqa: F401 - before the fork, so that each copy has it

    ours = os.getpid()
    reading, writing = os.pipe()
    copy = os.fork()
    if not copy:
        _answer_and_end(ours, writing, header, blobs)
    os.close(writing)
    try:
        with os.fdopen(reading, "rb", buffering=0) as pipe:
            answer, results = read_frame(pipe)
    except EOFError:
        answer, results = {}, []
    _, status = os.waitpid(copy, 0)
    if not answer:
        reason = f"its process ended with code {os.waitstatus_to_exitcode(status)}"
        answer = {"outcome": "crashed", "reason": reason, "log": ""}
    return answer, results


def _answer_and_end(parent: int, writing: int, header: dict[str, Any], blobs: list[bytes]) -> None:
    code = 1
    try:
        tie(parent)
        answer, results = compile_in_child(header, blobs)
        with os.fdopen(writing, "wb", buffering=0) as pipe:
            write_frame(pipe, answer, results)
        code = 0
    finally:
        os._exit(code)  # nothing of the parent's is to be closed or flushed here


def compile_in_child(header: dict[str, Any], blobs: list[bytes]) -> tuple[VelaAnswer, list[bytes]]:
    """Handler: `header` has Vela's settings and `mapped` for a debug database, `blobs` the int8 model.

    Without a model, only the options are read.  Files are made in this process's temporary folder, which ends with it
    if it does not live to remove them.
    Answers `outcome` (`compiled`, `settings` for what Vela's options or configuration do not allow, `model` for
    what the model does not), `reason` (one line) and `log`, with the compiled model, summary CSV and debug XML.
    """
    with tempfile.TemporaryDirectory(prefix="vela-") as folder:
        return _compile(Path(folder), header, blobs)


def _compile(folder: Path, header: dict[str, Any], blobs: list[bytes]) -> tuple[VelaAnswer, list[bytes]]:
    from ethosu.vela import vela
    from ethosu.vela.errors import CliOptionError, ConfigOptionError, InputFileError, VelaError

    arguments = [_WITHOUT_MODEL, *header["options"]]
    if blobs:
        model = folder / "model.tflite"
        model.write_bytes(blobs[0])
        arguments = command_line(folder, model, header)
    said = io.StringIO()
    outcome, reason = "compiled", ""
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            code = vela.main(arguments)
            if code:
                outcome, reason = "model", _last_line(said)
        except SystemExit:  # argparse
            outcome, reason = "settings", _last_line(said).rpartition("error: ")[2]
        except (CliOptionError, ConfigOptionError, InputFileError) as error:
            outcome, reason = "settings", error.data
        except configparser.Error as error:
            outcome, reason = "settings", str(error)
        except VelaError as error:
            outcome, reason = "model", error.data
        except KeyError as error:  # how --optimise and --tensor-allocator refuse a value
            outcome = "settings" if error.args[0] in " ".join(header["options"]) else "model"
            reason = f"{error} is not known"
        except Exception as error:
            if limit := machine_error(error, "Vela", folder):
                raise limit from error
            outcome, reason = "model", str(error) or type(error).__name__
    log = said.getvalue().replace(str(folder), ".")
    reason = " ".join(reason.replace(str(folder) + "/", "").removeprefix("Error: ").split())
    answer = {"outcome": outcome, "reason": reason, "log": log}
    return answer, output_files(folder) if outcome == "compiled" and blobs else []


def command_line(folder: Path, model: Path, header: Mapping[str, Any]) -> list[str]:
    """Returns the arguments of Vela's command line; its files are written below `folder`."""
    config = "Arm/vela.ini"
    if header["config"]:
        own = folder / "configuration" / "of" / "user.ini"  # deep enough not to be taken for one of Vela's own
        own.parent.mkdir(parents=True)
        own.write_text(header["config"])
        config = str(own)
    return [
        str(model),
        f"--output-dir={folder / 'out'}",
        f"--accelerator-config={header['accelerator']}",
        f"--system-config={header['system_config']}",
        f"--memory-mode={header['memory_mode']}",
        f"--config={config}",
        *(["--enable-debug-db"] if header["mapped"] else []),
        *header["options"],
    ]


def _last_line(said: io.StringIO) -> str:
    lines = [line for line in said.getvalue().splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"


def output_files(folder: Path) -> list[bytes]:
    """Reads the compiled model, the summary CSV and, if it was asked for, the debug XML that Vela wrote."""
    out = folder / "out"
    (summary,) = out.glob("model_summary_*.csv")
    return [path.read_bytes() for path in (out / "model_vela.tflite", summary, *out.glob("model_debug.xml"))]
