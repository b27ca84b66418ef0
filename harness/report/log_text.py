r"""Logs and messages from outside as plain, bounded text.

>>> plain_text("\x1b[31mfault\x1b[0m\x07 at 0x10\r\nnext")
'fault at 0x10\nnext'
>>> log_end("\n".join(map(str, range(100_000))))[:45]
'(568,936 characters are left out at the start'
"""

from __future__ import annotations

import re

MOST = 20_000
"""Characters of a log."""
_LINE = 300
_CODES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c|$)"  # OSC, DCS: titles, links
    r"|\x1b[ -/]*[0-~]"
    r"|\x9b[0-?]*[ -/]*[@-~]"
)
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""Control characters, and those that change the direction of what follows."""


def plain_text(text: str) -> str:
    """Returns a text without terminal codes and control characters; line ends are `\\n`."""
    text = _CODES.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROL.sub("", text)


def log_end(text: str, most: int = MOST) -> str:
    """Returns the end of a log as plain text of at most `most` characters, with a line on what is left out."""
    plain = plain_text(text)
    if len(plain) <= most:
        return plain
    remark = f"({len(plain):,} characters are left out at the start)\n"
    kept = plain[len(remark) - most :]
    return remark.replace(f"{len(plain):,}", f"{len(plain) - len(kept):,}") + kept


def first_line(text: str, most: int = _LINE) -> str:
    """Returns the first line of a text that has any letters, cut short."""
    line = next(filter(None, (line.strip() for line in plain_text(text).splitlines())), "")
    return line if len(line) <= most else f"{line[: most - 3]}..."
