"""The program `hil`: `hil.harness.cli`, whose imports Ctrl-C or a limit of the machine may end."""

from __future__ import annotations

import sys

from hil.core.machine_limits import machine_error
from hil.harness.interruption import answer_interrupts, end_interrupted


def main() -> None:
    """Entry point."""
    try:
        answer_interrupts()
        from hil.harness.cli import main as command_line

        command_line()
    except KeyboardInterrupt:
        end_interrupted()
    except Exception as error:  # of an import: the command line turns its own into lines
        if not (limit := machine_error(error)):
            raise
        print(f"hil: {limit}", file=sys.stderr)
        sys.exit(limit.exit_code)


if __name__ == "__main__":
    main()
