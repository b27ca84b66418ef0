"""Means and spread over seeds, what differs, published figures: computed from figures that are written here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hil.harness.model import Model, Scale, load_model_file
from hil.harness.optimize.paths import PATHS
from hil.harness.tables.columns import legend, tables_of
from hil.harness.tables.made_of import changes
from hil.harness.tables.published import published_rows
from hil.harness.tables.report import render
from hil.harness.tables.seed_figures import LeafFigures, SeedFigures, read_figures, write_figures
from hil.harness.tables.seed_run import NPUS, Found, npu_name
from hil.harness.tables.summary import ModelTable, summarize
from tests.support.blobs import model_file, write


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return load_model_file(write(tmp_path, {"models/blobs.py": model_file()}) / "models" / "blobs.py")


def leaf(accuracy: float, encoded: float, **others: Any) -> LeafFigures:
    figures = {"base_accuracy": 0.9, "keras_accuracy": 0.89, "accuracy": accuracy, "accuracy_drop": 0.9 - accuracy}
    ends = {"accuracy_drop_low": 0.89 - accuracy, "accuracy_drop_high": 0.91 - accuracy}
    cycles = {npu_name(npu): 1000 for npu in NPUS}
    return LeafFigures({}, 24, {**figures, **ends, "encoded_weights": encoded, "sram": 2048}, cycles, **others)


def seed(number: int, learned_nothing: bool = False, **leaves: LeafFigures) -> SeedFigures:
    made = {"target": "sim", "code": "1"}, {"cpu": "some CPU"}
    return SeedFigures("blobs", number, "top1", Scale(), learned_nothing, 384, 48, *made, leaves)


def table(model: Model, *seeds: SeedFigures) -> ModelTable:
    return summarize(model, [Found(one) for one in seeds], list(PATHS), "hil tables models/blobs.py")


def cells(found: ModelTable, title: str, name: str) -> dict[str, str]:
    part = next(part for part in tables_of(found) if part.title == title)
    row = next(row for row in part.rows if row.cells[0] == name)
    return {column.name: str(cell) for column, cell in zip(part.columns, row.cells, strict=True)}


def test_mean_and_deviation_are_over_seeds_and_smaller_is_of_each_seeds_own_ptq(model: Model) -> None:
    first = seed(0, ptq=leaf(0.90, 4096), pcqat=leaf(0.88, 1024))
    found = table(model, first, seed(1, ptq=leaf(0.90, 2048), pcqat=leaf(0.86, 1024)))
    pcqat = cells(found, "Accuracy and sizes", "pcqat")
    assert (pcqat["int8"], pcqat["drop"], pcqat["encoded"]) == ("87.0 ±1.4", "+3.00 ±1.41", "1.0")
    assert pcqat["smaller"] == "3.00 ±1.41"  # 4 and 2
    assert pcqat["interval"] == "+2.00 to +4.00"
    assert cells(found, "On the chip", "ptq")["u55-256 slow flash"] == "1,000"
    assert "seeds 0, 1" in legend(found)[0]


def test_one_seed_has_no_deviation_and_a_leaf_that_failed_its_reason(model: Model) -> None:
    failed = LeafFigures({}, 0, {}, {}, reason="CompileError: no such operator")
    found = table(model, seed(0, ptq=leaf(0.9, 2048), qat=failed))
    assert cells(found, "Accuracy and sizes", "ptq")["int8"] == "90.0"
    assert cells(found, "Accuracy and sizes", "qat")["int8"] == ""
    assert "qat: seed 0: CompileError: no such operator" in legend(found)


def test_a_leaf_of_fewer_seeds_than_its_table_says_so(model: Model) -> None:
    first = seed(0, ptq=leaf(0.90, 4096), pcqat=leaf(0.88, 1024))
    found = legend(table(model, first, seed(1, ptq=leaf(0.90, 4096))))
    assert "pcqat: of seed 0 alone" in found
    assert not any(line.startswith("ptq:") for line in found)


def test_a_base_that_learned_nothing_has_no_accuracy(model: Model) -> None:
    found = table(model, seed(0, learned_nothing=True, ptq=leaf(0.5, 2048)))
    assert cells(found, "Accuracy and sizes", "ptq")["int8"] == ""
    text = render([found], "hil tables", ".md")
    assert "no accuracy" in text
    assert "50.0" not in text
    assert "<svg" not in render([found], "hil tables", ".html")


def test_published_figures_stand_beside_the_networks_own_with_what_differs(model: Model) -> None:
    found = table(replace(model, name="digits_dscnn_l"), seed(0, ptq=leaf(0.9, 2048)))
    published = cells(found, "Published", "pqat")
    assert (published["int8"], published["fake quantized"], published["compressed"]) == ("94.13", "94.13", "296.9")
    addresses = [
        line for line in legend(found) if line.startswith(f"{published['source']}: https://www.tensorflow.org/")
    ]
    assert len(addresses) == 1
    differs = cells(found, "What differs", "network and data")
    assert "DS-CNN-L on Speech Commands" in differs["published"]
    assert differs["here"].startswith("Three kinds of blobs")
    assert not published_rows("blobs")
    for row in published_rows("mobilenet_v1_224"):
        assert row.url.startswith("https://")
        assert row.leaf.partition(",")[0] in (*PATHS, "float base")


def test_changes_name_what_is_new_gone_or_another(model: Model) -> None:
    then = {"numpy": "1.26.4", "data": "a", "code": "b", "left": "1"}
    assert changes({"numpy": "2.1.3", "code": "c", "data": "a"}, then) == [
        "numpy 1.26.4 is now 2.1.3",
        "another code",
        "left 1 is gone",
    ]
    assert changes({"numpy": "1.26.4", "code": "b", "left": "1"}, then) == []  # the data is not here
    assert changes({"weights": "d"}, {"weights": "c"}) == ["another weights"]
    assert changes({}, {"weights": "c"}) == []


def test_figures_are_read_as_they_were_written(tmp_path: Path) -> None:
    figures = seed(3, ptq=leaf(0.9, 2048), qat=leaf(0.8, 1024, reason="differs"))
    write_figures(tmp_path / "new" / "blobs-3.json", figures)
    assert read_figures(tmp_path / "new" / "blobs-3.json") == figures
    assert read_figures(tmp_path / "none.json") is None


def test_a_training_that_leaves_share_is_counted_once(model: Model) -> None:
    shared = {"base": 30.0, "base/prune": 60.0}
    leaves = {
        "prune": leaf(0.9, 1024, trained_s=shared),
        "pqat": leaf(0.9, 1024, trained_s=shared | {"base/prune/pqat": 90}),
    }
    found = table(model, seed(0, **leaves), seed(1, **leaves))
    assert found.trained_s == 2 * 180
    assert "trainings took 6 min of wall time in all, measured; other work of the machine is in it" in legend(found)
    assert not any(
        "trainings took" in line for line in legend(table(model, seed(0, **leaves), seed(1, ptq=leaf(0.9, 1))))
    )
