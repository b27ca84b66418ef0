"""The command-line options of `pytest`, and the one value they are read into.

    pytest --target fvp --model fashion_cnn --technique pcqat --samples 4

Every option has a name that no other plugin uses (`--hil-target`) and a short one (`--target`).  pytest dies at its
start when two plugins register the same name, and other plugins use `--target`; so the short names are added last,
after the conftest files were read, and each only if it is still free.  `pytest --help` shows the names that were added.
The ini file has a default for each by its long name (`hil_target = fvp`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hil.core.errors import BadInputError
from hil.core.options import Option, from_values, option, options_of
from hil.harness.comparison.dependencies import check_parts
from hil.harness.comparison.gates import parse_lines
from hil.harness.compute import Compute, choose_compute
from hil.harness.results.location import results_url
from hil.harness.vela.settings import VelaOptions, VelaSettings
from hil.targets import registry

if TYPE_CHECKING:
    from hil.targets.base import Target

GROUP = "hil"
COMMAND = "pytest"
"""This command, as an option's declaration names it."""
ACCELERATOR = "accelerator"
BASELINE = "hil_baseline_id"
"""Key of the baseline's id in the input of pytest-xdist's workers."""
GATES = "hil_gates"
"""Key of the ini file."""
QUARANTINE = "hil_quarantine"
"""Key of the ini file, and of the boards in quarantine in the input of pytest-xdist's workers."""
MODELS = "models"
"""Folder of model files, below the root folder, that is taken where none is named."""


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
    threads: int | None = option(
        None, metavar="N", minimum=1, help="threads of an operation in training (HIL_THREADS, or all cores)"
    )
    reproducible: bool = option(False, help="train in one thread: the same weights on any number of cores")
    results: str | None = option(
        None, metavar="URL", help="database of results: a SQLite file, or postgresql+psycopg://... (HIL_RESULTS)"
    )
    baseline: str | None = option(
        None, metavar="RUN", help="compare with this run: the name of a baseline, an id, or latest"
    )
    update_baseline: bool = option(False, help="give the name of --baseline to this run, if it passes")
    vary: tuple[str, ...] = option(
        (), metavar="PART", help="part of the identity that may differ from the baseline's; may be repeated"
    )
    strict_baseline: bool = option(False, help="fail where a figure with a gate has no verdict")
    report: Path | None = option(
        None, metavar="FILE", help="write a report of this run: a page (.html) or Markdown (.md)"
    )


def register(parser: pytest.Parser) -> None:
    """Adds the long names, and for each option a key of the ini file."""
    group = parser.getgroup(GROUP, "hardware in the loop: optimized models on an Ethos-U")
    parser.addini(GATES, "gates against a baseline, a line each: latency: 2 %", "linelist", default=[])
    parser.addini(
        QUARANTINE, "boards that are left alone after so many failures (3 in 7d), or off", "string", default=None
    )
    for one in _all():
        group.addoption(f"--hil-{one.name}", dest=_dest(one), **_attributes(one))
        kind = "args" if one.many else "bool" if one.kind is bool else "string"
        parser.addini(_dest(one), f"default of --hil-{one.name}", kind, default=None)  # type: ignore[arg-type]


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
    return {value for _, value in detached_values(args, ("",))}


def detached_values(args: Sequence[str], prefixes: Sequence[str] = ("", "hil-")) -> list[tuple[str, str]]:
    """Our options in `args` whose value is an argument of its own, `--store FOLDER`: (option, value)."""
    names = {f"--{prefix}{one.name}" for one in _all() if one.kind is not bool for prefix in prefixes}
    return [(name, value) for name, value in pairwise(args) if name in names and not value.startswith("-")]


@dataclass(frozen=True)
class Options:
    """The options of a session.

    `target` is that of the command line, None without `--target`; `target_name` is the target that runs, `of_target`
    its options.  `settings` are those of Vela, one for each accelerator, `vela_config` the file of their text.
    """

    target: str | None
    target_name: str
    of_target: Any
    settings: tuple[VelaSettings, ...]
    vela_config: Path | None
    models: tuple[str, ...]
    techniques: tuple[str, ...]
    samples: int | None
    store: Path | None
    compute: Compute
    folder: Path
    results: str | None
    baseline: str | None
    update_baseline: bool
    vary: tuple[str, ...]
    strict: bool
    gates: Mapping[str, str]
    report: Path | None

    def make_target(self) -> Target:
        """The target with its options checked and nothing started yet."""
        return registry.make(registry.declaration(self.target_name), self.of_target)


OPTIONS = pytest.StashKey[Options]()
"""The key of a session's options."""


def read(config: pytest.Config) -> Options:
    """The options of this run; raises `BadInputError` for an invalid value."""
    _check_not_taken(config)
    own = from_values(PluginOptions, _values(config, options_of(PluginOptions)))
    if own.store and own.store.is_file():
        raise BadInputError(f"--store: {own.store} is no folder")
    target = own.target or registry.DEFAULT
    return Options(
        target=config.getoption("hil_target"),
        target_name=target,
        of_target=_of_target(config, target),
        settings=_settings(config),
        vela_config=_values(config, options_of(VelaOptions)).get("vela-config"),
        models=own.model,
        techniques=own.technique,
        samples=own.samples,
        store=own.store,
        compute=choose_compute(own.threads, reproducible=own.reproducible),
        folder=own.models or config.rootpath / MODELS,
        report=_checked_report(own.report),
        **_against(config, own),
    )


