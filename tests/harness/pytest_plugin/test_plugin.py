"""pytest as a user runs it, in a repository of their own: every test here starts a real pytest in a new folder."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.blobs import model_file, write
from tests.support.injected_code import WITHOUT_TENSORFLOW

from .blob_suite import OTHER, repository, run, table


def test_a_users_repository_with_packages_of_the_same_names(tmp_path: Path) -> None:
    packages = {"targets/__init__.py": "MINE = 1\n", "models/__init__.py": "", "models/net.py": "DEPTH = 3\n"}
    uses = "import targets\nfrom models import net\ndef test_mine():\n    assert (targets.MINE, net.DEPTH) == (1, 3)\n"
    folder = repository(tmp_path, {**packages, "test_packages.py": uses})
    done = run(folder, tmp_path / "store")  # not that of the other tests: what is in it shows no progress
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout
    rows = table(done)
    assert rows["ptq"].mismatches == rows["pqat"].mismatches == ["0"]
    assert rows["pqat"].against_ptq
    assert re.search(r"\[[1-3]/4 tests, about \d+ (s|min) left\] blobs-pqat on sim$", done.stdout, re.MULTILINE)
    assert "cycles and ms are modelled" in done.stdout


def test_the_target_selects_the_tests_of_deployments_and_heads_the_run(tmp_path: Path, store: Path) -> None:
    done = run(repository(tmp_path), store, "--target", "sim", "--technique", "ptq")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert "deselected" in done.stdout
    head = done.stdout.split("collected")[0]
    for part in ("target sim", "ethos-u55-128", "Shared_Sram", "Vela 5.2"):
        assert part in head


def test_fvp_gives_what_sim_gives(tmp_path: Path, store: Path) -> None:
    done = run(repository(tmp_path), store, "--target", "fvp", "--technique", "ptq", "--samples", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "target fvp" in done.stdout
    assert table(done)["ptq"].mismatches == ["0", "0"]
    assert re.search(r"right answers of the \d+ samples that ran on fvp", done.stdout)


INI = """
[pytest]
hil_target = fvp
hil_technique = ptq
hil_samples = 3
hil_engine = open
hil_accelerator = ethos-u55-128 ethos-u55-32
hil_memory_mode = Sram_Only
"""


def test_defaults_stand_in_the_ini_file_and_each_accelerator_has_its_table(tmp_path: Path, store: Path) -> None:
    folder = repository(tmp_path, {"pytest.ini": INI})
    done = run(folder, store, "-v")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout, "a default selects no tests: the user's other one runs too"
    for name in ("blobs-ptq-ethos-u55-128", "blobs-ptq-ethos-u55-32"):
        assert f"test_fits_and_holds[{name}] PASSED" in done.stdout
    titles = re.findall(r"^blobs.*", done.stdout[done.stdout.index("hardware in the loop") :], re.MULTILINE)
    assert [title.split(":")[0] for title in titles] == ["blobs on ethos-u55-32", "blobs on ethos-u55-128", "blobs"]
    assert "right answers of the 3 samples that ran on fvp" in done.stdout
    other = run(folder, store, "--target", "sim", "--accelerator", "ethos-u55-64", "--samples", "2")
    assert other.returncode == 0, other.stdout + other.stderr
    assert "1 passed" in other.stdout, "an engine in the ini file is no option of sim, and no error"
    assert "hil: ethos-u55-64, Sram_Only" in other.stdout


def test_a_wrong_default_is_one_line(tmp_path: Path, store: Path) -> None:
    done = run(repository(tmp_path, {"pytest.ini": "[pytest]\nhil_samples = many\n"}), store)
    assert done.returncode == 4, done.stdout + done.stderr
    assert "hil_samples = many in the ini file is no int" in done.stderr


def test_the_second_run_trains_nothing(tmp_path: Path, store: Path) -> None:
    folder = repository(tmp_path)
    run(folder, store)
    (folder / "conftest.py").write_text(WITHOUT_TENSORFLOW)
    again = run(folder, store)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "3 passed" in again.stdout


def test_beside_pytest_embedded(tmp_path: Path, store: Path) -> None:
    pytest.importorskip("pytest_embedded", reason="pytest-embedded is not installed (pip install pytest-embedded)")
    folder = repository(tmp_path)
    done = run(folder, store, "--hil-target", "sim", "--technique", "ptq", plugins=("pytest_embedded",))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert "another plugin" not in done.stdout
    theirs = run(folder, store, "--target", "esp32", "test_other.py", plugins=("pytest_embedded",))
    assert theirs.returncode == 0, theirs.stdout + theirs.stderr


def test_a_target_that_another_plugin_took_is_an_error(tmp_path: Path, store: Path) -> None:
    pytest.importorskip("pytest_embedded", reason="pytest-embedded is not installed (pip install pytest-embedded)")
    folder = repository(tmp_path)
    for target in (["fvp", "--technique", "ptq"], ["serial", "--board", "virtual"]):
        done = run(folder, store, "--target", *target, plugins=("pytest_embedded",))
        assert done.returncode == 4, done.stdout + done.stderr
        line = f"--target {target[0]} is another plugin's option here (--hil-target {target[0]})"
        assert line in done.stderr


def test_under_xdist_the_table_is_whole(tmp_path: Path, store: Path) -> None:
    done = run(repository(tmp_path), store, "-n", "2", plugins=("xdist",))
    assert done.returncode == 0, done.stdout + done.stderr
    rows = table(done)
    assert rows["ptq"].mismatches == rows["pqat"].mismatches == ["0"]
    assert rows["ptq"].cells > 10


def test_a_model_without_data_is_left_out_with_the_way_to_get_it(tmp_path: Path, store: Path) -> None:
    missing = 'raise UnavailableError("no pictures here", hint="apt-get install pictures")'
    folder = repository(tmp_path, {"models/pictures.py": model_file("pictures", missing)})
    done = run(folder, store, "--target", "sim", "--technique", "ptq")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "left out: pictures: no pictures here (apt-get install pictures)" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--target", "nowhere"), "no target is called 'nowhere' (known are host, sim, fvp, serial)"),
        (("--target", "sim", "--model", "nobody"), "no model nobody (there are: blobs)"),
        (("--target", "sim", "--technique", "magic"), "no technique magic"),
        (("--target", "sim", "--accelerator", "ethos-u99"), "no accelerator is called 'ethos-u99'"),
        (("--target", "sim", "--samples", "0"), "--samples 0: at least 1"),
        (("--target", "sim", "--vela-config", "none.ini"), "none.ini"),
        (("--target", "fvp", "--engine", "steam"), "no engine is called 'steam'"),
        (("--target", "fvp", "--fvp-parameter", "ethosu.num_mac=1"), "'ethosu.num_mac' does not exist"),
        (("--target", "fvp", "--firmware", "none.elf"), "none.elf cannot be read"),
        (("--target", "sim", "--models", "nowhere"), "no folder"),
        (("--models", "nowhere"), "no folder"),
        (("--technique", "int8"), "--technique int8: no model here takes it (blobs has ptq, pqat)"),
        (("--store", "test_other.py"), "is no folder"),
    ],
)
def test_wrong_use_is_one_line(tmp_path: Path, store: Path, arguments: tuple[str, ...], message: str) -> None:
    done = run(repository(tmp_path), store, *arguments)
    assert done.returncode == 4, done.stdout + done.stderr
    assert message in done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout


def test_marks_choose_models_techniques_and_budgets(tmp_path: Path, store: Path) -> None:
    marked = """
