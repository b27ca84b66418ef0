"""The registry of targets: entry points of the group `hil.targets`, found when they are first asked for.

    target = create("fvp", engine="open")
    names()                         # ("host", "sim", "fvp", "serial"), and those of other packages
    registry().broken               # {"echo": "hil-echo 0.1: No module named 'echo'"}: a line each in `hil doctor`

An entry point that does not load, or an option that another target has with another meaning, makes one target unusable
and ends nothing: a request for that target raises the reason.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hil.core.errors import BadInputError
from hil.core.options import Option, from_values, is_default, options_of
from hil.targets.declaration import Declaration, Role

if TYPE_CHECKING:
    from hil.targets.base import Target

GROUP = "hil.targets"
DEFAULT = "sim"
"""The target of a run that names none."""

RESERVED = frozenset(
    {
        *("target", "model", "models", "technique", "samples", "store", "inputs", "outputs", "output", "seed", "cpu"),
        *("threads", "reproducible"),
        *(
            "accelerator",
            "memory-mode",
            "system-config",
            "vela-config",
            "vela-option",
            "against",
            "against-vela-option",
        ),
        *("results", "baseline", "update-baseline", "vary", "strict-baseline", "report"),
        *("deployment", "sessions", "retrain", "install", "files", "sweep", "trace", "quick"),
        *(
            "max-accuracy-drop",
            "min-accuracy",
            "max-latency-ms",
            "max-sram",
            "max-flash",
            "max-model-size",
            "max-trainings",
        ),
        *("max-minutes", "policy", "scheduler", "kernel", "json", "help"),
    }
)
"""Options that commands have themselves: no target can have one of that name."""

OURS = "ethosu-hil"
_ORDER = ("host", "sim", "fvp", "serial")


@dataclass(frozen=True)
class Registry:
    """Usable targets by name, with the distribution that installs each, and the reasons why others are unusable."""

    targets: Mapping[str, Declaration]
    distributions: Mapping[str, str]
    broken: Mapping[str, str]


@lru_cache
def registry() -> Registry:
    """Everything that is registered here, this project's own targets first."""
    targets: dict[str, Declaration] = {}
    distributions: dict[str, str] = {}
    broken: dict[str, str] = {}
    for entry in sorted(importlib.metadata.entry_points(group=GROUP), key=_place):
        origin = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "unknown"
        try:
            declared = _declaration(entry)
            if clash := _clash(declared, targets):
                raise BadInputError(clash)
        except (Exception, SystemExit) as error:  # Code of others: whatever it raises is the reason.
            name = entry.name if entry.name not in targets else f"{entry.name} of {origin}"
            broken[name] = f"{origin}: {' '.join(str(error).split()) or type(error).__name__}"
        else:
            targets[declared.name] = declared
            distributions[declared.name] = origin
    return Registry(targets, distributions, broken)


def _place(entry: importlib.metadata.EntryPoint) -> tuple[bool, int, str]:
    ours = entry.dist is not None and entry.dist.name == OURS
    return not ours, _ORDER.index(entry.name) if ours and entry.name in _ORDER else len(_ORDER), entry.name


def _declaration(entry: importlib.metadata.EntryPoint) -> Declaration:
    declared = entry.load()
    if not isinstance(declared, Declaration):
        raise BadInputError(f"{entry.value} is no Declaration")
    if declared.name != entry.name:
        raise BadInputError(f"the entry point {entry.name} declares a target {declared.name!r}")
    if declared.role is not Role.DEVICE and not entry.value.startswith("hil.targets."):
        raise BadInputError(f"the role {declared.role.name} is taken")
    options_of(declared.options)  # raises for a field that cannot be an option
    return declared


def _clash(declared: Declaration, others: Mapping[str, Declaration]) -> str:
    """The first reason why a target cannot stand beside `others`; empty if it can."""
    if declared.name in others:
        return f"there is a target {declared.name} already"
    taken = {one.name: (one, name) for name, other in others.items() for one in options_of(other.options)}
    for one in options_of(declared.options):
        if one.name in RESERVED:
            return f"its option --{one.name} is one of the commands' own"
        if one.name in taken and taken[one.name][0] != one:
            return f"its option --{one.name} is another one than that of target {taken[one.name][1]}"
    return ""


