"""Other versions of Vela, each in a virtual environment of its own in the user's cache folder.

    from hil.harness.vela.other_versions import OtherVela

    vela = OtherVela("4.5.0")
    if not vela.is_installed:
        vela.install(say)                          # from the package index, by pip
    compiled = vela.compile_model(int8, VelaSettings())
    vela.config_text                               # its own Arm/vela.ini, with its clocks and memory speeds

An environment is the folder `ethosu-hil/vela/VERSION` of the user's cache; it appears by one rename when it is whole.
Such a Vela is run by its command line, a process a model.  The environments hold no package of this project's.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock, Timeout

from hil.core import child_process
from hil.core.errors import BadInputError, CompileError, InfrastructureError, UnavailableError
from hil.core.machine_limits import limit_in_text, machine_error
from hil.harness.say import Say
from hil.harness.vela.child import command_line, output_files
from hil.harness.vela.compiler import PATIENCE_S, Compiled, compile_model
from hil.harness.vela.settings import VelaSettings

_VERSION = re.compile(r"\d+(\.\d+)+\w*")
_NUMPY_1 = (("numpy<2",), (5,))
"""Requirements of Vela before a version: 3.9 and 4.2 end in an `OverflowError` under NumPy 2, which they allow."""
_USAGE = 2
"""Exit code of argparse."""
_OF_SETTINGS = ("CliOptionError", "ConfigOptionError", "InputFileError")
"""Vela's errors of what its options or configuration do not allow."""
_WAIT_S = 10.0
_OWN_CHOICE = {
    f"PIP_{name}": ""  # to pip an empty value is none
    for name in ("BUILD_CONSTRAINT", "CONSTRAINT", "NO_DEPS", "PREFIX", "REQUIREMENT", "ROOT", "TARGET", "USER")
}
"""Clears pip's variables that choose this process's packages and their folder, as tox's constraints do.

Those that say where packages come from, such as `PIP_INDEX_URL` and `PIP_CERT`, hold for every environment.
"""


