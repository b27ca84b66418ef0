"""`docs/conformance.md`, made of the cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.support.operators.cells import Cell, Cells
from tests.support.operators.known_differences import DIFFERENCES, NO_CASES, OWN_ARITHMETIC
from tests.support.operators.settings import ACCELERATORS, ALL_SETTINGS, SETTINGS

PAGE = Path(__file__).parents[3] / "docs" / "conformance.md"

_INTRO = f"""# Conformance

```
python -m benchmarks.operators --write      # runs all of it, and makes this page
python -m benchmarks.operators --check      # the same; ends with 1 if a cell got worse
python -m benchmarks.operators --fast       # the part that the tests run
```

Small models of single operators, made from a description without a converter: shapes, strides, dilations, paddings,
broadcasting, depths about the sizes of blocks, scales and zero points at random, fused activations. Vela 5.2 compiles
each for every accelerator under {SETTINGS} of {ALL_SETTINGS} settings, by turns: its two compilers (Regor and the
legacy core), with and without `--optimise Size`, in three memory modes (`--settings {ALL_SETTINGS}` takes all). `sim`
runs what Vela made, and every element is compared with TensorFlow Lite's reference kernels. Inputs hold all lowest, all
highest and all zero-point values as well as random ones.

A cell has the runs that were compared. **n ≠** counts those of them in which an element differs, **≤ d** is the largest
difference. Runs of which Vela leaves the operator to the CPU show nothing of the NPU and are counted apart, as are
models that Vela refuses, or that crash it (weights of 4 bits do). int16 is int16x8 where there are weights.
"""


def page(cells: Cells) -> str:
    """The whole page."""
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
    yield from _list("## Why cells differ", reasons)
    yield from _list("## Held to arithmetic of the suite's own", OWN_ARITHMETIC)
    yield from _list("## Operators of Vela's list without cases", NO_CASES)


def _list(title: str, reasons: Mapping[str, str]) -> Iterable[str]:
    if reasons:
        yield from (title, "", "| operator | |", "|---|---|")
        yield from (f"| {name} | {text} |" for name, text in sorted(reasons.items()))
        yield ""
