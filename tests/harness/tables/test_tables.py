"""`hil tables` as a user meets it: made once, made again without training, stale after a change, without data."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hil.core.errors import EXIT_USAGE
from tests.harness.tree.blob_tree import repository
from tests.support.blobs import model_file
from tests.support.forked import hil
from tests.support.injected_code import WITHOUT_TENSORFLOW

LEAVES = ("ptq", "pqat")
SEEDS = ("--seed", "0", "--seed", "1")


def tables(folder: Path, store: Path, *arguments: object, code: str = "") -> subprocess.CompletedProcess[str]:
    """`hil tables`; `code` runs before it in the same process."""
    only = [word for leaf in LEAVES for word in ("--technique", leaf)]
    return hil("tables", "--store", store, "--figures", "figures", *only, *arguments, cwd=folder, code=code)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Path:
    """A repository whose tables were made by two processes."""
    folder = repository(tmp_path_factory.mktemp("tables"))
    outputs = [word for suffix in ("md", "html", "json") for word in ("-o", f"tables.{suffix}")]
    done = tables(folder, store, "blobs", *SEEDS, "--jobs", 2, *outputs)
    assert done.returncode == 0, done.stderr
    assert "blobs: On the chip" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 110  # the command stays in a line
    return folder


def copy(made: Path, folder: Path, *replacements: tuple[str, str]) -> Path:
    """The same repository, with another model file, and its figures."""
    repository(folder, *replacements)
    (folder / "figures").mkdir()
    for path in (made / "figures").iterdir():
        (folder / "figures" / path.name).write_bytes(path.read_bytes())
    return folder


def leaves(folder: Path) -> dict[str, Any]:
    (model,) = json.loads((folder / "tables.json").read_text())["models"]
    return {leaf["leaf"]: leaf for leaf in model["leaves"]}


def test_every_leaf_has_figures_over_seeds_and_cycles_of_four_npus(made: Path) -> None:
    found = leaves(made)
    assert tuple(found) == LEAVES
    for leaf in found.values():
        assert leaf["seeds"] == [0, 1]
        accuracy = leaf["figures"]["accuracy"]
        assert accuracy["mean"] == pytest.approx(sum(accuracy["values"]) / 2)
        assert len(leaf["cycles"]) == 4
        fast, flash = (leaf["cycles"][f"ethos-u55-128 Ethos_U55_{name}_Embedded"] for name in ("High_End", "Deep"))
        assert flash["mean"] > fast["mean"] > 0
        assert leaf["figures"]["zip"]["mean"] < leaf["figures"]["tflite"]["mean"]
        assert leaf["figures"]["mismatches"]["values"] == [0, 0]
    assert found["pqat"]["steps"] == 2 * 384 // 32
    assert found["pqat"]["figures"]["smaller"]["mean"] > 1.2
    first = json.loads((made / "figures" / "blobs-0.json").read_text())
    assert first["leaves"]["pqat"]["settings"]["pqat"]["seed"] == first["seed"] == 0
    assert {"network", "data", "code", "ethos-u-vela"} <= first["made_of"].keys()
    assert first["leaves"]["pqat"]["trained_s"].keys() == {"base", "base/prune", "base/prune/pqat"}
    assert all(seconds > 0 for seconds in first["leaves"]["pqat"]["trained_s"].values())


def test_each_page_names_the_command_that_makes_it_again(made: Path) -> None:
    command = "hil tables models/blobs.py --seed 0 --seed 1 --technique ptq --technique pqat --figures figures"
    text, html = ((made / f"tables.{suffix}").read_text() for suffix in ("md", "html"))
    assert command in text
    assert command in html
    assert "| pqat |" in text
    assert "trainings took" in text
    assert html.count("<svg") == 2
    assert "<script" not in html


def test_figures_that_are_there_need_no_training_and_give_the_same_tables(made: Path, tmp_path: Path) -> None:
    folder = copy(made, tmp_path)
    again = tables(folder, tmp_path / "empty", "blobs", *SEEDS, "-o", "tables.json", code=WITHOUT_TENSORFLOW)
    assert again.returncode == 0, again.stderr
    assert "blobs, seed 1: figures in figures/blobs-1.json" in again.stdout
    assert leaves(folder) == leaves(made)
    assert not list((tmp_path / "empty").rglob("*.h5"))


def test_a_changed_setting_makes_the_leaf_stale_that_uses_it_and_it_alone_again(
    made: Path, store: Path, tmp_path: Path
) -> None:
    folder = copy(made, tmp_path, ("pqat=quick", "pqat=FineTune(epochs=2)"))
    shown = tables(folder, store, "blobs", "--no-measure", "-o", "tables.md")
    assert "blobs, seed 0: stale: pqat (other settings)" in shown.stdout
    text = (folder / "tables.md").read_text()
    assert "| pqat † |" in text
    assert "| ptq |" in text
    again = tables(folder, store, "blobs", "-o", "tables.json")
    assert again.returncode == 0, again.stderr
    found = leaves(folder)
    assert (found["pqat"]["steps"], found["pqat"]["stale"]) == (3 * 384 // 32, False)
    assert found["ptq"]["figures"]["accuracy"]["values"] == leaves(made)["ptq"]["figures"]["accuracy"]["values"][:1]


def test_a_table_holds_what_its_command_makes_and_no_more(made: Path, store: Path, tmp_path: Path) -> None:
    folder = copy(made, tmp_path)
    (folder / "figures" / "blobs-1.json").unlink()
    words = ("--technique", "pqat", "--figures", "figures", "--no-measure", "-o", "tables.json")
    done = hil("tables", "blobs", *SEEDS, *words, cwd=folder)
    assert "blobs, seed 1: not measured: pqat" in done.stdout
    assert list(leaves(folder)) == ["pqat"]
    page = json.loads((folder / "tables.json").read_text())
    (model,) = page["models"]
    assert model["command"] == "hil tables models/blobs.py --seed 0 --technique pqat --figures figures"
    every = "hil tables models/blobs.py --seed 0 --seed 1 --technique pqat --figures figures --no-measure"
    assert page["command"] == f"{every} -o tables.json"


def test_other_data_makes_all_leaves_stale(made: Path, store: Path, tmp_path: Path) -> None:
    folder = copy(made, tmp_path)
    (folder / "models" / "blobs.dat").write_text("others")
    shown = tables(folder, store, "blobs", "--no-measure")
    assert "stale: ptq, pqat (another data)" in shown.stdout


def test_figures_of_other_code_stay_until_they_are_wanted_again(made: Path, store: Path, tmp_path: Path) -> None:
    folder = copy(made, tmp_path)
    file = folder / "figures" / "blobs-0.json"
    written = json.loads(file.read_text())
    written["made_of"] |= {"code": "0123456789abcdef", "numpy": "1.0"}
    file.write_text(json.dumps(written))
    shown = tables(folder, tmp_path / "empty", "blobs", code=WITHOUT_TENSORFLOW)
    assert shown.returncode == 0, shown.stderr
    line = "blobs, seed 0: made earlier (numpy 1.0 is now "
    assert line in shown.stdout
    assert "--again makes the figures again" in shown.stdout
    assert json.loads(file.read_text()) == written
    again = tables(folder, store, "blobs", "--again")
    assert "blobs, seed 0: stale: ptq, pqat (numpy 1.0 is now " in again.stdout
    assert json.loads(file.read_text())["made_of"] != written["made_of"]
    assert json.loads(file.read_text())["leaves"] == written["leaves"]


def test_a_file_never_holds_figures_of_two_codes(made: Path, store: Path, tmp_path: Path) -> None:
    folder = copy(made, tmp_path)
    file = folder / "figures" / "blobs-0.json"
    written = json.loads(file.read_text())
    written["made_of"]["code"] = "0123456789abcdef"
    kept = written["leaves"].pop("pqat")
    file.write_text(json.dumps(written))
    done = tables(folder, store, "blobs")
    assert "blobs, seed 0: stale: ptq (another code)" in done.stdout
    assert json.loads(file.read_text())["leaves"].keys() == {"ptq", "pqat"}
    assert json.loads(file.read_text())["leaves"]["pqat"] == kept


def test_a_model_whose_data_is_missing_is_left_out_with_the_reason(made: Path, store: Path, tmp_path: Path) -> None:
    folder = copy(made, tmp_path)
    missing = model_file("absent", missing='raise UnavailableError("no absent data", hint="fetch it")')
    (folder / "models" / "absent.py").write_text(missing)
    done = tables(folder, store, "absent", "blobs")
    assert done.returncode == 0, done.stderr
    assert "absent, seed 0: no absent data (fetch it): ptq, pqat" in done.stdout
    alone = tables(folder, store, "absent")
    assert "there are no figures to make tables of" in alone.stderr


def test_without_figures_there_is_nothing_to_show_unmeasured(made: Path, store: Path, tmp_path: Path) -> None:
    folder = copy(made, tmp_path)
    done = tables(folder, store, "blobs", "--no-measure", "--figures", "none")
    assert done.returncode == 2
    assert done.stderr == "hil: none has no figures to make tables of (without --no-measure they are made)\n"


def test_a_file_of_another_form_is_one_line(made: Path, store: Path, tmp_path: Path) -> None:
    folder = copy(made, tmp_path)
    (folder / "figures" / "blobs-0.json").write_text('{"leaves": 3}')
    done = tables(folder, store, "blobs")
    assert done.returncode == EXIT_USAGE
    assert done.stderr.startswith("hil: figures/blobs-0.json holds no figures of `hil tables`")
    assert len(done.stderr.splitlines()) == 1


DROP = {"base_accuracy": 0.9, "accuracy": 0.8, "accuracy_drop": 0.1, "accuracy_drop_low": 0, "accuracy_drop_high": 0.2}
LEAF = {"settings": {}, "steps": 0, "figures": {}, "cycles": {}}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"made_of": None}, "made_of is None, of another type"),
        ({"steps": "many"}, "ptq: steps is 'many', of another type"),
        ({"cycles": {"ethos-u55-128 X": 1.5}}, "ptq: ethos-u55-128 X is 1.5, of another type"),
        ({"figures": {"zip": float("nan")}}, "ptq: zip is not finite"),
        ({"settings": {"pqat": 3}}, "ptq: pqat is 3, of another type"),
        ({"figures": {"accuracy": 7.0}}, "ptq: accuracy cannot be 7"),
        ({"figures": {"encoded_weights": -1}}, "ptq: encoded_weights cannot be -1"),
        ({"figures": {"encoded_weights": 0}}, "ptq: encoded_weights cannot be 0"),
        ({"figures": DROP | {"accuracy_drop": 0.5}}, "ptq: accuracy_drop is not base_accuracy less accuracy"),
        ({"figures": DROP | {"accuracy_drop_low": 0.2}}, "ptq: accuracy_drop lies outside its interval"),
        ({"samples": -1}, "samples is negative"),
        ({"learned_nothing": "no"}, "learned_nothing is 'no', of another type"),
        ({"leaves": {"foo": LEAF}}, "foo: there is no such leaf"),
        ({"leaves": [LEAF]}, "its fields are others"),
        ({"seed": 1}, "holds the figures of blobs with seed 1 (they belong to blobs-1.json)"),
        ({"model": "other"}, "holds the figures of other with seed 0 (they belong to other-0.json)"),
    ],
)
def test_a_file_of_wrong_values_or_of_another_run_is_one_line(
    made: Path, store: Path, tmp_path: Path, changes: dict[str, Any], fault: str
) -> None:
    folder = copy(made, tmp_path)
    file = folder / "figures" / "blobs-0.json"
    written = json.loads(file.read_text())
    for name, value in changes.items():
        (written if name in written else written["leaves"]["ptq"])[name] = value
    file.write_text(json.dumps(written))
    done = tables(folder, store, "blobs", "--no-measure")
    assert done.returncode == EXIT_USAGE, done.stderr
    assert fault in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_tables_are_not_written_over_their_figures(made: Path, store: Path, tmp_path: Path) -> None:
    folder = copy(made, tmp_path)
    done = tables(folder, store, "blobs", "--no-measure", "-o", "figures/blobs-0.json")
    assert done.returncode == EXIT_USAGE
    assert "figures/blobs-0.json is an input of this command" in done.stderr
    done = tables(folder, store, "blobs", "--no-measure", "-o", "figures/blobs-7.json")
    assert done.returncode == EXIT_USAGE
    assert "-o figures/blobs-7.json lies among the figures" in done.stderr


def test_a_seed_and_a_model_that_are_named_twice_count_once(made: Path, store: Path, tmp_path: Path) -> None:
    folder = copy(made, tmp_path)
    done = tables(folder, store, "blobs", "models/blobs.py", *SEEDS, *SEEDS, "--no-measure", "-o", "tables.json")
    assert done.returncode == 0, done.stderr
    assert leaves(folder) == leaves(made)
