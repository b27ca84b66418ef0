"""A proxy that runs: `with Proxied(device.tcp_port, "tcp", rate=0.01) as proxied: open_channel(proxied.url)`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


class Proxied:
    """The proxy of `tests.support.link.proxy` as a process; after the `with` block `counts` has its faults."""

    def __init__(
        self, port: int, kind: str, *, baud: float = 0.0, rate: float = 0.0, hang_ups: float = 0.0, seed: int = 0
    ) -> None:
        options = [f"--baud={baud}", f"--rate={rate}", f"--hang-ups={hang_ups}", f"--seed={seed}"]
        command = [sys.executable, "-m", "tests.support.link.proxy", kind, str(port), *options]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._process = subprocess.Popen(command, cwd=Path(__file__).parents[3], **pipes)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        self.counts: dict[str, Any] = {}

    def __enter__(self) -> Proxied:
        return self

    def __exit__(self, *_: object) -> None:
        said, _err = self._process.communicate("", timeout=600)
        self.counts = json.loads(said) if said else {}
