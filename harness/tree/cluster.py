"""Executor that makes a walk's nodes on the workers of a dask scheduler.

    dask scheduler --host 127.0.0.1
    dask worker tcp://127.0.0.1:8786 --nthreads 1           # on each machine, once for each task at a time
    hil tree fashion_cnn --scheduler tcp://127.0.0.1:8786 --store /shared/hil

A task is one future.  The worker runs it in a child process, so that tasks share neither TensorFlow's threads nor
random generators; the child ends with the worker.  A function is sent by its name, a task and its result as JSON;
artifacts go through the store, a folder that all machines see under one path.

When a worker dies, dask gives its tasks to another, up to its own limit (`distributed.scheduler.allowed-failures`).
dask's messages are pickles: anyone who can reach the scheduler can run code on its workers and on this machine, so it
must be trusted.  TLS is configured in dask.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
import uuid
from collections.abc import Mapping
from typing import Any

from hil.core.error_json import error_as_json, error_of_json
from hil.core.errors import HilError, InfrastructureError, UnavailableError
from hil.core.worker import Worker
from hil.harness.compute import compute_of_json
from hil.harness.pipeline.step_process import patience_s
from hil.harness.tree.executor import HANDLER, EventHandler, Executor, TaskEnded, TaskProgress, TaskStarted
from hil.harness.tree.tasks import Task, result_of_json

CONNECT_S = 5.0
LOOK_S = 2.0
"""Seconds between checks that the scheduler and workers are still there."""
NOBODY_S = 60.0
"""Seconds for which a walk waits while the scheduler has no worker."""
IDLE_S = 60.0
"""Seconds after which a worker ends an unused child process."""


class Cluster(Executor):
    """Executor on the workers of the scheduler at `address`; raises `InfrastructureError` if none answers."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._client = _client(address)
        self._walk = f"hil-{uuid.uuid4().hex}"
        self._events: queue.SimpleQueue[TaskStarted | TaskProgress | TaskEnded] = queue.SimpleQueue()
        self._tasks: dict[str, tuple[Task, Any]] = {}
        self._seen = time.monotonic()
        self._threads = 0
        self._client.subscribe_topic(self._walk, self._progressed)
        self._look()

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(Exception):  # a scheduler that is gone has nothing to be cancelled
            self._client.cancel([future for _, future in self._tasks.values()], force=True)
        self._client.close(timeout=CONNECT_S)

    def free(self) -> bool:
        return len(self._tasks) < max(1, self._threads)

    def submit(self, task: Task) -> None:
        key = f"hil {task.title} {uuid.uuid4().hex}"
        future = self._client.submit(on_worker, self._walk, task.as_json(), key=key, pure=False)
        self._tasks[key] = task, future
        self._events.put(TaskStarted(task))
        future.add_done_callback(self._ended)

    def wait(self, hear: EventHandler) -> TaskEnded:
        while True:
            try:
                event = self._events.get(timeout=LOOK_S)
            except queue.Empty:
                self._look()
                continue
            if isinstance(event, TaskEnded):
                return event
            hear(event)

    def _progressed(self, event: tuple[float, Mapping[str, Any]]) -> None:
        message = event[1]
        if known := self._tasks.get(message["key"]):
            self._events.put(TaskProgress(known[0], str(message["text"]), int(message["done"]), int(message["total"])))

    def _ended(self, future: Any) -> None:
        task, _ = self._tasks.pop(future.key)
        self._events.put(_outcome(task, future))

    def _look(self) -> None:
        """Counts the workers' threads; raises `InfrastructureError` without a scheduler, or a worker for `NOBODY_S`."""
        try:
            self._threads = sum(self._client.nthreads().values())
        except Exception as error:
            raise InfrastructureError(f"the dask scheduler at {self._address} is gone: {error}") from error
        if self._threads:
            self._seen = time.monotonic()
        elif time.monotonic() - self._seen > NOBODY_S:
            hint = f"dask worker {self._address} --nthreads 1"
            raise InfrastructureError(f"the scheduler {self._address} has no worker for {NOBODY_S:.0f} s", hint=hint)


def _client(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError as error:
        hint = "pip install 'ethosu-hil[cluster]'"
        raise UnavailableError(f"dask.distributed cannot be imported: {error}", hint=hint) from None
    try:
        client = Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        message = f"no dask scheduler at {address}: {line}"
        raise InfrastructureError(message, hint="dask scheduler --host 127.0.0.1") from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what it says of lost connections, the walk says
    return client


def _outcome(task: Task, future: Any) -> TaskEnded:
    """Returns the result or error of a finished future."""
    if future.status == "finished":
        answer = future.result()
        if "error" in answer:
            return TaskEnded(task, error=error_of_json(answer["error"]))
        return TaskEnded(task, result_of_json(answer))
    reason = future.exception() if future.status == "error" else "the scheduler lost it"
    return TaskEnded(task, error=InfrastructureError(f"{task.title} could not be made on the cluster: {reason}"))


# -- on the workers


def on_worker(walk: str, plain: dict[str, Any]) -> dict[str, Any]:
    """Runs a task in a child process of the worker; returns the result of the handler, or `error`, as JSON."""
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def report(progress: dict[str, Any]) -> None:
        state = worker.state.tasks.get(key)
        if state is None or state.state == "cancelled":
            raise _UnwantedError  # which ends the child
        worker.log_event(walk, {"key": key, **progress})

    with _children.one(walk, plain["compute"]) as child:
        try:
            answer: dict[str, Any] = child.request(plain, told=report, again=False, patience_s=patience_s())[0]
            return answer
        except HilError as error:
            return {"error": error_as_json(error)}


class _UnwantedError(Exception):
    """The walk that submitted a task has ended."""


class _Children:
    """Child processes of a dask worker, reused within one walk: between walks, model files may change."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[tuple[str, Worker, threading.Timer]] = []

    @contextlib.contextmanager
    def one(self, walk: str, compute: Mapping[str, Any]) -> Any:
        child = self._take(walk) or Worker(
            HANDLER, {"TF_NUM_INTEROP_THREADS": "1", **compute_of_json(compute).environment()}
        )
        try:
            yield child
        finally:
            timer = threading.Timer(IDLE_S, lambda: self._end(child))
            timer.daemon = True
            with self._lock:
                self._idle.append((walk, child, timer))
            timer.start()

    def _take(self, walk: str) -> Worker | None:
        with self._lock:
            for known in self._idle:
                if known[0] == walk:
                    self._idle.remove(known)
                    known[2].cancel()
                    return known[1]
        return None

    def _end(self, child: Worker) -> None:
        with self._lock:
            mine = [known for known in self._idle if known[1] is child]
            self._idle = [known for known in self._idle if known not in mine]
        if mine:  # nobody took it in the meantime
            child.close()


_children = _Children()
