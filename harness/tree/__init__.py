"""The walk of the deployment tree: level by level until a leaf meets every limit on the target.

    from hil.harness.model import Budget
    from hil.harness.tree import walk

    found = walk(model, evaluator, Budget(max_accuracy_drop=0.01, max_latency_ms=0.1))
    found.verdict.winner, found.verdict.run        # "pqat", "hil run fashion_cnn-pqat.tflite --target sim ..."

`walking` the order and the stop · `searching` the policy `best` · `candidates` leaves under other settings · `making`
nodes and leaves, each once · `executors`, `tasks`, `cluster` who makes them · `measuring` a leaf's figures and checks ·
`result` what a walk gives · `limits` what was asked · `sizes` compressed files · `front` what nothing else beats ·
`again` the winner's commands · `picture` the tree as text · `watcher`, `watching` the same while it grows · `in_pytest`
fixture and mark

A leaf's level is the number of its trainings, so cheap leaves come first.
"""

from hil.harness.tree.observer import Watcher
from hil.harness.tree.result import Leaf, LeafStatus, LimitCheck, Trained, Verdict, Walk
from hil.harness.tree.settings_search import Effort
from hil.harness.tree.walk import POLICIES, walk

__all__ = ["POLICIES", "Effort", "Leaf", "LeafStatus", "LimitCheck", "Trained", "Verdict", "Walk", "Watcher", "walk"]
