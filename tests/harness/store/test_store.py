"""Promises of the store: nothing is made twice, nothing stale or damaged is used, nothing is lost."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.core import file_digest
from hil.core.artifact_manifest import MANIFEST, digest
from hil.core.errors import BadInputError, InfrastructureError
from hil.harness.store.store import ArtifactRecipe, Store

RECIPE = ArtifactRecipe("step", {"model": "abc"}, {"epochs": 2}, "code", {"numpy": "2"})


def writes(text: str):
    def build(folder: Path) -> dict[str, int]:
        (folder / "file").write_text(text)
        return {"answer": 42}

    return build


def refuses(folder: Path) -> None:
    raise AssertionError("was made a second time")


def test_the_second_run_makes_nothing(tmp_path: Path) -> None:
    first = Store(tmp_path).make(RECIPE, writes("x"))
    again = Store(tmp_path).make(RECIPE, refuses)
    assert again.read("file") == b"x"
    assert again.digest("file") == first.digest("file") == digest(b"x")
    assert again.note == {"answer": 42}


@pytest.mark.parametrize(
    "other",
    [
        ArtifactRecipe("step2", {"model": "abc"}, {"epochs": 2}, "code", {"numpy": "2"}),
        ArtifactRecipe("step", {"model": "abd"}, {"epochs": 2}, "code", {"numpy": "2"}),
        ArtifactRecipe("step", {"model": "abc"}, {"epochs": 3}, "code", {"numpy": "2"}),
        ArtifactRecipe("step", {"model": "abc"}, {"epochs": 2}, "new code", {"numpy": "2"}),
        ArtifactRecipe("step", {"model": "abc"}, {"epochs": 2}, "code", {"numpy": "3"}),
    ],
    ids=["step", "input", "setting", "code", "version"],
)
def test_whatever_can_change_the_result_changes_the_key(other: ArtifactRecipe) -> None:
    assert other.key != RECIPE.key


@given(st.dictionaries(st.text(), st.integers() | st.text(), max_size=4))
def test_the_key_does_not_depend_on_the_order_of_settings(settings: dict[str, int | str]) -> None:
    turned = dict(reversed(settings.items()))
    assert ArtifactRecipe("s", settings=settings).key == ArtifactRecipe("s", settings=turned).key


def test_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.make(RECIPE, writes("x")).path("file").write_text("y")
    assert store.find(RECIPE) is None
    assert store.make(RECIPE, writes("x")).read("file") == b"x"


@pytest.mark.parametrize("change", ["content", "replaced", "gone"])
def test_what_is_damaged_after_it_was_found_whole_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr(file_digest, "_SETTLED_NS", -1_000_000_000)  # as if made long ago
    store = Store(tmp_path)
    file = store.make(RECIPE, writes("x")).path("file")
    for _ in range(2):
        assert store.find(RECIPE) is not None
    before = file.stat()
    if change == "content":
        file.write_text("y")
    elif change == "replaced":
        other = tmp_path / "other"
        other.write_text("y")
        other.rename(file)
    else:
        file.unlink()
    if change != "gone":
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))  # of the same size, too
    assert store.find(RECIPE) is None
    assert store.make(RECIPE, writes("x")).read("file") == b"x"


def test_a_file_is_read_once_however_often_its_artifact_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_digest, "_SETTLED_NS", -1_000_000_000)
    store = Store(tmp_path)
    path = store.make(RECIPE, writes("x")).path("file")
    assert store.find(RECIPE) is not None
    opened: list[Path] = []
    whole = Path.open

    def noting(self: Path, *arguments: Any, **named: Any) -> Any:
        opened.append(self)
        return whole(self, *arguments, **named)

    monkeypatch.setattr(Path, "open", noting)
    for other in (store, Store(tmp_path)):
        assert other.find(RECIPE) is not None
    assert path not in opened


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files": 3}'])
def test_a_damaged_manifest_is_made_anew(tmp_path: Path, text: str) -> None:
    store = Store(tmp_path)
    (store.make(RECIPE, writes("x")).folder / MANIFEST).write_text(text)
    assert store.make(RECIPE, writes("z")).read("file") == b"z"
    assert [a.key for a in store.artifacts()] == [RECIPE.key]


def test_a_failing_step_leaves_nothing(tmp_path: Path) -> None:
    def fails(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise RuntimeError("no")

    store = Store(tmp_path)
    with pytest.raises(RuntimeError):
        store.make(RECIPE, fails)
    assert list(store.artifacts()) == []
    assert not any(p.name == "half" for p in tmp_path.rglob("*"))


KILLED = """
import sys, time
from pathlib import Path
from hil.core.errors import BadInputError, InfrastructureError
from hil.harness.store.store import ArtifactRecipe, Store
def slow(folder):
    (folder / "file").write_text("half")
    print("started", flush=True)
    time.sleep(60)
