"""The commands in pages and docstrings: words of `hil`, `pytest`, `python` and `tox`, with the place of each.

    for command in page_commands(ROOT, pages):
        print(command.place, command.words)

A command in a fenced block is whole.  In running text, in docstrings and with "..." it may be only a mention, such as
`hil tree --jobs`, which lacks arguments.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.examples import DOCUMENTED, fences, sources

PROGRAMS = ("hil", "pytest", "python", "tox", ".ci/tox")
LANGUAGES = ("", "console", "sh")
_NAMES = "|".join(map(re.escape, PROGRAMS))
_SETTING = r"(?:[A-Z_]+=\S+ )*"
_LINE = re.compile(rf"\s*(?:\$ )?{_SETTING}((?:{_NAMES})(?: .*)?)$")
_QUOTED = re.compile(rf"`{_SETTING}((?:{_NAMES}) [^`]+)`")
_FOLLOWS = re.compile(r"\s{2,}|\s#|[;|>]|&&")


@dataclass(frozen=True)
class PageCommand:
    """The words of a command, from the program's name on; a `whole` one has all arguments."""

    place: str
    words: tuple[str, ...]
    whole: bool

    def __str__(self) -> str:
        return f"{self.place}: {shlex.join(self.words)}"


def page_commands(root: Path, pages: Iterable[Path]) -> Iterator[PageCommand]:
    """Each command on pages and in docstrings, without comments and what follows."""
    for page in pages:
        yield from _of_page(str(page.relative_to(root)), page.read_text())
    for path in sources(root):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, DOCUMENTED) and (docstring := ast.get_docstring(node)):
                for _, line in _lines(docstring):
                    if line.startswith("hil ") or line.startswith("python -m "):
                        yield _command(str(path.relative_to(root)), line, whole=False)


def _of_page(page: str, text: str) -> Iterator[PageCommand]:
    for start, language, block in fences(text):
        if language in LANGUAGES:
            for number, line in _lines(block):
                yield _command(f"{page}:{start + number}", line, whole=True)
    for found in _QUOTED.finditer(text):
        yield _command(f"{page}:{text[: found.start()].count(chr(10)) + 1}", found[1], whole=False)


def _lines(block: str) -> Iterator[tuple[int, str]]:
    """(number, command with what follows) of each line that is a command; prose that begins with "python " is none."""
    for number, line in enumerate(block.replace("\\\n", " ").splitlines()):
        if found := _LINE.match(line):
            yield number, found[1]


def _command(place: str, line: str, whole: bool) -> PageCommand:
    text = _FOLLOWS.split(" ".join(line.split("\n")))[0]
    words = [word for word in shlex.split(re.sub(r"\[[^]]*\]", "...", text)) if word != "..."]
    return PageCommand(place, tuple(words), whole and "..." not in text)