import pytest

@pytest.mark.hil_techniques("ptq")
@pytest.mark.hil_budget(max_sram_bytes=1)
def test_budget(deployment, budget):
    assert deployment.path == "ptq"
    assert budget.max_sram_bytes == 1 and budget.max_latency_ms == 1.0

@pytest.mark.hil_models("another")
def test_not_on_blobs(deployment):
    raise AssertionError
"""
    another = {"models/another.py": model_file("another", 'raise UnavailableError("gone")')}
    done = run(repository(tmp_path, {"test_deployment.py": marked, **another}), store, "--target", "sim")
    assert "1 passed, 1 skipped" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        ('hil_techniques("ptg")', "no technique ptg (there are: ptq"),
        ('hil_models("blob")', "no model blob (there are: blobs)"),
        ("hil_budget(max_sram=1)", "no limit max_sram (there are: max_accuracy_drop"),
    ],
)
def test_a_typo_in_a_mark_ends_the_run(tmp_path: Path, store: Path, mark: str, message: str) -> None:
    marked = f"import pytest\n@pytest.mark.{mark}\ndef test_it(deployment, budget):\n    pass\n"
    done = run(repository(tmp_path, {"test_deployment.py": marked}), store)
    assert done.returncode == 4, done.stdout + done.stderr
    assert message in done.stderr


@pytest.mark.parametrize("target", [(), ("--target", "sim")])
def test_a_model_asked_for_by_name_is_never_passed_over(tmp_path: Path, store: Path, target: tuple[str, ...]) -> None:
    folder = repository(
        tmp_path, {"models/blobs.py": model_file(missing='raise UnavailableError("gone", hint="get it")')}
    )
    named = run(folder, store, *target, "--model", "blobs")
    assert named.returncode == 4, named.stdout + named.stderr
    assert "--model blobs: gone (get it)" in named.stderr
    assert "1 skipped" in (silent := run(folder, store, "-rs").stdout)
    assert "no deployment to run on: blobs: gone (get it)" in silent
    assert "left out: blobs: gone (get it)" in silent


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    return x, y", "    raise OSError('cut short')", "data cannot be loaded: OSError: cut short"),
        ("    return x, y", "    return x[:5], y", "data is x float32[5, 8, 8, 1] and y int64["),
        ("    return x, y", "    return x[:, :7], y", "have shape (7, 8, 1), the network takes (8, 8, 1)"),
        *(
            pytest.param("    return x, y", new, message, marks=pytest.mark.nightly)
            for new, message in (
                ("    return x, y + 1", "the network knows the classes 0 to 2: the network gives (3,)"),
                ("    x[3, 1] = np.nan\n    return x, y", "8 values are not finite in the training samples"),
            )
        ),
    ],
)
def test_wrong_data_is_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = model_file()
    assert old in text
    write(tmp_path, {"models/blobs.py": text.replace(old, new)})
    command = [sys.executable, "-m", "hil.harness.cli", "optimize", "blobs", "--store", "store"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_the_tests_of_a_model_with_a_wrong_metric_fail_and_the_others_go_on(tmp_path: Path, store: Path) -> None:
    wrong = model_file("wrong").replace("techniques=", 'metric="auc",\n    techniques=')
    done = run(repository(tmp_path, {"models/wrong.py": wrong}), store, "--technique", "ptq")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "2 passed, 1 error" in done.stdout
    line = "BadInputError: auc needs one score a sample and labels 0 and 1: the network gives (3,) a sample"
    assert line in done.stdout
    assert "Traceback" not in done.stdout


def test_infrastructure_alone_ends_with_6(tmp_path: Path, store: Path) -> None:
    broken = """
