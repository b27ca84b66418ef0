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


def fewer(found: dict[str, LeafFigures], leaf: str, npu: str) -> str:
    """Percent of cycles against ptq."""
    return f"{100 * (found[leaf].cycles[npu] / found['ptq'].cycles[npu] - 1):.1f} %"


def smaller(found: dict[str, LeafFigures], leaf: str, figure: str = "encoded_weights") -> str:
    return f"{found['ptq'].figures[figure] / found[leaf].figures[figure]:.2f}"


def drop(leaf: str) -> str:
    return f"{100 * RESNET8[leaf].figures['accuracy_drop']:+.2f}"


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def test_cycles_of_sparsity() -> None:
    assert row("ResNet8", *(fewer(RESNET8, "prune", npu) for npu in NPUS)) in PAGE
    assert row("DS-CNN-S", *(fewer(DSCNN, "prune", npu) for npu in NPUS)) in PAGE


@pytest.mark.parametrize("leaf", ["prune", "cqat", "pcqat", "npu_cluster", "npu_pcqat"])
def test_what_the_chip_keeps(leaf: str) -> None:
    unique = f"{RESNET8[leaf].figures['unique']:.0f}"
    assert row(f"`{leaf}`", smaller(RESNET8, leaf, "zip"), smaller(RESNET8, leaf), unique) in PAGE


@pytest.mark.parametrize("leaf", ["cqat", "pqat", "npu_cluster", "pcqat", "npu_pcqat"])
def test_what_a_point_buys(leaf: str) -> None:
    assert row(f"`{leaf}`", drop(leaf), smaller(RESNET8, leaf), fewer(RESNET8, leaf, NPUS[1])) in PAGE


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
    low = DSCNN["npu_pcqat"].figures["accuracy_drop_low"]
    assert low < 0 < DSCNN["npu_pcqat"].figures["accuracy_drop_high"]
    steps = [max(leaf.steps for leaf in found.values()) for found in (RESNET8, DSCNN)]
    assert f"{steps[0]:,} and {steps[1]:,} training steps" in words
    best = [
        max(found["ptq"].figures["encoded_weights"] / leaf.figures["encoded_weights"] for leaf in found.values())
        for found in (RESNET8, DSCNN)
    ]
    assert max(best) < 4, "reached: say so"
    assert len(re.findall(r"\d %", PAGE)) >= 16
