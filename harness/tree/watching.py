"""A walk while it goes: a tree that grows on a terminal, a line a step elsewhere.

base                     from the store
ptq                      missed: latency 0.1193 ms, 0.0193 ms too much; holds: drop +0.16 points
prune                    trained in 11.2 s
prune > ptq = prune      met: latency 0.0836 ms, drop +0.98 points
"""

from __future__ import annotations

import sys
import time
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TextIO

from hil.harness.optimize.paths import PATHS, Node, training_node
from hil.harness.progress import INTERVAL_S, LineProgress
from hil.harness.tree.picture import STYLES, asked, origin, step, summary
from hil.harness.tree.result import Leaf, Trained
from hil.harness.tree.walking import Watcher

if TYPE_CHECKING:
    from rich.tree import Tree

    from hil.harness.bench import Bench
    from hil.harness.model import Budget, Model


class View(Watcher, AbstractContextManager["View"]):
    """A watcher that also hears how far a step is (it is the pipeline's `say`), for as long as its block lasts."""

    @abstractmethod
    def __call__(self, text: str, done: int, total: int) -> None:
        """A step says what it does, how far it is, and of how much."""

    @abstractmethod
    def say(self, *lines: str) -> None:
        """What stands above the tree."""

    def starts(self, model: Model, bench: Bench, limits: Budget, leaves: Sequence[str]) -> None:
        where = f"{bench.target_name}, {bench.vela.accelerator}, {bench.vela.memory_mode}"
        self.say(f"{model.name} on {where}: {asked(limits)}")


class Lines(View):
    """A line a node and a leaf on `out`; on stderr what is under way."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._progress = LineProgress()

    def __call__(self, text: str, done: int, total: int) -> None:
        self._progress(text, done, total)

    def __exit__(self, *error: object) -> None:
        self._progress.close()

    def say(self, *lines: str) -> None:
        for line in lines:
            print(line, file=self._out, flush=True)

    def trained(self, node: Trained) -> None:
        self._line(step(node.node), origin(node))

    def walked(self, leaf: Leaf) -> None:
        self._line(f"leaf {leaf.name}", summary(leaf))

    def _line(self, name: str, text: str) -> None:
        self._progress.close()
        print(f"{name:26} {text}", file=self._out, flush=True)


class Growing(View):
    """The tree itself on a terminal, drawn anew where something changed."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._live = Live(console=Console(highlight=False), auto_refresh=False, vertical_overflow="visible")
        self._model = ""
        self._leaves: list[str] = []
        self._nodes: dict[Node, str] = {}
        self._done: dict[str, Leaf] = {}
        self._busy: Node | str = ""
        self._now = ""
        self._next = 0.0

    def __enter__(self) -> Growing:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._busy = self._now = ""
        self._draw()
        self._live.stop()

    def __call__(self, text: str, done: int, total: int) -> None:
        self._now = f"{text.removeprefix(f'{self._model}: ')}{f' {done}/{total}' if total else ''}"
        if time.monotonic() >= self._next:
            self._draw()

    def say(self, *lines: str) -> None:
        for line in lines:
            self._live.console.print(line, markup=False, soft_wrap=True)

    def starts(self, model: Model, bench: Bench, limits: Budget, leaves: Sequence[str]) -> None:
        super().starts(model, bench, limits, leaves)
        self._model, self._leaves = model.name, list(leaves)
        self._draw()

    def training(self, node: Node) -> None:
        self._begin(node)

    def trained(self, node: Trained) -> None:
        self._nodes[node.node] = origin(node)
        self._begin("")

    def measuring(self, leaf: str) -> None:
        self._begin(leaf)

    def walked(self, leaf: Leaf) -> None:
        self._done[leaf.name] = leaf
        if isinstance(self._busy, tuple):  # the walk to it ended there
            self._nodes[self._busy] = "failed"
        self._begin("")

    def _begin(self, what: Node | str) -> None:
        self._busy, self._now = what, ""
        self._draw()

    def _draw(self) -> None:
        self._next = time.monotonic() + INTERVAL_S
        self._live.update(self.tree(), refresh=True)

    def tree(self) -> Tree:
        """What is known by now."""
        from rich.text import Text
        from rich.tree import Tree

        root = Tree(Text.assemble((self._model, "bold"), "  ", self._state((), "waiting")))
        branches: dict[Node, Any] = {(): root}
        for leaf in self._leaves:
            path = PATHS[leaf]
            node = training_node(path)
            for length in range(1, len(node) + 1):
                self._branch(branches, node[:length])
            if node == path:
                branches[path].label.append_text(Text.assemble("  ", self._leaf(leaf)))
            else:
                branches[node].add(Text.assemble(f"{path[-1]:<15}", self._leaf(leaf)))
        return root

    def _branch(self, branches: dict[Node, Any], node: Node) -> None:
        from rich.text import Text

        if node not in branches:
            label = Text.assemble(f"{node[-1]:<15}", self._state(node, "waiting"))
            branches[node] = branches[node[:-1]].add(label)

    def _state(self, node: Node, otherwise: str) -> tuple[str, str]:
        if self._busy == node and isinstance(self._busy, tuple):
            return f"… {self._now or 'training'}", "cyan"
        return self._nodes.get(node, otherwise), "dim"

    def _leaf(self, leaf: str) -> tuple[str, str]:
        if leaf == self._busy:
            return f"… {self._now or 'measuring'}", "cyan"
        if leaf not in self._done:
            return "", ""
        return summary(self._done[leaf], whole=False), STYLES[self._done[leaf].status]


def view(*, as_json: bool) -> View:
    """The tree where stdout is a terminal; lines otherwise, on stderr where stdout is for JSON."""
    if sys.stdout.isatty() and not as_json:
        return Growing()
    return Lines(sys.stderr if as_json else sys.stdout)
