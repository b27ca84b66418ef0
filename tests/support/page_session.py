"""The commands of a page, run in its order in one shell, and what they print beside what the page shows.

    for turn in run_page(page, folder, environment):
        assert not turn.difference, turn.difference

A fenced block of Python below a line that ends in a file's name ("`train.py`:") is that file.  In another block, a line
that begins with "$ " is a command, and the lines below it are what it prints on stdout; "..." there is anything.
Numbers may differ as trainings on two CPUs differ: by a fifth, or by 15 in the last digit of a decimal, also in sign.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.examples import fences

ANYTHING = "..."
RELATIVE, LAST_DIGITS = 0.2, 15
_FILE = re.compile(r"`([\w./]+\.\w+)`[^`]*:$")
_NUMBER = re.compile(r"([(\[]*)[-+±]?(\d[\d,]*(?:\.\d+)?)([\])%,.;:]*)")
_RULE = re.compile(r"[=_─]{4,}")


@dataclass(frozen=True)
class PageFile:
    """A file that the reader writes."""

    name: str
    text: str


@dataclass(frozen=True)
class ShownCommand:
    """A command, and the lines that the page shows below it."""

    command: str
    shown: str


@dataclass(frozen=True)
class Turn:
    """A command that was run: exit code, what it printed, and how that differs from what the page shows, if it does."""

    command: str
    code: int
    out: str
    err: str
    difference: str


def page_steps(text: str) -> list[PageFile | ShownCommand]:
    """Returns the files and commands of a page, in its order."""
    lines = text.splitlines()
    found: list[PageFile | ShownCommand] = []
    for start, language, block in fences(text):
        named = _FILE.search(next((line for line in reversed(lines[: start - 2]) if line.strip()), ""))
        if language == "python" and named:
            found.append(PageFile(named[1], block + "\n"))
        elif not language:
            found += _commands(block)
    return found


def run_page(page: Path, folder: Path, environment: Mapping[str, str]) -> list[Turn]:
    """Runs a page's commands in an empty `folder`, by one shell, so that `cd` and `export` last.

    The shell ends at the first command that fails, so that a page has fewer turns than commands.
    """
    steps, logs = page_steps(page.read_text()), folder / "logs"
    logs.mkdir()
    script = folder / "page.sh"
    script.write_text("\n".join(_line(step, logs / str(number)) for number, step in enumerate(steps)))
    work = folder / "work"
    work.mkdir()
    subprocess.run(["bash", script], cwd=work, env=dict(environment), stdin=subprocess.DEVNULL, check=False)
    return [*_turns(steps, logs)]


def _commands(block: str) -> Iterator[ShownCommand]:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        yield ShownCommand(command, shown)


def _line(step: PageFile | ShownCommand, log: Path) -> str:
    if isinstance(step, PageFile):
        return f"cat > {step.name} <<'END_OF_FILE'\n{step.text}END_OF_FILE"
    return f"{{ {step.command}\n}} > {log}.out 2> {log}.err; code=$?; echo $code > {log}.code; [ $code = 0 ] || exit"


def _turns(steps: Sequence[PageFile | ShownCommand], logs: Path) -> Iterator[Turn]:
    for number, step in enumerate(steps):
        code = logs / f"{number}.code"
        if isinstance(step, ShownCommand) and code.exists():
            out, err = ((logs / f"{number}.{name}").read_text() for name in ("out", "err"))
            yield Turn(step.command, int(code.read_text()), out, err, difference(step.shown, out))


def difference(shown: str, printed: str) -> str:
    """Returns the first word of `shown` that was not `printed`, and what was; empty if all were, in their order."""
    parts, words = _parts(shown.split()), printed.split()
    at = 0
    for number, part in enumerate(parts):
        first, last = number == 0, number == len(parts) - 1
        places = [at] if first else [max(at, len(words) - len(part))] if last else range(at, len(words) + 1)
        alike, place = max(((_alike(part, words[place:]), -place) for place in places), default=(0, -at))
        at = alike - place
        if alike < len(part) or (last and at < len(words)):
            return f"shown: {' '.join(part[alike:][:1])!r}, printed: {' '.join(words[at:][:5])!r}"
    return ""


def _parts(words: Sequence[str]) -> list[list[str]]:
    """Splits words at each that stands for anything."""
    parts: list[list[str]] = [[]]
    for word in words:
        if word == ANYTHING:
            parts.append([])
        else:
            parts[-1].append(word)
    return parts


def _alike(shown: Sequence[str], printed: Sequence[str]) -> int:
    """Returns the number of words at the beginning that are alike."""
    return next(
        (at for at, pair in enumerate(zip(shown, printed, strict=False)) if not _is_alike(*pair)),
        min(len(shown), len(printed)),
    )


def _is_alike(shown: str, printed: str) -> bool:
    if shown == printed or (_RULE.fullmatch(shown) and _RULE.fullmatch(printed)):
        return True
    here, there = _NUMBER.fullmatch(shown), _NUMBER.fullmatch(printed)
    if not here or not there or (here[1], here[3]) != (there[1], there[3]):
        return False
    return _is_near(_signed(shown, here[2]), _signed(printed, there[2]), len(here[2].partition(".")[2]))


def _signed(word: str, number: str) -> float:
    return float(number.replace(",", "")) * (-1 if "-" in word else 1)


def _is_near(shown: float, printed: float, decimals: int) -> bool:
    last_digits = LAST_DIGITS * 10**-decimals if decimals else 0
    return abs(shown - printed) <= max(RELATIVE * abs(shown), last_digits)
