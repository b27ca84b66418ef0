"""The command-line options of `pytest`, and the one value they are read into.

    pytest --target fvp --model fashion_cnn --technique pcqat --samples 4

Every option has a name that no other plugin uses (`--hil-target`) and a short one (`--target`).  pytest dies at its
start when two plugins register the same name, and other plugins use `--target`; so the short names are added last,
after the conftest files were read, and each only if it is still free.  `pytest --help` shows the names that were added.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hil.core.errors import BadInputError
from hil.core.options import Option, from_values, option, options_of
from hil.harness.vela.settings import VelaOptions, VelaSettings
from hil.targets import registry

if TYPE_CHECKING:
    from hil.targets.base import Target

GROUP = "hil"
COMMAND = "pytest"
"""This command, as an option's declaration names it."""


@dataclass(frozen=True)
class PluginOptions:
    """The options of the plugin itself; those of Vela and of the targets stand beside them."""

    target: str | None = option(
        None,
        metavar="TARGET",
        help=f"run only tests of deployments, on {', '.join(registry.names())} ({registry.DEFAULT})",
    )
    model: tuple[str, ...] = option((), metavar="NAME", help="only this model; may be repeated")
    technique: tuple[str, ...] = option(
        (), metavar="NAME", help="only this leaf of the deployment tree; may be repeated"
    )
    samples: int | None = option(
        None, metavar="N", minimum=1, help=f"samples that run on the target ({registry.default_samples()})"
    )
    store: Path | None = option(
        None, metavar="FOLDER", help="folder of artifacts (HIL_STORE, or the user's cache folder)"
    )
    models: Path | None = option(None, metavar="FOLDER", help="folder of model files (models)")


def register(parser: pytest.Parser) -> None:
    """Adds the long names."""
    group = parser.getgroup(GROUP, "hardware in the loop: optimized models on an Ethos-U")
    for one in _all():
        group.addoption(f"--hil-{one.name}", dest=_dest(one), **_attributes(one))


def register_short(parser: pytest.Parser) -> None:
    """Adds each short name that no other plugin has taken."""
    taken = {name for group in parser._groups for option in group.options for name in option.names()}
    group = parser.getgroup(GROUP)
    for one in _all():
        if f"--{one.name}" not in taken:
            attributes = {**_attributes(one), "help": f"same as --hil-{one.name}"}
            group.addoption(f"--{one.name}", dest=_dest(one), **attributes)


def values_of_short(args: Sequence[str]) -> set[str]:
    """Values of our short names in `args`, which pytest takes for paths of tests until it knows these names."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for one in _all():
        parser.add_argument(f"--{one.name}", action="append", nargs="?", default=[])
    known, _ = parser.parse_known_args(args)
    return {value for values in vars(known).values() for value in values}


@dataclass(frozen=True)
class Options:
    """The options of a session.

    `target` is None without `--target`; `of_target` are the options of the
    target that runs, `settings` those of Vela, `vela_config` the file that their text came from.
    """

    target: str | None
    of_target: Any
    settings: VelaSettings
    vela_config: Path | None
    models: tuple[str, ...]
    techniques: tuple[str, ...]
    samples: int | None
    store: Path | None
    folder: Path

    @property
    def target_name(self) -> str:
        """The target that runs."""
        return self.target or registry.DEFAULT

    def make_target(self) -> Target:
        """The target with its options checked and nothing started yet."""
        return registry.make(registry.declaration(self.target_name), self.of_target)


OPTIONS = pytest.StashKey[Options]()
"""The key of a session's options."""


def read(config: pytest.Config) -> Options:
    """The options of this run; raises `BadInputError` for an invalid value."""
    own = from_values(PluginOptions, _values(config, options_of(PluginOptions)))
    vela = from_values(VelaOptions, _values(config, options_of(VelaOptions)))
    if own.store and own.store.is_file():
        raise BadInputError(f"--store: {own.store} is no folder")
    target = own.target or registry.DEFAULT
    try:
        of_target = registry.make_options([target], _values(config, registry.options(COMMAND)))[target]
    except BadInputError as error:
        if theirs := target_of_other_plugin(config):
            hint = f"--target is another plugin's option here: --hil-target {theirs}"
            raise BadInputError(str(error.args[0]), hint=hint) from error
        raise
    return Options(
        target=own.target,
        of_target=of_target,
        settings=vela.settings(),
        vela_config=vela.vela_config,
        models=own.model,
        techniques=own.technique,
        samples=own.samples,
        store=own.store,
        folder=own.models or config.rootpath / config.getini("hil_models"),
    )


def target_of_other_plugin(config: pytest.Config) -> str:
    """The target of this project named by another plugin's option `--target`; empty if there is none."""
    theirs = config.getoption("target", default=None)  # ours lies under another name, see _dest
    return theirs if theirs in registry.names() else ""


def _all() -> tuple[Option, ...]:
    return (*options_of(PluginOptions), *options_of(VelaOptions), *registry.options(COMMAND))


def _attributes(one: Option) -> dict[str, Any]:
    """Keyword arguments of an option for argparse."""
    shown = one.help[0].lower() + one.help[1:].rstrip(".") if one.help[1:2].islower() else one.help.rstrip(".")
    attributes: dict[str, Any] = {"default": list(one.default) if one.many else one.default, "help": shown}
    if one.kind is bool:
        return attributes | {"action": "store_true"}
    attributes["metavar"] = one.metavar or one.name.upper()
    if one.many:
        attributes["action"] = "append"
    return attributes if one.kind in (str, Path) else attributes | {"type": one.kind}


def _values(config: pytest.Config, options: Sequence[Option]) -> Mapping[str, Any]:
    """The values of options by name; a path is relative to the folder that pytest was started in."""
    values = {one.name: config.getoption(_dest(one)) for one in options}
    here = config.invocation_params.dir
    paths = {one.name for one in options if one.kind is Path}
    return {name: here / value if name in paths and value else value for name, value in values.items()}


def _dest(one: Option) -> str:
    return f"hil_{one.name.replace('-', '_')}"
