"""Attributions as text for a terminal, and as JSON.

    blobs-pqat on sim
    vela_options: none -> --optimise Size
    model: 3f0c91aa -> 9b17c2d4 (prune sparsity 0.5 -> 0.8)
    figure      part                         change    share  alone
    npu_cycles  2,412 -> 2,630                 +218
                vela_options                   +240    110 %   +238
                model                           -22    -10 %    -24

`alone` is the change by one part put into the baseline without the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from hil.harness.attribution.attribution import AttributedFigure, Attribution
from hil.harness.attribution.parts import MODEL, Values, short
from hil.harness.comparison.recipe_changes import recipe_changes
from hil.harness.text_table import Column, Row, format_table, wrap

LAYERS = 5
"""Layers that a table shows."""
_COLUMNS = (
    Column("figure"),
    Column("part"),
    Column("change", number=True),
    Column("share", number=True),
    Column("alone", number=True, rank=1),
)
_LAYER_COLUMNS = (Column("layer"), *(Column(name, number=True) for name in ("before", "after", "cycles")))
_CYCLES, _TIMES = "npu_cycles", ("latency", "npu_latency")
_CLOCK = frozenset({"vela", "vela_config", "system_config"})
"""Parts that may change the clock."""
_NOISE = "noise"
"""Share of a part that noise may be all of."""
_LONGEST = 60
"""Characters of an identity's value that are shown."""
_LONGEST_NAME = 46
"""Characters of a layer's name that are shown."""


def format_attribution(found: Attribution, *, width: int | None = None, colour: bool | None = None) -> str:
    """Formats the parts, their shares of each figure that changed, the layers that moved most, and the notes."""
    lines = [f"{found.deployment} on {found.target}{_elsewhere(found)}", *_part_lines(found)]
    blocks = ["\n".join(line for text in lines for line in wrap(text, width))]
    if rows := [row for name, one in _shown(found).items() for row in _rows(found, name, one)]:
        blocks.append(format_table(_COLUMNS, rows, width=width, colour=colour))
    if found.layers:
        blocks.append(format_table(_LAYER_COLUMNS, _layer_rows(found), width=width, colour=colour))
    notes = [*_interactions(found), *_noises(found), *found.notes]
    blocks += ["\n".join(line for text in notes for line in wrap(text, width))] if notes else []
    return "\n".join(blocks)


def attribution_json(found: Attribution) -> dict[str, Any]:
    """Returns the attribution as JSON; the schema is that of `docs/attribution.md`."""
    differences = found.differences
    return {
        "deployment": found.deployment,
        "target": found.target,
        "measured_on": found.measured_on,
        "method": found.method,
        "parts": [{"part": one.name, "before": one.before, "after": one.after} for one in found.parts],
        "missing": [{"part": part, "reason": reason} for part, reason in found.missing.items()],
        "model_changes": {name: list(values) for name, values in differences.of_model.items()},
        "other_changes": {name: list(values) for name, values in differences.others.items()},
        "figures": [figure_json(name, one) for name, one in found.figures.items()],
        "layers": [
            {"layer": one.layer, "before": one.before, "after": one.after, "change": one.change} for one in found.layers
        ],
        "notes": list(found.notes),
    }


def figure_json(name: str, one: AttributedFigure) -> dict[str, Any]:
    """Returns the shares of one figure as JSON, which a verdict's details hold, too."""
    shares = one.shares
    return {
        "figure": name,
        "unit": one.unit,
        "recorded": list(one.recorded),
        "before": float(shares.before),
        "after": float(shares.after),
        "change": float(shares.change),
        "shares": [
            {
                "part": part,
                "change": float(share.share),
                "alone": float(share.alone),
                "noise": 0.0 if one.noise is None else one.noise.bound(share.spread),
                "is_noise": one.is_noise(share.share, share.spread),
            }
            for part, share in shares.parts.items()
        ],
        "noise_rule": "" if one.noise is None else one.noise.rule,
        "rest": float(shares.rest),
        "interaction": float(shares.interaction),
        "unexplained": float(one.unexplained),
    }


# -- the parts


def _part_lines(found: Attribution) -> Iterator[str]:
    differences = found.differences
    for part in found.parts:
        of_model = _making(differences.of_model) if part.name == MODEL else ""
        yield f"{part.name}: {part.change}{f' ({of_model})' if of_model else ''}"
    for name, reason in found.missing.items():
        of_model = _making(differences.of_model) if name == MODEL else ""
        yield f"{name}: not exchanged: {reason}{f' ({of_model})' if of_model else ''}"
    if differences.others:
        texts = (_field(name, values) for name, values in differences.others.items())
        yield f"not exchanged: {'; '.join(texts)}"


