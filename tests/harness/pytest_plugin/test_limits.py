"""Limits in pytest: missed ones are a line, and one that no test checked fails the run."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.blobs import MODEL, model_file, write

from .blob_suite import run

CHECK = "def test_holds(budget):\n    budget.check()\n"


@pytest.fixture
def given(tmp_path: Path, blobs_int8: Path) -> Path:
    """A repository whose one model is an int8 file with labelled data."""
    loader = MODEL[: MODEL.index("def build")].replace("{missing}", "")
    model = 'model = Model("given", tflite="int8.tflite", data=Dataset(load, files), budget=Budget(LIMITS))\n'
    write(tmp_path, {"models/given.py": loader + model})
    shutil.copy(blobs_int8, tmp_path / "models/int8.tflite")
    return tmp_path


def stated(folder: Path, limits: str, text: str) -> Path:
    """The repository with limits and tests."""
    model = folder / "models/given.py"
    model.write_text(re.sub(r"Budget\([^)]*\)\)", f"Budget({limits}))", model.read_text()))
    return write(folder, {"test_given.py": f"import pytest\n{text}"})


def test_an_int8_file_has_its_own_accuracy_and_what_has_no_reference_fails(given: Path, store: Path) -> None:
    text = """
def test_readme(parity, accuracy, latency, memory):
    assert parity.mismatches == 0 and latency.ms and memory.sram_bytes
    assert accuracy.value > 0.8 and accuracy.samples == 64 and accuracy.on_target == accuracy.value
def test_drop(accuracy):
    assert accuracy.drop <= 0.5
"""
    done = run(stated(given, "max_latency_ms=1e-6, max_accuracy_drop=0.1, min_accuracy=2", text + CHECK), store)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "2 failed, 1 passed" in done.stdout
    no_reference = "accuracy.drop compares with a Keras model, and this model came as an int8 file"
    assert f"NoReferenceError: {no_reference}" in done.stdout
    (line,) = {line.partition("given-int8 on sim: ")[2] for line in done.stdout.splitlines() if line.startswith("E ")}
    missed = line.split("; ")
    assert missed[0].startswith(f"drop unknown: {no_reference}")
    assert re.fullmatch(r"latency 0\.\d{4,5} ms, limit 0\.00000100, 0\.\d{4,5} too much", missed[1])
    assert re.fullmatch(r"accuracy 0\.\d{4}, limit 2\.0000, 1\.\d{4} too little", missed[2])
    assert re.search(r"^int8 ✗ +[89]\d\.\d", done.stdout, re.M)
    assert "given: top1 of 64 test samples" in done.stdout


def unwrapped(done: subprocess.CompletedProcess[str]) -> str:
    """The output with its indented further lines joined to the first."""
    return re.sub(r"\n  (?=\S)", " ", done.stdout)


def test_a_limit_that_no_test_checked_fails_the_run(given: Path, store: Path) -> None:
    text = """
def test_own(accuracy, latency, budget):
    assert accuracy.value >= budget.min_accuracy
    assert latency.ms <= 2.0
@pytest.mark.hil_budget(max_sram_bytes=1)
def test_marked(memory):
    pass
@pytest.mark.hil_budget(max_flash_bytes=1e9)
def test_skipped(budget):
    pytest.skip("not today")
