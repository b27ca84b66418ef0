"""Catalogue of boards: those of this package, those in the user's folder `boards/`, and any file.

find_board("mps3_an547@/dev/ttyUSB2")       # a described board, on this port
find_board("lab/desk.toml")
names(Path("boards"))                       # {"desk": Path("boards/desk.toml"), "mps3_an547": ...}
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path

from hil.core.errors import BadInputError
from hil.targets.boards.description import Board
from hil.targets.boards.description_file import read_board

FOLDER = Path("boards")
"""Folder of a repository's own board descriptions, relative to the working directory."""
_OURS = Path(__file__).parent


def names(folder: Path | None = None) -> dict[str, Path]:
    """Name -> file of every board described here; the user's own files in `folder` (`boards/`) come first."""
    found = {path.stem: path for path in sorted(_OURS.glob("*.toml"))}
    found.update((path.stem, path) for path in sorted((folder or FOLDER).glob("*.toml")))
    return found


def find_board(name: str, folder: Path | None = None, others: Collection[str] = ()) -> Board:
    """The board `name`: one of `names(folder)` or a TOML file, with `@PORT` (a path or URL) behind it or without.

    Raises `BadInputError` if there is none, or if its file is wrong; `others` are names that may have been meant.
    """
    if Path(name).suffix == ".toml":
        return read_board(Path(name), lambda base: _file(base, folder, Path(name)))
    stem, _, port = name.partition("@")
    path = Path(stem) if Path(stem).suffix == ".toml" else _file(stem, folder, others=others)
    board = read_board(path, lambda base: _file(base, folder, path))
    return dataclasses.replace(board, port=port, usb=None) if port else board


def _file(name: str, folder: Path | None, based: Path | None = None, others: Collection[str] = ()) -> Path:
    """The file of a board; one that is based on its own name is based on ours."""
    known = names(folder)
    if based is not None and based.stem == name:
        known = {path.stem: path for path in _OURS.glob("*.toml") if path != based}
    if name in known:
        return known[name]
    if based is not None and (based.parent / name).is_file():
        return based.parent / name
    meant = sorted({*known, *others})
    near = get_close_matches(name, meant)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(meant)}, or a TOML file"
    where = f"{based}: based_on: " if based else ""
    raise BadInputError(f"{where}no board is called {name!r}", hint=hint)
