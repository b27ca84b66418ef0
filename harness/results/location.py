"""Location of the results database: the option `--results`, the variable `HIL_RESULTS`, the ini file's `hil_results`.

The value is a URL, or the path of an SQLite file.  Nothing here imports a database's driver.
"""

from __future__ import annotations

import configparser
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from hil.core.errors import BadInputError

KEY = "hil_results"
VARIABLE = "HIL_RESULTS"
_SQLITE = re.compile(r"(sqlite(?:\+\w+)?:///)(?!/|file:)([^?]+)(.*)", re.DOTALL)
_SECRETS = (
    (re.compile(r"(?<=://)([^/\s:@]*):[^\s]*@"), r"\1:***@"),  # greedy: an unquoted password may hold / and @
    (re.compile(r"(?i)\b((?:ssl)?password=)[^&\s]+"), r"\1***"),
)
_FILES = (
    ("pytest.toml", "pytest"),
    (".pytest.toml", "pytest"),
    ("pytest.ini", "pytest"),
    (".pytest.ini", "pytest"),
    ("pyproject.toml", "tool.pytest"),
    ("tox.ini", "pytest"),
    ("setup.cfg", "tool:pytest"),
)
"""Files in which pytest looks for its settings, in its order, and their section."""


def results_url(option: str | None, ini: str | None, folder: Path | None = None) -> str | None:
    """Returns the URL or path of the results database, None if nothing is to be written.

    The option comes first (empty: nothing is written), then `HIL_RESULTS`, then the ini file's value, in which a
    relative path is below `folder`, the ini file's.
    """
    if option is not None:
        return option or None
    return os.environ.get(VARIABLE) or (_below(folder, ini) if ini and folder else ini) or None


def default_results_url(option: str | None) -> str | None:
    """Returns `results_url` for a command started in this folder; the ini file is read if it decides."""
    decided = option is not None or bool(os.environ.get(VARIABLE))
    return results_url(option, *((None, None) if decided else ini_results(Path.cwd())))


def ini_results(start: Path) -> tuple[str | None, Path]:
    """Returns the value of `hil_results` in the file of pytest's settings at or above `start`, and its folder.

    Raises `BadInputError` for a file that cannot be read.
    """
    return ini_value(KEY, start)


def ini_value(key: str, start: Path) -> tuple[str | None, Path]:
    """Returns a value in the file of pytest's settings at or above `start`, and its folder; raises as `ini_results`."""
    for folder in (start.absolute(), *start.absolute().parents):
        for name, section in _FILES:
            if (settings := _settings(folder / name, section)) is not None:
                return str(settings.get(key) or "") or None, folder
    return None, start


def hide_passwords(text: str) -> str:
    """Replaces the passwords of URLs in a text by `***`."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


def _below(folder: Path, value: str) -> str:
    if found := _SQLITE.fullmatch(value):
        return f"{found[1]}{folder / found[2]}{found[3]}"
    return value if "://" in value else str(folder / Path(value).expanduser())


def _settings(file: Path, section: str) -> Mapping[str, Any] | None:
    """The settings of pytest in a file; None if it has none, or is not there."""
    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".toml":
            table = tomllib.loads(text)
            for key in section.split("."):
                table = table.get(key, {})
            return table.get("ini_options", table or None)
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        parser.read_string(text)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, configparser.Error) as error:
        raise BadInputError(f"{file} cannot be read: {str(error).splitlines()[0]}") from error
    return parser[section] if parser.has_section(section) else None
