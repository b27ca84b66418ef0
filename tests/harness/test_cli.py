"""`hil` as a user types it: each test runs the real command, in a process of its own."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hil.core.errors import BadInputError
from hil.harness.store.store import ArtifactRecipe, Origin, Store
from tests.support import forked
from tests.support.blobs import model_file, write

HIL = [sys.executable, "-m", "hil.harness.cli"]


def hil(*arguments: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return forked.hil(*arguments, cwd=cwd, env={**os.environ, "COLUMNS": "200", **environment})


def refused(done: subprocess.CompletedProcess[str], code: int, *parts: str) -> None:
    """One clear line on stderr, nothing on stdout, the right exit code."""
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    for part in ("hil: ", *parts):
        assert part in lines[0]


@pytest.fixture(scope="module")
def samples(blobs_int8: Path) -> Path:
    """Five quantized inputs of the blobs."""
    path = blobs_int8.with_name("x.npz")
    np.savez(path, x=np.random.default_rng(0).integers(-128, 128, (5, 8, 8, 1), np.int8))
    return path


def test_starting_imports_nothing_heavy() -> None:
    heavy = ("tensorflow", "numpy", "scipy", "sqlalchemy", "alembic")
    code = f"import sys, hil.harness.cli; print(sorted(m for m in {heavy} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_progress_of_a_command_imports_no_pytest() -> None:
    code = "import sys, hil.harness.progress; print('_pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_the_version_is_that_of_the_distribution() -> None:
    assert hil("--version").stdout == f"hil {importlib.metadata.version('ethosu-hil')}\n"


def test_a_misspelled_command_is_told_once_with_the_nearest() -> None:
    done = hil("rnu")
    assert done.returncode == 2
    assert done.stderr.count("Did you mean 'run'?") == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("run",), "Missing argument 'MODEL.tflite'"),
        (("tree", "--jobs", "0"), "0 is not in the range x>=1"),
        (("store", "prune", "--unused-days", "1w"), "'1w' is not a valid float range"),
        (("diff", "a", "b"), "Got unexpected extra argument (b)"),
        (("run", "--nope"), "No such option '--nope'"),
    ],
)
def test_wrong_use_is_a_line_that_names_the_help(words: tuple[str, ...], told: str) -> None:
    done = hil(*words)
    command = " ".join(word for word in words if word in ("run", "tree", "store", "prune", "diff"))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("hil: ")
    assert told in done.stderr
    assert done.stderr.endswith(f" {command} --help)\n")
    assert done.stderr.count("\n") == 1


def test_letters_that_a_terminal_has_not_are_no_defect(tmp_path: Path) -> None:
    folder = write(tmp_path / "Länge µ", {"models/blöbs.py": model_file("blöbs")})
    Store(folder / "Läger").make(ArtifactRecipe("x"), lambda folder: None, origin=Origin("blöbs", "ptq"))
    ascii_only = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    for words, code, text in (
        (("store", "list", "--store", "Läger"), 0, r"bl\xf6bs"),
        (("tree", "nobody"), 2, r"bl\xf6bs"),
    ):
        environment = {**os.environ, "COLUMNS": "200", **ascii_only}
        done = subprocess.run([*HIL, *words], cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == code, done.stderr
        assert text in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_every_command_explains_itself() -> None:
    assert hil("--help").returncode == 0
    for command in ("doctor", "models", "optimize", "tree", "compile", "run", "disasm", "diff", "results", "store"):
        done = hil(command, "--help")
        assert done.returncode == 0
        assert "Usage" in done.stdout


@pytest.mark.parametrize("accelerator", ["ethos-u55-32", pytest.param("ethos-u55-256", marks=pytest.mark.nightly)])
def test_sim_fvp_and_host_give_the_same(tmp_path: Path, blobs_int8: Path, samples: Path, accelerator: str) -> None:
    outputs = {}
    for target in ("host", "sim", "fvp"):
        out = tmp_path / f"{target}.npz"
        arguments = ("--accelerator", accelerator, "--inputs", samples, "--outputs", out, "--json")
        done = hil("run", blobs_int8, "--target", target, *arguments)
        assert done.returncode == 0, done.stderr
        assert (f"--accelerator {accelerator} has no effect: host runs" in done.stderr) == (target == "host")
        record = json.loads(done.stdout)
        assert {"outputs", "measurements", "identity"} <= record.keys()
        assert all({"name", "value", "unit", "trust"} <= found.keys() for found in record["measurements"])
        outputs[target] = np.load(out)[record["outputs"][0]["name"]]
    assert outputs["host"].shape == (5, 3)
    assert outputs["host"].dtype == np.int8
    assert len(np.unique(outputs["host"])) > 3
    np.testing.assert_array_equal(outputs["sim"], outputs["host"])
    np.testing.assert_array_equal(outputs["fvp"], outputs["host"])


def test_events_are_figures_or_listed_as_missing(blobs_int8: Path) -> None:
    events = ("--event", "mac_active", "--event", "WD_STALLED")
    record = json.loads(hil("run", blobs_int8, *events, "--json").stdout)
    values = {found["name"]: found["value"] for found in record["measurements"]}
    assert values["mac_active"] > 0
    assert "wd_stalled" not in values
    assert [(found["name"], found["reason"]) for found in record["missing"]] == [("wd_stalled", "not modelled")]
    (row,) = (line for line in hil("run", blobs_int8, *events).stdout.splitlines() if line.startswith("wd_stalled"))
    assert row.split()[1:4] == ["none", "not", "modelled"]
    refused(hil("run", blobs_int8, "--event", "MAC_ACTIV"), 2, "no PMU event is called 'MAC_ACTIV'")
    refused(hil("run", blobs_int8, "--target", "host", "--event", "MAC_ACTIVE"), 2, "no option of target host")


def test_a_figure_without_a_value_is_in_the_results_database(blobs_int8: Path, tmp_path: Path) -> None:
    database = ("--results", str(tmp_path / "runs.db"))
    assert hil("run", blobs_int8, "--event", "WD_STALLED", *database).returncode == 0
    (deployment,) = json.loads(hil("results", "show", "latest", "--json", *database).stdout)["deployments"]
    assert [(one["name"], one["reason"]) for one in deployment["missing"]] == [("wd_stalled", "not modelled")]
    (row,) = (line for line in hil("results", "show", "latest", *database).stdout.splitlines() if "wd_stalled" in line)
    assert row.split()[-3:] == ["none", "not", "modelled"]


def test_floats_are_quantized_and_one_array_needs_no_name(tmp_path: Path, blobs_int8: Path) -> None:
    given = np.zeros((2, 8, 8, 1), np.float32)
    given[0, 0, :3] = 1e6
    np.save(tmp_path / "x.npy", given)
    done = hil("run", blobs_int8, "--inputs", tmp_path / "x.npy", "--json")
    assert json.loads(done.stdout)["outputs"][0]["shape"] == [2, 3]
    assert "float32 is quantized to int8, " in done.stderr
    assert "3 of 128 values are beyond it and saturate" in done.stderr
    refused(hil("run", blobs_int8, "--inputs", tmp_path / "x.npy", "--samples", 3), 2, "--samples 3 has no effect")


def test_outputs_and_options_are_looked_at_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of these would otherwise train for hours, or be ignored."""
    from hil.harness.cli import app

    write(tmp_path, {"models/blobs.py": model_file(), "file": "", "boards/x": ""})
    monkeypatch.chdir(tmp_path)
    store = ("--store", "store")
    for command, message in (
        (("optimize", "blobs", "-o", "models", *store), "-o models is a folder"),
        (("optimize", "blobs", "-o", "none/x.tflite", *store), "there is no folder none"),
        (("optimize", "blobs", "-o", "file/x.tflite", *store), "there is no folder file"),
        (("compile", "none.tflite", "-o", "models"), "-o models is a folder"),
        (
            ("compile", "none.tflite", "-o", "v.xyz"),
            "-o v.xyz: .xyz is no known format (known are .tflite, .c, .cc, .cpp, .h, .npz)",
        ),
        (("optimize", "blobs", "-o", "v.npy", *store), "-o v.npy: .npy is no known format"),
        (("run", "none.tflite", "--outputs", "y.npy"), "--outputs y.npy: .npy is no known format (known are .npz)"),
        (("firmware", "build", "-o", "m.bin"), "-o m.bin: .bin is no known format"),
        (("run", "none.tflite", "--outputs", "models"), "--outputs models is a folder"),
        (("firmware", "build", "-o", "models"), "-o models is a folder"),
        (("tree", "blobs", "-o", "none/x.png", *store), "there is no folder none"),
        (("tree", "blobs", "--vela-option", "--no-such", *store), "unrecognized arguments: --no-such"),
        (("tree", "models/blobs.py", "--models", "boards", *store), "--models boards has no effect"),
        (("optimize", "blobs", "--sparsity", "0.8", *store), "--sparsity 0.8 has no effect: no step of ptq uses it"),
        (("optimize", "blobs", "--technique", "pqat", "--clusters", "8", *store), "no step of pqat uses it"),
        (("diff", "none.tflite", "--inputs", "x.npz", "--seed", "1"), "--seed 1 has no effect beside --inputs"),
        (("store", "prune", "--all", "--step", "vela", *store), "--all and --step: one of both"),
        (("boards", "--json", "probe", "x"), "--json stands before probe (options come after it)"),
    ):
        with pytest.raises(BadInputError, match=re.escape(message)):
            app([*command], standalone_mode=False)
    assert not (tmp_path / "store").exists()