from hil.core.errors import InfrastructureError
def test_broken(deployment):
    raise InfrastructureError("the board is silent", hint="plug it in", log="last words")
"""
    done = run(repository(tmp_path, {"test_deployment.py": broken}), store, "--technique", "ptq")
    assert done.returncode == 6, done.stdout + done.stderr
    assert "InfrastructureError: the board is silent (plug it in)" in done.stdout
    assert "last words" in done.stdout
    failing = "def test_wrong():\n    assert 1 == 2\n"
    both = run(repository(tmp_path, {"test_wrong.py": failing}), store, "--technique", "ptq")
    assert both.returncode == 1, both.stdout + both.stderr


def test_qemu_missing_is_infrastructure(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    done = run(repository(tmp_path), store, "--target", "fvp", "--technique", "ptq", "--samples", "1")
    assert done.returncode == 6, done.stdout + done.stderr
    assert "apt-get install qemu-system-arm" in done.stdout


def test_with_a_target_a_library_of_other_tests_may_be_missing(tmp_path: Path, store: Path) -> None:
    tests = {
        "test_other.py": "import no_such_library\ndef test_it(tmp_path): pass\n",
        "test_given.py": "import pytest, no_such_library\n@pytest.mark.parametrize('memory', [1])\n"
        "def test_it(memory): pass\n",
    }
    folder = repository(tmp_path, tests)
    done = run(folder, store, "--target", "sim", "--technique", "ptq")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert "left out: test files that need no_such_library: it is not installed, and none of them tests" in done.stdout
    assert run(folder, store, "--collect-only").returncode == 2
    wrapped = "import pytest\n@pytest.fixture\ndef fast(latency): return latency\n"
    ours = "import no_such_library\ndef test_it(fast): pass\n"
    for files in ({"conftest.py": wrapped, "test_other.py": ours}, {"test_other.py": "import json.no_such\n"}):
        done = run(write(folder, files), store, "--target", "sim", "--technique", "ptq", "--collect-only")
        assert done.returncode == 2, done.stdout
        assert "1 error" in done.stdout


def test_with_a_target_the_paths_of_the_ini_file_are_collected(tmp_path: Path, store: Path) -> None:
    ini = "[pytest]\ntestpaths = .\nhil_testpaths = on_target\n"
    folder = repository(tmp_path, {"pytest.ini": ini, "test_broken.py": "1 / 0\n", "on_target/test_it.py": OTHER})
    collected = run(folder, store, "--target", "sim", "--collect-only")
    assert "1 deselected" in collected.stdout, collected.stdout + collected.stderr
    assert "error" not in collected.stdout
    assert run(folder, store, "--collect-only").returncode == 2
