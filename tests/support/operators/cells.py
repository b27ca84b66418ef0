"""Cells of the table from runs: one an operator, type and accelerator, as in `expected.json`.

cells = count(runs)
worse = compare(cells, expected)        # lines, none if no cell got worse
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.support.operators.case_runs import Run

EXPECTED = Path(__file__).with_name("expected.json")

NEAR = 16
"""Largest difference of outputs that are nearly right.

Beyond it a stream computes something else, and by how much it differs says nothing: Vela 5.2's Regor gives another
stream each time for a CONCATENATION with a resized tensor.
"""


@dataclass(frozen=True)
class Cell:
    """Counts of runs; `largest` is the largest difference of an element.

    `equal` and `differs` were placed on the NPU; the others show nothing of it (see `outcome`).
    """

    equal: int = 0
    differs: int = 0
    largest: int = 0
    cpu: int = 0
    refused: int = 0
    crashed: int = 0
    no_oracle: int = 0

    @property
    def placed(self) -> int:
        """Runs that were compared."""
        return self.equal + self.differs

    def plus(self, kind: str, largest: int) -> Cell:
        """The cell with one more run."""
        counts = asdict(self)
        counts[kind.replace(" ", "_")] += 1
        return Cell(**counts | {"largest": max(self.largest, largest)})


Cells = dict[str, Cell]
"""By `operator type accelerator`."""


def count(runs: Iterable[Run]) -> Cells:
    """The cells of `runs`, in alphabetical order."""
    cells: Cells = {}
    for run in runs:
        name = f"{run.case.operator} {run.case.dtype} {run.setting.accelerator}"
        cells[name] = cells.get(name, Cell()).plus(run.outcome.kind, run.outcome.largest)
    return dict(sorted(cells.items()))


def compare(cells: Mapping[str, Cell], expected: Mapping[str, Cell]) -> list[str]:
    """A line for each cell that is worse than expected or is not expected.

    Worse are fewer equal, more differences, and larger ones where those expected are near.
    """
    worse = []
    for name, before in expected.items():
        now = cells.get(name, Cell())
        larger = now.largest > before.largest and before.largest <= NEAR
        if now.equal < before.equal or now.differs > before.differs or larger:
            worse.append(f"{name}: {_told(now)}, expected {_told(before)}")
    worse += [f"{name}: {_told(cells[name])}, and no such cell is expected" for name in cells.keys() - expected.keys()]
    return sorted(worse)


def _told(cell: Cell) -> str:
    told = f"{cell.equal} equal, {cell.differs} not"
    return f"{told} (by at most {cell.largest})" if cell.differs else told


def read(part: str, path: Path = EXPECTED) -> Cells:
    """The cells that are expected of a `part`: `full` or `fast`; none if there is no file yet."""
    held = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {name: Cell(**cell) for name, cell in held.get(part, {}).items()}


def write(parts: Mapping[str, Cells], path: Path = EXPECTED) -> None:
    """Writes the cells of all parts; counts of 0 are left out."""
    held = {
        part: {name: {key: value for key, value in asdict(cell).items() if value} for name, cell in cells.items()}
        for part, cells in parts.items()
    }
    lines = ["{"]
    for number, (part, cells) in enumerate(held.items()):
        rows = [f"  {json.dumps(name)}: {json.dumps(cell)}" for name, cell in cells.items()]
        lines += [f'"{part}": {{', ",\n".join(rows), "}" + ("," if number + 1 < len(held) else "")]
    path.write_text("\n".join([*lines, "}"]) + "\n", encoding="utf-8")
