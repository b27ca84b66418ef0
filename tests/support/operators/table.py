"""Writes `docs/conformance.md` from the cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.support.operators.cells import Cell, Cells
from tests.support.operators.known_differences import DIFFERENCES, NO_CASES, OWN_ARITHMETIC
from tests.support.operators.settings import ACCELERATORS, ALL_SETTINGS, SETTINGS

PAGE = Path(__file__).parents[3] / "docs" / "conformance.md"

_INTRO = f"""# Operator conformance with TensorFlow Lite

```
python -m benchmarks.operators --write      # runs all cases and writes this page
python -m benchmarks.operators --check      # runs all cases; exits with 1 if a cell got worse
python -m benchmarks.operators --fast       # runs the cases that the tests run
```

The cases are small models of single operators, generated without a converter: random shapes, strides, dilations,
paddings, broadcasting, depths near the block sizes, scales, zero points and fused activations. Vela 5.2 compiles each
case for every accelerator under {SETTINGS} of {ALL_SETTINGS} settings, which rotate: its two compilers (Regor and
the legacy core), with and without `--optimise Size`, in three memory modes (`--settings {ALL_SETTINGS}` compiles
all). The target `sim` runs Vela's output, and every element is compared with TensorFlow Lite's reference kernels.
Inputs have all lowest, all highest, all zero-point and random values.

## Results

A cell is the number of runs compared. **n ≠** is the number of runs in which an element differs, **≤ d** the largest
difference. Runs in which Vela places the operator on the CPU do not test the NPU and have a column of their own, as
have models that Vela refuses, or that crash it (weights of 4 bits do). int16 is int16x8 for operators with weights.
"""


def page(cells: Cells) -> str:
    """Returns the whole page."""
    return "\n".join([_INTRO, *_table(cells), "", *_totals(cells.values()), "", *_notes()]) + "\n"


def _table(cells: Cells) -> Iterable[str]:
    names = [name.removeprefix("ethos-") for name in ACCELERATORS]
    yield f"| operator | type | {' | '.join(names)} | on the CPU | refused | crashed |"
    yield "|---|---|" + "--:|" * (len(names) + 3)
    for operator, dtype in sorted({(name.split()[0], name.split()[1]) for name in cells}):
        row = [cells.get(f"{operator} {dtype} {name}", Cell()) for name in ACCELERATORS]
        apart = [sum(getattr(cell, kind) for cell in row) for kind in ("cpu", "refused", "crashed")]
        text = [_cell(cell) for cell in row] + [str(number or "") for number in apart]
        yield f"| {operator} | {dtype} | {' | '.join(text)} |"


def _cell(cell: Cell) -> str:
    if not cell.placed:
        return "–"
    return f"{cell.placed}, **{cell.differs} ≠, ≤ {cell.largest}**" if cell.differs else str(cell.placed)


def _totals(cells: Iterable[Cell]) -> Iterable[str]:
    held = list(cells)
    total = {kind: sum(getattr(cell, kind) for cell in held) for kind in vars(Cell())}
    yield (
        f"In all {total['equal'] + total['differs']:,} runs compared, {total['differs']:,} with a difference; "
        f"{total['cpu']:,} on the CPU, {total['refused']:,} refused, {total['crashed']:,} crashed, "
        f"{total['no_oracle']:,} that the reference kernels do not take."
    )


def _notes() -> Iterable[str]:
    types: dict[tuple[str, str], list[str]] = {}
    for (name, dtype), text in DIFFERENCES.items():
        types.setdefault((name, text), []).append(dtype)
    reasons = {f"{name} ({', '.join(dtypes)})": text for (name, text), dtypes in types.items()}
    yield from _list("## Causes of differences", reasons)
    yield from _list("## Operators without a usable TFLite reference", OWN_ARITHMETIC)
    yield from _list("## Operators without cases", NO_CASES)


def _list(title: str, reasons: Mapping[str, str]) -> Iterable[str]:
    if reasons:
        yield from (title, "", "| operator | |", "|---|---|")
        yield from (f"| {name} | {text} |" for name, text in sorted(reasons.items()))
        yield ""