@dataclass(frozen=True)
class OtherVela:
    """Vela of one version, such as `"4.5.0"`, in its environment below `root`, which need not be there yet.

    Raises `BadInputError` for a text that is no version.
    """

    version: str
    root: Path = field(default_factory=lambda: platformdirs.user_cache_path("ethosu-hil") / "vela")

    def __post_init__(self) -> None:
        if not _VERSION.fullmatch(self.version):
            raise BadInputError(f"{self.version!r} is no version of Vela")

    @property
    def folder(self) -> Path:
        return self.root / self.version

    @property
    def is_installed(self) -> bool:
        return _python(self.folder).exists()  # not if the Python that it was made with is gone

    @property
    def config_text(self) -> str:
        """The text of its `Arm/vela.ini`; raises `UnavailableError` if it is not installed."""
        found = sorted(self.folder.glob("lib/python*/site-packages/ethosu/config_files/Arm/vela.ini"))
        if not found:
            raise self._unavailable()
        return found[0].read_text(encoding="utf-8")

    def install(self, say: child_process.Say = lambda line: None) -> None:
        """Makes the environment if it is not there; processes that need the same one make it once.

        Raises `UnavailableError` if the package index cannot be reached or has no such version.
        """
        try:
            with self._locked(say):
                if not self.is_installed:
                    self._make(say)
        except OSError as error:
            if limit := machine_error(error, f"installing Vela {self.version}", self.root):
                raise limit from error
            raise UnavailableError(f"Vela {self.version} cannot be installed: {error}") from error

    def compile_model(
        self,
        int8: bytes,
        settings: VelaSettings,
        *,
        name: str = "the model",
        mapped: bool = True,
        say: Say | None = None,
    ) -> Compiled:
        """Compiles as `hil.harness.vela.compiler.compile_model`; raises `UnavailableError` if it is not installed."""
        if not self.is_installed:
            raise self._unavailable()
        try:
            return compile_model(int8, settings, name=name, ask=self._ask, mapped=mapped, say=say)
        except (BadInputError, CompileError) as error:
            error.args = (re.sub(r"^Vela(?= )", f"Vela {self.version}", error.args[0]),)
            raise

    def _unavailable(self) -> UnavailableError:
        return UnavailableError(f"Vela {self.version} is not installed here", hint="--install installs it")

    # -- installation

    @contextmanager
    def _locked(self, say: child_process.Say) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.root / f"{self.version}.lock")
        while True:
            try:
                lock.acquire(timeout=_WAIT_S)
                break
            except Timeout:
                say(f"another process installs Vela {self.version}")
        try:
            yield
        finally:
            lock.release()

    def _make(self, say: child_process.Say) -> None:
        work = self.root / "unfinished" / self.version
        try:
            for stale in (work, self.folder):  # left by a killed process, or by a Python that is gone
                shutil.rmtree(stale, ignore_errors=True)
            work.parent.mkdir(exist_ok=True)
            say("making its environment")
            self._run([sys.executable, "-m", "venv", str(work)], say)
            pip = [str(_python(work)), "-I", "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
            self._run([*pip, f"ethos-u-vela=={self.version}", *_needs(self.version)], say)
            self._run([str(_python(work)), "-I", "-m", "ethosu.vela", "--version"], say)
            work.rename(self.folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _run(self, command: list[str], say: child_process.Say) -> None:
        ended = child_process.run(command, PATIENCE_S, say, environment=_OWN_CHOICE, by_progress=True)
        if ended.code == 0:
            return
        lines = [line.strip() for line in ended.output.splitlines()]
        errors = [line for line in lines if line.startswith("ERROR:") and "ResolutionImpossible" not in line]
        why = (
            f"no end after {PATIENCE_S:g} s of work"
            if ended.code is None
            else (errors or [ended.last_line])[-1].removeprefix("ERROR: ")
        )
        if limit := limit_in_text(ended.output, f"installing Vela {self.version}", self.root):
            raise limit
        raise UnavailableError(f"Vela {self.version} cannot be installed: {why}", log=ended.output)

    # -- compilation

    def _ask(self, request: dict[str, Any], int8: bytes | None) -> tuple[dict[str, Any], list[bytes]]:
        """Answers as `hil.harness.vela.child.compile_in_child`."""
        with tempfile.TemporaryDirectory(prefix="vela-") as name:
            folder = Path(name)
            model = folder / "model.tflite"
            model.write_bytes(int8 or b"")
            command = [str(_python(self.folder)), "-I", "-m", "ethosu.vela", *command_line(folder, model, request)]
            ended = child_process.run(command, PATIENCE_S, folder=folder, by_progress=True)
            if ended.code is None:
                raise InfrastructureError(f"Vela {self.version} hangs", log=ended.output)
            if limit := ended.code and limit_in_text(ended.output, f"Vela {self.version}", folder):
                raise limit
            output = ended.output.replace(f"{name}{os.sep}", "")
            outcome, reason = ("compiled", "") if ended.code == 0 else _refusal(ended.code, output)
            return {"outcome": outcome, "reason": reason, "log": output}, output_files(folder) if not reason else []


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def _refusal(code: int, output: str) -> tuple[str, str]:
    """Returns what Vela refuses, `settings` or `model`, and why: the last line of its output."""
    last = (output.strip().splitlines() or [f"it ended with code {code}"])[-1]
    reason = re.sub(r"^[\w.]*Error: |(?<=['\"])Error: ", "", last).strip("'\"").rpartition("error: ")[2]
    return "settings" if code == _USAGE or any(name in last for name in _OF_SETTINGS) else "model", reason


def _needs(version: str) -> tuple[str, ...]:
    """Returns further requirements of a version."""
    needs, before = _NUMPY_1
    return needs if tuple(map(int, re.findall(r"\d+", version))) < before else ()
