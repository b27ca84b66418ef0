"""Legend below the tables of a run: the samples, sources and units of the columns that are shown.

Rows are those of `hil.harness.pytest_plugin.summary`; `shown` are the names of the columns.
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from hil.harness.number_format import listed
from hil.harness.pytest_plugin import metric_cells
from hil.targets import registry
from hil.targets.declaration import Role

TableRow = Mapping[str, Any]
_LONGEST = 200
"""Characters of a line on kernels that ran in place of others; TensorFlow's reason may be longer."""

FAILED = "✗"
"""Mark of a deployment with a failed test."""


def legend(rows: Sequence[TableRow], shown: Collection[str]) -> list[str]:
    """Explains the columns and marks, a line each."""
    notes = [*metric_cells.legend(rows, shown), *_runs(rows, shown), *_times(rows, shown)]
    sizes = [name for name in ("SRAM", "flash", "encoded weights") if name in shown]
    if known := [*(["all else is exact"] if notes else []), *([f"{listed(sizes)} in KiB"] if sizes else [])]:
        notes.append("; ".join(known))
    in_dram = dict.fromkeys(row["accelerator"] for row in rows if row.get("weights_in_dram"))
    if "flash" in shown and in_dram:
        notes.append(f"flash: weights and tables, which are in DRAM on {listed(list(in_dram))}")
    kernels = {"zeros": "zeros: % of the weights", "unique": "unique: most distinct weights in a layer"}
    notes.append("; ".join(text for name, text in kernels.items() if name in shown))
    if any(row.get("failed") for row in rows):
        notes.append(f"{FAILED}: a test of this deployment failed")
    if "NPU cycles" in shown and any(row["cpu_operators"] for row in rows):
        notes.append("*: operators left to the CPU are not in the cycles")
    return [note for note in notes if note]


def _runs(rows: Sequence[TableRow], shown: Collection[str]) -> list[str]:
    """Explains what was measured on the target itself, and beside it on the stand-in."""
    samples, target = _range(rows, "samples"), rows[0]["target"]
    notes = metric_cells.on_target(rows, samples, target, shown)
    if "mismatches" in shown:
        stand_in = registry.with_role(Role.STAND_IN).name
        on_sim = "" if is_stand_in(target) else f" / on {stand_in} ({_range(rows, 'sim_samples')} samples)"
        notes.append(f"mismatches: elements unlike the reference kernels on {target} ({samples} samples){on_sim}")
        notes += _stand_ins(rows)
    return notes


def _stand_ins(rows: Sequence[TableRow]) -> list[str]:
    """Names the kernels that ran in place of the reference kernels, with the paths for which they did."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if line := row.get("oracle_stand_in"):
            found.setdefault(textwrap.shorten(line, _LONGEST), []).append(row["path"])
    return [f"reference kernels of {listed(paths)}: {line}" for line, paths in found.items()]


def _times(rows: Sequence[TableRow], shown: Collection[str]) -> list[str]:
    """Explains cycles and milliseconds: their trust, and the clock."""
    names = [word for word, column in (("cycles", "NPU cycles"), ("ms", "ms")) if column in shown]
    if not names:
        return []
    trusts = sorted({row["trust"] for row in rows if "trust" in row})
    clocks = sorted({row["clock"] for row in rows if "clock" in row})
    at = f", ms at {' or '.join(clocks)}" if clocks and "ms" in names else ""
    return [f"{listed(names)} are {', '.join(trusts)}{at}"]


def is_stand_in(target: str) -> bool:
    """True for the target that stands in for the others."""
    return registry.declaration(target).role is Role.STAND_IN


def _range(rows: Sequence[TableRow], key: str) -> str:
    """The number that all rows have, or the smallest and largest."""
    found = sorted({row[key] for row in rows if key in row})
    return str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}" if found else ""
