r"""Texts from outside without what a terminal would act on.

>>> plain_text("\x1b[31mfault\x1b[0m\x07 at 0x10\r\nnext")
'fault at 0x10\nnext'
"""

from __future__ import annotations

import re

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
