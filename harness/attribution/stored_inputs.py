"""Inputs of earlier runs by their SHA-256: int8 files, texts of Vela configurations, versions of Vela.

inputs = StoredInputs(store, [Path("hil-failures")])
int8 = inputs.int8("3f0c...")         # GoneError if it is nowhere
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from hil.core.artifact_manifest import digest
from hil.core.child_process import Say
from hil.core.errors import BadInputError, GoneError, InfrastructureError
from hil.harness.attribution.parts import MODEL, VELA, VELA_CONFIG
from hil.harness.store.store import Store
from hil.harness.vela.compiler import vela_version
from hil.harness.vela.other_versions import OtherVela


class StoredInputs:
    """Int8 files of the store, and the files below `folders`; `install` allows the installation of a version of Vela.

    Raises `InfrastructureError` for a store that cannot be read, and `BadInputError` for a folder that is none.
    """

    def __init__(self, store: Store, folders: Sequence[Path] = (), install: Say | None = None) -> None:
        if store.root.exists() and not os.access(store.root, os.R_OK | os.X_OK):
            raise InfrastructureError(f"the store {store.root} cannot be read", hint="--store names another")
        for folder in folders:
            if not folder.is_dir():
                raise BadInputError(f"{folder} is no folder")
        self._store = store
        self._folders = folders
        self._install = install

    def int8(self, sha256: str) -> bytes:
        """Returns the int8 file of that hash, undamaged."""
        for path in (self._stored[0].get(sha256), self._given.get(sha256)):
            if path is not None and path.is_file() and digest(data := path.read_bytes()) == sha256:
                return data
        raise GoneError(
            f"the int8 file {sha256[:8]} is no longer in the store" if sha256 else "no int8 file is recorded"
        )

    def config_text(self, sha256: str) -> str:
        """Returns the text of the Vela configuration of that hash; empty for an empty hash, Vela's own file."""
        if not sha256:
            return ""
        if sha256 in self._given:
            return self._given[sha256].read_text(encoding="utf-8")
        if sha256 not in self._stored[1]:
            raise GoneError(f"the text of the Vela configuration {sha256[:8]} is not stored, only its hash")
        return self._stored[1][sha256]

    def vela(self, version: str) -> OtherVela | None:
        """Returns the Vela of that version, None for the installed one; installs it where that is allowed."""
        if version == vela_version():
            return None
        if not version:
            raise GoneError("no version of Vela is recorded")
        try:
            found = OtherVela(version)
        except BadInputError as error:  # such as that of a model that was compiled elsewhere
            raise GoneError(str(error)) from None
        if not found.is_installed:
            if self._install is None:
                raise GoneError(f"Vela {version} is not installed here: --install installs it in its own environment")
            say = self._install
            found.install(lambda line: say(f"installing Vela {version}"))
        return found

    def why_missing(self, part: str, text: str) -> str:
        """Returns the reason for which a part is not there; empty if it is."""
        find = {MODEL: self.int8, VELA: self.vela, VELA_CONFIG: self.config_text}.get(part)
        try:
            if find is not None:
                find(text)
        except GoneError as error:
            return str(error)
        return ""

    @cached_property
    def _stored(self) -> tuple[dict[str, Path], dict[str, str]]:
        """Files of the store by their hash, and the texts of Vela configurations, which the recipes hold."""
        files: dict[str, Path] = {}
        texts: dict[str, str] = {}
        for artifact in self._store.artifacts():
            files |= {str(entry["sha256"]): artifact.path(name) for name, entry in artifact.manifest["files"].items()}
            if text := artifact.manifest["recipe"]["settings"].get("config_text"):
                texts[digest(str(text).encode())] = str(text)
        return files, texts

    @cached_property
    def _given(self) -> dict[str, Path]:
        files = [path for folder in self._folders for path in sorted(folder.rglob("*")) if path.is_file()]
        return {digest(path.read_bytes()): path for path in files}
