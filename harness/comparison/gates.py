"""Gates on figures against a baseline: how much worse a figure may become, and what a missing one means.

    parse_gate("2 %")               # Gate(relative=0.02)
    parse_gate("1 KiB, missing ok") # Gate(absolute=1024.0, required=False)
    gates = gates_of({"latency": "2 %", "flash": "off"})["latency"]

A gate without an allowance lets nothing become worse.  Of an absolute and a relative allowance the larger one counts.
Gates come from the ini file (`hil_gates`), the model file (`Model.gates`) and the mark `hil_gate`; the later of these
takes the place of the earlier, figure by figure.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from hil.core.errors import BadInputError


@dataclass(frozen=True)
class Gate:
    """Allowance of one figure: `absolute` in its unit, `relative` as a fraction of the baseline.

    With `required`, a figure that the baseline has and the run lacks fails.
    """

    absolute: float = 0.0
    relative: float = 0.0
    required: bool = True


OFF = "off"
_OPTIONAL = "missing ok"
_HINT = f"an amount such as 2 % or 1 KiB, {_OPTIONAL}, or {OFF}"
_BYTES = {"b": 1, "byte": 1, "bytes": 1, "kib": 1024, "mib": 1024**2}
_UNITS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("mismatches", "sim_mismatches"), ("elements", "element")),
    "accuracy": (),  # its metric's
    "latency": ("ms",),
    "npu_cycles": ("cycles", "cycle"),
    **dict.fromkeys(("sram", "flash", "encoded_weights", "tflite"), ("bytes", *_BYTES)),
}
"""Words for the unit of an absolute amount, without which `50 us` would be 50 ms."""
_POINTS = ("point", "points", "pp", "percent")
"""Words for hundredths of a share, without which `0.5 points` would be 50."""
USUAL = tuple(_UNITS)
"""Figures that have a gate where none is given."""
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?(?:e-?\d+)?)\s*([A-Za-z%]*)")


def gates_of(*given: Mapping[str, str]) -> dict[str, Gate]:
    """Returns figure -> gate, of the usual figures and those given as text; `off` takes one away.

    Raises `BadInputError` for a text that is no gate.
    """
    texts = {figure: text for source in given for figure, text in source.items()}
    found = {figure: Gate() for figure in USUAL if figure not in texts}
    return found | {figure: parse_gate(text, figure) for figure, text in texts.items() if text.strip() != OFF}


def parse_gate(text: str, figure: str = "") -> Gate:
    """Parses amounts with commas between them: `2 %`, `10 cycles`, `1 KiB`, `0.005`, and `missing ok`."""
    gate = Gate()
    for part in filter(None, (one.strip() for one in text.split(","))):
        if part == _OPTIONAL:
            gate = Gate(gate.absolute, gate.relative, required=False)
            continue
        amount = _AMOUNT.fullmatch(part)
        if amount is None or not math.isfinite(float(amount[1])):
            of = f" of {figure}" if figure else ""
            raise BadInputError(f"the gate{of} {text!r} is none", hint=_HINT)
        value, unit = float(amount[1]), amount[2].lower()
        if unit == "%":
            gate = Gate(gate.absolute, value / 100, gate.required)
        else:
            _check_unit(figure, amount[2])
            gate = Gate(value * _BYTES.get(unit, 1), gate.relative, gate.required)
    return gate


def _check_unit(figure: str, unit: str) -> None:
    """Raises `BadInputError` for a unit that a figure does not have."""
    words = _UNITS.get(figure, ())
    if unit.lower() in _POINTS:
        raise BadInputError(f"the gate of {figure} is in {unit}", hint="half a point of a share is 0.005")
    if unit and words and unit.lower() not in words:
        raise BadInputError(f"the gate of {figure} is in {unit}, and the figure in {words[0]}", hint=_HINT)


def check_gates(texts: Mapping[str, object]) -> None:
    """Raises `BadInputError` for a text that is no gate."""
    for figure, text in texts.items():
        if not isinstance(text, str):
            raise BadInputError(f"the gate of {figure} is {text!r}, which is no text", hint=_HINT)
        if text.strip() != OFF:
            parse_gate(text, figure)


def parse_lines(lines: list[str]) -> dict[str, str]:
    """Reads `hil_gates` of the ini file, a figure and its gate a line: `latency: 2 %`."""
    found = {}
    for line in filter(None, (one.strip() for one in lines)):
        figure, colon, text = line.partition(":")
        if not colon or not figure.strip() or not text.strip():
            raise BadInputError(f"hil_gates: {line!r} names no figure and gate", hint="latency: 2 %")
        found[figure.strip()] = text.strip()
    check_gates(found)
    return found
