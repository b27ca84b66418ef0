"""Arm's FVP command line, as one typed value that can be read from arguments and written to them.

    >>> line = parse(["-a", "app.axf", "-C", "ethosu.num_macs=256"])
    >>> line.application.name, line.parameter("ethosu.num_macs")
    ('app.axf', 256)
    >>> arguments(line)                   # what starts any FVP executable the same way
    ['-a', 'app.axf', '-C', 'ethosu.num_macs=256']

`options` describes the options and `parameters` the names that `-C` takes; both are parsed, written and listed from
those descriptions alone.

A limit that is reached ends the run with exit code 0, as scripts use it to end firmware that never stops; a line with
`LIMIT_REACHED` reports.  A command line that is wrong ends it with `EXIT_USAGE`, and failed hardware or a missing
program with `EXIT_FAILED`.

Sources: Arm's "Fast Models Fixed Virtual Platforms Reference Guide" (options), public scripts that call the FVP.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from hil.core.errors import BadInputError
from hil.fvp.command_line.options import OPTIONS, FvpOption
from hil.fvp.command_line.parameters import MACS, PARAMETERS, Value, quote, unquote

if TYPE_CHECKING:
    from hil.core.npu_config import NpuConfig

EXIT_OK, EXIT_USAGE, EXIT_FAILED = 0, 2, 3
"""Exit codes of the open executable.  1 is Python's own for an error that nobody caught, and never meant."""

OPEN_NAME = "corstone300-open"
"""The open executable's name, with which its version begins."""

OPEN_PARENT = "HIL_FVP_PARENT"
"""Environment variable with the id of the process with which the open executable is to end."""

LIMIT_REACHED = "CPU time has been exceeded"
"""Part of the line that any FVP prints when --timelimit or --simlimit ended it."""

CYCLES_REACHED = "Cycle limit has been exceeded"
"""The same for --cyclelimit."""

STDOUT = "-"
"""Value of a UART's `out_file` that means standard output."""


_BY_NAME = {name: option for option in OPTIONS for name in option.names}


class DataFile(NamedTuple):
    """Bytes of `file` that memory holds at `address` when the CPU starts."""

    file: Path
    address: int


class Dump(NamedTuple):
    """`size` bytes of memory from `address`, saved to `file` when the run ends."""

    file: Path
    address: int
    size: int


class CommandLine(NamedTuple):
    """A parsed command line.

    `timelimit` and `simlimit` are seconds, `cyclelimit` cycles, None for no limit; `ignored` names the options that
    were given and change nothing.
    """

    application: Path | None = None
    parameters: Mapping[str, Value] = MappingProxyType({})
    data: tuple[DataFile, ...] = ()
    dumps: tuple[Dump, ...] = ()
    timelimit: float | None = None
    simlimit: float | None = None
    cyclelimit: int | None = None
    stat: bool = False
    quiet: bool = False
    output: Path | None = None
    list_params: bool = False
    list_instances: bool = False
    help: bool = False
    version: bool = False
    ignored: tuple[str, ...] = ()

    def parameter(self, name: str) -> Value:
        """The value of a parameter, its default if it was not given; raises `BadInputError` for an unknown name."""
        return self.parameters.get(name, PARAMETERS.find(name).default)

    def text(self, name: str) -> str:
        """A parameter as text."""
        return str(self.parameter(name))

    def flag(self, name: str) -> bool:
        """A parameter as yes or no."""
        return bool(self.parameter(name))

    @property
    def npu(self) -> str:
        """The NPU's family: `ethos-u55` or `ethos-u65`."""
        return self.text("open.npu")

    @property
    def macs(self) -> int:
        """MAC units of the NPU."""
        return int(self.parameters.get("ethosu.num_macs", MACS[self.npu][0]))

    def npu_config(self, config_text: str = "") -> NpuConfig:
        """The NPU and memories that cycles assume; raises `BadInputError` for what does not fit the NPU."""
        from hil.core.npu_config import NpuConfig  # Most command lines name no memories.

        names = self.text("open.memory_mode"), self.text("open.system_config")
        return NpuConfig(f"{self.npu}-{self.macs}", *names, config_text)


def parse(argv: Sequence[str]) -> CommandLine:
    """Reads a command line (without the program's name); raises `BadInputError` for what no FVP would take."""
    given: dict[str, list[str]] = {option.key: [] for option in OPTIONS}
    parameters: dict[str, Value] = {}
    for option, value in _options(argv):
        if option.refused:
            raise BadInputError(f"option {option.names[-1]} cannot be had here: {option.refused}")
        given[option.key].append(value)
        if option.key == "parameter":
            parameters.update([_parameter(value)])
        elif option.key == "config_file":
            parameters.update(_config_file(Path(value)))
    if len(given["application"]) > 1:
        raise BadInputError("more than one application; this platform has one CPU")
    line = CommandLine(
        application=next((Path(re.sub(r"^cpu0\*?=", "", value)) for value in given["application"]), None),
        parameters=parameters,
        data=tuple(map(_data, given["data"])),
        dumps=tuple(map(_dump, given["dump"])),
        timelimit=_limit("timelimit", given["timelimit"]),
        simlimit=_limit("simlimit", given["simlimit"]),
        cyclelimit=_cycles(given["cyclelimit"]),
        output=Path(given["output"][-1]) if given["output"] else None,
        ignored=tuple(option.names[-1] for option in OPTIONS if option.ignored and given[option.key]),
        **{name: bool(given[name]) for name in ("stat", "quiet", "list_params", "list_instances", "help", "version")},
    )
    _check_npu(line)
    return line


