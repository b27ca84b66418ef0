"""The deployment tree of collaborative optimization.

    base ── ptq                              post-training quantization, straight from the base
         ├─ qat
         ├─ prune ───┬─ (ptq)                leaf "prune"
         │           ├─ pqat
         │           └─ sparse_cluster ┬─ (ptq)   leaf "sparse_cluster"
         │                             └─ pcqat
         └─ cluster ─┬─ (ptq)                leaf "cluster"
                     └─ cqat

The leaves for the NPU fold batch normalization and use one scale a convolution kernel.  Pruning comes before the fold:
folding leaves zeros zero, and fine-tuning needs the normalization (see `npu_steps`).

    base ─┬─ fold ─┬─ (npu_ptq)                     leaf "npu_ptq"
          │        └─ npu_cluster ── (npu_ptq)      leaf "npu_cluster"
          └─ npu_prune ── fold ─┬─ (npu_ptq)        leaf "npu_prune"
                                └─ npu_sparse_cluster ─┬─ (npu_ptq)   leaf "npu_sparse_cluster"
                                                       └─ npu_pcqat

A node is the tuple of techniques from the root to it; its parent is the node without the last technique, so leaves
share the Keras models of common nodes.  Leaves outside the tree, after training: `int16x8` (16-bit activations, 8-bit
weights), and `litert_ptq` and `litert_int16x8`, by LiteRT's quantizer.  Source of the tree: TFMOT's guide to
collaborative optimization.
"""

from __future__ import annotations

from hil.core.errors import BadInputError

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
    "npu_ptq": ("fold", "npu_ptq"),
    "npu_prune": ("npu_prune", "fold", "npu_ptq"),
    "npu_cluster": ("fold", "npu_cluster", "npu_ptq"),
    "npu_sparse_cluster": ("npu_prune", "fold", "npu_sparse_cluster", "npu_ptq"),
    "npu_pcqat": ("npu_prune", "fold", "npu_sparse_cluster", "npu_pcqat"),
    "int16x8": ("int16x8",),
    "litert_ptq": ("litert_ptq",),
    "litert_int16x8": ("litert_int16x8",),
}
"""Leaf name -> its techniques, in the order in which tables list them."""

ON_REQUEST = ("litert_ptq", "litert_int16x8")
"""Leaves that need an extra package: made only if named."""
OUTSIDE_TREE = ("int16x8", *ON_REQUEST)
"""Leaves outside the tree: walked to only if named."""
CONVERTING = ("ptq", "npu_ptq", *OUTSIDE_TREE)
"""Techniques that only convert to TFLite; all others return a Keras model."""
PRUNING = ("prune", "npu_prune")
"""Techniques that set weights to zero."""
CLUSTERING = ("cluster", "sparse_cluster", "npu_cluster", "npu_sparse_cluster")
"""Techniques that reduce the number of distinct weights."""
PRESERVING = ("pqat", "cqat", "pcqat")
"""Techniques that preserve zeros or clusters by a quantization scheme of TFMOT."""
QUANTIZING = ("qat", "pqat", "cqat", "pcqat", "npu_pcqat")
"""Techniques that fine-tune with fake quantization, whose ranges the converter uses."""


def path_of(leaf: str) -> Node:
    """Returns the techniques of a leaf; raises `BadInputError` for an unknown name."""
    if leaf not in PATHS:
        raise BadInputError(f"unknown technique {leaf}", hint=f"known: {', '.join(PATHS)}")
    return PATHS[leaf]


def training_node(path: Node) -> Node:
    """Returns the node whose Keras model is converted: the path without a last step that only converts."""
    return path[:-1] if path and path[-1] in CONVERTING else path


def last_training(path: Node) -> Node:
    """Returns the node of the last training on the path to a leaf, without a fold that follows it; () for none."""
    node = training_node(path)
    while node and node[-1] == "fold":
        node = node[:-1]
    return node


def level(path: Node) -> int:
    """Counts the trainings on the path to a leaf."""
    return sum(step != "fold" for step in training_node(path))


def conversion(path: Node) -> str:
    """Returns the conversion of a leaf to TFLite: its last technique, or "qat" (trained ranges)."""
    return "qat" if path[-1] in QUANTIZING else path[-1]
