"""A firmware that starts from a kept state, and the executable that runs it: each run is a process.

board = KeepingBoard(folder)
restored, words, said = board.run(3)        # the inputs are a word, 3
"""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from hil.core.artifact_manifest import read_manifest
from hil.fvp.command_line import contract
from hil.fvp.machine.kept_states import KeptState, KeptStates
from hil.fvp.machine.samples import SampleInputs
from hil.fvp.machine.state_recipe import recipe_of
from tests.support.corstone300 import COMMAND, UART_OUT
from tests.support.thumb import Program

INPUTS, MODEL, OUTPUTS = 0x9200_0000, 0x9000_0000, 0x9300_0000


def echo(text: bytes = b"up\n") -> bytes:
    """A firmware that sends a text, reads its inputs and the model, and gives both words."""
    program = Program()
    program.send(text)
    for index, address in enumerate((MODEL, INPUTS)):
        program.set(0, address)
        program.code(0x6804)  # LDR r4, [r0]
        program.set(1, OUTPUTS + 4 * index)
        program.code(0x600C)  # STR r4, [r1]
    program.end()
    return program.elf()


@dataclass
class KeepingBoard:
    """The executable with `echo` in `folder`; each `run` is a process."""

    folder: Path
    store: Path = field(init=False)

    def __post_init__(self) -> None:
        self.store = self.folder / "store"
        (self.folder / "a.elf").write_bytes(echo())
        (self.folder / "model").write_bytes(struct.pack("<I", 5))

    def arguments(self, *more: str) -> list[str]:
        """Those of a run."""
        return [
            "-q", "-a", "a.elf", *UART_OUT, "--data", f"model@{MODEL:#x}", "--data", f"in@{INPUTS:#x}",
            "--dump", f"out@{OUTPUTS:#x},8", "-C", "open.pmu_file=pmu", "-C", f"open.store={self.store}",
            "-C", f"open.samples_address={INPUTS:#x}", "--timelimit", "600", *more,
        ]  # fmt: skip

    def run(self, value: int, *more: str, path: str | None = None) -> tuple[bool, tuple[int, ...], str]:
        """True if it did not boot; the two words that it gave; standard error."""
        (self.folder / "in").write_bytes(struct.pack("<I", value))
        environment = None if path is None else {"PATH": path}
        done = subprocess.run([*COMMAND, *self.arguments(*more)], capture_output=True, cwd=self.folder, env=environment)
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith(b"up\n"), done.stdout
        words = struct.unpack("<2I", (self.folder / "out").read_bytes())
        restored = [record["restored"] for record in json.loads((self.folder / "pmu").read_text())]
        return restored[0], words, done.stderr.decode()

    def recipe(self, *more: str) -> dict[str, object]:
        """The recipe of a run's state."""
        (self.folder / "in").write_bytes(bytes(4))
        line = contract.parse(self.arguments(*more))
        assert line.application is not None
        line = line._replace(
            application=self.folder / line.application,
            data=tuple(data._replace(file=self.folder / data.file) for data in line.data),
        )
        return recipe_of(line, SampleInputs(line))

    def state(self) -> Path:
        """The folder of the one state that is kept."""
        (found,) = (self.store / "fvp-state").iterdir()
        return found


def kept_in(store: Path) -> KeptState:
    """The one state that a store has."""
    found = _states(store).find()
    assert found is not None
    return found


def replace_state(store: Path, state: KeptState) -> None:
    """Puts another state under the same key, with hashes that are right."""
    states = _states(store)
    (folder,) = (store / "fvp-state").iterdir()
    shutil.rmtree(folder)
    states.keep(state, 0.0)


def _states(store: Path) -> KeptStates:
    (folder,) = (store / "fvp-state").iterdir()
    return KeptStates(store, read_manifest(folder)["recipe"])
