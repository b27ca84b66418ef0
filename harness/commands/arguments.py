"""The arguments that several commands take, and options that a dataclass declares, as typer takes them.

    @with_declared
    def run(model: Path, vela: VelaOptions = VelaOptions(), chosen: TargetValues = NO_VALUES): ...

A parameter whose type is a dataclass with options (`hil.core.options`) becomes these options; `TargetValues` becomes
those of all registered targets, by name, for `hil.targets.registry.make_options`.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NewType

import typer

from hil.core.options import Option, from_values, options_of
from hil.harness.vela.settings import NpuOptions, VelaOptions
from hil.targets import registry

if TYPE_CHECKING:
    from datetime import timedelta

    from hil.harness.results.results import Results
    from hil.harness.store.store import Store

TargetValues = NewType("TargetValues", dict[str, Any])
"""Values of the options of all targets, by name."""

NO_VALUES = TargetValues({})
NPU, VELA = NpuOptions(), VelaOptions()
MODELS = Path("models")
"""Folder of model files that is taken where none is named."""

Json = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of a table.")]
StoreFolder = Annotated[
    Path | None, typer.Option("--store", metavar="FOLDER", help="Folder of artifacts (HIL_STORE, or the user's cache).")
]
ResultsUrl = Annotated[
    str | None,
    typer.Option(
        "--results", metavar="URL", help="Results database (HIL_RESULTS, or hil_results in pytest's settings)."
    ),
]
ModelsFolder = Annotated[Path, typer.Option("--models", metavar="FOLDER", help="Folder of model files.")]
Inputs = Annotated[
    Path | None, typer.Option(metavar="IN.npz", help="Arrays by tensor name, or one array; random without.")
]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Threads of an operation in training (HIL_THREADS, or all cores); other numbers give other weights.",
    ),
]
Reproducible = Annotated[
    bool, typer.Option("--reproducible", help="Train in one thread: the same weights on any number of cores.")
]
Cpu = Annotated[bool, typer.Option("--cpu", help="Do not compile: run on the target's CPU kernels.")]


def one_of(names: Sequence[str]) -> str:
    """Names as a sentence has them: `host, sim, fvp or serial`."""
    return f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else "".join(names)


Target = Annotated[str, typer.Option(help=f"Where it runs: {one_of(registry.names())}.")]
TargetOfFile = Annotated[
    str | None,
    typer.Option(help=f"Where it runs: {one_of(registry.names())} ({registry.DEFAULT}, or one that takes the file)."),
]


def with_declared(command: Callable[..., None]) -> Callable[..., None]:
    """`command` with declared options in place of each parameter that stands for some."""
    hints = inspect.get_annotations(command, eval_str=True)  # `get_type_hints` hides options in Python 3.10
    signature = inspect.signature(command)
    declared = {name: found for name in signature.parameters if (found := _declared(hints[name], command.__name__))}

    @functools.wraps(command)
    def called(**values: Any) -> None:
        for name, options in declared.items():
            given = {one.name: values.pop(_parameter_name(one)) for one in options}
            values[name] = given if hints[name] is TargetValues else from_values(hints[name], given)
        command(**values)

    parameters = []
    for name, parameter in signature.parameters.items():
        if name in declared:
            parameters += [_parameter(one) for one in declared[name]]
        else:
            parameters.append(parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY))
    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {one.name: one.annotation for one in parameters}
    return called


def _declared(hint: Any, command: str) -> tuple[Option, ...]:
    if hint is TargetValues:
        return registry.options(command)
    return options_of(hint) if is_dataclass(hint) and isinstance(hint, type) else ()


def _parameter_name(one: Option) -> str:
    return one.name.replace("-", "_")


def _parameter(one: Option) -> inspect.Parameter:
    kind: Any = one.kind
    if one.many:
        kind = list[kind] | None
    elif one.default is None:
        kind = kind | None
    about = typer.Option(f"--{one.name}", help=one.help, min=one.minimum, metavar=one.metavar or None)
    default = None if one.many else one.default
    annotation = Annotated[kind, about]
    return inspect.Parameter(
        _parameter_name(one), inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


def open_store(folder: Path | None) -> Store:
    """The store at `folder`, or the default one."""
    from hil.harness.store.store import Store, default_root

    return Store(folder or default_root())


def open_recorded(results: str | None) -> Results:
    """The results database that holds earlier runs; `BadInputError` if none is named, or it is not there."""
    from hil.core.errors import BadInputError
    from hil.harness.results import open_results
    from hil.harness.results.location import default_results_url

    url = default_results_url(results)
    if url is None:
        raise BadInputError("no results database is named", hint="--results URL, or HIL_RESULTS")
    return open_results(url, create=False)


def parse_period(text: str, option: str) -> timedelta:
    """The time of `12h`, `90d` or `26w`; `BadInputError` for another text, which was given to `option`."""
    from hil.core.errors import BadInputError
    from hil.harness.results.duration import parse_duration

    if (period := parse_duration(text)) is None:
        raise BadInputError(f"{option} {text}: a number of hours, days or weeks: 12h, 90d, 26w")
    return period


def read_entry_point(path: Path) -> bytes:
    """As `read_model`, of a `.tflite`; a line on stderr names the signature that runs where it has several."""
    from hil.core.tflite.entry_points import entry_points
    from hil.core.tflite.model import view_model

    data = read_model(path)
    names = view_model(data, str(path), entry_points)
    if len(names) > 1:
        others = ", ".join(map(repr, names[1:]))
        print(
            f"{path} has {len(names)} signatures: {names[0]!r} runs, as on TFLite Micro, not {others}", file=sys.stderr
        )
    return data


def read_model(path: Path) -> bytes:
    """The bytes of a file that the user named; `BadInputError` if it cannot be read."""
    from hil.core.errors import BadInputError

    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror}") from error


@contextlib.contextmanager
def naming(name: str) -> Iterator[None]:
    """An error about a damaged stream names the file `name`, which the code that decodes it does not know."""
    from hil.core.errors import BadInputError, StreamError

    try:
        yield
    except StreamError as error:
        raise BadInputError(f"{name}: {error.args[0]}", hint=error.hint) from error
