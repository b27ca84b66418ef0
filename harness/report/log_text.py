r"""Logs and messages from outside as plain, bounded text.

>>> log_end("\n".join(map(str, range(100_000))))[:45]
'(568,936 characters are left out at the start'
"""

from __future__ import annotations

from hil.harness.plain_text import plain_text

MOST = 20_000
"""Characters of a log."""
_LINE = 300


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