def _making(fields: Mapping[str, Values]) -> str:
    """Names what differs in the making of a model: the settings of its recipe one by one, and other fields."""
    texts: list[str] = []
    for name, values in fields.items():
        texts += map(str, recipe_changes(*values)) if name == "recipe" else [_field(name, values)]
    return "; ".join(texts)


def _field(name: str, values: Values) -> str:
    before, after = ((short(text) or "none")[:_LONGEST] for text in values)
    return f"{name} {before} -> {after}"


# -- the figures


def _shown(found: Attribution) -> dict[str, AttributedFigure]:
    """Figures that changed, or of which parts cancel each other; times where they say more than the cycles."""
    names = [name for part in found.parts for name in part.name.split(" + ")]
    clocked = not _CLOCK.isdisjoint([*names, *found.missing])
    return {
        name: one
        for name, one in found.figures.items()
        if (one.shares.change or one.unexplained or any(share.share for share in one.shares.parts.values()))
        and (name not in _TIMES or clocked or _CYCLES not in found.figures)
    }


def _rows(found: Attribution, name: str, one: AttributedFigure) -> Iterator[Row]:
    title = f"{name} {one.unit}" if one.unit == "ms" else name
    before, after = one.ends
    change = after - before
    yield Row([title, f"{_number(before)} -> {_number(after)}", _number(change, "+"), "", ""])
    shares = one.shares
    for part, share in sorted(shares.parts.items(), key=lambda pair: -abs(pair[1].share)):
        if share.share or share.alone:
            alone = _number(share.alone, "+") if len(shares.parts) > 1 else ""
            percent = _NOISE if one.is_noise(share.share, share.spread) else _percent(share.share, change)
            yield Row(["", part, _number(share.share, "+"), percent, alone])
    if shares.rest:
        yield Row(["", "together", _number(shares.rest, "+"), _percent(shares.rest, change), ""])
    if one.unexplained:
        noise = found.measured_on == found.target and one.is_noise(one.unexplained, math.sqrt(2), recorded=2)
        percent = _NOISE if noise else _percent(one.unexplained, change)
        yield Row(["", _unexplained_by(found), _number(one.unexplained, "+"), percent, ""])


def _unexplained_by(found: Attribution) -> str:
    """Names what the recorded change holds beside that of the exchanges."""
    if found.missing:
        return f"{' + '.join(found.missing)}, as the rest"
    return "not made again" if found.target == found.measured_on else f"rest, on {found.target} alone"


def _layer_rows(found: Attribution) -> list[Row]:
    def cell(value: int | None) -> str:
        return "" if value is None else f"{value:,}"

    shown = found.layers[:LAYERS]
    return [Row([_ending(one.layer), cell(one.before), cell(one.after), f"{one.change:+,}"]) for one in shown]


def _ending(name: str) -> str:
    """Cuts a long name short, at its beginning: the end tells layers apart."""
    return name if len(name) <= _LONGEST_NAME else f"...{name[3 - _LONGEST_NAME :]}"


def _elsewhere(found: Attribution) -> str:
    return "" if found.target == found.measured_on else f", exchanges on {found.measured_on}"


def _noises(found: Attribution) -> Iterator[str]:
    """Notes on the figures of which noise hides a share."""
    for name, one in _shown(found).items():
        if one.noise is None or not any(one.is_noise(share.share, share.spread) for share in one.shares.parts.values()):
            continue
        bound = one.noise.bound(1)
        size = "" if bound is None else f"{float(f'{bound:.3g}'):,g} {one.unit} an exchange, "
        yield f"{name}: a share marked {_NOISE} may be nothing else: {size}{one.noise.rule}"


def _interactions(found: Attribution) -> Iterator[str]:
    for name, one in _shown(found).items():
        hidden = one.is_noise(one.shares.interaction, one.shares.interaction_spread)
        if one.shares.interaction and len(found.parts) > 1 and not hidden:
            alone = ", ".join(f"{_number(share.alone, '+')}" for share in one.shares.parts.values() if share.alone)
            total = _number(one.shares.change, "+")
            yield f"{name}: one at a time {alone or '0'}, together {total}: the parts act on each other"


def _percent(share: Fraction, change: Fraction) -> str:
    return f"{float(100 * share / change):.0f} %" if change else ""


def _number(value: Fraction, sign: str = "") -> str:
    if value.denominator == 1:
        return f"{int(value):{sign},}"
    if abs(value) >= 1:
        return f"{float(value):{sign},.1f}"
    return f"{float(value):{sign}.4g}"
