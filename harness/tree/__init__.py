"""The walk of the deployment tree: level by level until a leaf meets every limit on the target.

    from hil.harness.model import Budget
    from hil.harness.tree import walk

    found = walk(model, evaluator, Budget(max_accuracy_drop=0.01, max_latency_ms=0.1))
    found.verdict.winner, found.verdict.run        # "pqat", "hil run fashion_cnn-pqat.tflite --target sim ..."

`walk` order of the leaves and end of the walk · `settings_search` the policy `best` · `candidates` leaves under other
settings · `leaf_producer` nodes and leaves, each made once · `executors`, `tasks`, `cluster` trainings in this process,
in several, or on a dask cluster · `leaf_figures` figures of a leaf, checked against the limits · `result` the result of
a walk · `file_sizes` compressed files · `pareto_front` the Pareto front · `reproduction` the
winner's commands · `text_report` the walk as text · `observer`, `terminal_view` progress · `pictures` HTML and PNG

A leaf's level is the number of its trainings, so cheap leaves come first.
"""

from hil.harness.evaluation.limit_check import LimitCheck
from hil.harness.tree.observer import WalkObserver
from hil.harness.tree.result import Leaf, LeafStatus, TrainedNode, Verdict, Walk
from hil.harness.tree.settings_search import Effort
from hil.harness.tree.walk import POLICIES, walk

__all__ = [
    "POLICIES",
    "Effort",
    "Leaf",
    "LeafStatus",
    "LimitCheck",
    "TrainedNode",
    "Verdict",
    "Walk",
    "WalkObserver",
    "walk",
]