def arguments(line: CommandLine) -> list[str]:
    """The arguments that mean `line`, for any FVP executable (but for what is ignored)."""
    words = [] if line.application is None else ["-a", str(line.application)]
    for name, value in line.parameters.items():
        words += ["-C", f"{name}={PARAMETERS.find(name).format(value)}"]
    for data in line.data:
        words += ["--data", f"{quote(str(data.file))}@{data.address:#x}"]
    for dump in line.dumps:
        words += ["--dump", f"cpu0={quote(str(dump.file))}@Memory:{dump.address:#x},{dump.size}"]
    for option in OPTIONS:
        asked = getattr(line, option.key, None)
        if option.key in ("timelimit", "simlimit", "cyclelimit", "output") and asked is not None:
            words += [option.names[-1], f"{asked:g}" if isinstance(asked, float) else str(asked)]
        elif asked is True:
            words.append(option.names[-1])
    return words


def _options(argv: Sequence[str]) -> Iterator[tuple[FvpOption, str]]:
    """(option, value) pairs, whatever way they are written: `-C x=1`, `-Cx=1`, `--parameter x=1`, `--parameter=x=1`."""
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        option = _BY_NAME.get(word)
        if option is not None:
            following = next(words, None) if option.value else ""
            if following is None:
                raise BadInputError(f"option {word} needs a value")
            yield option, following
        elif name.startswith("--") and equals and name in _BY_NAME and _BY_NAME[name].value:
            yield _BY_NAME[name], value
        elif not word.startswith("-"):
            yield _BY_NAME["-a"], word
        elif not word.startswith("--") and word[:2] in _BY_NAME and _BY_NAME[word[:2]].value:
            yield _BY_NAME[word[:2]], word[2:]
        else:
            raise BadInputError(f"option {word!r} does not exist", hint="--help names all of them")


def _check_npu(line: CommandLine) -> None:
    if line.npu not in MACS:
        raise BadInputError(f"open.npu={line.npu}: the NPU is one of {', '.join(MACS)}")
    if line.macs not in MACS[line.npu]:
        *first, last = map(str, sorted(MACS[line.npu]))
        name = line.npu.title().replace("-u", "-U")
        raise BadInputError(f"ethosu.num_macs={line.macs} is no {name}", hint=f"it has {', '.join(first)} or {last}")
    if line.text("open.memory_mode") or line.text("open.system_config"):
        line.npu_config()  # They fit it.


def _parameter(text: str) -> tuple[str, Value]:
    name, equals, value = text.partition("=")
    if not equals:
        raise BadInputError(f"-C takes NAME=VALUE, not {text!r}")
    name = name.strip()
    return name, PARAMETERS.find(name).parse(value)


def _config_file(path: Path) -> Iterator[tuple[str, Value]]:
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"the configuration file {path} cannot be read: {error}") from None
    for number, line in enumerate(lines, 1):
        # The quotes of a value may hold a #, and a comment may hold quotes, as those of --list-params do.
        uncommented = re.match(r"""(?:[^#'"]|"[^"]*"|'[^']*'|['"](?=[^#]*$))*""", line)
        setting = uncommented[0].strip() if uncommented else ""
        if setting:
            try:
                yield _parameter(setting)
            except BadInputError as error:
                raise BadInputError(f"{path}, line {number}: {error}") from None


def _data(text: str) -> DataFile:
    match = re.fullmatch(r"(?s)(?:cpu0\*?=)?(.+)@(?:[A-Za-z]\w*:)?(\w+)", text)
    if match is None:
        raise BadInputError(f"--data takes [cpu0=]FILE@ADDRESS, not {text!r}")
    return DataFile(Path(unquote(match[1])), _number(match[2], text))


def _dump(text: str) -> Dump:
    match = re.fullmatch(r"(?s)(?:cpu0\*?=)?(.+)@(?:[A-Za-z]\w*:)?(\w+),(\w+)", text)
    if match is None:
        raise BadInputError(f"--dump takes [cpu0=]FILE@[Memory:]ADDRESS,SIZE, not {text!r}")
    return Dump(Path(unquote(match[1])), _number(match[2], text), _number(match[3], text))


def _number(text: str, where: str) -> int:
    try:
        number = int(text, 0)
    except ValueError:
        raise BadInputError(f"{text!r} in {where!r} is no number") from None
    if number >> 32:
        raise BadInputError(f"{text!r} in {where!r} has more than 32 bits")
    return number


def _limit(option: str, given: list[str], unit: str = "seconds") -> float | None:
    """The last of the values given, None if there is none."""
    if not given:
        return None
    try:
        limit = float(given[-1])
    except ValueError:
        limit = -1.0
    if not 0 <= limit < float("inf"):
        raise BadInputError(f"--{option} takes {unit}, not {given[-1]!r}")
    return limit


def _cycles(given: list[str]) -> int | None:
    limit = _limit("cyclelimit", given, "cycles")
    return None if limit is None else int(limit)
