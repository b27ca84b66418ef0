"""The search for the FVP's program: its places, the choice of `auto`, a forced engine, the open one as Arm's."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hil.core.errors import BadInputError, UnavailableError
from hil.core.measurement import Trust
from hil.fvp.engines import engine, search, shim
from hil.fvp.inference import firmware
from hil.fvp.inference.inference import can_restore, run_inference
from hil.targets import create
from hil.targets.base import Deployable
from tests.support import arm_command_line, forked
from tests.support.arm_program import FAST_MODELS, PYTHON, arm, program
from tests.support.reference import oracle

Compile = Callable[..., tuple[bytes, bytes]]
U55, U65 = search.EXECUTABLES["ethos-u55"], search.EXECUTABLES["ethos-u65"]


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which nothing is installed: an empty home, a PATH without Arm's names, no daemon; gives the home."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-daemon")
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)  # in which MLIA would keep its FVP
    for variable in search.VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    folders = os.environ["PATH"].split(os.pathsep)
    elsewhere = [folder for folder in folders if not any((Path(folder) / name).exists() for name in (*U55, *U65))]
    monkeypatch.setenv("PATH", os.pathsep.join(elsewhere))
    if search.first() is not None:
        pytest.skip("this machine has an FVP where Arm installs it")
    return home


# -- where


@pytest.mark.parametrize(
    "place",
    [
        f"FVP_Corstone_SSE-300/models/Linux64_GCC-9.3/{U55[0]}",
        f"FVP_Corstone_SSE-300/{U55[0]}",
        f".mlia/backends/corstone_300/{U55[0]}",
        f"FVP_Corstone_SSE-300/bin/{U55[2]}",
        f"FVP_Corstone_SSE-300/bin/{U55[3]}",
    ],
)
def test_arms_program_is_found_where_it_is_installed(
    machine: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    path = arm(machine / place)
    found = engine.find("arm")
    assert found == engine.Engine("arm", f"{path.name} 11.27.42", (str(path),), modelled=False)
    assert found.why == ""
    assert str(path.parent) in engine.find("auto").why


def test_of_several_builds_the_newest_of_this_processor_counts(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = machine / "FVP_Corstone_SSE-300" / "models"
    for build in ("Linux64_GCC-6.4", "Linux64_GCC-10.2", "Linux64_GCC-9.3", "Linux64_armv8l_GCC-9.3"):
        arm(models / build / U55[0])
    for processor, build in (("x86_64", "Linux64_GCC-10.2"), ("aarch64", "Linux64_armv8l_GCC-9.3")):
        monkeypatch.setattr(platform, "machine", lambda name=processor: name)
        assert engine.find("arm").command == (str(models / build / U55[0]),)


def test_what_the_user_names_goes_before_variables_path_and_folders(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = arm(machine / "FVP_Corstone_SSE-300" / U55[0])
    assert engine.find("arm").command == (str(installed),)
    on_path = arm(tmp_path / "bin" / U55[2])
    monkeypatch.setenv("PATH", f"{on_path.parent}{os.pathsep}{os.environ['PATH']}")
    assert engine.find("arm").command == (str(on_path),)
    for variable, folder in zip(reversed(search.VARIABLES), ("zephyr", "own"), strict=True):
        by_variable = arm(tmp_path / folder / U55[1])
        monkeypatch.setenv(variable, str(by_variable.parent))
        assert engine.find("auto").command == (str(by_variable),)
        assert variable in engine.find("auto").why
    named = arm(tmp_path / "any name")
    assert engine.find("arm", named).command == (str(named),)
    assert engine.find("auto", named).command == (str(named),)


def test_the_u65_has_executables_of_its_own(machine: Path) -> None:
    folder = machine / "FVP_Corstone_SSE-300"
    paths = [arm(folder / name) for name in (U55[0], U65[0])]
    assert [engine.find("arm", npu=npu).command for npu in ("ethos-u55", "ethos-u65")] == [(str(p),) for p in paths]
    with pytest.raises(BadInputError, match="no Corstone-300 has an ethos-u85"):
        engine.find("arm", npu="ethos-u85")


# -- auto


def test_auto_takes_the_open_one_last_and_says_why(machine: Path, qemu: None) -> None:
    found = engine.find("auto")
    assert (found.name, found.command, found.modelled) == ("open", engine.OPEN_COMMAND, True)
    assert found.why.startswith("arm: not on this machine; docker: ")
    assert create("fvp").identity()["engine_choice"] == found.why
    assert "engine_choice" not in create("fvp", engine="open").identity()


def test_auto_passes_over_an_installed_program_that_does_not_start(machine: Path, qemu: None) -> None:
    program(machine / "FVP_Corstone_SSE-300" / U55[0], f"echo '{PYTHON}' >&2", "exit 127")
    found = engine.find("auto")
    assert found.name == "open"
    assert "libpython3.9.so.1.0" in found.why
    with pytest.raises(UnavailableError, match=r"libpython3\.9"):
        engine.find("arm")


def test_an_engine_that_is_not_there_is_told(machine: Path) -> None:
    with pytest.raises(UnavailableError, match="not on this machine") as caught:
        engine.find("arm")
    assert "hil fvp install" in caught.value.hint
    with pytest.raises(UnavailableError, match="Docker"):
        engine.find("docker")
    with pytest.raises(BadInputError, match="no engine is called 'steam'"):
        engine.find("steam")
    with pytest.raises(BadInputError, match="open takes no executable"):
        engine.find("open", machine)


# -- the way of engine `arm`: a program that answers as Arm's, takes what Arm's takes, and computes as the open one


def test_arms_way_from_the_command_line_to_simulated_cycles(
    runner: firmware.Firmware, compiled: Compile, tmp_path: Path
) -> None:
    checker = Path(arm_command_line.__file__)
    check = f"import sys; sys.path.insert(0, {str(checker.parent)!r}); from arm_command_line import complaints"
    path = program(
        tmp_path / U55[0],
        f"[ $1 = --version ] && echo '{FAST_MODELS}' && exit",
        f'{sys.executable} -c "{check}; sys.exit(str(c) if (c := complaints(sys.argv[1:])) else 0)" "$@" || exit 2',
        shim.launcher("ethos-u55").splitlines()[-1],
    )
    int8, model = compiled("kws_ref_int8")
    data = np.random.default_rng(2).integers(-128, 128, (2, 49, 10, 1), np.int8)
    run = create("fvp", engine="arm", executable=path).run(Deployable(int8, model), [data])
    assert [row.tobytes() for row in run.outputs[0]] == [oracle(int8, sample)[0] for sample in data]
    assert run.identity["engine_version"] == f"{path.name} 11.27.42"
    assert next(m for m in run.measurements if m.name == "npu_cycles").trust is Trust.SIMULATED
    twice = [path, "-a", runner.path, "-C", "cpu0.MVE=1", "-C", "cpu0.MVE=1"]
    refused = subprocess.run(twice, capture_output=True, text=True)
    assert (refused.returncode, "given twice" in refused.stderr) == (2, True)  # It does look.


# -- the open executable under Arm's names


def test_the_open_executable_under_arms_name_is_started_the_same_way_and_called_open(
    runner: firmware.Firmware, compiled: Compile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shim.write(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    found = engine.find("auto")
    assert (found.name, found.modelled, found.command) == ("open", True, (str(tmp_path / "bin" / U55[0]),))
    assert found.version == engine.find("open").version
    int8, model = compiled("kws_ref_int8")
    data = np.random.default_rng(0).integers(-128, 128, (49, 10, 1), np.int8)
    inference = run_inference(model, [data.tobytes()], [12], engine="arm")
    assert list(inference.outputs) == oracle(int8, data)
    assert (inference.engine, inference.modelled) == ("open", True)


def test_cycles_with_fast_are_untrusted_and_no_latency_gate_passes_on_them(
    runner: firmware.Firmware, compiled: Compile
) -> None:
    from hil.core.errors import UntrustedError
    from hil.harness.evaluation.cost import latency_of
    from hil.harness.vela.compiler import compile_model
    from hil.harness.vela.settings import VelaSettings

    int8, model = compiled("kws_ref_int8")
    data = np.zeros((1, 49, 10, 1), np.int8)
    target = create("fvp", engine="open", parameters=["ethosu.extra_args=--fast"])
    run = target.run(Deployable(int8, model), [data])
    assert run.identity["fvp_parameters"] == "ethosu.extra_args=--fast"
    npu = [found for found in run.measurements if found.name.startswith(("npu_", "axi"))]
    assert npu
    assert {found.trust for found in npu} == {Trust.UNTRUSTED}
    with pytest.raises(UntrustedError, match="--fast"):
        latency_of(run, compile_model(int8, VelaSettings()).summary, "fvp")
    trusted = create("fvp", engine="open").run(Deployable(int8, model), [data])
    assert latency_of(trusted, compile_model(int8, VelaSettings()).summary, "fvp").trust is Trust.MODELLED


@pytest.mark.parametrize("setting", ["ethosu.extra_arg=--fast", "ethosu.extra_args"])
def test_a_forced_parameter_that_no_fvp_has_is_refused(setting: str) -> None:
    with pytest.raises(BadInputError):
        create("fvp", engine="open", parameters=[setting])


@pytest.mark.parametrize(
    "setting", ["ethosu.num_macs=64", "mps3_board.uart0.out_file=log", "open.samples=5", "open.npu=ethos-u65"]
)
def test_a_parameter_that_a_run_sets_itself_is_not_overridden(setting: str) -> None:
    with pytest.raises(BadInputError, match="is set by the run itself"):
        create("fvp", engine="open", parameters=[setting])


def test_launchers_replace_launchers_and_nothing_else(tmp_path: Path, qemu: None) -> None:
    shim.write(tmp_path)
    written = shim.write(tmp_path)
    assert {path.name for path in written} == {*U55, *U65}
    told = [subprocess.run([path, "--version"], capture_output=True, text=True, check=True) for path in written[:1]]
    assert told[0].stdout.startswith("corstone300-open")
    other = arm(tmp_path / U65[0])
    with pytest.raises(BadInputError, match="is there already"):
        shim.write(tmp_path)
    assert FAST_MODELS in other.read_text()


def test_arms_own_mlia_takes_the_launchers_for_its_fvp_and_runs_to_its_end(
    runner: firmware.Firmware, compiled: Compile, shared_models: Path, machine: Path, tmp_path: Path
) -> None:
    """MLIA installs them as its backend, compiles, builds its command line, reads the counters, all unmodified."""

    def mlia(*words: object) -> str:
        command = [sys.executable, "-m", "mlia.cli.main", *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout

    shim.write(tmp_path / "fvp")
    mlia("backend", "install", "corstone-300", "--path", tmp_path / "fvp", "--noninteractive")
    assert search.first() is not None  # It lies now where MLIA keeps the FVP.
    checked = ("check", shared_models / "kws_ref_int8.tflite", "--performance", "-t", "ethos-u55-256")
    told = json.loads(mlia(*checked, "-b", "corstone-300", "--json"))
    _, model = compiled("kws_ref_int8", "ethos-u55-256")
    counters = run_inference(model, [bytes(490)], [12], macs=256, engine="open").counters
    assert _cycles(told) == counters["NPU TOTAL"] > 0


def _cycles(record: object) -> int:
    """The value of the metric `npu_total_cycles`, wherever in MLIA's record it stands."""
    if isinstance(record, dict):
        if record.get("name") == "npu_total_cycles":
            return int(record["value"])
        record = list(record.values())
    return max(map(_cycles, record), default=0) if isinstance(record, list) else 0


