"""Progress of a walk: a tree that grows on a terminal, a line a step elsewhere.

base                     from the store
ptq                      missed: latency 0.1193 ms, limit 0.1000, 0.0193 too much; holds: drop +0.16 points
prune                    trained in 11.2 s
prune > ptq = prune      met: latency 0.0836 ms, drop +0.98 points
"""

from __future__ import annotations

import sys
import time
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TextIO

from hil.harness.evaluation.limit_check import format_limits
from hil.harness.optimize.paths import Node, path_of
from hil.harness.progress import INTERVAL_S, LineProgress
from hil.harness.text_table import wrap
from hil.harness.tree.candidates import Candidate, Settings, SettledNode, settled_node, title
from hil.harness.tree.observer import WalkObserver
from hil.harness.tree.result import Leaf, LeafStatus, TrainedNode
from hil.harness.tree.text_report import STYLES, format_node, format_origin, summary

if TYPE_CHECKING:
    from rich.tree import Tree

    from hil.harness.evaluation.evaluator import Evaluator
    from hil.harness.model import Budget, Model


class View(WalkObserver, AbstractContextManager["View"]):
    """Observer that displays a walk while its block runs; also the `say` of the evaluator's pipeline."""

    @abstractmethod
    def __call__(self, text: str, done: int, total: int) -> None:
        """Displays the progress of a step: a text, steps done, steps in total."""

    @abstractmethod
    def say(self, *lines: str) -> None:
        """Prints lines above the tree."""

    def walk_started(self, model: Model, evaluator: Evaluator, limits: Budget) -> None:
        asked = format_limits(limits, evaluator.pipeline.learning_task(model).scale)
        self.say(*wrap(f"{model.name} on {evaluator.target_name}, {evaluator.vela.title}: {asked}"))


class LineView(View):
    """Prints a line for each node and leaf to `out`, and progress to stderr."""

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

    def progress(self, what: SettledNode | Candidate, text: str, done: int, total: int) -> None:
        self._progress(text, done, total)

    def node_finished(self, node: TrainedNode) -> None:
        self._line(title(format_node(node.node), node.settings), format_origin(node))

    def leaf_finished(self, leaf: Leaf) -> None:
        self._line(f"leaf {leaf.name}", summary(leaf))

    def _line(self, name: str, text: str) -> None:
        self._progress.close()
        print(f"{name:26} {text}", file=self._out, flush=True)


Branch = tuple[Node, Settings]
"""A node of the displayed tree: path and settings."""


class TreeView(View):
    """Displays the tree on a terminal and redraws it after each change; several nodes may be in progress."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._live = Live(console=Console(highlight=False), auto_refresh=False, vertical_overflow="visible")
        self._model: Model | None = None
        self._ways: dict[Candidate, list[Branch]] = {}
        self._nodes: dict[Branch, str] = {}
        self._done: dict[str, Leaf] = {}
        self._busy: dict[Branch | str, str] = {}
        self._next = 0.0

    def __enter__(self) -> TreeView:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._busy.clear()
        self._draw()
        self._live.stop()

    def __call__(self, text: str, done: int, total: int) -> None:
        leaves = [what for what in self._busy if isinstance(what, str)]
        self._says(leaves[0] if leaves else ((), ()), text, done, total)

    def say(self, *lines: str) -> None:
        for line in lines:
            self._live.console.print(line, markup=False)

    def leaves_chosen(self, candidates: Sequence[Candidate], model: Model) -> None:
        self._model = model
        self._ways |= {candidate: _way(model, candidate) for candidate in candidates}
        self._draw()

    def node_started(self, where: SettledNode) -> None:
        self._begins((where.node, where.settings), "training")

    def node_finished(self, node: TrainedNode) -> None:
        self._nodes[node.node, node.settings] = format_origin(node)
        self._ends((node.node, node.settings))

    def leaf_started(self, candidate: Candidate) -> None:
        self._begins(candidate.title, "measuring")

    def progress(self, what: SettledNode | Candidate, text: str, done: int, total: int) -> None:
        self._says((what.node, what.settings) if isinstance(what, SettledNode) else what.title, text, done, total)

    def leaf_finished(self, leaf: Leaf) -> None:
        self._done[leaf.name] = leaf
        if leaf.status is LeafStatus.FAILED:  # the walk to it ended at one of its nodes, or here
            for branch in self._ways[Candidate(leaf.technique, leaf.settings)]:
                if branch in self._busy:
                    self._nodes[branch] = "failed"
                    self._ends(branch)
        self._ends(leaf.name)

    def _says(self, what: Branch | str, text: str, done: int, total: int) -> None:
        name = self._model.name if self._model else ""
        self._busy[what] = f"{text.removeprefix(f'{name}: ')}{f' {done}/{total}' if total else ''}"
        if time.monotonic() >= self._next:
            self._draw()

    def _begins(self, what: Branch | str, text: str) -> None:
        self._busy[what] = text
        self._draw()

    def _ends(self, what: Branch | str) -> None:
        self._busy.pop(what, None)
        self._draw()

    def _draw(self) -> None:
        self._next = time.monotonic() + INTERVAL_S
        self._live.update(self.tree(), refresh=True)

    def tree(self) -> Tree:
        """Builds the tree of the current state."""
        from rich.text import Text
        from rich.tree import Tree

        name = self._model.name if self._model else ""
        root = Tree(Text.assemble((name, "bold"), "  ", self._state(((), ()))))
        branches: dict[Branch, Any] = {((), ()): root}
        for leaf, way in self._ways.items():
            for parent, branch in pairwise(way):
                if branch not in branches:
                    label = title(branch[0][-1], branch[1])
                    branches[branch] = branches[parent].add(Text.assemble(f"{label:<15} ", self._state(branch)))
            path = path_of(leaf.leaf)
            if way[-1][0] == path:
                branches[way[-1]].label.append_text(Text.assemble("  ", self._leaf(leaf)))
            else:
                branches[way[-1]].add(Text.assemble(f"{path[-1]:<15} ", self._leaf(leaf)))
        return root

    def _state(self, branch: Branch) -> tuple[str, str]:
        if branch in self._busy:
            return f"… {self._busy[branch]}", "cyan"
        return self._nodes.get(branch, "waiting"), "dim"

    def _leaf(self, leaf: Candidate) -> tuple[str, str]:
        if leaf.title in self._busy:
            return f"… {self._busy[leaf.title]}", "cyan"
        if leaf.title not in self._done:
            return "", ""
        return summary(self._done[leaf.title], whole=False), STYLES[self._done[leaf.title].status]


def _way(model: Model, candidate: Candidate) -> list[Branch]:
    """Returns the nodes from the base to a leaf."""
    node = candidate.node
    ends = [node[:length] for length in range(len(node) + 1)]
    return [(end, settled_node(model, end, candidate.settings).settings) for end in ends]


def create_view(*, as_json: bool) -> View:
    """Creates the tree view if stdout is a terminal; else the line view, on stderr if stdout is for JSON."""
    if sys.stdout.isatty() and not as_json:
        return TreeView()
    return LineView(sys.stderr if as_json else sys.stdout)