def names() -> tuple[str, ...]:
    """Names of the usable targets."""
    return tuple(registry().targets)


def declaration(name: str) -> Declaration:
    """The declaration of a target; raises `BadInputError` for a name that none has."""
    known = registry()
    if name in known.targets:
        return known.targets[name]
    if name in known.broken:
        raise BadInputError(f"target {name} cannot be used: {known.broken[name]}")
    near = get_close_matches(name, known.targets)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known.targets)}"
    raise BadInputError(f"no target is called {name!r}", hint=hint)


def with_role(role: Role) -> Declaration:
    """The one target that is the oracle, or the stand-in."""
    return next(one for one in registry().targets.values() if one.role is role)


def create(name: str, **options: Any) -> Target:
    """The target called `name`; `options` are fields of its options.

    Raises `BadInputError` for an unknown name or option.
    """
    declared = declaration(name)
    try:
        given = declared.options(**options)
    except TypeError as error:
        raise BadInputError(f"target {name}: {str(error).partition('() ')[2] or error}") from error
    return make(declared, given)


def make(declared: Declaration, options: Any, store: Path | None = None) -> Target:
    """The target of a declaration, with a value of its options.  Raises `BadInputError` as its constructor does.

    `store` is the folder of the store of artifacts, for a target that keeps something there.
    """
    if store is not None and declared.store:
        options = replace(options, **{declared.store: store})
    module, _, attribute = declared.implementation.partition(":")
    return cast("Callable[[Any], Target]", getattr(import_module(module), attribute))(options)


# -- options of the command line


def options(command: str) -> tuple[Option, ...]:
    """The options that all targets together add to a command, each once."""
    found = {one.name: one for declared in registry().targets.values() for one in options_of(declared.options)}
    return tuple(one for one in found.values() if not one.commands or command in one.commands)


def make_options(targets: Sequence[str], given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of each of `targets`, made of the values `given` by option name.

    Raises `BadInputError` for an unknown target, a value out of bounds, and an option that none of them has.
    """
    made = {name: from_values(declaration(name).options, given) for name in targets}
    theirs = {one.name for name in targets for one in options_of(declaration(name).options)}
    for name, option, owners in given_options(given):
        if name not in theirs:
            line = f"{option}: no option of target {' or '.join(targets)}"
            raise BadInputError(line, hint=f"it is for {', '.join(owners)}: --target {owners[0]}")
    return made


def given_options(given: Mapping[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    """Yields the options of targets that have another value than their default: name, text such as
    `--engine open`, and the targets that have it."""
    for name, value in given.items():
        owners = _owners(name)
        if owners and not is_default(owners[0][1], value):
            yield name, f"--{name}{_shown(value)}", [owner for owner, _ in owners]


def words(declared: Declaration, options: Any, path: Callable[[Path], str] = str) -> list[str]:
    """The command-line words that reproduce `options`; options with their default value are left out.

    `path` writes a path as the user would.
    """

    def word(value: Any) -> str:
        return path(value) if isinstance(value, Path) else str(value)

    found: list[str] = []
    for one in options_of(declared.options):
        value = getattr(options, one.field)
        if is_default(one, value):
            continue
        if one.many:
            found += [f"--{one.name}={word(item)}" for item in value]
        else:
            found += [f"--{one.name}"] if one.kind is bool else [f"--{one.name}", word(value)]
    return found


def default_samples() -> str:
    """Default number of samples of each target, as a phrase for help texts."""
    by_count: dict[int, list[str]] = {}
    for name, declared in registry().targets.items():
        by_count.setdefault(declared.samples, []).append(name)
    return "; ".join(f"{', '.join(names)}: {count}" for count, names in by_count.items())


def _owners(name: str) -> list[tuple[str, Option]]:
    return [
        (target, one)
        for target, declared in registry().targets.items()
        for one in options_of(declared.options)
        if one.name == name
    ]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return ""
    return f" {', '.join(map(str, value))}" if isinstance(value, list | tuple) else f" {value}"
