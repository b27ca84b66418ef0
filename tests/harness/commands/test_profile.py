"""`hil profile` as a user types it."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from hil.core.errors import UnavailableError
from hil.fvp.machine import qemu
from hil.harness.vela.compiler import compile_model
from hil.harness.vela.settings import VelaSettings
from hil.targets.firmware.build import build
from tests.support.blobs import model_file, write
from tests.support.forked import hil

DOCS = Path(__file__).parents[3] / "docs"


def profile(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`hil profile` without a terminal: 80 columns."""
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    return hil("profile", *arguments, cwd=cwd, env=environment)


@pytest.fixture(scope="module")
def resnet(shared_models: Path) -> Path:
    return shared_models / "resnet8_int8.tflite"


def test_the_documentation_shows_what_is_printed(resnet: Path) -> None:
    """The figures themselves are the timing model's; layers, columns, claims and legend are compared."""
    example = (DOCS / "profile.md").read_text().split("```")[1].strip("\n")
    command, _, printed = example.partition("\n")
    done = profile(*command.removeprefix("$ hil profile ").split(), cwd=resnet.parent)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.rstrip("\n").splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == printed.splitlines()[0]
    titles = [line[:18].strip() for line in lines[lines.index("") :]]
    assert titles == [line[:18].strip() for line in printed.splitlines()[printed.splitlines().index("") :]]
    for part in ("limited by ", "faster with ethos-u55-256 -", "Sram_Only", "--optimise Size", "against Arm's FVP"):
        assert part in " ".join(done.stdout.split())


def test_files_and_a_comparison_with_a_stored_profile(resnet: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"profile{suffix}" for suffix in (".json", ".csv", ".html", ".png")]
    outputs = [word for path in files for word in ("-o", path)]
    trace = tmp_path / "trace.json"
    done = profile(resnet, "--quick", "--json", "--trace", trace, *outputs)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record == json.loads(files[0].read_text())
    assert record["changes"] == []
    assert sum(layer["cycles"] for layer in record["layers"]) == record["cycles"]
    rows = list(csv.DictReader(files[1].read_text().splitlines()))
    assert [row["layer"] for row in rows] == [*(layer["title"] for layer in record["layers"]), "total"]
    assert files[2].read_text().startswith("<!doctype html>")
    assert files[3].read_bytes().startswith(b"\x89PNG")
    assert json.loads(trace.read_text())["traceEvents"]
    against = profile(resnet, "--accelerator", "ethos-u55-256", "--against", files[0], "--json")
    pairs = json.loads(against.stdout)["pairs"]
    assert [pair["title"] for pair in pairs] == [row["layer"] for row in rows if row["placement"] == "NPU"]
    assert pairs[-1]["other_cycles"] == record["cycles"]
    assert pairs[-1]["change"] < 0


def test_a_vela_output_has_rows_by_operation(resnet: Path, tmp_path: Path) -> None:
    path = tmp_path / "vela.tflite"
    path.write_bytes(compile_model(resnet.read_bytes(), VelaSettings("ethos-u55-64"), mapped=False).model)
    done = profile(path)  # for the accelerator that the file is for
    assert done.returncode == 0, done.stderr
    assert "ethos-u55-64" in done.stdout
    assert "rows are operations of the command stream" in " ".join(done.stdout.split())
    assert "conv #2" in done.stdout
    assert re.search(r"; \w+ #\d+ takes most", " ".join(done.stdout.split()))
    wrong = profile(path, "--accelerator", "ethos-u55-128")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "is compiled for ethos-u55-64, not for ethos-u55-128" in wrong.stderr