def test_names_are_shown_as_they_are_and_are_no_markup(tmp_path: Path, blobs_int8: Path) -> None:
    model = Path("m[/bold].tflite")
    (tmp_path / model).parent.mkdir()
    (tmp_path / model).write_bytes(blobs_int8.read_bytes())
    done = hil("run", model, "--target", "host", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "m[/bold].tflite on host" in done.stdout


def test_a_vela_output_runs_for_its_own_accelerator(tmp_path: Path, blobs_int8: Path, samples: Path) -> None:
    compiled = tmp_path / "vela.tflite"
    made = hil("compile", blobs_int8, "-o", compiled, "--accelerator", "ethos-u55-64", "--json")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["weights_encoded"] > 0
    for target in ("sim", "fvp"):
        assert hil("run", compiled, "--target", target, "--inputs", samples).returncode == 0
        wrong = hil("run", compiled, "--target", target, "--inputs", samples, "--accelerator", "ethos-u55-128")
        refused(wrong, 2, "ethos-u55-64", "ethos-u55-128")
    refused(hil("run", compiled, "--target", "host", "--inputs", samples), 2, "Vela")


def test_memories_that_a_vela_output_does_not_name_are_told(tmp_path: Path, blobs_int8: Path) -> None:
    compiled, deep = tmp_path / "vela.tflite", ("--system-config", "Ethos_U55_Deep_Embedded")
    assert hil("compile", blobs_int8, "-o", compiled, *deep).returncode == 0
    assumed = hil("run", compiled, "--json")
    assert assumed.stderr.endswith(
        "does not say which memories it was compiled for: cycles and time assume Shared_Sram and "
        "Ethos_U55_High_End_Embedded (--memory-mode, --system-config)\n"
    )
    assert json.loads(assumed.stdout)["identity"]["system_config"] == "Ethos_U55_High_End_Embedded"
    named = hil("run", compiled, *deep, "--memory-mode", "Shared_Sram", "--json")
    assert "assume" not in named.stderr
    own = json.loads(hil("run", blobs_int8, *deep, "--json").stdout)
    assert json.loads(named.stdout)["measurements"] == own["measurements"]


def test_no_input_is_overwritten(tmp_path: Path, blobs_int8: Path, samples: Path) -> None:
    model, inputs = tmp_path / "a.tflite", tmp_path / "a.npz"
    model.write_bytes(blobs_int8.read_bytes())
    inputs.write_bytes(samples.read_bytes())
    told = "is an input of this command"
    refused(hil("compile", model, "-o", model), 2, told)
    refused(hil("run", model, "--inputs", inputs, "--outputs", inputs), 2, told)
    assert (model.read_bytes(), inputs.read_bytes()) == (blobs_int8.read_bytes(), samples.read_bytes())


def test_a_damaged_stream_is_one_line_with_the_files_name(tmp_path: Path, blobs_int8: Path, samples: Path) -> None:
    compiled = tmp_path / "vela.tflite"
    assert hil("compile", blobs_int8, "-o", compiled).returncode == 0
    data = compiled.read_bytes()
    at = data.index(b"\x0f\x01", data.index(b"COP1") + 24)  # NPU_SET_IFM_REGION; 0x01ff is no command of the NPU
    compiled.write_bytes(data[:at] + b"\xff\x01" + data[at + 2 :])
    for target in ("sim", "fvp"):
        refused(hil("run", compiled, "--target", target, "--inputs", samples), 2, f"{compiled}: ", "command at word")
    for command in (("profile", compiled), ("disasm", compiled), ("diff", blobs_int8, "--target", compiled)):
        refused(hil(*command), 2, f"hil: {compiled}: ", "command at word")


def test_a_model_that_vela_never_saw_runs_on_the_firmwares_cpu_kernels(blobs_int8: Path, samples: Path) -> None:
    done = hil("run", blobs_int8, "--target", "fvp", "--cpu", "--inputs", samples, "--json")
    assert done.returncode == 0, done.stderr
    names = {found["name"]: found["trust"] for found in json.loads(done.stdout)["measurements"]}
    assert "npu_cycles" not in names


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 8, 8, 3), np.int8), "wants the shape"),
        (np.zeros((8, 8, 1), np.int8), "wants the shape"),
        (np.zeros((2, 8, 8, 1), np.int16), "wants int8"),
        (np.zeros((0, 8, 8, 1), np.int8), "no sample"),
        (np.full((1, 8, 8, 1), np.nan, np.float32), "finite"),
        (np.array(["a"]), "wants"),
        (np.array([{"a": 1}], dtype=object), "holds no arrays"),
    ],
    ids=["channels", "no-samples-axis", "dtype", "empty", "nan", "text", "pickle"],
)
def test_wrong_inputs_are_one_line(tmp_path: Path, blobs_int8: Path, array: np.ndarray, message: str) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, x=array)
    refused(hil("run", blobs_int8, "--inputs", path), 2, message)