def _checked_report(path: Path | None) -> Path | None:
    """The report's file; raises `BadInputError` for one that cannot be written, or whose suffix names no form."""
    if path is not None:
        from hil.harness.output_file import check_output
        from hil.harness.report.output import FORMS

        check_output(path, "--hil-report", tuple(FORMS))
    return path


def _against(config: pytest.Config, own: PluginOptions) -> dict[str, Any]:
    """The results database, the baseline in it, and the gates of the ini file."""
    given, ini = config.getoption("hil_results"), config.getini("hil_results")
    folder = config.inipath.parent if config.inipath else config.rootpath
    url = results_url(given, ini, folder)
    for name, value in (("baseline", own.baseline), ("update-baseline", own.update_baseline)):
        if config.getoption(f"hil_{name.replace('-', '_')}") and not url:
            raise BadInputError(f"--{name} {value}: there is no results database", hint="--results FILE.db")
    if own.update_baseline and not own.baseline:
        raise BadInputError("--update-baseline: no baseline is named", hint="--baseline NAME")
    return {
        "results": url,
        "baseline": own.baseline if url else None,
        "update_baseline": own.update_baseline,
        "vary": tuple(check_parts(own.vary)),
        "strict": own.strict_baseline,
        "gates": parse_lines(config.getini(GATES)),
    }


def _of_target(config: pytest.Config, target: str) -> Any:
    """The options of the target that runs; the ini file's defaults of other targets have no effect."""
    known, its = registry.options(COMMAND), options_of(registry.declaration(target).options)
    values = _values(config, [one for one in known if one in its]) | _given(config, known)
    return registry.make_options([target], values)[target]


def _settings(config: pytest.Config) -> tuple[VelaSettings, ...]:
    """The settings of Vela for each accelerator."""
    given = _values(config, _vela_options())
    names = dict.fromkeys(given.pop(ACCELERATOR, None) or (None,))
    return tuple(from_values(VelaOptions, {**given, ACCELERATOR: name}).settings() for name in names)


def _check_not_taken(config: pytest.Config) -> None:
    """Raises `BadInputError` if another plugin took `--target` and got one of our targets: it would run on none."""
    theirs = config.getoption("target", default=None)  # ours lies under another name, see _dest
    if theirs in registry.names() and config.getoption("hil_target") is None:
        raise BadInputError(f"--target {theirs} is another plugin's option here", hint=f"--hil-target {theirs}")


def _all() -> tuple[Option, ...]:
    return (*options_of(PluginOptions), *_vela_options(), *registry.options(COMMAND))


def _vela_options() -> tuple[Option, ...]:
    """The options of Vela, of which `--accelerator` may be repeated here."""
    return tuple(
        replace(one, many=True, default=(), help=f"{one.help.rstrip('.')}; may be repeated")
        if one.name == ACCELERATOR
        else one
        for one in options_of(VelaOptions)
    )


def _attributes(one: Option) -> dict[str, Any]:
    """Keyword arguments of an option for argparse; a value of None was not given."""
    shown = one.help[0].lower() + one.help[1:].rstrip(".") if one.help[1:2].islower() else one.help.rstrip(".")
    attributes: dict[str, Any] = {"default": None, "help": shown}
    if one.kind is bool:
        return attributes | {"action": "store_true"}
    attributes["metavar"] = one.metavar or one.name.upper()
    if one.many:
        attributes["action"] = "append"
    return attributes if one.kind in (str, Path) else attributes | {"type": one.kind}


def _values(config: pytest.Config, options: Sequence[Option]) -> dict[str, Any]:
    """The values of options by name, of the command line or else of the ini file; without those that neither has."""
    defaults = {one.name: value for one in options if (value := _default(config, one)) is not None}
    return defaults | _given(config, options)


def _given(config: pytest.Config, options: Sequence[Option]) -> dict[str, Any]:
    """The values of the command line; a path is relative to the folder that pytest was started in."""
    found = {}
    for one in options:
        if (value := config.getoption(_dest(one))) is not None:
            found[one.name] = config.invocation_params.dir / value if one.kind is Path else value
    return found


def _default(config: pytest.Config, one: Option) -> Any:
    """The value in the ini file, None without one; a path is relative to the root folder.

    Raises `BadInputError` for a text that is no value.
    """
    value = config.getini(_dest(one))
    if value is None or one.many or one.kind is bool:
        return value
    try:
        return config.rootpath / value if one.kind is Path else one.kind(value)
    except ValueError as error:
        raise BadInputError(f"{_dest(one)} = {value} in the ini file is no {one.kind.__name__}") from error


def _dest(one: Option) -> str:
    return f"hil_{one.name.replace('-', '_')}"
