"""Every table fits 80 and 132 columns, with long names, and breaks neither a number nor a word."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from hil.core.measurement import Measurement, Trust
from hil.harness.commands.boards import format_boards
from hil.harness.commands.doctor import format_findings
from hil.harness.commands.fvp import format_engines
from hil.harness.commands.models import format_models
from hil.harness.commands.run import format_run
from hil.harness.commands.store import format_artifacts
from hil.harness.diagnosis import Finding
from hil.harness.evaluation.limit_check import LimitCheck, format_check
from hil.harness.metrics.base_score import BaseScore
from hil.harness.model import Budget
from hil.harness.pytest_plugin.summary import format_summary
from hil.harness.store.store import ArtifactRecipe, Origin, Store
from hil.harness.text_table import Column, Row, format_markdown, format_table, shown_columns, terminal_width, wrap
from hil.harness.tree.legend import legend
from hil.harness.tree.result import Leaf, LeafStatus, Verdict, Walk
from hil.harness.tree.terminal_view import TreeView
from hil.harness.tree.text_report import format_table as format_leaves
from hil.harness.tree.text_report import leaf_table, verdict_lines

ADDRESS = "https://github.com/Jakobovski/free-spoken-digit-dataset"
SENTENCE = "post-training quantization of a network of depthwise convolutions, folded and equalized for the NPU"
LONG = "keyword_spotting_depthwise_separable"
WIDTHS = (80, 132)


@pytest.fixture(params=WIDTHS)
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("COLUMNS", str(request.param))
    return int(request.param)


def check(text: str, width: int, *cells: str) -> None:
    """No line is wider than the terminal, and each word of `cells` stands whole in a line."""
    assert max(map(len, text.splitlines())) <= width, text
    for word in " ".join(cells).split():
        assert word in text, f"{word}\n{text}"


def numbers(text: str, *cells: str) -> None:
    """Each number stands whole in a line, its sign, unit and interval included, and with no digit beside it."""
    for cell in cells:
        assert re.search(rf"(?<![\d.,]){re.escape(cell)}(?![\d.,])", text), f"{cell}\n{text}"


def row(model: str, path: str, cycles: int, **more: Any) -> dict[str, Any]:
    """A row of the summary as a worker sends it, everything measured."""
    return {
        **{"name": f"{model}-{path}", "model": model, "path": path, "target": "fvp", "accelerator": "ethos-u55-128"},
        **{"sram": 1_234_567, "flash": 23_456_789, "weights": 12_345_678, "cpu_operators": 2, "zeros": 0.501},
        **{"unique": 65_535, "metric": "top1", "base": 0.9876, "int8": 1.0, "drop": -0.0123, "low": -0.02, "high": 0.1},
        **{"labelled": 10_000, "keras": 1.0, "counted": True, "on_target": 1.0, "samples": 5000, "sim_samples": 5000},
        **{"sim_mismatches": 1_048_576, "mismatches": 1_048_576, "elements": 2_000_000, "trust": "modelled"},
        **{"cycles": cycles, "ms": cycles / 5e5, "clock": "500 MHz of Ethos_U55_High_End_Embedded"},
        **{"unit": "fraction", "lower_is_better": False},
        **more,
    }


def test_summary_of_pytest(width: int) -> None:
    rows = [row(LONG, "npu_sparse_cluster", 123_456_789), row(LONG, "ptq", 223_456_789), row("b", "ptq", 9)]
    text = format_summary(rows, {LONG: f"no recordings here (git clone {ADDRESS})"}, width, colour=False)
    check(text, width, "npu_sparse_cluster", ADDRESS)
    numbers(text, "123,456,789*", "-1.2 ±6.0", "1048576 / 1048576", "246.914")
    wider = re.findall(r"left out at \d+ columns: .*?; all: COLUMNS=(\d+)", " ".join(text.split()))
    wide = format_summary(rows, {}, max(map(int, wider)), colour=False)
    assert "left out at" not in wide
    numbers(wide, "5000/5000", "65535", "-45 %", "22907.0")


def test_summary_names_the_kernels_that_stood_in_by_path(width: int) -> None:
    line = "tflite-micro 0.dev2026 in place of TensorFlow: " + "its reason is long " * 30
    rows = [row("net", path, 9, oracle_stand_in=found) for path, found in (("ptq", line), ("pqat", line), ("qat", ""))]
    text = format_summary(rows, {}, width, colour=False)
    check(text, width)
    words = " ".join(text.split())
    assert "reference kernels of ptq and pqat: tflite-micro 0.dev2026 in place of TensorFlow: its reason" in words
    assert words.count("its reason") < 12


def test_rows_of_the_summary_stand_in_the_order_of_the_tree_whoever_finished_first(width: int) -> None:
    rows = [row("b", "pqat", 7), row("a", "int8", 6), row("b", "ptq", 5), row("a", "qat", 4), row("a", "ptq", 3)]
    text = format_summary(rows, {}, width, colour=False)
    titles = re.findall(r"^(\w+): float base|^(ptq|qat|pqat|int8) ", text, re.MULTILINE)
    assert ["".join(found) for found in titles] == ["a", "ptq", "qat", "int8", "b", "ptq", "pqat"]


def test_each_accelerator_has_a_table_and_a_column_of_times(width: int) -> None:
    npus = ("ethos-u65-256", "ethos-u55-128", "ethos-u55-32")
    rows = [row("net", path, 1000 * n, accelerator=npu) for path in ("qat", "ptq") for n, npu in enumerate(npus, 1)]
    text = format_summary(rows, {}, width, colour=False)
    check(text, width)
    assert re.findall(r"^net.*", text, re.MULTILINE) == [
        *(f"net on {npu}: float base top1 98.8 % of 10000 test samples" for npu in reversed(npus)),
        "net: ms by accelerator",
    ]
    times = text[text.index("ms by accelerator") :].splitlines()
    assert [line.split() for line in times[1:5:3]] == [
        ["path", *reversed(npus)],
        ["qat", "0.00600", "0.00400", "0.00200"],
    ]


def walk() -> Walk:
    """A walk with settings in the names of its leaves and figures of many digits."""
    figures = {"accuracy": 0.9876, "accuracy_drop": -0.0123, "sqnr": 41.0, "latency": 123.456, "npu_cycles": 61_728_000}
    figures |= dict.fromkeys(("sram", "flash", "tflite", "zip", "gzip", "encoded_weights"), 12_345_678)
    found = tuple(Measurement(name, value, "", Trust.EXACT) for name, value in {**figures, "zeros": 0.5}.items())
    names = ("ptq", "npu_sparse_cluster sparsity=0.875 clusters=16", "pcqat sparsity=0.875 clusters=16")
    leaves = tuple(
        Leaf(name, ("prune",), status, measurements=found, reason=SENTENCE)
        for name, status in zip(names, (LeafStatus.MISMATCH, LeafStatus.MET, LeafStatus.FAILED), strict=True)
    )
    return Walk(LONG, "best", Budget(), {}, (), leaves, (), Verdict(True, names[1], "it meets"), front=(names[1],))


def test_table_of_a_tree(width: int) -> None:
    text = format_leaves(walk())
    check(text, width, *(leaf.name for leaf in walk().leaves), "mismatch failed")
    numbers(text, "61,728,000", "123.456", "98.8", "-1.2")
    assert ("left out at 80 columns: " in text) == (width == 80)
    assert "all: COLUMNS=136" in text or width > 80


def test_a_legend_explains_the_columns_that_are_shown() -> None:
    def words(lines: list[str]) -> set[str]:
        return {word for word in explained if re.search(rf"(^|[\s,;]){re.escape(word)}([\s,:;]|$)", "\n".join(lines))}

    explained = ("SQNR", "zip", "gzip", ".tflite", "flash", "zeros", "unique", "ms", "cycles", "Keras", "weights")
    rows = [row("net", "npu_sparse_cluster", 9), row("net", "ptq", 9)]
    for width, left_out in ((80, {"zeros", "unique", "Keras"}), (200, set[str]())):
        text = format_summary(rows, {}, width, colour=False)
        _, _, notes = text.partition("\n\n")
        assert not words([notes]) & left_out, text
        assert width == 80 or {"zeros", "unique", "Keras", "weights"} <= words([notes])
    mixed = [row("net", "ptq", 9, accelerator="ethos-u65-256", weights_in_dram=True), row("net", "ptq", 9)]
    assert "flash: weights and tables, which are in DRAM on ethos-u65-256\n" in format_summary(mixed, {}, 200, False)
    short = replace(walk(), leaves=walk().leaves[:1])
    for width, left_out in ((80, {"SQNR", "zip", "gzip", "zeros"}), (200, set[str]())):
        found = legend(short, shown_columns(*leaf_table(short), width))
        assert not words(found) & left_out, found
        assert width == 80 or set(explained) - {"Keras", "unique"} <= words(found)


def test_milliseconds_of_small_models_differ(width: int) -> None:
    text = format_summary([row("net", "ptq", 1800), row("net", "qat", 2049)], {}, width, colour=False)
    numbers(text, "0.00360", "0.00410")
    figures = [replace(m, value=0.00361) if m.name == "latency" else m for m in walk().leaves[0].measurements]
    numbers(format_leaves(replace(walk(), leaves=(replace(walk().leaves[0], measurements=tuple(figures)),))), "0.00361")
    check = LimitCheck("max_latency_ms", 0.00361, 0.0036, "ms", Trust.EXACT)
    assert format_check(check) == "latency 0.00361 ms, limit 0.00360, 0.0000100 too much"


def test_a_base_that_learned_nothing_is_named(width: int) -> None:
    base = BaseScore("top1", 0.467, 0.533)
    line = "float base: top1 46.7 %, no better than always naming the most frequent class (53.3 %): nothing was learned"
    rows = [row("net", path, 9, base_remark=base.remark) for path in ("ptq", "qat")]
    text = format_summary([*rows, row("other", "ptq", 9, base_remark="")], {}, width, colour=False)
    check(text, width)
    assert " ".join(text.split()).count(f"net: {line}") == 1
    found = replace(walk(), base=base)
    assert f"  {line}" in verdict_lines(found)
    assert found.record()["base"] == {"metric": "top1", "value": 0.467, "constant": 0.533, "learned_nothing": True}


def test_growing_tree_of_a_terminal(width: int) -> None:
    from rich.console import Console

    view = TreeView()
    leaf = walk().leaves[0]
    view.leaf_finished(leaf)
    console = Console(width=width)
    with console.capture() as capture:
        console.print(view.tree())
    check(capture.get(), width)


def test_findings_of_doctor(width: int) -> None:
    findings = [
        Finding("target sim", "hil.npu 0.1.0", "the NPU", ""),
        Finding("target serial", "", "boards", f"no board is named (--board NAME): {SENTENCE}", needed=False),
        Finding("tensorflow-model-optimization", "0.8.1", SENTENCE, ""),
        Finding(f"data of {LONG}", "", f"the model {LONG}", f"git clone {ADDRESS} and set HIL_FSDD to its folder"),
    ]
    text = format_findings(findings)
    check(text, width, *(found.name.removeprefix("target ") for found in findings), SENTENCE, ADDRESS)
    lines = text.splitlines()
    assert [line.split()[:2] for line in lines[2:4]] == [["sim", "ready"], ["serial", "not"]]


def test_models(width: int) -> None:
    techniques = ["ptq", "npu_sparse_cluster", "npu_pcqat", "sparse_cluster"]
    record = {"name": LONG, "params": 123_456_789, "macs": 123_456_789_012, "techniques": techniques}
    text = format_models([{**record, "missing": f"no recordings here (git clone {ADDRESS})"}])
    check(text, width, LONG, ", ".join(techniques), ADDRESS)
    numbers(text, "123,456,789", "123,456,789,012")


def test_models_whose_data_is_missing_have_rows_and_one_line_together(width: int) -> None:
    record = {"params": 419_254, "macs": 28_327_260, "techniques": ["ptq", "pcqat"]}
    missing = f"no recordings here (git clone {ADDRESS} and set HIL_FSDD to its folder)"
    named = [{"name": f"digits_dscnn_{size}", **record, "missing": missing} for size in "ml"]
    text = format_models([*named, {"name": "fashion_cnn", **record, "missing": ""}])
    check(text, width, ADDRESS)
    assert [line.split()[-1] for line in text.splitlines()[2:5]] == ["missing", "missing", "here"]
    assert f"digits_dscnn_m, digits_dscnn_l: {missing}" in " ".join(text.split())
    assert text.count(ADDRESS) == 1


def test_artifacts_by_model_and_technique(tmp_path: Path, width: int) -> None:
    store = Store(tmp_path)
    for number, (model, technique) in enumerate((("b", "pqat"), (LONG, "npu_sparse_cluster"), ("b", "ptq"), ("b", ""))):
        for part in range(2):
            recipe = ArtifactRecipe("tflite", {"number": f"{number} {part}"})
            size = 1_000_000 * (number + 1)
            store.make(
                recipe,
                lambda f, size=size: f.joinpath("x").write_bytes(bytes(size)) and None,
                origin=Origin(model, technique),
            )
    text = format_artifacts(str(tmp_path), list(store.artifacts()))
    check(text, width, LONG, "npu_sparse_cluster", f"{datetime.now(timezone.utc):%Y-%m-%d}")
    groups = [line.split()[:2] for line in text.splitlines() if re.match(rf"(b|{LONG}) ", line)]
    assert groups == [
        ["b", "(shared)"],
        ["b", "ptq"],
        ["b", "pqat"],
        [LONG, "npu_sparse_cluster"],
    ]
    numbers(text, "2.0 MB", "4.0 MB", "6.0 MB", "8.0 MB")
    assert text.endswith("in all 8 artifacts, 20.0 MB")


def test_boards_and_engines(width: int) -> None:
    board = {
        "name": "numaker_m55m1_of_the_lab",
        "title": SENTENCE,
        "protocol": "mlperf",
        "accelerator": "ethos-u55-256",
    }
    port = "socket://boards.example.org:4001"
    text = format_boards([{**board, "port": port, "trouble": "several ports match"}], [])
    check(text, width, *board.values(), port, "several ports match")
    engine = {
        "engine": "docker",
        "version": "corstone300-open 0.1.0 (QEMU 7.2.22, mps3-an547)",
        "why": f"{ADDRESS} {SENTENCE}",
    }
    check(format_engines([engine]), width, *engine.values())


def test_run(width: int) -> None:
    measured = {"name": "npu_cycles", "value": 123_456_789_012, "unit": "cycles", "trust": "modelled", "note": SENTENCE}
    output = {"name": "StatefulPartitionedCall:0/a/long/name/of/a/tensor", "shape": [1000, 1, 10], "dtype": "int8"}
    identity = {"target": "sim", "model_sha256": 64 * "f", "engine": "hil.npu"}
    missing = {"name": "wd_stalled", "reason": "not modelled", "note": "PMU event 0x51 (WD_STALLED)"}
    record = {"measurements": [measured], "missing": [missing], "outputs": [output], "identity": identity}
    text = format_run(f"{LONG}.tflite", record)
    check(text, width, SENTENCE, output["name"], 64 * "f", *missing.values())
    numbers(text, "123,456,789,012", "[1000, 1, 10]")


@pytest.mark.parametrize(
    "kept", ["17.2 %", "500 MHz", "50.6 KiB", "204,670 cycles", "0.5 ms", "CONV_2D 9", "RESHAPE 13"]
)
def test_no_line_ends_between_a_number_and_its_unit_or_operator(kept: str) -> None:
    for width in range(len(kept) + 2, 60):
        assert kept in "\n".join(wrap(f"then the weights take {kept}; and so on", width))
    cell = format_table(
        [Column("figure"), Column("note")], [Row(["x" * 20, f"NPU operators alone, at {kept}"])], width=50
    )
    assert kept in cell


@pytest.mark.parametrize("number", [True, False])
def test_columns_that_fit_exactly_stand_side_by_side(number: bool) -> None:
    cells = ("a" * 30, "1" * 25, "b" * 21)
    columns = [Column("x"), Column("y", number=True), Column("z", number=number)]
    lines = format_table(columns, [Row(cells)], width=80).splitlines()
    assert lines[-1] == "  ".join(cells)
    assert lines[-2] == "─" * 80
    assert format_table(columns, [Row(cells)], width=79).startswith("x: a")


def test_long_names_end_a_line_behind_an_underscore_before_a_table_becomes_records() -> None:
    columns = [Column("figure"), Column("value", number=True), Column("trust"), Column("note")]
    rows = [
        Row(["axi0_wr_trans_completed_m", "24,636", "not modelled", "NPU AXI0_WR_TRANS_COMPLETED_M, once"]),
        Row(["cc_stalled_on_shram_reconfig", "none", "not modelled", "of its NPU"]),
    ]
    text = format_table(columns, rows, width=65)
    assert text.splitlines()[0].split() == ["figure", "value", "trust", "note"]
    assert max(map(len, text.splitlines())) <= 65
    whole = "".join(
        "".join(line.ljust(65)[start:end].strip() for line in text.splitlines()) for start, end in ((0, 20),)
    )
    assert "axi0_wr_trans_completed_m" in whole
    assert "cc_stalled_on_shram_reconfig" in whole
    wide = format_table(columns, rows, width=120)
    assert all(cell in wide for row in rows for cell in map(str, row.cells)), "whole where they fit"


def test_what_fits_no_terminal_stays_whole_and_alone() -> None:
    word = "x" * 90
    text = format_table([Column("name"), Column("what")], [Row(["a", f"see {word} there"])], width=80)
    assert word in text.splitlines()


def test_without_a_terminal_the_width_is_columns_or_80(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert terminal_width() == 80
    monkeypatch.setenv("COLUMNS", "107")
    assert terminal_width() == 107


def test_markdown_takes_every_cell_for_text() -> None:
    columns = [Column("path"), Column("NPU\ncycles", number=True), Column("empty")]
    text = format_markdown(columns, [Row(["a|b <script> *x* `y` [z](u)", "1,000", ""])])
    assert text.splitlines() == [
        "| path | NPU cycles |",
        "| --- | --: |",
        r"| a\|b &lt;script&gt; \*x\* \`y\` \[z\](u) | 1,000 |",
    ]


def test_a_terminal_obeys_no_text_of_a_cell() -> None:
    evil = "a\x1b[31m\x07\x9b1m"
    for width in (80, 8):
        shown = format_table((Column("name"), Column("value")), [Row((evil, evil))], title=evil, width=width)
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", shown)
    assert "\x1b" not in format_markdown((Column("name"),), [Row((evil,))])
