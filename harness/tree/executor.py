"""The interface of those who make the nodes of a walk, and the events that they report."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from hil.harness.tree.tasks import Made, Task

HANDLER = "hil.harness.tree.tasks:make_in_child"


@dataclass(frozen=True)
class Began:
    """A task is under way."""

    task: Task


@dataclass(frozen=True)
class Told:
    """A task says what it does, how far it is, and of how much (0: unknown)."""

    task: Task
    text: str
    done: int
    total: int


@dataclass(frozen=True)
class Done:
    """A task ended: `made`, or the error that ended it (a `WorkerDiedError` says nothing of the task itself)."""

    task: Task
    made: Made | None = None
    error: Exception | None = None


Hear = Callable[[Began | Told], None]


class Executor(AbstractContextManager["Executor"], ABC):
    """Makes tasks; the end of its block ends whatever is still under way.

    `ahead`: it works while this process measures, so it is given what comes next first.
    """

    ahead = True

    @abstractmethod
    def free(self) -> bool:
        """Whether it takes another task now."""

    @abstractmethod
    def submit(self, task: Task) -> None:
        """Hands a task over."""

    @abstractmethod
    def wait(self, hear: Hear) -> Done:
        """The next task that ends; `hear` hears what happens until then, in the thread that waits."""
