"""Interface of the executors of a walk's tasks, and the events that they report."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from hil.harness.tree.tasks import Task, TaskResult

HANDLER = "hil.harness.tree.tasks:run_in_child"


@dataclass(frozen=True)
class TaskStarted:
    """Event: a task has begun."""

    task: Task


@dataclass(frozen=True)
class TaskProgress:
    """Event: progress of a task, with a text, steps done and steps in total (0: unknown)."""

    task: Task
    text: str
    done: int
    total: int


@dataclass(frozen=True)
class TaskEnded:
    """Event: a task has ended, with its result or its error (a `WorkerDiedError` is no fault of the task)."""

    task: Task
    made: TaskResult | None = None
    error: Exception | None = None


EventHandler = Callable[[TaskStarted | TaskProgress], None]


class Executor(AbstractContextManager["Executor"], ABC):
    """Runs tasks; the end of its block ends those still running.

    `ahead`: tasks run while this process measures, so the next tasks are submitted before measuring.
    """

    ahead = True

    @abstractmethod
    def free(self) -> bool:
        """Returns whether another task can be submitted now."""

    @abstractmethod
    def submit(self, task: Task) -> None:
        """Submits a task."""

    @abstractmethod
    def wait(self, hear: EventHandler) -> TaskEnded:
        """Waits for the next task to end; calls `hear` with other events until then, in the calling thread."""
