"""Output files: what cannot be written is known before, and what is written is whole."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

import pytest

from hil.core.errors import BadInputError, InfrastructureError
from hil.harness.output_file import check_output, write_output


def test_what_cannot_be_written_is_known_before(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    for path, message in (
        (tmp_path, "is a folder"),
        (tmp_path / "none/x", "there is no folder"),
        (tmp_path / "file/x", "there is no folder"),
        (Path("/proc/x"), "/proc/x cannot be written"),
        (tmp_path / ("x" * 300), "cannot be written: File name too long"),
    ):
        with pytest.raises(BadInputError, match=message):
            check_output(path, "-o")
    check_output(tmp_path / "new", "-o")
    check_output(tmp_path / "file", "-o")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "old"


def test_an_input_or_a_database_is_not_overwritten(tmp_path: Path) -> None:
    model, database = tmp_path / "model", tmp_path / "nights.db"
    model.write_text("int8")
    (tmp_path / "link").symlink_to(model)
    for path in (model, tmp_path / "link", tmp_path / "." / "model"):
        with pytest.raises(BadInputError, match=rf"-o {path} is an input of this command \(name another file\)"):
            check_output(path, "-o", inputs=[None, tmp_path / "gone", model])
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("create table night (number)")
    with pytest.raises(BadInputError, match=rf"-o {database} is a database"):
        check_output(database, "-o")
    check_output(tmp_path / "gone", "-o", inputs=[tmp_path / "gone", model])


def test_a_file_is_replaced_and_a_link_or_a_pipe_stays(tmp_path: Path) -> None:
    old, link = tmp_path / "old", tmp_path / "link"
    old.write_text("old")
    old.chmod(0o600)
    link.symlink_to(old)
    write_output(link, b"new")
    assert (old.read_bytes(), link.is_symlink(), old.stat().st_mode & 0o777) == (b"new", True, 0o600)
    write_output(Path(os.devnull), b"gone")
    assert Path(os.devnull).is_char_device()
    reader, writer = os.pipe()
    write_output(Path(f"/dev/fd/{writer}"), b"piped")  # as /dev/stdout in front of a pipe
    assert os.read(reader, 10) == b"piped"
    os.close(reader), os.close(writer)
    assert {path.name for path in tmp_path.iterdir()} == {"old", "link"}
    with pytest.raises(InfrastructureError, match="cannot be written"):
        write_output(tmp_path / "none/x", b"")