def test_wrong_models_are_one_line(tmp_path: Path, samples: Path) -> None:
    text = tmp_path / "model.tflite"
    text.write_text("this is no model at all")
    for command in (("run", text), ("compile", text, "-o", tmp_path / "out.tflite")):
        refused(hil(*command), 2, "no TFLite model")
    refused(hil("run", tmp_path / "none.tflite"), 2, "cannot be read")
    refused(hil("run", text, "--target", "nowhere"), 2, "nowhere")


def test_qemu_missing(blobs_int8: Path) -> None:
    done = hil("run", blobs_int8, "--target", "fvp", PATH=str(Path(sys.executable).parent))
    refused(done, 3, "apt-get install qemu-system-arm")


def test_firmware_missing(blobs_int8: Path) -> None:
    hide = (
        "import importlib.util as u\n"
        "known = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name == 'mlia' else known(name, package)\n"
        "from hil.harness.cli import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", hide, "run", str(blobs_int8), "--target", "fvp"]
    done = subprocess.run(command, capture_output=True, text=True)
    refused(done, 3, "pip install mlia-ethos-u")


def test_doctor_names_what_is_here_and_how_to_get_what_is_not() -> None:
    found = {finding["name"]: finding for finding in json.loads(hil("doctor", "--json").stdout)}
    assert found["qemu-system-arm"]["version"]
    assert found["mlia-ethos-u"]["version"]
    assert found["compiled code"]["version"] in ("any CPU", "AVX2", "AVX-512 VNNI")
    assert not found["FVP_Corstone_SSE-300"]["version"]
    without = json.loads(hil("doctor", "--json", PATH="").stdout)
    (qemu,) = (finding for finding in without if finding["name"] == "qemu-system-arm")
    assert qemu["version"] == ""
    assert qemu["remedy"] == "apt-get install qemu-system-arm"


