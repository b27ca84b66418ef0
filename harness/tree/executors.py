"""Who makes the nodes of a walk: this process, several processes here, or a cluster (`hil.harness.tree.cluster`).

    with executor_of(jobs=2) as executor:
        executor.submit(task)
        done = executor.wait(hear)         # hear(Began(...)), hear(Told(...)), then Done(task, made, error)

All are one small interface, so a walk goes one way: it hands over what is ready and waits for what ends.  Results lie
in the store.  They are the same whoever makes them: see `hil.harness.optimize.keras.keras2` for threads.
"""

from __future__ import annotations

import os
import queue
from collections import deque
from concurrent.futures import ThreadPoolExecutor

from hil.core.errors import BadInputError
from hil.core.worker import Worker
from hil.harness.tree.executor import HANDLER, Began, Done, Executor, Hear, Told
from hil.harness.tree.tasks import Made, Task, made_of_plain, make


class Serial(Executor):
    """One task after the other in this process, each when it is waited for."""

    ahead = False

    def __init__(self) -> None:
        self._waiting: deque[Task] = deque()

    def __exit__(self, *error: object) -> None:
        self._waiting.clear()

    def free(self) -> bool:
        return not self._waiting

    def submit(self, task: Task) -> None:
        self._waiting.append(task)

    def wait(self, hear: Hear) -> Done:
        task = self._waiting.popleft()
        hear(Began(task))
        if task.candidate is not None:  # whoever measures it next, in this process, makes it on the way
            return Done(task, Made())
        return Done(task, make(task, lambda text, done, total: hear(Told(task, text, done, total))))


class LocalProcesses(Executor):
    """`jobs` processes of this machine, at most one a core, which share its cores; they end with this process."""

    def __init__(self, jobs: int) -> None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        jobs = min(jobs, cores)
        each = str(max(1, cores // jobs))
        shares = dict.fromkeys(("TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), each)
        self._workers = [Worker(HANDLER, shares) for _ in range(jobs)]
        self._idle = deque(self._workers)
        self._events: queue.SimpleQueue[Began | Told | Done] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(jobs, "hil-jobs")

    def __exit__(self, *error: object) -> None:
        for worker in self._workers:
            worker.stop()
        self._threads.shutdown(cancel_futures=True)
        for worker in self._workers:
            worker.close()

    def free(self) -> bool:
        return bool(self._idle)

    def submit(self, task: Task) -> None:
        self._threads.submit(self._make, self._idle.popleft(), task)

    def wait(self, hear: Hear) -> Done:
        while not isinstance(event := self._events.get(), Done):
            hear(event)
        return event

    def _make(self, worker: Worker, task: Task) -> None:
        self._events.put(Began(task))
        try:
            answer, _ = worker.request(
                task.plain(), timeout=None, told=lambda told: self._events.put(Told(task, **told)), again=False
            )
            done = Done(task, made_of_plain(answer))
        except Exception as error:
            done = Done(task, error=error)
        self._idle.append(worker)
        self._events.put(done)


def executor_of(jobs: int = 1, scheduler: str = "") -> Executor:
    """Who makes the nodes; raises `BadInputError` for what cannot be, `InfrastructureError` without the scheduler."""
    if jobs < 1:
        raise BadInputError(f"{jobs} jobs: at least 1")
    if not scheduler:
        return Serial() if jobs == 1 else LocalProcesses(jobs)
    if jobs > 1:
        raise BadInputError(
            "jobs and a scheduler: one or the other", hint="the scheduler knows how many workers it has"
        )
    from hil.harness.tree.cluster import Cluster

    return Cluster(scheduler)
