"""A warm child process for native code that may end its process.

    worker = Worker("hil.harness.vela.child:compile_in_child")
    answer, blobs = worker.request(settings, [int8_model])

Vela's native modules treat malformed input as a bug of theirs: `regor` dies of a segmentation fault, `mlw_codec` calls
`exit(1)`.  A harness that feeds them a user's file must survive both, so the calls go to a child.  It is started
once, at the first request, and answers the next ones in well under a millisecond.

How it works:

- The child runs `hil.core.worker_child` with the name of one handler, `module:function`.  The name comes from the code
  that makes the `Worker`, never from what a user gave, and nothing is pickled: a message is a JSON header and byte
  strings (`hil.core.worker_frames`).
- A handler takes `(header, blobs)` and gives the same back.  A `HilError` it raises is raised here again, by name;
  any other exception is a `WorkerError` with the traceback as `log`.
- When the child crashes or hangs (`hil.core.progress_watch`), `WorkerDiedError` says so with what the child wrote to
  stderr, and the next request starts a new child.  If somebody else killed the child, the request is done again.
- Where memory ends, Linux ends a child before its parent.  The child's temporary files lie in a folder that ends with
  it, below that of this process (`hil.core.process_folder`).
- The child ends with its parent: at exit, when its stdin closes, and on Linux also when the parent is killed.
- Threads share a worker (one request at a time); after a fork the new process starts a child of its own.
- A handler that works for long reports its progress by `hil.core.worker_child.tell`; `stop` ends it from another
thread.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import math
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

from hil.core.error_json import error_of_json
from hil.core.errors import HilError, WorkerDiedError, WorkerError
from hil.core.process_folder import process_folder, remove_process_folder
from hil.core.worker_frames import Blobs, Header, read_frame, write_frame

DEFAULT_PATIENCE_S = 60.0
_LOG_LIMIT = 16_384  # bytes of the child's stderr that are kept
_STOP_WAIT_S = 5.0
_SIGKILL = -9
_LOOK_S = 2.0
# An empty entry of sys.path is the current folder: a user's own `json.py` or `hil/` there is not for the child to run.
_BOOT = "import sys; sys.path[:] = [p for p in sys.path if p]; from hil.core.worker_child import main; main()"


class Worker:
    """One handler in a child process.

    `handler` is `module:function` on the child's import path; the function has the signature
    `(header: dict, blobs: list[bytes]) -> (header, blobs)`.  `environment` is set in the child beside ours.  A child
    that holds more than `most_idle_bytes` of memory after a request is ended.
    """

    def __init__(
        self, handler: str, environment: Mapping[str, str] | None = None, most_idle_bytes: float = math.inf
    ) -> None:
        self._handler = handler
        self._most_idle_bytes = most_idle_bytes
        self._environment = environment
        self._stopped = False
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._stderr: IO[bytes] | None = None
        self._folder: str | None = None
        _workers.add(self)
        _clean_up_on_terminate()

    @property
    def pid(self) -> int | None:
        """Process id of the child, None before the first request."""
        return self._child.pid if self._child else None

    def request(
        self,
        header: Mapping[str, Any],
        blobs: Sequence[bytes] = (),
        *,
        told: Callable[[Header], None] | None = None,
        again: bool = True,
        patience_s: float = DEFAULT_PATIENCE_S,
    ) -> tuple[Header, Blobs]:
        """Runs the handler, however long it takes; `patience_s` without progress ends the child.

        `told` is called with each progress report of the handler; without `again`, a child that somebody killed is an
        error too.

        Raises `WorkerDiedError`, `WorkerError`, or the `HilError` that the handler raised.
        """
        with self._lock:
            try:
                answer, result = self._attempt(dict(header), blobs, patience_s, told or _nobody)
            except WorkerDiedError as death:
                if death.expired or death.crashed or self._stopped or not again:
                    raise
                answer, result = self._attempt(dict(header), blobs, patience_s, told or _nobody)
            if self._child is not None and _resident_bytes(self._child.pid) > self._most_idle_bytes:
                self._discard()
        if "error" in answer:
            raise _remote_error(self._handler, answer["error"])
        return answer, result

    def close(self) -> None:
        """Ends the child; a later request starts a new one."""
        with self._lock:
            self._discard()

    def stop(self) -> None:
        """Ends the child for good, also in the middle of another thread's request, which then raises."""
        self._stopped = True
        child = self._child
        if child is not None:
            child.kill()

    def _attempt(
        self,
        header: Header,
        blobs: Sequence[bytes],
        patience_s: float,
        told: Callable[[Header], None],
    ) -> tuple[Header, Blobs]:
        if self._child is None or self._child.poll() is not None or not Path(self._folder or "").is_dir():
            self._discard()
            self._start()
        try:
            if self._stopped and self._child is not None:  # perhaps before there was a child to kill
                self._child.kill()
            return self._exchange(header, blobs, patience_s, told)
        except BaseException:  # also Ctrl-C: a child in the middle of an answer is of no more use
            self._discard()
            raise

    def _start(self) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
        self._folder = tempfile.mkdtemp(prefix="worker-", dir=process_folder())
        command = [sys.executable, "-c", _BOOT, self._handler, str(os.getpid())]
        environment = {**os.environ, "TMPDIR": self._folder, **(self._environment or {})}
        self._child = _launcher().submit(_spawn, command, self._stderr, environment).result()

    def _exchange(
        self,
        header: Header,
        blobs: Sequence[bytes],
        patience_s: float,
        told: Callable[[Header], None],
    ) -> tuple[Header, Blobs]:
        child = self._child
        assert child is not None
        assert child.stdin is not None
        assert child.stdout is not None
        killed_for_memory = _kills_for_memory()
        with _Limit(child, patience_s) as limit:
            try:
                write_frame(child.stdin, header, blobs)
                while "told" in (answer := read_frame(child.stdout))[0]:
                    limit.progressed()
                    told(answer[0]["told"])
                return answer
            except (EOFError, OSError, ValueError) as broken:
                raise self._obituary(limit.expired, killed_for_memory) from broken

    def _obituary(self, expired: str, killed_for_memory: int) -> WorkerDiedError:
        child = self._child
        assert child is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_STOP_WAIT_S)
        what = f"{expired} and was ended" if expired else _death(child.returncode)
        return WorkerDiedError(
            f"the process for {self._handler} {what}",
            log=self._stderr_text(),
            returncode=child.returncode,
            expired=expired,
            out_of_memory=child.returncode == _SIGKILL and _kills_for_memory() > killed_for_memory,
        )

    def _stderr_text(self) -> str:
        file = self._stderr
        assert file is not None
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _LOG_LIMIT))
        return file.read().decode(errors="replace")

    def _discard(self) -> None:
        child, self._child = self._child, None
        stderr, self._stderr = self._stderr, None
        folder, self._folder = self._folder, None
        if child is not None:
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
            _kill(child)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_STOP_WAIT_S)
        if stderr is not None:
            stderr.close()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def _forget(self) -> None:
        """In a forked process: the child is the parent's; only our copies of the pipes are closed."""
        child, self._child = self._child, None
        self._stderr, self._folder, self._lock = None, None, threading.Lock()
        if child is not None:
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    pipe.close()
            child.returncode = 0  # not ours to wait for


