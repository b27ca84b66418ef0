"""A target of another package, built and installed: it appears everywhere, and no line of this project changes."""

from __future__ import annotations

import inspect
import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from hil.core.options import options_of
from hil.harness.commands import diff, run, tree
from hil.harness.pytest_plugin.options import PluginOptions
from hil.harness.results import open_results
from hil.harness.results.records import MissingRecord
from hil.harness.vela.settings import VelaOptions
from hil.targets import registry
from tests.support.blobs import model_file, write

PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "{name}"
version = "0.3"

[project.entry-points."hil.targets"]
{target} = "{module}:TARGET"

[tool.setuptools]
py-modules = ["{module}"]
"""
ECHO = '''
"""A target for tests: the reference kernels of this machine, some microseconds late."""
from dataclasses import dataclass

from hil.core.measurement import Measurement, Missing, MissingFigure, Trust
from hil.core.options import option
from hil.targets.declaration import Declaration, File


@dataclass(frozen=True)
class EchoOptions:
    echo_flip: bool = option(False, help="One bit of each output is wrong.")
    echo_delay: int = option(5, metavar="US", minimum=0, help="Microseconds an inference takes longer.")


class EchoTarget:
    name = "echo"

    def __init__(self, options):
        self.delay = options.echo_delay
        self.flip = options.echo_flip

    def identity(self):
        return {"engine": "echo", "delay": f"{self.delay} us"}

    def run(self, model, inputs, *, progress=None):
        from hil.targets import create
        from hil.targets.base import Deployable, Run

        run = create("host").run(Deployable(model.int8, None), inputs, progress=progress)
        time = Measurement("inference_ms", 1 + self.delay / 1e3, "ms", Trust.MEASURED)
        outputs = tuple(output ^ 1 if self.flip else output for output in run.outputs)
        wrapped = MissingFigure("npu_active_cycles", Missing.OVERFLOWED, "it has 32 bits")
        return Run(outputs, (time,), self.identity(), missing=(wrapped,))

    def close(self):
        pass


TARGET = Declaration(
    name="echo",
    summary="echoes the reference kernels",
    implementation="hil_echo:EchoTarget",
    options=EchoOptions,
    takes=(File.INT8,),
    samples=4,
    latency=Trust.MEASURED,
)
'''
BROKEN = "import no_such_module\n"
CLASHING = """
from dataclasses import dataclass

from hil.core.options import option
from hil.targets.declaration import Declaration


@dataclass(frozen=True)
class Options:
    board: int = option(1, help="Which of two.")


TARGET = Declaration(name="clashing", summary="clashes", implementation="nowhere:Nothing", options=Options)
"""


GREEDY = CLASHING.replace("board: int", "samples: int").replace("clashing", "greedy")
ENDING = "raise SystemExit(3)\n"


@dataclass(frozen=True)
class Site:
    """A folder of installed packages, in front of those of this environment."""

    folder: Path

    def run(self, *arguments: str | Path, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(self.folder), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "200", **variables}
        environment.pop("CI", None)
        command = [sys.executable, "-m", *map(str, arguments)]
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)

    def hil(self, *arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
        return self.run("hil.harness.cli", *arguments, cwd=cwd)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Packages with a target each, built and installed by pip: a good one, and others that cannot be used."""
    folder = tmp_path_factory.mktemp("site")
    packages = (("echo", ECHO), ("broken", BROKEN), ("clashing", CLASHING), ("greedy", GREEDY), ("ending", ENDING))
    for target, text in packages:
        source = tmp_path_factory.mktemp(target)
        (source / f"hil_{target}.py").write_text(text)
        project = PROJECT.format(name=f"hil-{target}", target=target, module=f"hil_{target}")
        (source / "pyproject.toml").write_text(project)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
        subprocess.run([*command, "--target", str(folder), str(source)], check=True)
    return Site(folder)


