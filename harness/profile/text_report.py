"""Text of a profile: what limits the network, the table of its layers, the legend."""

from __future__ import annotations

from collections.abc import Sequence

from hil.harness.number_format import fixed, listed
from hil.harness.profile.columns import cells, columns, kib, layer_title, share
from hil.harness.profile.layer import Placement
from hil.harness.profile.profile import Profile
from hil.harness.profile.totals import total_layer
from hil.npu.timing.error_table import error_sentence

_MOST_CAUSES = 3
_BOUND_BY = "bound by: what most of a layer's cycles wait for"


def heading(profile: Profile) -> str:
    """One line: the model, the NPU, and the figures of the whole."""
    if not profile.cycles:
        return f"{profile.name}: {profile.title}: nothing is on the NPU"
    time = f"{profile.cycles:,} cycles, {fixed([profile.ms])[0]} ms at {profile.clock_hz / 1e6:g} MHz"
    memory = f"SRAM {kib(profile.sram_bytes)} KiB, read-only data {kib(profile.read_only_bytes)} KiB"
    return f"{profile.name}: {profile.title}: {time}, {memory}"


def limit_sentence(profile: Profile) -> str:
    """Sentence on what the cycles wait for, and the layer that takes most of them."""
    if not profile.cycles:
        return ""
    most = list(profile.causes.items())[:_MOST_CAUSES]
    first, others = most[0], [f"{cause.value} {share(cycles, profile.cycles)}" for cause, cycles in most[1:]]
    beside = f", then {listed(others)}" if others else ""
    layer = max(profile.layers, key=lambda one: one.cycles)
    return (
        f"limited by {first[0].value}: {share(first[1], profile.cycles)} of the cycles{beside}; "
        f"{layer_title(layer, profile)} takes most, {share(layer.cycles, profile.cycles)}"
    )


def table(profile: Profile, *, width: int | None = None) -> str:
    """The table of the layers, with a row for the whole; layers without an operation of their own are left out."""
    from hil.harness.text_table import Column, Row, format_table

    found = columns(profile)
    shown = [layer for layer in profile.layers if layer.placement is not Placement.FUSED]
    rows = [Row(cells(layer, profile, found)) for layer in shown]
    rows.append(Row(cells(total_layer(profile), profile, found), style="bold"))
    heads = [Column(column.heading, column.number, column.rank) for column in found]
    return format_table(heads, rows, width=width)


def remarks(profile: Profile) -> list[str]:
    """Lines below the table: operators on the CPU and why, fused operators, trust and units."""
    lines = [f"{one.title} is on the CPU: {one.reason or 'no reason is known'}" for one in profile.of(Placement.CPU)]
    if fused := profile.of(Placement.FUSED):
        titles = ", ".join(layer.title for layer in fused)
        lines.append(f"no operation of its own (fused into another operator, or nothing to do): {titles}")
    if profile.by_operation:
        lines.append(
            "rows are operations of the command stream, named by their outputs: a Vela output has no debug database; "
            "hil profile of the int8 model has rows by layer"
        )
    return [*lines, *legend(profile)]


def legend(profile: Profile) -> list[str]:
    """Meaning and trust of the columns."""
    vela = "Vela: its own estimate; " if any(layer.vela_cycles is not None for layer in profile.layers) else ""
    return [
        f"{trust_sentence(profile)}; {vela}{_BOUND_BY}",
        "MAC use: multiplications a cycle of those possible; KiB: SRAM live and weights are exact, bytes read and "
        "written modelled; ratio: encoded to raw weights",
    ]


def comparison_legend(profile: Profile) -> str:
    """Meaning and trust of the columns of a comparison."""
    return f"{trust_sentence(profile)}; {_BOUND_BY}"


def trust_sentence(profile: Profile) -> str:
    """Sentence on the error of the profile's cycles."""
    return error_sentence(profile.accelerator, profile.memory_mode, profile.system_config)


def report(profile: Profile, changes: Sequence[str] = (), *, width: int | None = None) -> list[str]:
    """All lines, wrapped to the terminal's width."""
    from hil.harness.text_table import terminal_width, wrap

    width = width or terminal_width()
    top = [text for text in (heading(profile), limit_sentence(profile), *changes) if text]
    lines = [line for text in top for line in wrap(text, width)]
    below = [line for text in remarks(profile) for line in wrap(text, width)]
    return [*lines, "", table(profile, width=width), "", *below]