# -- the commands


def hil(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return forked.hil(*words, env={**os.environ, "COLUMNS": "200", **environment})


def test_the_commands_list_engines_and_write_launchers(machine: Path, tmp_path: Path, qemu: None) -> None:
    assert hil("fvp", "shim", tmp_path / "bin").returncode == 0
    listed = {row["engine"]: row for row in json.loads(hil("fvp", "engines", "--json").stdout)}
    assert [bool(listed[name]["version"]) for name in ("arm", "docker", "open")] == [False, False, True]
    assert listed["auto"]["version"] == listed["open"]["version"]
    named = hil("fvp", "engines", "--json", FVP_CORSTONE300=str(tmp_path / "bin"))
    rows = {row["engine"]: row for row in json.loads(named.stdout)}
    assert rows["arm"]["version"] == rows["open"]["version"]
    assert "named by FVP_CORSTONE300" in rows["auto"]["why"]


def test_arms_program_boots_for_every_sample_in_a_container_too() -> None:
    """It has no parameter for samples, and would refuse the command line."""
    inside = engine.Engine("docker", "", ("contained",), modelled=False, tied=True)
    assert not can_restore(inside)
    assert can_restore(replace(inside, modelled=True))
    assert not can_restore(replace(inside, modelled=True), {"cpu0.semihosting-enable": True})
