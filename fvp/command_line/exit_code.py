"""Error report of an executable with the FVP's command line: one line on standard error, and the exit code.

try:
    contract.parse(words)
except HilError as error:
    sys.exit(report_error("corstone300-open", error))
"""

from __future__ import annotations

import sys
from pathlib import Path

from hil.core.errors import BadInputError, HilError
from hil.fvp.command_line import contract

_MOST = 1000
"""Characters of a line that says what was wrong: what was given is quoted in it, and may be of any length."""


def report_error(program: str, error: Exception) -> int:
    """Prints the error that ended `program` and returns the exit code; any but a `HilError` is an internal error."""
    text = str(error) if isinstance(error, HilError) else f"internal error: {_describe(error)}"
    line = " ".join(text.split("\n"))
    print(f"Error: {program}: {line if len(line) <= _MOST else line[:_MOST] + ' ...'}", file=sys.stderr)
    return contract.EXIT_USAGE if isinstance(error, BadInputError) else contract.EXIT_FAILED


def _describe(error: Exception) -> str:
    """One line for a report: the error and where it was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" ({Path(trace.tb_frame.f_code.co_filename).name}, line {trace.tb_lineno})" if trace else ""
    return " ".join(f"{type(error).__name__}: {error}".split()) + where
