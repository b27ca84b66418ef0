"""Coverage-guided fuzzing of everything that reads untrusted input, with libFuzzer (atheris).

    python -m benchmarks.fuzz --seconds 60 [--target stream ...] [--keep FOLDER]

Needs the extra `fuzz`.  Seeds are Vela's outputs of small models, made anew.  Prints a row a target: executions, edges
and features covered (as libFuzzer counts them), answers by kind (`ok`, or the error's class), findings: crashes (any
error that is not of the family, an access out of bounds, results that differ, memory), hangs, and the slowest input in
CPU seconds.  Ends with 1 if there is any finding; it is kept in FOLDER, else in a temporary folder that is named.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.fuzz.last_input import last_input
from tests.support.fuzzing.seeds import write_seeds
from tests.support.fuzzing.targets import TARGETS

UNIT_S = 120
"""Seconds after which libFuzzer ends a process whose input does not end."""

_STATUS = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)")


@dataclass(frozen=True)
class Result:
    """One target's run; `ended_badly` holds what libFuzzer said when it, or the target, ended the process."""

    target: str
    seconds: int
    counts: dict[str, Any]
    edges: int
    features: int
    ended_badly: str

    @property
    def findings(self) -> int:
        """Number of places with a finding."""
        return len(self.counts["crashes"]) + bool(self.counts["hangs"]) + bool(self.ended_badly)

    def row(self) -> str:
        """A line of the table (Markdown)."""
        counts = self.counts
        answers = ", ".join(f"{name} {count:,}" for name, count in sorted(counts["answers"].items()))
        crashes = sum(counts["crashes"].values()) + bool(self.ended_badly)
        cells = (
            self.target, self.seconds, f"{counts['executions']:,}", f"{counts['executions'] / self.seconds:,.0f}",
            f"{self.edges:,}", f"{self.features:,}", answers, crashes, counts["hangs"],
            f"{counts['slowest_s']:.2f}", f"{counts['peak_bytes'] >> 20:,}",
        )  # fmt: skip
        return "| " + " | ".join(map(str, cells)) + " |"


HEADER = (
    "target", "s", "executions", "exec/s", "edges", "features", "answers", "crashes", "hangs", "slowest, CPU s", "MiB",
)  # fmt: skip


def fuzz(target: str, folder: Path, seconds: int) -> Result:
    """Runs one target in a process of its own."""
    command = [
        sys.executable, "-m", "benchmarks.fuzz.child", target, str(folder), f"-max_total_time={seconds}",
        f"-timeout={UNIT_S}", f"-report_slow_units={UNIT_S}", "-rss_limit_mb=0", f"-artifact_prefix={folder}/findings/",
        str(folder / "corpus"), str(folder / "seeds"),
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment, check=False)
    if not (folder / "counts.json").exists():
        sys.exit(f"the fuzzer did not start:\n{done.stderr[-2000:]}")
    counts = json.loads((folder / "counts.json").read_text())
    status = [tuple(map(int, found)) for found in _STATUS.findall(done.stderr)]
    edges, features = (status[-1] if status else (0, 0, 0))[:2]
    (folder / "log.txt").write_text(done.stderr)
    ended_badly = "" if done.returncode == 0 else f"exit code {done.returncode}"
    if ended_badly:
        (folder / "findings" / "ended").write_bytes(last_input(folder))
    return Result(target, seconds, counts, edges, features, ended_badly)


def main() -> int:
    """Fuzzes the targets one after the other; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--target", action="append", choices=list(TARGETS))
    parser.add_argument("--keep", type=Path, help="a new folder for seeds, corpus and findings")
    options = parser.parse_args()
    folder = options.keep or Path(tempfile.mkdtemp(prefix="hil-fuzz-"))
    write_seeds(folder)
    print("| " + " | ".join(HEADER) + " |\n|" + "---|" * len(HEADER), flush=True)
    results = []
    for target in options.target or TARGETS:
        results.append(fuzz(target, folder / target, options.seconds))
        print(results[-1].row(), flush=True)
    findings = sum(result.findings for result in results)
    for result in results:
        for place, count in result.counts["crashes"].items():
            print(f"{result.target}: {place}, {count} times", file=sys.stderr)
        if result.ended_badly:
            print(f"{result.target}: {result.ended_badly}, see {folder / result.target / 'log.txt'}", file=sys.stderr)
    if findings:
        print(f"{findings} findings, their inputs are in {folder}/TARGET/findings", file=sys.stderr)
    elif options.keep is None:
        shutil.rmtree(folder)
    return int(findings > 0)


if __name__ == "__main__":
    sys.exit(main())
