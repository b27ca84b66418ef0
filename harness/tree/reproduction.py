"""Shell commands that make a leaf again and run it.

optimize_command(evaluator, model, leaf)    # hil optimize models/net.py --technique pqat -o net-pqat.tflite
run_command(evaluator, model, leaf)         # hil run net-pqat.tflite --target sim --accelerator ethos-u55-128 ...
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from hil.harness.evaluation.evaluator import Evaluator
from hil.harness.model import Model
from hil.harness.store.store import default_root
from hil.harness.tree.result import Leaf
from hil.harness.vela.settings import VelaSettings
from hil.targets import registry
from hil.targets.declaration import File


def optimize_command(evaluator: Evaluator, model: Model, leaf: Leaf) -> str:
    """Returns the command that writes the leaf's int8 file into the current folder, from the store."""
    words = ["hil", "optimize", _near(model.path), "--technique", leaf.technique]
    words += [word for name, value in leaf.settings for word in (f"--{name.replace('_', '-')}", str(value))]
    if evaluator.pipeline.store.root != default_root():
        words += ["--store", _near(evaluator.pipeline.store.root)]
    return shlex.join([*words, "-o", _file(model, leaf)])


def run_command(evaluator: Evaluator, model: Model, leaf: Leaf, vela_config: Path | None = None) -> str:
    """Returns the command that runs that file on the same target; `vela_config` is the file of Vela's `config_text`."""
    words = ["hil", "run", _file(model, leaf), "--target", evaluator.target_name]
    if File.COMPILED in evaluator.declaration.takes:
        words += _vela_words(evaluator.vela, vela_config)
    return shlex.join([*words, *registry.words(evaluator.declaration, evaluator.options, path=_near)])


def _vela_words(vela: VelaSettings, vela_config: Path | None) -> list[str]:
    words = ["--accelerator", vela.accelerator, "--memory-mode", vela.memory_mode]
    words += ["--system-config", vela.system_config]
    if vela_config is not None:
        words += ["--vela-config", _near(vela_config)]
    return [*words, *(f"--vela-option={option}" for option in vela.options)]


def _file(model: Model, leaf: Leaf) -> str:
    return re.sub(r"[^\w.-]", "_", "-".join([model.name, leaf.name.replace(" ", "-").replace("=", "")]) + ".tflite")


def _near(path: Path) -> str:
    """Formats a path, relative to the current folder if it is inside."""
    path = path.resolve()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