def test_a_target_of_another_package_is_in_doctor_and_broken_ones_end_nothing(site: Site, tmp_path: Path) -> None:
    done = site.hil("doctor", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = {finding["name"]: finding for finding in json.loads(done.stdout)}
    assert found["target echo"]["version"] == "echo, hil-echo 0.3"
    assert found["target echo"]["purpose"] == "echoes the reference kernels"
    assert found["target sim"]["version"]
    assert "ethosu-hil" not in found["target sim"]["version"]
    assert "hil-broken 0.3: No module named 'no_such_module'" in found["target broken"]["remedy"]
    assert not found["target broken"]["version"]
    clash = found["target clashing"]["remedy"]
    assert "hil-clashing 0.3: its option --board is another one than that of target serial" in clash
    assert found["target greedy"]["remedy"] == "hil-greedy 0.3: its option --samples is one of the commands' own"
    assert found["target ending"]["remedy"] == "hil-ending 0.3: 3"


def test_hil_run_takes_it_with_its_options(site: Site, tmp_path: Path, blobs_int8: Path) -> None:
    shown = site.hil("run", "--help", cwd=tmp_path)
    assert "Microseconds an inference takes longer." in shown.stdout
    assert "host, sim, fvp, serial or echo" in shown.stdout
    done = site.hil("run", blobs_int8, "--target", "echo", "--echo-delay", "500", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["identity"]["delay"] == "500 us"
    assert [(found["name"], found["value"]) for found in record["measurements"]] == [("inference_ms", 1.5)]
    wrong = site.hil("run", blobs_int8, "--target", "sim", "--echo-delay", "500", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "--echo-delay 500: no option of target sim (it is for echo: --target echo)" in wrong.stderr
    for target, why in (("broken", "no_such_module"), ("clashing", "target serial")):
        refused = site.hil("run", blobs_int8, "--target", target, cwd=tmp_path)
        assert refused.returncode == 2
        assert f"target {target} cannot be used: hil-{target} 0.3: " in refused.stderr
        assert why in refused.stderr


def test_no_target_can_take_an_option_of_the_commands() -> None:
    own = {one.name for one in (*options_of(PluginOptions), *options_of(VelaOptions))}
    for command in (run.run, diff.diff, tree.tree):
        theirs = {one.name for one in registry.options(command.__name__)}
        names = {name.replace("_", "-") for name in inspect.signature(command).parameters} - {"as-json"}
        own |= names - theirs - {"model"}
    assert own - {"jobs"} <= registry.RESERVED  # `jobs` of the walk is the only one that targets share with `hil run`


def test_pytest_runs_deployments_on_it(site: Site, tmp_path: Path, store: Path) -> None:
    test = (
        "import pytest\n\n@pytest.mark.hil_budget(max_latency_ms=2)\ndef test_it(parity, latency, budget):\n"
        "    assert parity.mismatches == 0\n    assert latency.ms == 1.25\n    budget.check()\n"
    )
    write(tmp_path, {"models/blobs.py": model_file(), "test_it.py": test})
    command = ("pytest", "--target", "echo", "--echo-delay", "250", "--technique", "ptq", "-p", "no:cacheprovider")
    database = ("--results", "runs.db", "-p", "no:pytest_embedded")
    done = site.run(*command, *database, cwd=tmp_path, HIL_STORE=str(store))
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
    results = open_results(str(tmp_path / "runs.db"))
    (deployment,) = results.figures(results.run("latest").id)
    assert deployment.missing == (MissingRecord("npu_active_cycles", "overflowed", "it has 32 bits"),)
    assert "hil: target echo (engine echo, delay 250 us)" in done.stdout


def test_a_mismatch_on_a_target_of_int8_files_is_reproduced_from_the_int8_file(
    site: Site, tmp_path: Path, store: Path
) -> None:
    test = "def test_equal(parity):\n    assert parity.mismatches == 0\n"
    write(tmp_path, {"models/blobs.py": model_file(), "test_it.py": test})
    command = ("pytest", "--target", "echo", "--echo-flip", "--technique", "ptq", "-p", "no:cacheprovider")
    done = site.run(*command, "-p", "no:pytest_embedded", cwd=tmp_path, HIL_STORE=str(store))
    assert done.returncode == 1, done.stdout
    (bundle,) = (tmp_path / "hil-failures").iterdir()
    told = (bundle / "README.txt").read_text().splitlines()
    for start in ("again: ", "explain: "):
        (line,) = (line for line in told if line.startswith(start))
        words = shlex.split(line.partition("&& hil ")[2])
        assert words[1] == "int8.tflite"
        run = site.hil(*words, cwd=bundle)
        assert run.returncode == (0 if start == "again: " else 1), run.stderr
    assert "echo against host" in run.stdout


def test_another_package_passes_the_contract(site: Site, tmp_path: Path) -> None:
    (tmp_path / "test_echo.py").write_text(
        "from hil.harness.pytest_plugin.target_contract import TargetContract\n\n\n"
        'class TestEcho(TargetContract):\n    name = "echo"\n'
    )
    command = ("pytest", "-q", "-p", "no:cacheprovider", "-p", "no:pytest_embedded", "test_echo.py")
    done = site.run(*command, cwd=tmp_path)
    assert "failed" not in done.stdout.splitlines()[-1], done.stdout
    assert "passed" in done.stdout.splitlines()[-1]
