"""A state that is damaged, and a store that is full, read-only or shared, are at most a line: the machine boots."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from itertools import product

import pytest

from hil.core.artifact_manifest import MANIFEST, key_of
from hil.fvp.machine import kept_states
from hil.fvp.machine.kept_states import KeptStates
from tests.support.corstone300 import COMMAND
from tests.support.keeping_board import OUTPUTS, KeepingBoard, kept_in, replace_state
from tests.support.night import some_by_day
from tests.support.own_mounts import run_with_mounts

FILES = (MANIFEST, "state.json", "qemu.qcow2", "ddr.bin")
DAMAGES = ("flipped", "cut", "empty", "gone")
Compile = Callable[..., tuple[bytes, bytes]]


@pytest.mark.parametrize(
    ("name", "damage"),
    some_by_day(
        product(FILES, DAMAGES), [(name, DAMAGES[place - by]) for place, name in enumerate(FILES) for by in (0, 2)]
    ),
)
def test_a_damaged_state_is_not_used_but_replaced(board: KeepingBoard, name: str, damage: str) -> None:
    board.run(3)
    file = board.state() / name
    data = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        flipped = bytes([*data[:-9], data[-9] ^ 1, *data[-8:]])
        file.write_bytes({"flipped": flipped, "cut": data[: len(data) // 2], "empty": b""}[damage])
    restored, words, said = board.run(4)
    assert (restored, words) == (False, (5, 4))
    assert said.count("\n") == 1
    assert said.startswith("Warning: corstone300-open: the kept state")
    assert board.run(6) == (True, (5, 6), "")


def test_a_state_that_other_users_may_write_is_not_used(board: KeepingBoard) -> None:
    board.run(3)
    (board.state() / "jobs.bin").chmod(0o666)
    refused_for_others(board)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a file to another user")
def test_a_state_of_another_user_is_not_used(board: KeepingBoard) -> None:
    board.run(3)
    os.chown(board.state() / "jobs.bin", 12345, -1)
    refused_for_others(board)


def refused_for_others(board: KeepingBoard) -> None:
    restored, words, said = board.run(4)
    assert (restored, words) == (False, (5, 4))
    assert said.count("\n") == 1
    assert "is not used: other users may change jobs.bin" in said
    assert board.run(6) == (True, (5, 6), "")


def test_a_state_that_qemu_cannot_read_is_replaced(board: KeepingBoard) -> None:
    board.run(3)
    state = kept_in(board.store)
    image = bytearray(state.content.snapshot.image)
    at = image.index(b"mps3-an547")
    image[at : at + 4] = b"xxxx"
    snapshot = state.content.snapshot._replace(image=bytes(image))
    replace_state(board.store, state._replace(content=state.content._replace(snapshot=snapshot)))
    restored, words, said = board.run(4)
    assert (restored, words) == (False, (5, 4))
    assert said.count("\n") == 1
    assert "QEMU refused" in said
    assert board.run(6) == (True, (5, 6), "")


def test_what_a_killed_process_left_is_no_state(board: KeepingBoard) -> None:
    board.run(3)
    left = board.state().rename(board.store / "unfinished" / f"{board.state().name}-1")
    (left / MANIFEST).unlink()
    assert board.run(4) == (False, (5, 4), "")
    assert board.run(4) == (True, (5, 4), "")


def test_processes_at_once_share_one_state(board: KeepingBoard) -> None:
    (board.folder / "in").write_bytes(struct.pack("<I", 9))
    started = []
    for number in range(4):
        more = ("--dump", f"out{number}@{OUTPUTS:#x},8")
        command = [*COMMAND, *board.arguments(*more)]
        started.append(subprocess.Popen(command, cwd=board.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
    assert [(*process.communicate(), process.returncode) for process in started] == [(b"up\n", b"", 0)] * 4
    for number in range(4):
        assert struct.unpack("<2I", (board.folder / f"out{number}").read_bytes()) == (5, 9)
    assert board.state()
    assert not [*(board.store / "unfinished").iterdir()]
    assert board.run(4) == (True, (5, 4), "")


def test_a_store_that_cannot_be_made_is_a_line(board: KeepingBoard) -> None:
    (board.folder / "store").write_bytes(b"a file")
    restored, words, said = board.run(4)
    assert (restored, words) == (False, (5, 4))
    assert said.count("\n") == 1
    assert "is not kept" in said


MOUNTS = """
import json, subprocess, sys
command = json.loads(sys.argv[1])
def run():
    done = subprocess.run(command, capture_output=True, text=True)
    print(done.returncode, done.stdout.strip(), json.load(open("pmu"))[0]["restored"], done.stderr.strip())
run()
subprocess.run(["mount", "-o", "remount,size=64m", "store"], check=True)
run()
subprocess.run(["mount", "-o", "remount,ro", "store"], check=True)
run()
"""


def test_a_full_store_keeps_nothing_and_one_that_may_only_be_read_gives(board: KeepingBoard) -> None:
    board.store.mkdir()
    (board.folder / "in").write_bytes(bytes(4))
    (board.folder / "mounts.py").write_text(MOUNTS)
    command = json.dumps([*COMMAND, *board.arguments()])
    made = run_with_mounts(
        "mount -t tmpfs -o size=64k tmpfs store", [sys.executable, "mounts.py", command], board.folder
    )
    full, kept, read = map(str.strip, made.stdout.splitlines())
    assert full.startswith("0 up False Warning: corstone300-open: the machine's state is not kept")
    assert "No space left on device" in full
    assert kept == "0 up False"
    assert read == "0 up True"


def test_the_longest_unused_states_make_room(board: KeepingBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    board.run(3)
    state = kept_in(board.store)
    size = sum(file.stat().st_size for file in board.state().iterdir())
    monkeypatch.setattr(kept_states, "ALL_BYTES", int(2.5 * size))
    os.utime(board.state() / MANIFEST, (0, 0))
    (board.store / "fvp-state" / "without a manifest").mkdir()
    recipes = [{"number": number} for number in range(1, 5)]
    for recipe in recipes:
        KeptStates(board.store, recipe).keep(state, 0.0)
        made = board.store / "fvp-state" / key_of(recipe) / MANIFEST
        os.utime(made, (recipe["number"], recipe["number"]))
    left = {folder.name for folder in (board.store / "fvp-state").iterdir()}
    assert left == {key_of(recipe) for recipe in recipes[2:]}
    assert not [*(board.store / "unfinished").iterdir()]
