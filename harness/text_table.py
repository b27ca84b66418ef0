"""Tables that fit the width of a terminal: columns side by side, or records below each other.

    columns = (Column("leaf"), Column("ms", number=True), Column("unique", number=True, rank=2))
    print(format_table(columns, [Row(("pqat", "0.083", "222")), Row(("qat", "0.119", "255"), style="yellow")]))

Neither a number nor a word is broken, and a number stays in the line of its unit, an operator in that of its number
(`CONV_2D 9`).  Where the columns are too wide, those of the highest rank are left out, and a
line below names them; if the rest is still too wide, long names end their line behind an underscore; if that is not
enough, each row becomes a record, a line a cell, with nothing left out.
The width is `COLUMNS`, else the terminal's, else 80 (`terminal_width`).
"""

from __future__ import annotations

import html
import re
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil.harness.plain_text import plain_text

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

_GAP = 2
_READABLE = 20
"""Columns below which text is not squeezed, if it is as long."""
_JOINED = re.compile(
    r"(?<=\d) (?=(?:%|[KMG]i?B|bytes|cycles|points|[mµ]?s|min|h|[kMG]?Hz)(?!\w))"  # a unit behind its number
    r"|(?<=[A-Z0-9_]{2}[A-Z0-9]) (?=\d+(?![\w,.]*\d))"  # a number behind the name of its operator
)
"""Spaces at which no line ends."""
_WORDS = re.compile(r"\S+")
_NAME_PARTS = re.compile(r"[^\s_]*_+|[^\s_]+")
_NO_BREAK = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class Column:
    """A column: its heading, of one or more lines, and its rank.

    A `number` stands at the right and is never wrapped; other text wraps between words.  Rank 0 is never left out; of
    the others the highest goes first.
    """

    heading: str
    number: bool = False
    rank: int = 0

    @property
    def name(self) -> str:
        """Heading in one line, a broken word whole."""
        return self.heading.replace("-\n", "").replace("\n", " ")


@dataclass(frozen=True)
class Row:
    """A cell for each column, and the rich style of the row."""

    cells: Sequence[str | Text]
    style: str = ""


def terminal_width() -> int:
    """Returns `COLUMNS`, else the width of the terminal at stdout, else 80."""
    return shutil.get_terminal_size((80, 24)).columns


