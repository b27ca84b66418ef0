"""The page on choosing says what the figures say: each of its numbers follows from docs/tables."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import fmean

import pytest

from hil.harness.tables.seed_figures import LeafFigures, read_figures

DOCS = Path(__file__).parents[3] / "docs"
PAGE, TECHNIQUES = ((DOCS / name).read_text() for name in ("choosing.md", "techniques.md"))
NPUS = [f"ethos-u55-{macs} Ethos_U55_{memory}_Embedded" for macs in (128, 256) for memory in ("High_End", "Deep")]


def leaves(model: str) -> dict[str, LeafFigures]:
    """The leaves of a model that equal the reference kernels, with means over its seeds."""
    found = [read_figures(path) for path in sorted((DOCS / "tables").glob(f"{model}-*.json"))]
    seeds = [figures.leaves for figures in found if figures is not None]
    return {name: mean([one[name] for one in seeds]) for name, leaf in seeds[0].items() if "accuracy" in leaf.figures}


def mean(seeds: list[LeafFigures]) -> LeafFigures:
    first = seeds[0]
    figures = {name: fmean(one.figures[name] for one in seeds) for name in first.figures}
    cycles = {npu: fmean(one.cycles[npu] for one in seeds) for npu in first.cycles}
    return LeafFigures(first.settings, first.steps, figures, cycles)


RESNET8, DSCNN = leaves("cifar10_resnet8"), leaves("digits_dscnn")
DSCNN_L, DISTILLED = leaves("digits_dscnn_l"), leaves("cifar10_resnet8_distilled")
MOBILENET_V1, MOBILENET_V2 = leaves("cifar10_mobilenet_v1"), leaves("cifar10_mobilenet_v2")
GRU = leaves("digits_gru")


def fewer(found: dict[str, LeafFigures], leaf: str, npu: str) -> str:
    """Percent of cycles against ptq."""
    return f"{100 * (found[leaf].cycles[npu] / found['ptq'].cycles[npu] - 1):.1f} %"


def smaller(found: dict[str, LeafFigures], leaf: str, figure: str = "encoded_weights") -> str:
    return f"{found['ptq'].figures[figure] / found[leaf].figures[figure]:.2f}"


def drop(leaf: str, found: dict[str, LeafFigures] = RESNET8) -> str:
    return f"{100 * found[leaf].figures['accuracy_drop']:+.2f}"


def cost(leaf: str, found: dict[str, LeafFigures]) -> str:
    ends = [f"{100 * found[leaf].figures[f'accuracy_drop_{end}']:+.2f}" for end in ("low", "high")]
    return f"{drop(leaf, found)} points ({' to '.join(ends)})"


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


NETWORKS = (RESNET8, MOBILENET_V1, MOBILENET_V2, DSCNN_L, DSCNN, GRU)
NAMES = ("ResNet8", "MobileNetV1", "MobileNetV2", "DS-CNN-L", "DS-CNN-S", "GRU")
ZEROS = {"DS-CNN-L": 80, "GRU": 70}
"""Percent of zeros in `prune`, where it is not half of the weights."""


def best(found: dict[str, LeafFigures], points: int, npu: str = "") -> str:
    """The leaf of fewest cycles, or of the smallest flash, of those that lose less than so many points.

    Of leaves within a percent of that, it is the one that loses least, of several the one of fewest cycles or smallest
    flash.  Nothing pays that does not save a percent.
    """
    name = pick(found, points, npu)
    if npu and found[name].cycles[npu] > 0.99 * found["ptq"].cycles[npu]:
        return "none"
    gain = fewer(found, name, npu) if npu else smaller(found, name, "flash")
    return f"`{name}` {gain} ({drop(name, found)})"


def pick(found: dict[str, LeafFigures], points: int, npu: str) -> str:
    within = {name: leaf for name, leaf in found.items() if leaf.figures["accuracy_drop"] < points / 100}
    costs = {name: leaf.cycles[npu] if npu else leaf.figures["flash"] for name, leaf in within.items()}
    close = [name for name, cost in costs.items() if cost <= 1.01 * min(costs.values())]
    return min(close, key=lambda name: (round(within[name].figures["accuracy_drop"], 6), costs[name]))


@pytest.mark.parametrize("points", [1, 3])
@pytest.mark.parametrize(
    ("what", "npu"),
    [
        ("fewest cycles, 128 MACs, fast flash", NPUS[0]),
        ("fewest cycles, 128 MACs, slow flash", NPUS[1]),
        ("fewest cycles, 256 MACs, fast flash", NPUS[2]),
        ("fewest cycles, 256 MACs, slow flash", NPUS[3]),
        ("smallest flash, times smaller in all", ""),
    ],
)
def test_the_best_leaf_within_some_points(points: int, what: str, npu: str) -> None:
    lost = {1: "one point", 3: "three points"}[points]
    assert row(f"less than {lost}: {what}", *(best(found, points, npu) for found in NETWORKS)) in PAGE


def test_the_interval_of_each_pick_reaches_beyond_its_point() -> None:
    shown = [(found, npu) for found in NETWORKS for npu in ("", *NPUS) if best(found, 1, npu) != "none"]
    picked = [found[pick(found, 1, npu)].figures for found, npu in shown]
    assert all(figures["accuracy_drop_high"] > 0.01 for figures in picked)
    assert "the interval of every leaf that is picked for less than one point reaches beyond one" in " ".join(
        PAGE.split()
    )
    floats = [f"{100 * found['ptq'].figures['base_accuracy']:.1f}" for found in NETWORKS]
    assert f"float accuracy {', '.join(floats)} %" in " ".join(PAGE.split())


def test_cycles_of_sparsity() -> None:
    for name, found in zip(NAMES, NETWORKS, strict=True):
        label = f"{name}, {ZEROS[name]} % zeros" if name in ZEROS else name
        assert row(label, *(fewer(found, "prune", npu) for npu in NPUS)) in PAGE
        assert round(100 * found["prune"].figures["zeros"]) == ZEROS.get(name, 50)


@pytest.mark.parametrize("leaf", ["pqat", "cqat", "pcqat", "npu_prune", "npu_cluster", "npu_pcqat"])
def test_what_the_chip_keeps(leaf: str) -> None:
    cells = []
    for found in (RESNET8, DSCNN_L):
        cells += [smaller(found, leaf, "zip"), smaller(found, leaf), f"{found[leaf].figures['unique']:.0f}"]
    assert row(f"`{leaf}`", *cells) in PAGE


@pytest.mark.parametrize("leaf", ["cqat", "prune", "pqat", "npu_prune", "npu_cluster", "pcqat", "npu_pcqat"])
def test_what_a_point_buys(leaf: str) -> None:
    cells = [[drop(leaf, found), smaller(found, leaf), fewer(found, leaf, NPUS[1])] for found in (RESNET8, DSCNN_L)]
    assert row(f"`{leaf}`", *cells[0], *cells[1]) in PAGE


@pytest.mark.parametrize("leaf", ["pcqat", "npu_pcqat"])
def test_what_distillation_buys(leaf: str) -> None:
    zeros = f"{100 * DISTILLED[leaf].figures['zeros']:.0f}"
    cycles = [fewer(DISTILLED, leaf, npu) for npu in (NPUS[1], NPUS[3])]
    assert row(f"`{leaf}`", zeros, drop(leaf, DISTILLED), smaller(DISTILLED, leaf), *cycles) in PAGE


@pytest.mark.parametrize(
    ("found", "figure", "smallest_first"),
    [
        (RESNET8, "zip", ("pcqat", "cqat", "pqat")),
        (RESNET8, "encoded_weights", ("pcqat", "pqat", "cqat")),
        (DSCNN_L, "zip", ("pcqat", "pqat", "cqat")),
        (DSCNN_L, "encoded_weights", ("pcqat", "pqat", "cqat")),
    ],
)
def test_the_order_of_the_stock_leaves(
    found: dict[str, LeafFigures], figure: str, smallest_first: tuple[str, ...]
) -> None:
    sizes = [found[leaf].figures[figure] for leaf in smallest_first]
    assert sizes == sorted(sizes)


def test_the_other_numbers() -> None:
    def kept(leaf: str) -> float:
        figures = RESNET8[leaf].figures
        return 100 * (figures["keras_accuracy"] - figures["accuracy"])

    words = " ".join(PAGE.split())
    assert f"`qat` of ResNet8 gains {drop('qat')[1:]} points over the float base" in words
    assert drop("qat").startswith("-")
    assert f"`qat` of MobileNetV2 loses {drop('qat', MOBILENET_V2)[1:]}" in words
    told = {
        (name, leaf)
        for name, found in zip(NAMES, NETWORKS, strict=True)
        for leaf in ("ptq", "qat")
        if found[leaf].figures["accuracy_drop_low"] > 0 or found[leaf].figures["accuracy_drop_high"] < 0
    }
    assert told == {("ResNet8", "qat"), ("MobileNetV2", "qat")}, "the others tell nothing"
    assert f"{smaller(DSCNN_L, 'pqat', 'zip')} times smaller in an archive" in words
    assert f"encoded weights are {smaller(DSCNN_L, 'pqat')} times" in words
    unique = [f"{RESNET8[leaf].figures['unique']:.0f}" for leaf in ("cqat", "pcqat")]
    assert f"has up to {unique[0]} and {unique[1]} distinct int8 values" in words
    encoded = [f"{RESNET8[leaf].figures['encoded_weights'] / 1024:.1f}" for leaf in ("cqat", "npu_cluster")]
    assert f"`cqat` in {encoded[0]} KiB" in words
    assert f"first and last layer, in {encoded[1]}." in words
    assert max(abs(kept(leaf)) for leaf in ("qat", "pqat", "cqat", "pcqat")) < 0.3
    pairs = {"prune": "pqat", "cluster": "cqat", "sparse_cluster": "pcqat", "npu_sparse_cluster": "npu_pcqat"}
    for leaf, aware in pairs.items():
        assert RESNET8[aware].figures["accuracy_drop"] < RESNET8[leaf].figures["accuracy_drop"], "loses less with"
    one, other = RESNET8["npu_cluster"], RESNET8["pcqat"]
    assert f"after {one.steps:,} training steps in place of {other.steps:,}" in words
    assert f"loses {100 * (one.figures['accuracy_drop'] - other.figures['accuracy_drop']):.1f} points more" in words
    assert 0.95 < one.figures["encoded_weights"] / other.figures["encoded_weights"] < 1.05, "as small as"
    for leaf in ("pcqat", "npu_pcqat"):
        assert f"{smaller(DSCNN_L, leaf)} times" in words
        assert cost(leaf, DSCNN_L) in words
    assert f"{cost('npu_pcqat', DSCNN)} and is {smaller(DSCNN, 'npu_pcqat')} times smaller" in words
    low, high = (DSCNN["npu_pcqat"].figures[f"accuracy_drop_{end}"] for end in ("low", "high"))
    assert low < 0 < high, "loses nothing that its interval tells"
    assert f"{DISTILLED['pcqat'].steps:,} training steps, one seed" in words
    assert "`npu_sparse_cluster` of the GRU is not among these" in words
    assert RESNET8.keys() - GRU.keys() == {"npu_sparse_cluster"}
    assert all(found.keys() == RESNET8.keys() for found in NETWORKS if found is not GRU)
    assert {round(GRU[leaf].figures["unique"]) for leaf in ("cqat", "pcqat")} == {16}, "16 values"
    assert GRU["npu_pcqat"].figures["encoded_weights"] > GRU["pcqat"].figures["encoded_weights"], "gains nothing"
    assert max(float(smaller(GRU, leaf, "flash")) for leaf in GRU) == 1.23, "in flash"
    assert len(re.findall(r"\d %", PAGE)) >= 16


@pytest.mark.parametrize(
    "leaf",
    ["ptq", "npu_ptq", "prune", "npu_prune", "sparse_cluster", "npu_sparse_cluster", "pcqat", "npu_pcqat"],
)
def test_the_page_on_techniques_has_the_figures_of_dscnn_l(leaf: str) -> None:
    sizes = [f"{DSCNN_L[leaf].figures[name] / 1024:.1f}" for name in ("encoded_weights", "gzip")]
    cycles = [f"{DSCNN_L[leaf].cycles[npu]:,.0f}" for npu in NPUS[:2]]
    cells = sizes[0], smaller(DSCNN_L, leaf), *cycles, sizes[1], cost(leaf, DSCNN_L).replace(" points", "")
    assert row(f"`{leaf}`", *cells) in TECHNIQUES


def test_the_page_on_techniques_compares_the_npu_leaves_with_the_stock_ones() -> None:
    words = " ".join(TECHNIQUES.split())
    stock, ours = (DSCNN_L[leaf].figures for leaf in ("pcqat", "npu_pcqat"))
    assert f"and {100 * (1 - ours['encoded_weights'] / stock['encoded_weights']):.0f} % less than `pcqat`" in words
    assert f"for {100 * (ours['accuracy_drop'] - stock['accuracy_drop']):.1f} points more" in words
    share = DSCNN["npu_pcqat"].figures["encoded_weights"] / DSCNN["pcqat"].figures["encoded_weights"]
    assert f"`npu_pcqat` needs {share:.2f} of the encoded weights of `pcqat`" in words


def test_how_far_a_point_goes() -> None:
    """The smallest encoded weights of each network for less than a point."""
    words = " ".join(PAGE.split())
    for name, found in zip(NAMES, NETWORKS, strict=True):
        within = [leaf for leaf, one in found.items() if one.figures["accuracy_drop"] < 0.01]
        smallest = min(within, key=lambda leaf: found[leaf].figures["encoded_weights"])
        assert f"{smaller(found, smallest)} on {name} (`{smallest}`)" in words
        assert (float(smaller(found, smallest)) < 4) == (found is not GRU), "where it is reached, the page says so"
    assert f"`pcqat` of the GRU reaches it, {smaller(GRU, 'pcqat')} times for {cost('pcqat', GRU)}" in words
    assert f"its `npu_pcqat` is {smaller(GRU, 'npu_pcqat')} times smaller for {cost('npu_pcqat', GRU)}" in words
