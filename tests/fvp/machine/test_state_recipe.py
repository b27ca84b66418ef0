"""Each part of what a state depends on is in its key: a state of anything else is not found, or not used."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.keeping_board import INPUTS, KeepingBoard, echo, kept_in, replace_state

Compile = Callable[..., tuple[bytes, bytes]]


CHANGES: dict[str, Callable[[KeepingBoard], tuple[str, ...]]] = {
    "application": lambda board: _written(board, "a.elf", echo(b"woke up\n")),
    "model": lambda board: _written(board, "model", struct.pack("<I", 6)),
    "further data": lambda board: (*_written(board, "b", b"b"), "--data", "b@0x70010000"),
    "address of the inputs": lambda board: (
        "--data", f"in@{INPUTS + 64:#x}", "-C", f"open.samples_address={INPUTS + 64:#x}",
    ),
    "size of the inputs": lambda board: ("-C", "open.samples=2"),
    "MACs": lambda board: ("-C", "ethosu.num_macs=256"),
    "NPU": lambda board: ("-C", "open.npu=ethos-u65", "-C", "ethosu.num_macs=256"),
    "memory mode": lambda board: ("-C", "open.memory_mode=Sram_Only"),
    "system configuration": lambda board: ("-C", "open.system_config=Ethos_U55_Deep_Embedded"),
    "Vela's configuration": lambda board: (
        *_written(board, "vela.ini", b"[System_Config.X]\n"), "-C", f"open.vela_config={board.folder}/vela.ini",
    ),
    "UARTs": lambda board: ("-C", "mps3_board.uart1.out_file=uart1"),
    "end of a UART": lambda board: ("-C", "mps3_board.uart0.shutdown_tag=never"),
}  # fmt: skip


def _written(board: KeepingBoard, name: str, data: bytes) -> tuple[str, ...]:
    (board.folder / name).write_bytes(data)
    return ()


@pytest.mark.parametrize("change", CHANGES)
def test_each_part_of_the_key_counts(board: KeepingBoard, change: str) -> None:
    before = board.recipe()
    assert board.recipe() == before
    assert board.recipe(*CHANGES[change](board)) != before


def test_every_parameter_counts_or_says_what_becomes_of_outputs(board: KeepingBoard) -> None:
    from hil.fvp.command_line.parameters import PARAMETERS
    from hil.fvp.machine.state_recipe import _FREE

    counted = board.recipe()["settings"]
    assert isinstance(counted, dict)
    assert {p.name for p in PARAMETERS if not p.ignored} == {*_FREE, *counted} - {"form", "inputs", "uarts"}
    for name in ("open.samples", "open.pmu_file", "open.store", "open.vela_config"):
        assert name in _FREE
    assert all(name.startswith("open.") or name.endswith(("out_file", "unbuffered_output")) for name in _FREE)


@pytest.mark.parametrize(
    ("change", "given"),
    [("application", (5, 4)), ("model", (6, 4)), ("UARTs", (5, 4)), ("MACs", (5, 4)), ("further data", (5, 4))],
)
def test_a_state_of_anything_else_is_not_used(board: KeepingBoard, change: str, given: tuple[int, int]) -> None:
    board.run(3)
    more = CHANGES[change](board)
    assert board.run(4, *more) == (False, given, "")
    assert board.run(4, *more) == (True, given, "")
    assert len([*(board.store / "fvp-state").iterdir()]) == 2


def test_debug_information_is_no_part_of_the_key(board: KeepingBoard) -> None:
    before = board.recipe()
    with (board.folder / "a.elf").open("ab") as file:
        file.write(b"debug information")
    assert board.recipe() == before


def test_another_qemu_counts(board: KeepingBoard, tmp_path: Path) -> None:
    """A copy with another time of change, as an update leaves it."""
    from hil.fvp.machine import qemu

    board.run(3)
    own = tmp_path / "bin"
    own.mkdir()
    shutil.copy(qemu.program(), own / qemu.PROGRAM)
    assert board.run(4, path=f"{own}:/usr/bin:/bin")[:2] == (False, (5, 4))


def test_a_state_of_another_build_of_qemu_is_refused_by_its_own_words(board: KeepingBoard) -> None:
    """The key may be the same: the file's size and time of change were forged, or a script starts QEMU."""
    board.run(3)
    state = kept_in(board.store)
    replace_state(board.store, state._replace(content=state.content._replace(qemu="another")))
    restored, words, said = board.run(4)
    assert (restored, words) == (False, (5, 4))
    assert said.count("\n") == 1
    assert "another build of QEMU" in said
    assert board.run(4) == (True, (5, 4), "")


def test_a_changed_file_of_the_code_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hil.fvp.machine import state_recipe

    root = Path(state_recipe.__file__).parents[2]
    for floor in ("core", "npu", "fvp"):
        shutil.copytree(root / floor, tmp_path / floor)
    monkeypatch.setattr(state_recipe, "__file__", str(tmp_path / "fvp/machine/state_recipe.py"))
    seen = {state_recipe.code_digest()}
    changed = ["fvp/machine/qemu.py", "npu/registers.py", "npu/timing/cycles.py", "core/errors.py"]
    changed += [str(file.relative_to(tmp_path)) for file in (tmp_path / "npu/native").glob("*.so")]
    assert changed[-1].endswith(".so")
    for name in changed:
        with (tmp_path / name).open("ab") as file:
            file.write(b"\n")
        seen.add(state_recipe.code_digest())
    assert len(seen) == 1 + len(changed)