_workers: weakref.WeakSet[Worker] = weakref.WeakSet()


@functools.cache
def _launcher() -> ThreadPoolExecutor:
    """The thread that starts children.

    Linux ends a child that asked for PR_SET_PDEATHSIG when the *thread* that started it ends, so a short-lived
    thread of a pool must not be that one.
    """
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="hil-worker")


def _spawn(command: list[str], stderr: IO[bytes], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=stderr, bufsize=0, env=environment, start_new_session=True
    )


class _Limit:
    """Ends a child that makes no progress; `expired` says why."""

    def __init__(self, child: subprocess.Popen[bytes], patience_s: float) -> None:
        self.expired = ""
        self._child, self._patience_s = child, patience_s
        self._reported = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="hil-limit", daemon=True)

    def __enter__(self) -> _Limit:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()

    def progressed(self) -> None:
        """Notes a progress report of the child."""
        self._reported = True

    def _look(self) -> None:
        interval = min(_LOOK_S, self._patience_s / 4)
        if self._over.wait(interval):  # most requests end before anything is measured
            return
        from hil.core.progress_watch import ProgressWatch

        watch = ProgressWatch(self._child.pid, self._patience_s)
        while not self._over.wait(interval):
            if self._reported:
                self._reported = False
                watch.progressed()
            if why := watch.why_hanging():
                self.expired = f"hung, {why},"
                self._child.kill()
                return


def _kill(child: subprocess.Popen[bytes]) -> None:
    """Ends a child with the processes that it started."""
    with contextlib.suppress(OSError):
        os.killpg(child.pid, signal.SIGKILL)
    child.kill()


def end_children() -> None:
    """Ends all children and removes their folders; for the end of this process, from any thread."""
    for worker in list(_workers):
        child = worker._child
        if child is not None:
            _kill(child)
    remove_process_folder()


def _on_terminate(number: int, frame: object) -> None:
    """Lets SIGTERM end this process as it would have, after its children."""
    end_children()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _clean_up_on_terminate() -> None:
    """Handles SIGTERM where nobody else does; only the main thread may."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _on_terminate)


def _kills_for_memory() -> int:
    """The number of processes that Linux has ended for want of memory, in the whole system and in this cgroup."""
    count = 0
    for file in ("/proc/vmstat", "/sys/fs/cgroup/memory.events"):
        with contextlib.suppress(OSError), Path(file).open() as lines:
            count += sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
    return count


def _resident_bytes(pid: int) -> int:
    """Memory that a process holds; 0 where the system does not say."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


def _nobody(told: Header) -> None:
    pass


def _death(returncode: int | None) -> str:
    if returncode is None:
        return "stopped answering"
    return f"died of signal {-returncode}" if returncode < 0 else f"ended with exit code {returncode}"


def _remote_error(handler: str, error: Mapping[str, Any]) -> HilError:
    if "attributes" in error:
        return error_of_json(error)
    return WorkerError(f"{handler} raised {error['class']}: {error['message']}", log=error["log"])


def _close_all() -> None:
    for worker in list(_workers):
        worker.close()


def _after_fork() -> None:
    _launcher.cache_clear()
    for worker in list(_workers):
        worker._forget()


atexit.register(_close_all)
_register_at_fork: Callable[..., None] | None = getattr(os, "register_at_fork", None)  # not on Windows
if _register_at_fork is not None:
    _register_at_fork(after_in_child=_after_fork)
