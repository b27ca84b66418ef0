"""The page on choosing says what the figures say: each of its numbers follows from docs/tables."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import fmean

import pytest

from hil.harness.tables.seed_figures import LeafFigures, read_figures

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "choosing.md").read_text()
NPUS = [f"ethos-u55-{macs} Ethos_U55_{memory}_Embedded" for macs in (128, 256) for memory in ("High_End", "Deep")]


def leaves(model: str) -> dict[str, LeafFigures]:
    """The leaves of a model, with means over its seeds."""
    found = [read_figures(path) for path in sorted((DOCS / "tables").glob(f"{model}-*.json"))]
    seeds = [figures.leaves for figures in found if figures is not None]
    return {name: mean([one[name] for one in seeds]) for name in seeds[0]}


def mean(seeds: list[LeafFigures]) -> LeafFigures:
    first = seeds[0]
    figures = {name: fmean(one.figures[name] for one in seeds) for name in first.figures}
    cycles = {npu: fmean(one.cycles[npu] for one in seeds) for npu in first.cycles}
    return LeafFigures(first.settings, first.steps, figures, cycles)


RESNET8, DSCNN = leaves("cifar10_resnet8"), leaves("digits_dscnn")
DSCNN_L, DISTILLED = leaves("digits_dscnn_l"), leaves("cifar10_resnet8_distilled")


def fewer(found: dict[str, LeafFigures], leaf: str, npu: str) -> str:
    """Percent of cycles against ptq."""
    return f"{100 * (found[leaf].cycles[npu] / found['ptq'].cycles[npu] - 1):.1f} %"


def smaller(found: dict[str, LeafFigures], leaf: str, figure: str = "encoded_weights") -> str:
    return f"{found['ptq'].figures[figure] / found[leaf].figures[figure]:.2f}"


def drop(leaf: str, found: dict[str, LeafFigures] = RESNET8) -> str:
    return f"{100 * found[leaf].figures['accuracy_drop']:+.2f}"


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def test_cycles_of_sparsity() -> None:
    assert row("ResNet8", *(fewer(RESNET8, "prune", npu) for npu in NPUS)) in PAGE
    assert row("DS-CNN-S", *(fewer(DSCNN, "prune", npu) for npu in NPUS)) in PAGE
    assert row("DS-CNN-L, 80 % zeros", *(fewer(DSCNN_L, "prune", npu) for npu in NPUS)) in PAGE
    assert round(100 * DSCNN_L["prune"].figures["zeros"]) == 80


@pytest.mark.parametrize("leaf", ["pqat", "cqat", "pcqat", "npu_cluster", "npu_pcqat"])
def test_what_the_chip_keeps(leaf: str) -> None:
    cells = []
    for found in (RESNET8, DSCNN_L):
        cells += [smaller(found, leaf, "zip"), smaller(found, leaf), f"{found[leaf].figures['unique']:.0f}"]
    assert row(f"`{leaf}`", *cells) in PAGE


@pytest.mark.parametrize("leaf", ["cqat", "pqat", "npu_cluster", "pcqat", "npu_pcqat"])
def test_what_a_point_buys(leaf: str) -> None:
    cells = [[drop(leaf, found), smaller(found, leaf), fewer(found, leaf, NPUS[1])] for found in (RESNET8, DSCNN_L)]
    assert row(f"`{leaf}`", *cells[0], *cells[1]) in PAGE


@pytest.mark.parametrize("leaf", ["pcqat", "npu_pcqat"])
def test_what_distillation_buys(leaf: str) -> None:
    zeros = f"{100 * DISTILLED[leaf].figures['zeros']:.0f}"
    cycles = [fewer(DISTILLED, leaf, npu) for npu in (NPUS[1], NPUS[3])]
    assert row(f"`{leaf}`", zeros, drop(leaf, DISTILLED), smaller(DISTILLED, leaf), *cycles) in PAGE


def test_the_order_of_the_article() -> None:
    """PCQAT compresses more than PQAT, and that more than CQAT, in a zip archive as on the chip."""
    for found in (RESNET8, DSCNN_L):
        for figure in ("zip", "encoded_weights"):
            sizes = [found[leaf].figures[figure] for leaf in ("pcqat", "pqat", "cqat")]
            assert sizes == sorted(sizes) or (found is RESNET8 and figure == "zip")
    assert RESNET8["pcqat"].figures["zip"] < RESNET8["cqat"].figures["zip"] < RESNET8["pqat"].figures["zip"]


def test_the_other_numbers() -> None:
    def kept(leaf: str) -> float:
        figures = RESNET8[leaf].figures
        return 100 * (figures["keras_accuracy"] - figures["accuracy"])

    words = " ".join(PAGE.split())
    assert f"`ptq` loses {drop('ptq')} points, `qat` gains {drop('qat')[1:]}" in words
    assert drop("qat").startswith("-")
    fast = [fewer(RESNET8, leaf, NPUS[2]) for leaf in ("npu_prune", "npu_cluster", "npu_pcqat")]
    assert f"ResNet8 on 256 MACs: {', '.join(fast)} |" in words
    drops = [RESNET8[leaf].figures["accuracy_drop"] for leaf in ("npu_prune", "npu_cluster", "npu_pcqat")]
    assert drops == sorted(drops), "each loses more accuracy"
    assert f"ResNet8 on 128 MACs: {fewer(RESNET8, 'npu_pcqat', NPUS[1])}" in words
    assert f"DS-CNN-S on 256 MACs: {fewer(DSCNN, 'npu_pcqat', NPUS[3])}" in words
    assert f"{smaller(RESNET8, 'npu_pcqat')} and {smaller(DSCNN, 'npu_pcqat')} times smaller" in words
    assert f"no loss at {smaller(RESNET8, 'cqat')} times smaller, {drop('pqat')[1:]} points at" in words
    unique = [f"{RESNET8[leaf].figures['unique']:.0f}" for leaf in ("cqat", "pcqat")]
    assert f"has {unique[0]} and {unique[1]} distinct int8 values" in words
    encoded = [f"{RESNET8[leaf].figures['encoded_weights'] / 1024:.1f}" for leaf in ("cqat", "npu_cluster")]
    assert f"`cqat` in {encoded[0]} KiB and those of `npu_cluster`, one scale a kernel, in {encoded[1]}" in words
    assert f"`cluster` loses {kept('cluster'):.1f} points and `cqat` {kept('cqat'):.1f}" in words
    interval = [f"{100 * DSCNN_L['npu_pcqat'].figures[f'accuracy_drop_{end}']:+.2f}" for end in ("low", "high")]
    assert f"costs {drop('npu_pcqat', DSCNN_L)[1:]} points ({' to '.join(interval)})" in words
    low, high = (DSCNN_L["pcqat"].figures[f"accuracy_drop_{end}"] for end in ("low", "high"))
    assert low < 0 < high, "no loss that the interval tells from none"
    low, high = (DSCNN["npu_pcqat"].figures[f"accuracy_drop_{end}"] for end in ("low", "high"))
    assert low < 0 < high, "no loss that the interval tells from none"
    assert f"{smaller(DSCNN_L, 'pcqat')} times smaller" in words
    steps = [max(leaf.steps for leaf in found.values()) for found in (RESNET8, DSCNN_L)]
    assert f"{steps[0]:,} and {steps[1]:,} training steps" in words
    best = [
        max(
            found["ptq"].figures["encoded_weights"] / leaf.figures["encoded_weights"]
            for leaf in found.values()
            if leaf.figures["accuracy_drop"] <= 0.01
        )
        for found in (RESNET8, DSCNN, DSCNN_L, DISTILLED)
    ]
    assert max(best) < 4, "reached: say so"
    assert len(re.findall(r"\d %", PAGE)) >= 16
