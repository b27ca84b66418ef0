"""The end of a session whose machine breaks down outside of a test: one line and exit code 6.

A full disk, no memory or too many open files can stop pytest itself, while it starts, collects or writes a report.  In
a session with deployments that is infrastructure, as it is within a test, and no internal error of pytest.  What goes
wrong before pytest has loaded its plugins is beyond reach.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest

from hil.core.machine_limits import machine_error
from hil.harness.pytest_plugin.recorder import EXIT_ONLY_INFRASTRUCTURE


class Breakdown:
    """The plugin of one session, registered before pytest starts anything; `args` are those of its command line."""

    def __init__(self, config: pytest.Config, args: Sequence[str]) -> None:
        self._config = config
        self.has_deployments = any(arg.partition("=")[0] in ("--target", "--hil-target") for arg in args)
        config.pluginmanager.register(self, "hil-breakdown")

    def end_start(self, error: BaseException) -> None:
        """Ends pytest where it turns no exception into a line, if a limit of the machine is behind `error`."""
        if line := self._line(error):
            print(line, file=sys.stderr)
            raise SystemExit(EXIT_ONLY_INFRASTRUCTURE) from error

    @pytest.hookimpl(tryfirst=True)
    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        is_worker = hasattr(self._config, "workerinput")  # of pytest-xdist, which sends the error to its controller
        if not is_worker and (line := self._line(excinfo.value)):
            pytest.exit(line, returncode=EXIT_ONLY_INFRASTRUCTURE)

    def _line(self, error: BaseException) -> str:
        limit = machine_error(error) if self.has_deployments else None
        return f"InfrastructureError: {limit}" if limit else ""


BREAKDOWN = pytest.StashKey[Breakdown]()
