"""A model is found by its name or its file, and a network that no model file names is told what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil.core.errors import BadInputError
from hil.harness.model import find
from tests.support.blobs import model_file, write


def test_by_name_and_by_file(tmp_path: Path) -> None:
    write(tmp_path, {"models/blobs.py": model_file()})
    by_name, by_file = find("blobs", tmp_path / "models"), find(str(tmp_path / "models" / "blobs.py"), "nowhere")
    assert by_name.path == by_file.path
    with pytest.raises(BadInputError, match=r"no model nobody in .*models \(there are: blobs\)"):
        find("nobody", tmp_path / "models")


@pytest.mark.parametrize(("file", "field"), [("net.h5", "build"), ("net.keras", "build"), ("net.tflite", "tflite")])
def test_a_network_itself_is_no_model_file(tmp_path: Path, file: str, field: str) -> None:
    (tmp_path / file).write_bytes(b"")
    with pytest.raises(
        BadInputError, match=rf'{file} is no model file .*Model\("my_net", {field}="{file}", data=data\)'
    ):
        find(str(tmp_path / file), tmp_path)