"""
    limits = "max_latency_ms=5.0, min_accuracy=0.5"
    done = run(stated(given, limits, text), store, "--target", "sim", columns=80)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "2 passed, 1 skipped" in done.stdout
    found = re.findall(r"^no test checked (.*): the run fails", unwrapped(done), re.M)
    assert max(map(len, re.findall(r"^no test checked .*", done.stdout, re.M))) <= 80
    of = "of given (int8)"
    assert found == [
        f"latency at most 5.0000 ms {of}",
        f"SRAM at most 1 bytes {of}",
        f"flash at most 976,562.5 KiB {of}",
    ]
    both = stated(given, limits, text.partition("@")[0] + CHECK)
    assert run(both, store, "--target", "sim").returncode == 0
    chosen = run(both, store, "--target", "sim", "-k", "own")
    assert chosen.returncode == 0, chosen.stdout
    assert f"the tests that were chosen did not check latency at most 5.0000 ms {of}" in unwrapped(chosen)
    spread = run(stated(given, limits, text), store, "-n", "2", plugins=("xdist",))
    assert spread.returncode == 1, spread.stdout
    assert set(re.findall(r"^no test checked (.*): the run fails", unwrapped(spread), re.M)) == set(found)


def test_an_int8_file_on_fvp_beside_a_keras_model(given: Path, store: Path) -> None:
    write(given, {"models/blobs.py": model_file()})
    text = "def test_equal(parity, accuracy, budget):\n    assert parity.mismatches == 0\n    budget.check()\n"
    options = ("--target", "fvp", "--technique", "int8", "--samples", "2")
    done = run(stated(given, "min_accuracy=0.8", text), store, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "left out: blobs: it has only ptq, pqat" in done.stdout


def test_on_host_latency_is_left_out_and_nothing_else(given: Path, store: Path) -> None:
    text = CHECK + "def test_fast(latency, budget):\n    assert latency.ms <= budget.max_latency_ms\n"
    done = run(stated(given, "max_latency_ms=1e-6, min_accuracy=0.5", text), store, "--target", "host", "-rs")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed, 1 skipped" in done.stdout
    assert "given: max_latency_ms 1e-06 is not judged: host measures no latency" in unwrapped(done)
    missed = run(stated(given, "max_latency_ms=1e-6, min_accuracy=2", text), store, "--target", "host")
    assert missed.returncode == 1, missed.stdout
    unset = run(stated(given, "", CHECK), store, "--target", "host")
    assert unset.returncode == 0, unset.stdout
    assert "budget.check() had nothing to check on given-int8: no limit is set" in unwrapped(unset)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("@pytest.mark.hil_budget(max_latency=1)", "no limit max_latency (there are: max_accuracy_drop"),
        ("@pytest.mark.hil_budget(max_latency_ms='1')", "max_latency_ms '1': a limit is a number"),
        ("@pytest.mark.hil_budget(0.5)", "the mark hil_budget takes keywords"),
        ("@pytest.mark.hil_models", "the mark hil_models takes names"),
    ],
)
def test_a_wrong_mark_ends_the_run_before_it_begins(given: Path, store: Path, text: str, message: str) -> None:
    done = run(stated(given, "", f"{text}\n{CHECK}"), store)
    assert done.returncode == 4, done.stdout + done.stderr
    assert message in done.stderr


def test_a_mark_without_its_fixture_ends_the_run(given: Path, store: Path) -> None:
    done = run(stated(given, "", "@pytest.mark.hil_budget(max_latency_ms=1)\ndef test_it():\n    pass\n"), store)
    assert done.returncode == 4, done.stdout + done.stderr
    assert "test_it: the mark hil_budget is there, the fixture is not (take deployment)" in done.stderr


def test_limits_of_layers(given: Path, store: Path) -> None:
    text = """
@pytest.mark.hil_budget(layer="FULLY_CONNECTED *", max_cycles=1, max_share=1.0)
def test_missed(budget):
    budget.check()
@pytest.mark.hil_budget(layer="*", max_sram_bytes=1e9, max_encoded_bytes=1e9)
def test_met(budget, profile):
    budget.check()
    assert profile.group("*").cycles == profile.cycles > 0 and profile.group("*").share == 1.0
@pytest.mark.hil_budget(layer="*", max_cycles=5)
def test_unchecked(profile):
    assert max(profile.layers, key=lambda layer: layer.cycles).bound
@pytest.mark.hil_budget(layer="no such*", max_cycles=5)
def test_unknown(budget):
    budget.check()
"""
    done = run(stated(given, "", text), store, "--target", "sim")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "2 failed, 2 passed" in done.stdout
    assert re.search(r"FULLY_CONNECTED \*: cycles [\d,]+, limit 1, [\d,]+ too much$", done.stdout, re.M)
    assert "BadInputError: no layer matches 'no such*' (there are: " in done.stdout
    unchecked = text[text.index('@pytest.mark.hil_budget(layer="*", max_cycles') : text.index("def test_unknown")]
    only = run(stated(given, "", unchecked.rpartition("@")[0]), store)
    assert only.returncode == 1, only.stdout
    assert "no test checked *: cycles at most 5 of given (int8): the run fails" in only.stdout
