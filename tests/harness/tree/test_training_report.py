"""Trainings of a walk: those that made a leaf worse are named, loss and accuracy are shown by epoch."""

from __future__ import annotations

from hil.harness.evaluation.figures import accuracy_figures
from hil.harness.metrics.accuracy import Accuracy
from hil.harness.model import Budget, Scale
from hil.harness.optimize.paths import path_of
from hil.harness.optimize.training_history import Epoch, format_history, read_history
from hil.harness.tree import Leaf, LeafStatus, TrainedNode, Verdict, Walk
from hil.harness.tree.text_report import verdict_lines
from hil.harness.tree.training_report import training_figures, training_rows, worse_trainings


def effect(before: float, after: float, low: float, unit: str = "fraction") -> Accuracy:
    high = 2 * (before - after) - low
    return Accuracy("top1", after, before, after, low, high, 1000, after, 8, unit=unit)


def leaf(name: str, found: Accuracy | None) -> Leaf:
    figures = [*training_figures(found), *(accuracy_figures(found) if found else [])]
    return Leaf(name, path_of(name.partition(" ")[0]), LeafStatus.MET, measurements=tuple(figures))


def walked(*leaves: Leaf, scale: Scale | None = None) -> Walk:
    trained = (
        TrainedNode((), 8.0, True, epochs=(Epoch(0.9, 0.6), Epoch(0.5, 0.8))),
        TrainedNode(("prune",), 2.0, True, (("sparsity", 0.7),), (Epoch(0.75),)),
        TrainedNode(("fold",), 0.1, True),
    )
    verdict = Verdict(True, leaves[0].name, "")
    return Walk("m", "all", Budget(), {"target": "sim"}, trained, leaves, (), verdict, scale=scale or Scale())


def test_a_leaf_that_training_made_worse_is_named() -> None:
    lost = leaf("npu_pcqat", effect(0.909, 0.884, 0.02))
    found = walked(
        leaf("ptq", None), leaf("qat", effect(0.916, 0.915, -0.001)), leaf("pqat", effect(0.9, 0.91, -0.02)), lost
    )
    (line,) = worse_trainings(found)
    start = "npu_prune > fold > npu_sparse_cluster"
    assert (
        line
        == f"npu_pcqat: its last training made it 2.50 points worse in Keras, 90.9 % before ({start}), 88.4 % after"
    )
    assert f"  {line}" in verdict_lines(found)


def test_a_fold_is_no_training() -> None:
    (line,) = worse_trainings(walked(leaf("npu_prune sparsity=0.7", effect(30.0, 28.5, 1.0, "dB")), scale=Scale("dB")))
    assert line.endswith("made it 1.5 dB worse in Keras, 30 dB before (base), 28.5 dB after")


def test_loss_and_accuracy_are_shown_by_epoch() -> None:
    rows = training_rows(walked(leaf("ptq", None)).trained)
    assert [(row.name, row.loss, row.accuracy) for row in rows] == [
        ("base", "0.9, 0.5", "60.0, 80.0"),
        ("prune sparsity=0.7", "0.75", ""),
    ]
    assert format_history([float(n) for n in range(20)], ".0f") == "0, 1, 2, 3, ..., 16, 17, 18, 19"
    assert read_history(b'[{"loss": 0.5, "accuracy": null}]') == (Epoch(0.5),)