def test_models_are_listed_with_their_sizes(tmp_path: Path, store: Path) -> None:
    write(tmp_path, {"models/blobs.py": model_file()})
    (listed,) = json.loads(hil("models", "--json", "--store", store, cwd=tmp_path).stdout)
    assert listed["name"] == "blobs"
    assert listed["params"] == 9 * 8 + 8 + 8 * 16 + 16 + 16 * 16 * 3 + 3
    assert listed["macs"] == 16 * (9 * 8 + 8 * 16) + 16 * 16 * 3


def test_optimizing_twice_gives_the_same_file(tmp_path: Path, store: Path, blobs_int8: Path) -> None:
    write(tmp_path, {"models/blobs.py": model_file()})
    done = hil("optimize", "blobs", "--technique", "pqat", "--json", "--store", store, cwd=tmp_path)
    record = json.loads(done.stdout)
    assert record["path"] == ["prune", "pqat"]
    assert {layer["layer"] for layer in record["layers"]} == {"conv", "pointwise", "logits"}
    again = json.loads(hil("optimize", "blobs", "--technique", "pqat", "--json", "--store", store, cwd=tmp_path).stdout)
    assert again == record
    refused(hil("optimize", "blobs", "--technique", "magic", cwd=tmp_path), 2, "unknown technique magic")
    refused(hil("optimize", "nobody", cwd=tmp_path), 2, "no model nobody")


