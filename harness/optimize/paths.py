"""The deployment tree of collaborative optimization.

    base ── ptq                              post-training quantization, straight from the base
         ├─ qat
         ├─ prune ───┬─ (ptq)                leaf "prune"
         │           ├─ pqat
         │           └─ sparse_cluster ┬─ (ptq)   leaf "sparse_cluster"
         │                             └─ pcqat
         └─ cluster ─┬─ (ptq)                leaf "cluster"
                     └─ cqat

A node is the tuple of techniques from the root to it; its parent is the node without the last technique, so leaves
share the Keras models of common nodes.  `int16x8` (16-bit activations, 8-bit weights, after training) is a leaf outside
the tree.  Source: TFMOT's guide to collaborative optimization.
"""

from __future__ import annotations

from hil.npu.errors import BadInputError

Node = tuple[str, ...]

PATHS: dict[str, Node] = {
    "ptq": ("ptq",),
    "qat": ("qat",),
    "prune": ("prune", "ptq"),
    "pqat": ("prune", "pqat"),
    "cluster": ("cluster", "ptq"),
    "cqat": ("cluster", "cqat"),
    "sparse_cluster": ("prune", "sparse_cluster", "ptq"),
    "pcqat": ("prune", "sparse_cluster", "pcqat"),
    "int16x8": ("int16x8",),
}
"""Leaf name -> its techniques, in the order in which tables list them."""

CONVERTING = ("ptq", "int16x8")
"""Techniques that only convert; all others train and give a Keras model."""
QUANTIZING = ("qat", "pqat", "cqat", "pcqat")
"""Techniques that train with quantization in the graph, whose model the converter takes as it is."""


def path_of(leaf: str) -> Node:
    """The techniques of a leaf; raises `BadInputError` for a name that is none."""
    if leaf not in PATHS:
        raise BadInputError(f"unknown technique {leaf}", hint=f"known: {', '.join(PATHS)}")
    return PATHS[leaf]


def training_node(path: Node) -> Node:
    """The node whose Keras model is converted: the path without a last step that only converts."""
    return path[:-1] if path and path[-1] in CONVERTING else path


def conversion(path: Node) -> str:
    """How a leaf's Keras model becomes TFLite: "ptq", "qat" (ranges come from training) or "int16x8"."""
    return "qat" if path[-1] in QUANTIZING else path[-1]
