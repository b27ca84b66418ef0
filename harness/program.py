"""The program `hil`: `hil.harness.cli`, whose imports Ctrl-C may interrupt."""

from __future__ import annotations

import sys

from hil.harness.interruption import EXIT_INTERRUPTED, LINE, answer_interrupts


def main() -> None:
    """Entry point."""
    answer_interrupts()
    try:
        from hil.harness.cli import main as command_line

        command_line()
    except KeyboardInterrupt:
        print(LINE, file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