def wrap(text: str, width: int | None = None, indent: str = "  ") -> list[str]:
    """Wraps a line of text between words, further lines indented; a word wider than `width` stays whole.

    A number is not parted from its unit, nor an operator from its number.

    >>> wrap("the weights take 17.2 % of the time", 21)
    ['the weights take', '  17.2 % of the time']
    """
    joined, width = _JOINED.sub(_NO_BREAK, plain_text(text)), width or terminal_width()
    lines = textwrap.wrap(joined, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return [line.replace(_NO_BREAK, " ") for line in lines] or [""]


def format_table(
    columns: Sequence[Column],
    rows: Sequence[Row],
    *,
    title: str = "",
    width: int | None = None,
    colour: bool | None = None,
) -> str:
    """Formats rows for `width` columns (`terminal_width`); a column without any text is dropped.

    A line below names the columns that are left out, and the width that shows them.  `colour` None: if stdout is a
    terminal.
    """
    from rich.console import Console
    from rich.text import Text

    width, rows = width or terminal_width(), [_plain(row) for row in rows]
    least, shown = _used(columns, rows), _shown(columns, rows, width)
    console = Console(width=width, force_terminal=colour, legacy_windows=False, highlight=False)
    with console.capture() as capture:
        for line in wrap(title, width, indent="") if title else ():
            console.print(Text(line, "italic"), soft_wrap=True)
        if shown:
            console.print(_table(columns, rows, _widened(shown, rows, width)))
        else:
            _print_records(console, columns, rows, list(least))
        if left_out := [columns[n].name for n in least if shown and n not in shown]:
            text = f"left out at {width} columns: {', '.join(left_out)}; all: COLUMNS={_total(least)}"
            for line in wrap(text, width):
                console.print(Text(line, "italic"), soft_wrap=True)
    return "\n".join(line.rstrip() for line in capture.get().rstrip().splitlines())


def _plain(row: Row) -> Row:
    """A row whose cells a terminal takes for text."""
    return Row([plain_text(cell) if isinstance(cell, str) else cell for cell in row.cells], row.style)


def shown_columns(columns: Sequence[Column], rows: Sequence[Row], width: int | None = None) -> set[str]:
    """Returns the names of the columns that `format_table` shows, for the legend below the table."""
    shown = _shown(columns, rows, width or terminal_width())
    return {columns[n].name for n in shown or _used(columns, rows)}


def _shown(columns: Sequence[Column], rows: Sequence[Row], width: int) -> dict[int, int]:
    """Returns the columns that fit side by side, if need be with names in parts; none if they do not even so."""
    least = _used(columns, rows)
    return _fitting(columns, least, width) or _fitting(columns, _used(columns, rows, _NAME_PARTS), width)


def _used(columns: Sequence[Column], rows: Sequence[Row], words: re.Pattern[str] = _WORDS) -> dict[int, int]:
    """Returns the columns that have any text, with their smallest readable widths if `words` stay whole."""
    used = [n for n in range(len(columns)) if not rows or any(str(row.cells[n]) for row in rows)]
    return {n: _least(columns[n], [str(row.cells[n]) for row in rows], words) for n in used}


def format_markdown(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """Formats all rows as a table of GitHub-flavoured Markdown; a column without any text is dropped."""
    used = [n for n in range(len(columns)) if any(str(row.cells[n]) for row in rows)]
    lines = [[columns[n].name for n in used], ["--:" if columns[n].number else "---" for n in used]]
    lines += [[escape_markdown(str(row.cells[n])) for n in used] for row in rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def escape_markdown(text: str) -> str:
    """Returns a text that Markdown and HTML take for text, in one line; `@name` and `#7` stay text on GitHub, too."""
    text = html.escape(" ".join(plain_text(text).split()), quote=False)
    text = re.sub(r"([\\`*_\[\]|~#])", r"\\\1", text)
    return re.sub(r"([@#])(?=\w)", "\\1\N{ZERO WIDTH SPACE}", text)


def _least(column: Column, cells: Sequence[str], words: re.Pattern[str]) -> int:
    """Returns the smallest readable width of a column: whole numbers, whole `words`, not much text cut short."""
    heading, longest = _longest(column.heading), max(map(_longest, (column.heading, *cells)))
    if column.number:
        return longest
    return max(heading, min(longest, _READABLE), *(_longest(word) for cell in cells for word in words.findall(cell)), 1)


def _longest(text: str) -> int:
    """Returns the width of the longest line of a text in a terminal."""
    from rich.cells import cell_len

    return max(cell_len(line) for line in text.split("\n"))


def _fitting(columns: Sequence[Column], least: Mapping[int, int], width: int) -> dict[int, int]:
    """Returns the columns that fit side by side after those of high rank are left out; none if the rest does not."""
    shown = dict(least)
    while _total(shown) > width:
        last = max(shown, key=lambda n: (columns[n].rank, n))
        if columns[last].rank == 0:
            return {}
        del shown[last]
    return shown


def _total(widths: Mapping[int, int]) -> int:
    return sum(widths.values()) + _GAP * (len(widths) - 1)


def _widened(least: Mapping[int, int], rows: Sequence[Row], width: int) -> dict[int, int]:
    """Shares what is left of the width among the columns that would wrap."""
    wanted = {n: max([0, *(_longest(str(row.cells[n])) - size for row in rows)]) for n, size in least.items()}
    share = min(1.0, (width - _total(least)) / max(1, sum(wanted.values())))
    return {n: size + int(wanted[n] * share) for n, size in least.items()}


def _table(columns: Sequence[Column], rows: Sequence[Row], widths: Mapping[int, int]) -> RenderableType:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    padding = _GAP - 1  # beside the character that rich draws between columns
    table = Table(box=box.SIMPLE_HEAD, padding=(0, padding, 0, 0), show_edge=False, pad_edge=False)
    for n, width in widths.items():
        number = columns[n].number
        width -= padding if n == max(widths) else 0  # the last has none, which rich does not count
        table.add_column(columns[n].heading, justify="right" if number else "left", no_wrap=number, width=width)
    for row in rows:
        cells = [_wrapped(row.cells[n], width) for n, width in widths.items()]
        # a string is no markup: [1, 10] is a shape
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells), style=row.style)
    return table


def _wrapped(cell: str | Text, width: int) -> str | Text:
    """A cell as lines of `width`; rich alone would part a number from its unit."""
    if not isinstance(cell, str):
        return cell
    cell = _WORDS.sub(lambda word: _in_parts(word[0], width), cell)
    return "\n".join(line for part in cell.split("\n") for line in wrap(part, width, ""))


def _in_parts(word: str, width: int) -> str:
    """A word that is wider than `width` in lines that end behind an underscore."""
    lines = [""]
    for part in _NAME_PARTS.findall(word) if _longest(word) > width else [word]:
        if _longest(lines[-1] + part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(line for line in lines if line)


def _print_records(console: Console, columns: Sequence[Column], rows: Sequence[Row], used: Sequence[int]) -> None:
    """Prints the first cell of each row in a line, the other cells indented below it; empty cells are left out."""
    from rich.text import Text

    first, *others = used
    label = max((len(columns[n].name) for n in others), default=0)
    for row in rows:
        for line in wrap(f"{columns[first].name}: {row.cells[first]}", console.width):
            console.print(Text(line, row.style or "bold"), soft_wrap=True)
        for n in others:
            for line in _field(columns[n].name.ljust(label), str(row.cells[n]), console.width):
                console.print(Text(line), soft_wrap=True)


def _field(name: str, text: str, width: int) -> list[str]:
    """Formats a cell of a record beside its name, or below it if a word does not fit beside it."""
    head = f"{' ' * _GAP}{name}{' ' * _GAP}"
    widest = max(map(_longest, text.split()), default=0)
    if widest == 0:
        return []
    if len(head) + widest <= width:
        lines = [line for part in text.split("\n") for line in wrap(part, width - len(head), "")]
        return [head + lines[0], *(" " * len(head) + line for line in lines[1:])]
    indent = " " * (2 * _GAP if 2 * _GAP + widest <= width else 0)
    return [head.rstrip(), *wrap(indent + text, width, indent)]
