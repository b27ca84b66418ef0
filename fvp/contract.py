"""Arm's FVP command line, as one typed value that can be read from arguments and written to them.

    line = parse(["-a", "app.axf", "-C", "ethosu.num_macs=256", "--data", "model.tflite@0x90000000"])
    line.application, line.parameter("ethosu.num_macs")
    arguments(line)                       # what starts any FVP executable the same way

==========================================  =============================================================
option                                      meaning
==========================================  =============================================================
`-a`, `--application [cpu0=]FILE`           the ELF to run (also as the only plain argument)
`-C`, `--parameter NAME=VALUE`              a parameter of the platform (see `parameters`)
`-f`, `--config-file FILE`                  parameters, one `NAME=VALUE` a line, `#` starts a comment
`--data [cpu0=]FILE@ADDRESS`                raw bytes that memory holds at the start
`--dump [cpu0=]FILE@[Memory:]ADDRESS,SIZE`  raw bytes that are saved at the end
`-T`, `--timelimit SECONDS`                 end after that much time on the host, start excluded
`--simlimit SECONDS`                        end after that much time of the simulated machine
`--stat`                                    print times at the end
`-l`, `--list-params`; `--version`; `-q`    list the parameters; print the version; print less
`-Q`, `--quantum N`                         ignored: it tunes Arm's scheduler
==========================================  =============================================================

A limit that is reached ends the run with exit code 0, as scripts use it to end firmware that never stops; the line
`LIMIT_REACHED` tells.  A command line that is wrong ends it with `EXIT_USAGE`, and failed hardware or a missing
program with `EXIT_FAILED`.

Sources: Arm's "Fast Models Fixed Virtual Platforms Reference Guide" (options), public scripts that call the FVP.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hil.fvp.parameters import MACS, PARAMETERS, Value
from hil.npu.errors import BadInputError

EXIT_OK, EXIT_USAGE, EXIT_FAILED = 0, 2, 3
"""Exit codes of the open executable.  1 is Python's own for an error that nobody caught, and never meant."""

OPEN_NAME = "corstone300-open"
"""What the open executable calls itself, and begins its version with."""

OPEN_PARENT = "HIL_FVP_PARENT"
"""Environment variable that tells the open executable whose child it is, to end with it."""

LIMIT_REACHED = "CPU time has been exceeded"
"""Part of the line that any FVP prints when --timelimit or --simlimit ended it."""

STDOUT = "-"
"""Value of a UART's `out_file` that means standard output."""


@dataclass(frozen=True)
class Data:
    """Bytes of `file` that memory holds at `address` when the CPU starts."""

    file: Path
    address: int


@dataclass(frozen=True)
class Dump:
    """`size` bytes of memory from `address`, saved to `file` when the run ends."""

    file: Path
    address: int
    size: int


@dataclass(frozen=True)
class CommandLine:
    """What an FVP is asked to do.  `timelimit` and `simlimit` are seconds, None for no limit."""

    application: Path | None = None
    parameters: dict[str, Value] = field(default_factory=dict)
    data: tuple[Data, ...] = ()
    dumps: tuple[Dump, ...] = ()
    timelimit: float | None = None
    simlimit: float | None = None
    stat: bool = False
    quiet: bool = False
    list_params: bool = False
    version: bool = False

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
    def macs(self) -> int:
        """MAC units of the NPU."""
        return int(self.parameter("ethosu.num_macs"))


_WITH_VALUE = {
    "-a": "application", "--application": "application", "-C": "parameter", "--parameter": "parameter",
    "-f": "config", "--config-file": "config", "--data": "data", "--dump": "dump", "-T": "timelimit",
    "--timelimit": "timelimit", "--simlimit": "simlimit", "-Q": "quantum", "--quantum": "quantum",
}  # fmt: skip
_FLAGS = {
    "--stat": "stat", "-q": "quiet", "--quiet": "quiet", "-l": "list_params", "--list-params": "list_params",
    "--version": "version",
}  # fmt: skip


