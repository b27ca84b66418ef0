"""Content of a walk's pictures: places in the tree, points and limits, a kernel's values at every stage."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from hil.core.errors import BadInputError
from hil.core.measurement import Measurement, Trust
from hil.harness.drawing.canvas import ZERO, style
from hil.harness.drawing.svg import inline
from hil.harness.model import Budget, load_model_file
from hil.harness.optimize.paths import PATHS
from hil.harness.pipeline import surviving
from hil.harness.tree import Leaf, LeafStatus, TrainedNode, Verdict, Walk, pictures, walk
from hil.harness.tree.pictures.kernel_drawing import draw_stages, heat_colors
from hil.harness.tree.pictures.kernel_stages import KernelStages, Stage, read_kernels
from hil.harness.tree.pictures.scatter import LATENCY, WEIGHTS, WIDTH, draw_scatter, scatter_points
from hil.harness.tree.pictures.tree_drawing import draw_tree
from hil.harness.tree.pictures.tree_layout import DrawnNode, layout_tree
from tests.support.blobs import model_file, write

from .blob_walk import Walked


def test_an_unknown_kernel_is_known_with_the_base(walked: Walked) -> None:
    with pytest.raises(BadInputError, match=r"no kernel magic \(there are: conv, logits, pointwise\)"):
        pictures.check_kernel(walked.bench, walked.model, "magic")
    with pytest.raises(BadInputError, match="no kernel magic"):
        pictures.kernel_of(walked.bench, walked.model, walked.found, "magic")


def test_a_kernel_is_what_the_steps_measured(walked: Walked) -> None:
    pqat = next(leaf for leaf in walked.found.leaves if leaf.name == "pqat")
    found = replace(walked.found, verdict=replace(walked.found.verdict, winner="pqat"))
    pipeline = walked.bench.pipeline
    for layer in ("conv", "pointwise", "logits"):
        kernel = pictures.kernel_of(walked.bench, walked.model, found, layer)
        assert kernel is not None
        assert [stage.name for stage in kernel.stages] == ["base", "prune", "pqat", "int8 file"]
        artifacts = [pipeline.keras(walked.model, pqat.path[:length]) for length in (1, 2)]
        artifacts.append(pipeline.int8(walked.model, "pqat"))
        for stage, artifact in zip(kernel.stages[1:], artifacts, strict=True):
            row = next(row for row in surviving(artifact) if row.layer == layer)
            assert (stage.zeros, stage.unique, stage.values.size) == (row.zeros, row.unique, row.size)
        base, prune, trained, int8 = (stage.values for stage in kernel.stages)
        assert base.shape == int8.shape
        assert int8.dtype == np.int8
        assert np.count_nonzero(base[prune != 0]) == np.count_nonzero(prune)
        assert not int8[prune == 0].any(), "each weight stands at the same place in every stage"
        assert np.corrcoef(trained.ravel(), int8.ravel())[0, 1] > 0.5


def test_a_transposed_convolution_has_its_channels_elsewhere(tmp_path: Path, walked: Walked) -> None:
    layer = 'layers.Conv2DTranspose(16, 2, strides=2, name="pointwise")'
    text = model_file("up").replace('layers.Conv2D(16, 1, activation="relu", name="pointwise")', layer)
    model = load_model_file(write(tmp_path, {"models/up.py": text}) / "models/up.py")
    verdict = replace(walked.found.verdict, winner="ptq")
    kernel = pictures.kernel_of(walked.bench, model, replace(walked.found, verdict=verdict), "pointwise")
    assert kernel is not None
    base, int8 = (stage.values for stage in kernel.stages)
    assert kernel.shape == (2, 2, 16, 8)
    assert base.shape == int8.shape == (16, 32)
    assert np.corrcoef(base.ravel(), int8.ravel())[0, 1] > 0.9


def test_the_kernel_shown_is_the_largest_that_techniques_touch(walked: Walked) -> None:
    assert walked.kernel.layer == "logits"
    kept = replace(walked.model, recipe=replace(walked.model.recipe, keep=("logits",)))
    first = read_kernels(walked.bench.pipeline.keras(walked.model, ()).path("model.h5"))
    assert {name: values.size for name, values in first.items()} == {"conv": 72, "pointwise": 128, "logits": 768}
    ptq = replace(walked.found, verdict=replace(walked.found.verdict, winner="ptq"))
    chosen = pictures.kernel_of(walked.bench, replace(kept, techniques=("ptq",)), ptq, None)
    assert chosen is not None
    assert chosen.layer == "pointwise"
    nothing = replace(walked.found, leaves=(), verdict=replace(walked.found.verdict, winner=None))
    assert pictures.kernel_of(walked.bench, walked.model, nothing) is None


def test_a_keras_file_that_points_elsewhere_is_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside.bin"
    outside.write_bytes(np.ones(16, np.float32).tobytes())
    with h5py.File(tmp_path / "external.h5", "w") as file:
        file.create_dataset("model_weights/conv/conv/kernel:0", (4, 4), "f4", external=[(str(outside), 0, 64)])
    with h5py.File(tmp_path / "huge.h5", "w") as file:
        file.create_dataset("model_weights/conv/conv/kernel:0", (1 << 20, 1 << 20), "f4", chunks=(1, 1024))
    for name in ("external", "huge"):
        with pytest.raises(BadInputError, match="the kernel of conv is not in the file"):
            read_kernels(tmp_path / f"{name}.h5")
    with h5py.File(tmp_path / "linked.h5", "w") as file:
        file["model_weights"] = h5py.ExternalLink("huge.h5", "/model_weights")
    assert read_kernels(tmp_path / "linked.h5") == {}
    with pytest.raises(BadInputError, match=r"is no Keras HDF5 model"):
        read_kernels(outside)


def test_only_zero_has_the_colour_of_zero() -> None:
    zero = tuple(bytes.fromhex(ZERO[1:]))
    values = np.concatenate([np.linspace(-1, 1, 2000), [1e-30, -1e-30]]).astype(np.float32)
    values = values[values != 0]
    assert not (heat_colors(values[None], 1.0) == zero).all(axis=-1).any()
    assert (heat_colors(np.zeros((2, 3), np.int8), 127.0) == zero).all()
    assert (
        not (heat_colors(np.delete(np.arange(-128, 128, dtype=np.int16), 128)[None], 127.0) == zero).all(axis=-1).any()
    )


def test_each_stage_says_its_zeros_and_how_many_values_are_left() -> None:
    values = np.zeros((4, 10), np.float32)
    values[0, :5] = (1, 2, 3, 3, 3)
    kernel = KernelStages(
        "conv", "prune", (1, 1, 10, 4), (Stage("base", values), Stage("int8 file", values.astype(np.int8)))
    )
    with style():
        alts = [drawing.alt for drawing in draw_stages(kernel)]
    assert alts == [
        "Kernel conv, base: 87.5 % zeros, 4 unique values",
        "Kernel conv, int8 file: 87.5 % zeros, 4 unique int8 values",
    ]


def leaf(name: str, status: LeafStatus = LeafStatus.MET, **figures: float) -> Leaf:
    """A leaf with some figures, and the accuracy of 0.9 with an interval of 0.01 up and down."""
    known = {"accuracy": 0.9, "base_accuracy": 0.92, "accuracy_drop": 0.02, **figures}
    known |= {"accuracy_drop_low": 0.92 - known["accuracy"] - 0.01, "accuracy_drop_high": 0.93 - known["accuracy"]}
    measurements = tuple(Measurement(key, value, "", Trust.MODELLED) for key, value in known.items())
    return Leaf(name, (name, "ptq"), status, measurements=measurements)


@pytest.mark.parametrize("corner", [(1, 1), (1, -1), (-1, 1), (-1, -1)])
def test_names_cover_neither_each_other_nor_a_point(corner: tuple[int, int]) -> None:
    """Fourteen long names, most of the points in one corner."""
    generator = np.random.default_rng(sum(corner) + 5)
    places = generator.random((14, 2)) ** 3 * corner
    names = [f"{path} sparsity=0.875" if n % 2 else f"{path} clusters=12" for n, path in enumerate([*PATHS][:14])]
    leaves = tuple(
        leaf(name, latency=0.09 + 0.03 * x, accuracy=0.9 + 0.02 * y)
        for name, (x, y) in zip(names, places.tolist(), strict=True)
    )
    found = Walk("net", "best", Budget(), {"target": "sim"}, (), leaves, (), Verdict(True, names[3], ""))
    with style():
        axes = draw_scatter(found, LATENCY).axes
        boxes = [text.get_window_extent() for text in axes.texts if "=" in text.get_text()]
    points = [axes.transData.transform(line.get_xydata()[0]) for line in axes.lines if len(line.get_xydata()) == 1]
    assert len(points) == 14
    assert len(boxes) >= 12
    assert not [box for box in boxes for x, y in points if box.padded(4).contains(x, y)]
    assert not [one for n, one in enumerate(boxes) for other in boxes[:n] if one.overlaps(other)]
    assert all(box.x0 >= 0 and box.x1 <= WIDTH for box in boxes)


def test_points_bars_front_and_limits(walked: Walked) -> None:
    leaves = (
        leaf("slow", latency=2.0, encoded_weights=2048, accuracy=0.91),
        leaf("fast", latency=1.0, encoded_weights=1024),
        leaf("beaten", LeafStatus.MISSED, latency=1.5, encoded_weights=4096, accuracy=0.89),
        Leaf("broken", ("broken", "ptq"), LeafStatus.FAILED, reason="it broke"),
        leaf("wrong", LeafStatus.MISMATCH, latency=0.1, encoded_weights=1),
    )
    found = replace(walked.found, leaves=leaves, limits=Budget(max_accuracy_drop=0.03, max_latency_ms=1.7))
    name, points = scatter_points(found, LATENCY)
    assert name == "latency"
    assert [point.leaf.name for point in points] == ["slow", "fast", "beaten"]
    assert (points[0].low, points[0].high) == (pytest.approx(90), pytest.approx(92))
    with style():
        drawing, sizes = draw_scatter(found, LATENCY), draw_scatter(found, WEIGHTS)
        written = inline(drawing)
    assert "On the Pareto front: slow, fast." in drawing.alt
    assert "fast 90.0 % at 1 KiB" in sizes.alt
    words = {text.get_text() for text in drawing.axes.texts}
    assert {"slow", "fast", "beaten", "float base 92.00 %"} <= words
    assert {"limit: latency at most 1.7 ms", "limit: accuracy at least 89.00 %"} <= words
    assert drawing.axes.get_xlabel() == "latency, ms (modelled)"
    low, high = drawing.axes.get_xlim()
    assert low < 1.0 < 1.7 < 2.0 < high
    assert "slow: 91.00 % (90.00 to 92.00 %), 2 ms, met" in "".join(ET.fromstring(written).itertext())


def test_a_limit_far_from_all_points_does_not_squeeze_them(walked: Walked) -> None:
    leaves = (leaf("a", latency=1.0), leaf("b", latency=1.1))
    found = replace(walked.found, leaves=leaves, limits=Budget(max_latency_ms=50.0))
    with style():
        drawing = draw_scatter(found, LATENCY)
    assert drawing.axes.get_xlim()[1] < 1.2
    assert "limit: latency at most 50 ms, beyond this range" in {text.get_text() for text in drawing.axes.texts}


def test_names_of_points_cover_neither_each_other_nor_a_point(walked: Walked) -> None:
    near = [leaf(f"leaf_{n}", latency=1 + n / 1000, accuracy=0.9 + n / 1000) for n in range(4)]
    found = replace(walked.found, leaves=(*near, leaf("far", latency=2.0, accuracy=0.95)), limits=Budget())
    with style():
        axes = draw_scatter(found, LATENCY).axes
        names = [text.get_window_extent() for text in axes.texts if re.match("leaf_|far", text.get_text())]
        dots = [axes.transData.transform((point.cost, point.accuracy)) for point in scatter_points(found, LATENCY)[1]]
    assert len(names) == 5
    assert not any(one.overlaps(other) for n, one in enumerate(names) for other in names[:n])
    assert not any(name.contains(*dot) for name in names for dot in dots)


def test_the_share_of_the_npu_is_never_set_beside_a_whole_latency(walked: Walked) -> None:
    share, whole = leaf("share", npu_latency=0.5), leaf("whole", latency=2.0)
    name, points = scatter_points(replace(walked.found, leaves=(share, whole)), LATENCY)
    assert (name, [point.leaf.name for point in points]) == ("latency", ["whole"])
    with style():
        drawing = draw_scatter(replace(walked.found, leaves=(share,)), LATENCY)
        nothing = draw_scatter(replace(walked.found, leaves=(leaf("untimed"),)), LATENCY)
    assert drawing.axes.get_xlabel() == "latency, the NPU's share, ms (modelled)"
    assert nothing.alt == "no leaf has a figure for latency on sim"


def test_every_node_and_leaf_has_its_place(walked: Walked) -> None:
    pqat = next(leaf for leaf in walked.found.leaves if leaf.name == "pqat")
    found = replace(walked.found, leaves=(pqat,), not_walked=("prune", "pcqat", "ptq"))
    items = {(item.name, item.is_leaf): item for item in layout_tree(found)}
    nodes = {name for name, is_leaf in items if not is_leaf}
    assert nodes == {"base", "prune", "sparse_cluster"}
    leaves = [item for item in items.values() if item.is_leaf]
    assert sorted(item.row for item in leaves) == [0, 1, 2, 3]
    assert items["prune", False].row == 1, "in the middle of pqat, prune and what is behind sparse_cluster"
    assert items["pcqat", True].parent == DrawnNode(("prune", "sparse_cluster"))
    assert items["ptq", True].parent == DrawnNode(())
    assert items["prune", False].trained is not None
    assert items["sparse_cluster", False].trained is None
    indented = layout_tree(found, 0.5)
    rows = [item.row for item in indented]
    assert rows == sorted(set(rows)), "no two share a row"
    assert [item.name for item in indented] == ["base", "prune", "pqat", "prune", "sparse_cluster", "pcqat", "ptq"]


def test_a_node_under_other_settings_is_another_node(walked: Walked) -> None:
    half, more = (), (("sparsity", 0.75),)
    leaves = [replace(leaf(name), path=("prune", last)) for name, last in (("prune", "ptq"), ("pqat", "pqat"))]
    said, settings = "sparsity=0.75 clusters=8", (*more, ("clusters", 8))
    leaves += [replace(one, name=f"{one.name} {said}", settings=settings) for one in leaves]
    trained = (TrainedNode((), 1.0, True), *(TrainedNode(("prune",), 1.0, True, settings) for settings in (half, more)))
    found = replace(walked.found, leaves=tuple(leaves), trained=trained, not_walked=())
    items = layout_tree(found)
    nodes = [item for item in items if item.name == "prune" and not item.is_leaf]
    assert [item.settings for item in nodes] == [half, more], "clusters do not matter to pruning"
    assert all(item.trained for item in nodes)
    parents = [item.parent for item in items if item.is_leaf]
    assert parents == [DrawnNode(("prune",), half)] * 2 + [DrawnNode(("prune",), more)] * 2
    with style():
        words = [text.get_text() for text in draw_tree(found).axes.texts]
    assert "sparsity=0.75 1.0 s" in words
    assert words.count(f"met {said}") == 2


def test_the_tree_tells_status_in_words_and_what_was_missed(walked: Walked) -> None:
    with style():
        found = walk(walked.model, walked.bench, Budget(max_latency_ms=1e-6), policy="all")
        found = replace(found, not_walked=("pcqat",))
        for narrow in (False, True):
            drawing = draw_tree(found, narrow=narrow)
            words = [text.get_text() for text in drawing.axes.texts]
            assert Counter(words)["missed"] == 2
            assert sum(text.endswith("too much") for text in words) == 2
            assert {"✗", "○", "not walked to", "not made"} <= set(words)
            assert (
                drawing.alt.endswith("no leaf meets every limit; pqat comes closest.") or "comes closest" in drawing.alt
            )
        winner = draw_tree(walked.found)
    assert "★ winner" in [text.get_text() for text in winner.axes.texts]
