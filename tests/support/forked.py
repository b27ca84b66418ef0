"""Programs of this project in processes that are forked where their imports are done already.

    done = hil("run", "model.tflite", cwd=folder, env={**os.environ, "COLUMNS": "80"})
    done.returncode, done.stdout, done.stderr       # as subprocess.run has them

Half of a short command's time is Python's start and imports, and the suite runs hundreds of commands.
`multiprocessing` keeps a process that has imported what the commands import, TensorFlow apart, and forks it for each:
folder, environment, arguments and output are the command's own.  What an interpreter reads from its environment when it
starts (encodings, threads of libraries) is that of the tests, and so are the targets that are installed.  Tests of
these, of the start itself, of signals and of limits start a program with `subprocess`.
"""

from __future__ import annotations

import atexit
import functools
import multiprocessing
import os
import runpy
import sys
import tempfile
from collections.abc import Mapping
from multiprocessing.context import ForkServerContext
from pathlib import Path
from subprocess import CompletedProcess

IMPORTED = (
    "alembic.command",
    "jinja2",
    "numpy",
    "pytest",
    "rich.table",
    "sqlalchemy.orm",
    "hil.harness.board_check.check",
    "hil.harness.cli",
    "hil.harness.comparison.comparison",
    "hil.harness.diff.runs",
    "hil.harness.evaluation.evaluator",
    "hil.harness.pipeline",
    "hil.harness.profile.profile",
    "hil.harness.progress",
    "hil.harness.results.results",
    "hil.harness.store.code_version",
    "hil.harness.tree.walk",
    "hil.npu.program",
    "hil.targets.fvp",
    "hil.targets.serial",
    "hil.targets.sim",
)


def run(
    module: str,
    *arguments: object,
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    code: str = "",
) -> CompletedProcess[str]:
    """Runs `python -m module` with arguments; `code` runs before it in the same process."""
    command = [module, *map(str, arguments)]
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder, name) for name in ("stdout", "stderr")]
        values = (command, str(cwd or Path.cwd()), dict(os.environ if env is None else env), code, *map(str, outputs))
        process = _server().Process(target=_become, args=values)
        process.start()
        try:
            process.join()
        finally:
            process.kill()  # nothing where it has ended; a limit of time ends the test otherwise
        assert process.exitcode is not None
        return CompletedProcess(command, process.exitcode, *(path.read_text() for path in outputs))


hil = functools.partial(run, "hil.harness.cli")


@functools.cache
def _server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(IMPORTED))
    return context


def _become(command: list[str], folder: str, environment: dict[str, str], code: str, stdout: str, stderr: str) -> None:
    """Runs in the forked process: takes the command's surroundings, and is it."""
    for number, path in ((1, stdout), (2, stderr)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - until the process ends
    sys.stderr = open(2, "w", closefd=False, buffering=1, errors="backslashreplace")  # noqa: SIM115
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = command
    folders = (sys.prefix, sys.base_prefix)  # the other entries are hooks of installations that can be edited
    installed = [path for path in sys.path if path.startswith(folders) or not Path(path).is_dir()]
    sys.path[:] = [folder, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep)), *installed]
    sys.modules.pop(command[0], None)  # it runs as __main__
    try:
        if code:
            exec(compile(code, "<code>", "exec"), {"__name__": "before"})
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()  # which multiprocessing leaves out
        sys.stdout.flush()
