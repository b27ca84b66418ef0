"""Tables of a user's `.tflite` files: what runs where, equal to the reference kernels or why not, time and memory.

    python -m benchmarks.model_table FOLDER ... [--target sim] [--samples 4] [--write TABLE.md] [--json TABLE.json]

Each file below the folders runs in a process of its own, which a crash or a limit of time ends alone: it is compiled by
Vela, runs on the target, on random samples, and on the reference kernels, and the outputs are compared bit by bit.  The
memory is the sum of the largest resident sizes of that process and of those that it started, Vela's and the kernels'.
The exit code is 1 if outputs differ.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.progress import track

EQUAL, DIFFERENT, REFUSED, FAILED = "equal", "different", "refused", "failed"


@dataclass(frozen=True)
class TableRow:
    """One file: `operators` are its kinds with their numbers, `npu` and `cpu` how many each runs.

    `outcome` is one of the constants above, `reason` one line on it, or on the kernels that stood in for TensorFlow's;
    `seconds` of wall clock, `megabytes` at the peak.
    """

    model: str
    operators: dict[str, int]
    npu: int
    cpu: dict[str, int]
    outcome: str
    reason: str
    seconds: float
    megabytes: int


def measure(path: Path, name: str, target: str, samples: int) -> TableRow:
    """Runs one file in this process."""
    from hil.core.errors import HilError, InfrastructureError
    from hil.targets.execution.signature import read_signature

    start = time.monotonic()
    operators: tuple[str, ...] = ()
    placed: tuple[int, dict[str, int]] = (0, {})
    try:
        int8 = path.read_bytes()
        operators = read_signature(int8, path.name).operators
        placed, outcome, reason = _compare(int8, path.name, target, samples)
    except InfrastructureError as error:
        outcome, reason = FAILED, str(error)
    except HilError as error:
        outcome, reason = REFUSED, str(error)
    reason = " ".join(reason.split())
    seconds = round(time.monotonic() - start, 1)
    return TableRow(name, dict(Counter(operators)), *placed, outcome, reason, seconds, _peak_megabytes())


def _compare(int8: bytes, name: str, target: str, samples: int) -> tuple[tuple[int, dict[str, int]], str, str]:
    """Operators by place, the outcome and its reason; raises what keeps the model from running."""
    from hil.core.arrays import unequal
    from hil.harness.commands.inputs import random_inputs
    from hil.harness.diff.difference import first_difference
    from hil.harness.vela.compiler import compile_model
    from hil.harness.vela.settings import VelaSettings
    from hil.targets import create, registry
    from hil.targets.base import Deployable
    from hil.targets.declaration import Role
    from hil.targets.execution.signature import read_signature

    settings = VelaSettings()
    compiled = compile_model(int8, settings, name=name, mapped=False)
    placed = len(compiled.summary.npu_operators), dict(Counter(compiled.summary.cpu_operators))
    deployable, inputs = Deployable(int8, compiled.model, settings), random_inputs(read_signature(int8), samples)
    with contextlib.closing(create(target)) as made:
        run = made.run(deployable, inputs)
    reference = create(registry.with_role(Role.ORACLE).name).run(deployable, inputs)
    expected = reference.outputs
    pairs = list(zip(run.outputs, expected, strict=True))
    count = sum(int(unequal(got, want).sum()) for got, want in pairs)
    if not count:
        return placed, EQUAL, reference.identity.get("stand_in", "")
    mapping = compile_model(int8, settings, name=name).mapping
    found = first_difference(deployable, mapping, inputs)
    elements = sum(want.size for _, want in pairs)
    return placed, DIFFERENT, f"{count:,} of {elements:,} elements; {found or 'sim is equal'}"


def _peak_megabytes() -> int:
    """Largest resident sizes of this process and its children, in Linux' own count.

    `getrusage` would begin with the size of the process that started this one.
    """
    children = [pid for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()]
    texts = [Path(f"/proc/{pid}/status").read_text() for pid in ("self", *children)]
    return sum(int(found[1]) for text in texts if (found := re.search(r"VmHWM:\s+(\d+) kB", text))) >> 10


def in_own_process(path: Path, name: str, options: argparse.Namespace) -> TableRow:
    """Runs one file in a process of its own; one that does not end in time, or crashes, has failed."""
    words = ["--one", str(path), "--name", name, "--target", options.target, "--samples", str(options.samples)]
    start = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, "-m", __spec__.name if __spec__ else __name__, *words],
            capture_output=True,
            text=True,
            timeout=options.limit_s,
        )
        return TableRow(**json.loads(done.stdout.splitlines()[-1]))
    except subprocess.TimeoutExpired:
        reason = f"no end in {options.limit_s:g} s"
    except (IndexError, ValueError, TypeError):
        reason = (done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"])[-1]
    return TableRow(name, {}, 0, {}, FAILED, reason, round(time.monotonic() - start, 1), 0)


def markdown(rows: Sequence[TableRow]) -> str:
    """The rows as a table of Markdown."""
    heads = ("model", "operators", "on the NPU", "on the CPU", "outputs", "s", "MB")
    lines = [heads, ("---", "---", "--:", "---", "---", "--:", "--:"), *map(_cells, rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _cells(row: TableRow) -> tuple[str, ...]:
    told = f"{row.outcome}: {row.reason}" if row.reason else row.outcome
    cells = (row.model, _counted(row.operators), str(row.npu), _counted(row.cpu), told, str(row.seconds))
    return tuple(cell.replace("|", "\\|") for cell in (*cells, str(row.megabytes)))


def _counted(kinds: dict[str, int]) -> str:
    ordered = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} {kind}" for kind, count in ordered)


def _files(folders: Sequence[Path]) -> list[tuple[Path, str]]:
    """The `.tflite` files below the folders, and their names from there."""
    found = [(path, folder) for folder in folders for path in sorted(folder.rglob("*.tflite"))]
    return [(path, str(path.relative_to(folder))) for path, folder in found]


def main(argv: Sequence[str] | None = None) -> int:
    """Makes the table; the exit code is 1 if outputs differ, 2 if there is no file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.model_table")
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--target", default="sim")
    parser.add_argument("--samples", type=int, default=4, help="random samples (4)")
    parser.add_argument("--limit-s", type=float, default=1800.0, help="longest time of a file in seconds (1800)")
    parser.add_argument("--write", type=Path, metavar="TABLE.md", help="where the table goes; else it is printed")
    parser.add_argument("--json", type=Path, metavar="TABLE.json")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--name", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.one:
        print(json.dumps(asdict(measure(options.one, options.name, options.target, options.samples))))
        return 0
    files = _files(options.folders)
    if not files:
        print("no .tflite file is below these folders", file=sys.stderr)
        return 2
    rows = [in_own_process(*file, options) for file in track(files, disable=not sys.stderr.isatty())]
    if options.write:
        options.write.write_text(markdown(rows))
    else:
        print(markdown(rows), end="")
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    counts = Counter(row.outcome for row in rows)
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()), file=sys.stderr)
    return int(bool(counts[DIFFERENT]))


if __name__ == "__main__":
    sys.exit(main())