@pytest.mark.nightly
def test_layers_are_measured_on_a_board(
    shared_models: Path, tmp_path: Path, missing: Callable[[object], NoReturn]
) -> None:
    try:
        qemu.version()
        build()
    except UnavailableError as error:
        missing(error)
    block = (DOCS / "profile.md").read_text().partition("$ hil profile resnet8_int8.tflite --target")[2]
    words, _, printed = block.partition("```")[0].partition("\n")
    shown = profile("resnet8_int8.tflite", "--target", *words.split(), cwd=shared_models)
    assert shown.returncode == 0, shown.stderr
    assert max(map(len, shown.stdout.splitlines())) <= 80
    titles = [line[:19].strip() for line in shown.stdout.strip().splitlines()]
    assert titles == [line[:19].strip() for line in printed.strip().splitlines()]
    path = shared_models / "kws_ref_int8.tflite"
    board = ("--target", "serial", "--board", "virtual", "--repetitions", 2)
    done = profile(path, *board, "--json", "-o", tmp_path / "measured.csv")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert (record["trust"], record["outputs_equal"]) == ("modelled", True)
    modelled = json.loads(profile(path, "--quick", "--json").stdout)
    titles = [layer["title"] for layer in modelled["layers"] if layer["cycles"]]
    assert [piece["title"] for piece in record["pieces"]] == titles
    assert all(piece["cycles"] == piece["modelled_cycles"] for piece in record["pieces"])
    assert record["whole"]["cycles"] == record["whole"]["modelled_cycles"] == modelled["cycles"]
    cutting = record["cutting"]
    assert cutting["cycles"] == record["sum_cycles"] - modelled["cycles"] == cutting["overlap_cycles"]
    assert cutting["extra_starts"] == len(titles) - 1
    rows = [*csv.DictReader((tmp_path / "measured.csv").read_text().splitlines())]
    assert [row["title"] for row in rows] == titles


def test_a_sweep_prints_rows_as_they_are_done(resnet: Path, tmp_path: Path) -> None:
    path = tmp_path / "sweep.csv"
    chosen = ("--accelerator", "ethos-u55-256", "--memory-mode", "Shared_Sram", "--vela-option", "--optimise Size")
    done = profile(resnet, "--sweep", *chosen, "-o", path)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stderr.splitlines()] == ["[1/2]", "[2/2]"]
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert {row["system_config"] for row in rows} == {"Ethos_U55_Deep_Embedded", "Ethos_U55_High_End_Embedded"}
    assert {row["trust"] for row in rows} == {"modelled"}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--sweep", "--trace", "t.json"], "--trace has no effect beside --sweep"),
        (["--technique", "qat"], "--technique qat has no effect"),
        (["-o", "profile.txt"], "is no known format"),
        (["--target", "sim"], "--target sim: it runs no command stream piece by piece"),
        (["--target", "serial", "--board", "virtual", "--quick"], "--quick has no effect beside --target"),
        (["--target", "serial", "--board", "virtual", "-o", "profile.html"], "is no known format"),
        (["--sweep", "--target", "serial"], "--target has no effect beside --sweep"),
        (["--board", "virtual"], "--board virtual has no effect without --target"),
        (["--engine", "open"], "nothing runs; --target serial --board NAME measures them"),
        (["--accelerator", "ethos-u99"], "no accelerator is called 'ethos-u99'"),
    ],
)
def test_wrong_use_is_one_line(resnet: Path, tmp_path: Path, arguments: list[str], line: str) -> None:
    done = profile(resnet, *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert line in done.stderr
    assert "Traceback" not in done.stderr


def test_a_model_file_compares_with_its_techniques_in_the_store(tmp_path: Path, store: Path, blobs_int8: Path) -> None:
    assert blobs_int8.is_file()  # ptq is in the store, nothing else
    folder = write(tmp_path, {"models/blobs.py": model_file()})
    done = profile("blobs", "--technique", "npu_ptq", "--store", store, "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["name"] == "blobs-npu_ptq"
    techniques = {one["name"]: one for one in record["changes"] if one["kind"] == "technique"}
    assert "ptq" in techniques
    assert "pcqat" not in techniques  # it would have to be trained


def test_the_other_model_is_searched_in_the_folders_that_are_named(
    tmp_path: Path, store: Path, blobs_int8: Path
) -> None:
    folder = write(tmp_path, {"nets/blobs.py": model_file()})
    named = ("--models", "nets", "--store", store)
    done = profile(blobs_int8, "--against", "blobs", *named, "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert {pair["change"] for pair in json.loads(done.stdout)["pairs"]} == {0}