def test_the_store_is_listed_and_pruned(tmp_path: Path) -> None:
    from hil.harness.store.store import ArtifactRecipe, Store

    for step in ("tflite", "vela"):
        Store(tmp_path).make(ArtifactRecipe(step), lambda folder: (folder / "file").write_text("x") and None)
    listed = json.loads(hil("store", "list", "--json", "--store", tmp_path).stdout)
    assert {entry["step"] for entry in listed} == {"tflite", "vela"}
    refused(hil("store", "prune", "--store", tmp_path), 2, "--unused-days")
    assert "would remove 2" in hil("store", "prune", "--all", "--dry-run", "--store", tmp_path).stdout
    assert "removed 1" in hil("store", "prune", "--step", "vela", "--store", tmp_path).stdout
    refused(hil("store", "prune", "--step", "typo", "--store", tmp_path), 2, "--step typo")
    refused(hil("store", "list", "--store", Path(__file__)), 2, "is no folder")
    (left,) = json.loads(hil("store", "list", "--json", "--store", tmp_path).stdout)
    assert left["step"] == "tflite"


@pytest.mark.nightly
def test_ctrl_c_ends_a_training_with_a_line(tmp_path: Path) -> None:
    long = model_file().replace("base=FineTune(4, 1e-2)", "base=FineTune(100_000, 1e-2)")
    write(tmp_path, {"models/blobs.py": long})
    command = [sys.executable, "-m", "hil.harness.cli", "optimize", "blobs", "--store", "store"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        assert "blobs: base" in (line.strip() for line in child.stderr)  # in the middle of the training
        child.send_signal(signal.SIGINT)
        _, told = child.communicate(timeout=600)
    assert child.returncode == 130
    assert told.endswith("hil: interrupted; what was finished is kept\n")
    assert "Traceback" not in told


def test_a_model_file_that_cannot_be_loaded_hides_no_other(tmp_path: Path) -> None:
    broken = {"models/a_broken.py": "import nothing_here\nmodel = None\n"}
    shapes = {"models/b_shapes.py": model_file("shapes").replace("Conv2D(16, 1,", "Conv2D(16, 9,")}
    write(tmp_path, {**broken, **shapes, "models/blobs.py": model_file()})
    done = hil("models", "--json", "--store", tmp_path / "store", cwd=tmp_path)
    assert done.returncode == 2
    assert [record["name"] for record in json.loads(done.stdout)] == ["blobs"]
    first, second = done.stderr.splitlines()
    assert re.match(r"hil: .*a_broken\.py cannot be loaded: ModuleNotFoundError", first)
    assert re.match(r"hil: build of the model shapes failed", second)