def parse(argv: Sequence[str]) -> CommandLine:
    """Reads a command line (without the program's name); raises `BadInputError` for what no FVP would take."""
    given: dict[str, list[str]] = {option: [] for option in (*_WITH_VALUE.values(), *_FLAGS.values())}
    parameters: dict[str, Value] = {}
    for option, value in _options(argv):
        given[option].append(value)
        if option == "parameter":
            parameters.update([_parameter(value)])
        elif option == "config":
            parameters.update(_config_file(Path(value)))
    if len(given["application"]) > 1:
        raise BadInputError("more than one application; this platform has one CPU")
    line = CommandLine(
        application=next((Path(value.removeprefix("cpu0=")) for value in given["application"]), None),
        parameters=parameters,
        data=tuple(map(_data, given["data"])),
        dumps=tuple(map(_dump, given["dump"])),
        timelimit=_seconds("timelimit", given["timelimit"]),
        simlimit=_seconds("simlimit", given["simlimit"]),
        stat=bool(given["stat"]),
        quiet=bool(given["quiet"]),
        list_params=bool(given["list_params"]),
        version=bool(given["version"]),
    )
    if line.macs not in MACS:
        raise BadInputError(f"ethosu.num_macs={line.macs} is no Ethos-U55", hint="it has 32, 64, 128 or 256")
    return line


def arguments(line: CommandLine) -> list[str]:
    """The arguments that mean `line`, for any FVP executable."""
    words = [] if line.application is None else ["-a", str(line.application)]
    for name, value in line.parameters.items():
        words += ["-C", f"{name}={int(value) if isinstance(value, bool) else value}"]
    for data in line.data:
        words += ["--data", f"{data.file}@{data.address:#x}"]
    for dump in line.dumps:
        words += ["--dump", f"cpu0={dump.file}@Memory:{dump.address:#x},{dump.size}"]
    for option, limit in (("--timelimit", line.timelimit), ("--simlimit", line.simlimit)):
        words += [] if limit is None else [option, f"{limit:g}"]
    flags = {"--stat": line.stat, "-q": line.quiet, "--list-params": line.list_params, "--version": line.version}
    return words + [flag for flag, given in flags.items() if given]


def _options(argv: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(option, value) pairs, whatever way they are written: `-C x=1`, `-Cx=1`, `--parameter x=1`, `--parameter=x=1`."""
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        if word in _FLAGS:
            yield _FLAGS[word], ""
        elif word in _WITH_VALUE:
            following = next(words, None)
            if following is None:
                raise BadInputError(f"option {word} needs a value")
            yield _WITH_VALUE[word], following
        elif name.startswith("--") and equals and name in _WITH_VALUE:
            yield _WITH_VALUE[name], value
        elif not word.startswith("-"):
            yield "application", word
        elif word[:2] in _WITH_VALUE and not word.startswith("--"):
            yield _WITH_VALUE[word[:2]], word[2:]
        else:
            raise BadInputError(f"option {word!r} does not exist")


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
        setting = re.sub(r"\s*#[^'\"]*$", "", line).strip()
        if setting:
            try:
                yield _parameter(setting)
            except BadInputError as error:
                raise BadInputError(f"{path}, line {number}: {error}") from None


def _data(text: str) -> Data:
    match = re.fullmatch(r"(?:cpu0=)?(.+)@(?:[A-Za-z]\w*:)?(\w+)", text)
    if match is None:
        raise BadInputError(f"--data takes [cpu0=]FILE@ADDRESS, not {text!r}")
    return Data(Path(match[1]), _number(match[2], text))


def _dump(text: str) -> Dump:
    match = re.fullmatch(r"(?:cpu0=)?(.+)@(?:[A-Za-z]\w*:)?(\w+),(\w+)", text)
    if match is None:
        raise BadInputError(f"--dump takes [cpu0=]FILE@[Memory:]ADDRESS,SIZE, not {text!r}")
    return Dump(Path(match[1]), _number(match[2], text), _number(match[3], text))


def _number(text: str, where: str) -> int:
    try:
        number = int(text, 0)
    except ValueError:
        raise BadInputError(f"{text!r} in {where!r} is no number") from None
    if number >> 32:
        raise BadInputError(f"{text!r} in {where!r} has more than 32 bits")
    return number


def _seconds(option: str, given: list[str]) -> float | None:
    """The last of the values given, None if there is none."""
    if not given:
        return None
    try:
        seconds = float(given[-1])
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise BadInputError(f"--{option} takes seconds, not {given[-1]!r}")
    return seconds
