"""Check of pytest's root folder against values of our options that pytest took for paths of tests.

pytest finds its root folder and ini file before it loads plugins.  Then `--results /srv/nightly.db` is an option that
it does not know and a path, and once that file exists, it decides the root folder.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import pytest
from _pytest.config.findpaths import determine_setup

from hil.harness.pytest_plugin.options import detached_values


def check_root_folder(config: pytest.Config, args: Sequence[str]) -> None:
    """Raises `UsageError` if a value of our options changed the root folder; it names the form without the fault."""
    folder = config.invocation_params.dir
    ours = [(option, value) for option, value in detached_values(args) if (folder / value).exists()]
    known = config.known_args_namespace
    if not ours or known.rootdir or known.inifilename:
        return
    if _root(config, known, [path for path in known.file_or_dir if path not in {value for _, value in ours}]) != (
        config.rootpath
    ):
        option, value = ours[0]
        raise pytest.UsageError(
            f"pytest takes {value} for a path of tests and {config.rootpath} for its root folder "
            f"(write {option}={value})"
        )


def _root(config: pytest.Config, known: Any, paths: list[str]) -> Any:
    """Returns the root folder that pytest finds for paths of tests; its arguments differ between versions."""
    given = {
        "inifile": known.inifilename,
        "override_ini": known.override_ini,
        "args": paths,
        "rootdir_cmd_arg": known.rootdir or None,
        "invocation_dir": config.invocation_params.dir,
    }
    return determine_setup(**{name: given[name] for name in inspect.signature(determine_setup).parameters})[0]
