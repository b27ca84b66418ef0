"""The commands of the README that need neither a training nor a board run, on a small network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from hil.fvp.inference.firmware import Firmware
from hil.harness import board_check
from tests.page_commands import page_commands

ROOT = Path(__file__).parents[1]
CHEAP = {"doctor", "compile", "run", "profile", "disasm", "diff", "fvp", "boards", "store"}
NOT_HERE = {"desk", "virtual"}
"""Words of commands that need a board, or that go on until they are ended."""
LEAST = 10


def test_the_cheap_commands_run(tmp_path: Path, runner: Firmware) -> None:
    folder = Path(board_check.__file__).parent
    shutil.copy(folder / "known_model.tflite", tmp_path / "M.tflite")
    with np.load(folder / "known_samples.npz") as arrays:
        np.savez(tmp_path / "x.npz", arrays["inputs"])
    commands = [command.words for command in page_commands(ROOT, [ROOT / "README.md"]) if command.whole]
    cheap = [words for words in commands if words[0] == "hil" and words[1] in CHEAP and not NOT_HERE & {*words}]
    assert len(cheap) >= LEAST
    for words in cheap:
        command = [sys.executable, "-m", "hil.harness.cli", *words[1:]]
        environment = {**os.environ, "HIL_STORE": str(tmp_path / "store")}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}{done.stderr}"