Store(Path(sys.argv[1])).make(ArtifactRecipe("step", {"model": "abc"}, {"epochs": 2}, "code", {"numpy": "2"}), slow)
"""


def test_a_killed_run_leaves_no_half_artifact_and_the_next_run_goes_on(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED, tmp_path], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "started\n"
        child.send_signal(signal.SIGKILL)
    store = Store(tmp_path)
    assert store.find(RECIPE) is None
    assert store.make(RECIPE, writes("whole")).read("file") == b"whole"
    assert not list((tmp_path / "unfinished").iterdir())


ONCE = """
import os, sys, time
from pathlib import Path
from hil.core.errors import BadInputError, InfrastructureError
from hil.harness.store.store import ArtifactRecipe, Store
def build(folder):
    with open(sys.argv[2], "a") as log:
        log.write("made\\n")
    time.sleep(0.3)
    (folder / "file").write_text("x")
Store(Path(sys.argv[1])).make(ArtifactRecipe("step"), build)
"""


def test_processes_at_once_make_it_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    children = [subprocess.Popen([sys.executable, "-c", ONCE, tmp_path / "store", log]) for _ in range(4)]
    assert [child.wait(600) for child in children] == [0] * 4
    assert log.read_text() == "made\n"


def test_listing_and_removing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    artifact = store.make(RECIPE, writes("xyz"))
    os.utime(artifact.folder / MANIFEST, (0, 0))
    (listed,) = store.artifacts()
    assert (listed.step, listed.size) == ("step", 3)
    store.find(RECIPE)
    assert artifact.used.timestamp() > 0, "finding it counts as use"
    store.remove(listed)
    assert list(store.artifacts()) == []
    assert json.dumps(RECIPE.as_json())


def test_what_can_be_no_store_is_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    for name, why in (
        ("file", "is no folder"),
        ("file/below", "is no folder"),
        ("loop", "cannot be used: Too many levels of symbolic links"),
        ("x" * 300, "cannot be used: File name too long"),
    ):
        with pytest.raises(BadInputError, match=why):
            Store(tmp_path / name)


@contextlib.contextmanager
def another_user() -> Iterator[None]:
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_store_of_another_user_is_read_or_refused(missing: Callable[[object], NoReturn]) -> None:
    if os.geteuid() != 0:
        missing("only root can become another user")
    with tempfile.TemporaryDirectory() as folder:  # pytest's own is closed to others
        root = Path(folder)
        root.chmod(0o755)
        made = Store(root).make(RECIPE, writes("x"))
        with another_user():
            assert Store(root).make(RECIPE, refuses).read("file") == b"x"
            with pytest.raises(InfrastructureError, match=r"cannot be written: Permission denied \(name another"):
                Store(root).make(ArtifactRecipe("other"), writes("y"))
        made.path("file").chmod(0o600)
        with another_user(), pytest.raises(InfrastructureError, match="file cannot be read: Permission denied"):
            Store(root).make(RECIPE, writes("x"))
        root.chmod(0o700)
        with another_user(), pytest.raises(BadInputError, match="cannot be used: Permission denied"):
            Store(root / "below")
