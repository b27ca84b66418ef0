"""Executors of a walk's tasks: this process, several local processes, or a cluster (`hil.harness.tree.cluster`).

    with create_executor(jobs=2) as executor:
        executor.submit(task)
        ended = executor.wait(handle)      # handle(TaskStarted(...)), handle(TaskProgress(...)), then TaskEnded(...)

All have one small interface: a walk submits the tasks that are ready and waits for the next one to end.  Results are in
the store, and are the same with every executor: a task names its threads (`hil.harness.compute`).
"""

from __future__ import annotations

import queue
from collections import deque
from concurrent.futures import ThreadPoolExecutor

from hil.core.cores import usable_cores
from hil.core.errors import BadInputError
from hil.core.worker import Worker
from hil.harness.compute import ONE_THREAD, Compute
from hil.harness.pipeline.step_process import patience_s
from hil.harness.tree.executor import HANDLER, EventHandler, Executor, TaskEnded, TaskProgress, TaskStarted
from hil.harness.tree.tasks import Task, TaskResult, result_of_json, run_task


class Serial(Executor):
    """Runs one task after the other in this process, inside `wait`."""

    ahead = False

    def __init__(self) -> None:
        self._waiting: deque[Task] = deque()

    def __exit__(self, *error: object) -> None:
        self._waiting.clear()

    def free(self) -> bool:
        return not self._waiting

    def submit(self, task: Task) -> None:
        self._waiting.append(task)

    def wait(self, hear: EventHandler) -> TaskEnded:
        task = self._waiting.popleft()
        hear(TaskStarted(task))
        if task.candidate is not None:  # whoever measures it next, in this process, makes it on the way
            return TaskEnded(task, TaskResult())
        return TaskEnded(task, run_task(task, lambda text, done, total: hear(TaskProgress(task, text, done, total))))


class LocalProcesses(Executor):
    """Runs tasks in `jobs` local processes, at most one a core, which share the cores and end with this process."""

    def __init__(self, jobs: int, compute: Compute) -> None:
        cores = usable_cores()
        jobs = min(jobs, cores)
        each = str(max(1, cores // jobs))
        shares = dict.fromkeys(("TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), each)
        self._workers = [Worker(HANDLER, {**shares, **compute.environment()}) for _ in range(jobs)]
        self._idle = deque(self._workers)
        self._events: queue.SimpleQueue[TaskStarted | TaskProgress | TaskEnded] = queue.SimpleQueue()
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

    def wait(self, hear: EventHandler) -> TaskEnded:
        while not isinstance(event := self._events.get(), TaskEnded):
            hear(event)
        return event

    def _make(self, worker: Worker, task: Task) -> None:
        self._events.put(TaskStarted(task))
        try:
            answer, _ = worker.request(
                task.as_json(),
                told=lambda told: self._events.put(TaskProgress(task, **told)),
                again=False,
                patience_s=patience_s(),
            )
            done = TaskEnded(task, result_of_json(answer))
        except Exception as error:
            done = TaskEnded(task, error=error)
        self._idle.append(worker)
        self._events.put(done)


def create_executor(jobs: int = 1, scheduler: str = "", compute: Compute = ONE_THREAD) -> Executor:
    """Creates the executor; raises `BadInputError` for invalid options, `InfrastructureError` without the scheduler."""
    if jobs < 1:
        raise BadInputError(f"{jobs} jobs: at least 1")
    if not scheduler:
        return Serial() if jobs == 1 else LocalProcesses(jobs, compute)
    if jobs > 1:
        raise BadInputError(
            "jobs and a scheduler: one or the other", hint="the scheduler knows how many workers it has"
        )
    from hil.harness.tree.cluster import Cluster

    return Cluster(scheduler)
