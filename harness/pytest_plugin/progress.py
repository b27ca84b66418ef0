"""Progress of deployments' work in pytest's terminal.

say = PytestProgress(config, tests=24)
say("fashion_cnn: prune: fine-tuning", 120, 400)
"""

from __future__ import annotations

import contextlib
import time

import pytest

from hil.harness.progress import LineProgress, duration


class PytestProgress(LineProgress):
    """Progress in pytest's terminal, past its capture; silent in a worker of pytest-xdist, which has no terminal.

    Each line begins with the tests that are done, of `tests`, and the time that the others take at the same pace.
    It registers as a plugin of the session, so that its line ends before pytest writes the next result.
    """

    def __init__(self, config: pytest.Config, tests: int) -> None:
        super().__init__()
        reporter = config.pluginmanager.getplugin("terminalreporter")
        self._reporter = None if hasattr(config, "workerinput") else reporter
        self._capture = config.pluginmanager.getplugin("capturemanager")
        self.moving = self._reporter is not None and self._reporter.isatty
        self._tests, self._finished, self._began = tests, 0, time.monotonic()
        self._left = ""
        config.pluginmanager.register(self, "hil-progress")

    def __call__(self, text: str, done: int, total: int) -> None:
        super().__call__(f"{self._left}{text}", done, total)

    def pytest_runtest_logfinish(self) -> None:
        self._finished += 1
        seconds = (time.monotonic() - self._began) / self._finished * (self._tests - self._finished)
        self._left = f"[{self._finished}/{self._tests} tests, about {duration(seconds)} left] "

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self) -> None:
        self.close()

    def _write(self, text: str) -> None:
        if self._reporter is None:
            return
        past_capture = self._capture.global_and_fixture_disabled() if self._capture else contextlib.nullcontext()
        with past_capture:
            if not self._last:
                self._reporter.ensure_newline()
            self._reporter.write(text, flush=True)
