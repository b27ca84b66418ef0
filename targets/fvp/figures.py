"""Figures of inferences on a Corstone-300: counters as the firmware printed them, and those that have no value.

    figures(inferences, cpu_operators=0, clock_hz=5e8, events=(PmuEvent.MAC_ACTIVE,))
    missing_figures(inferences, events)

A firmware prints the number that a counter reads, also where that is none: an event that the open FVP does not model
reads 0, a counter of 32 bits may have wrapped.  The open FVP knows both; of Arm's, the firmware's own message about the
overflow is taken, and the bound that an event counter counts at most one event a cycle.

Events beyond those that the firmware counts come from the open FVP's own record.  Arm's has none, and its firmware
cannot be told which events to count.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from hil.core.measurement import Measurement, Missing, MissingFigure, Trust
from hil.fvp.inference.inference import Inference
from hil.npu.pmu_events import COUNTER_BITS, PmuEvent, event_name, event_title
from hil.npu.timing.timing import MODELLED
from hil.targets.counters import BY_LABEL, TOTAL, counter_of

NPU = "NPU "
"""Prefix of the firmware's names of the NPU's counters."""


def figures(
    inferences: Sequence[Inference], cpu_operators: int, clock_hz: float, events: Sequence[int] = ()
) -> tuple[Measurement, ...]:
    """The median over the samples of each counter; `events` are those asked for beside the firmware's own."""
    npu_trust = Trust.MODELLED if inferences[0].modelled else Trust.SIMULATED
    if inferences[0].untrusted:
        npu_trust = Trust.UNTRUSTED
    lost = _lost(inferences)
    made = []
    for counter in inferences[0].counters:
        if counter in lost:
            continue
        values = [inference.counters.get(counter, 0) for inference in inferences]
        is_npu = counter.startswith(NPU)
        made.append(
            Measurement(
                _name(counter),
                statistics.median_low(values),
                "beats" if "BEAT" in counter else "cycles",
                npu_trust if is_npu else Trust.UNTRUSTED,
                inferences[0].untrusted if is_npu and inferences[0].untrusted else _spread(counter, values),
            )
        )
    made += _recorded(inferences, [event for event in events if event in MODELLED], npu_trust)
    cycles = next((m for m in made if m.name == TOTAL.name), None)
    if cycles is not None and clock_hz:
        note = f"NPU operators alone, at {clock_hz / 1e6:g} MHz"
        made.append(Measurement("npu_ms", cycles.value / clock_hz * 1e3, "ms", npu_trust, note))
    arena = [inference.arena_used for inference in inferences if inference.arena_used is not None]
    if arena:
        made.append(Measurement("arena_used_bytes", max(arena), "bytes", Trust.EXACT, "as the firmware reports it"))
    boots = sum(not inference.restored for inference in inferences)
    note = f"of {len(inferences)} samples; the others start where the firmware first looks at its inputs"
    made.append(Measurement("boots", boots, "boots", Trust.EXACT, note if boots < len(inferences) else "one a sample"))
    note = "run on the CPU, not in the NPU's cycles"
    return (*made, Measurement("cpu_operators", cpu_operators, "operators", Trust.EXACT, note))


def missing_figures(inferences: Sequence[Inference], events: Sequence[int] = ()) -> tuple[MissingFigure, ...]:
    """Counters that the firmware printed and that are none, events that it counted in vain, and `events` likewise."""
    found = [MissingFigure(_name(counter), reason, note) for counter, (reason, note) in _lost(inferences).items()]
    known = {figure.name for figure in found} | {_name(counter) for counter in inferences[0].counters}
    in_vain = sorted({event for one in inferences if one.pmu for event in one.pmu.not_modelled})
    for event in dict.fromkeys((*in_vain, *events)):
        name = counter_of(event).name
        if name in known:
            continue
        if not inferences[0].used_npu:
            found.append(MissingFigure(name, Missing.NOT_COUNTED, "nothing ran on the NPU"))
        elif inferences[0].pmu is None:
            found.append(MissingFigure(name, Missing.NOT_COUNTED, "the firmware counts four events of its own choice"))
        elif event not in MODELLED:
            by = "the firmware counted it and read 0" if event in in_vain else "of the open FVP's NPU"
            found.append(MissingFigure(name, Missing.NOT_MODELLED, f"{event_title(event)}, {by}"))
    return tuple(found)


def _recorded(inferences: Sequence[Inference], events: Sequence[int], trust: Trust) -> list[Measurement]:
    """Events from the open FVP's record, beside what the firmware printed."""
    printed = {_name(counter) for counter in inferences[0].counters}
    made = []
    for event in events:
        counter = counter_of(event)
        values = [one.pmu.counts.get(event, 0) for one in inferences if one.pmu and one.used_npu]
        if values and counter.name not in printed:
            note = f"PMU event {event:#x}, by the open FVP, not by its firmware"
            made.append(Measurement(counter.name, statistics.median_low(values), counter.unit, trust, note))
    return made


def _lost(inferences: Sequence[Inference]) -> dict[str, tuple[Missing, str]]:
    """Counters of the NPU, by the firmware's names, whose number is no count, and why."""
    lost: dict[str, tuple[Missing, str]] = {}
    for one in inferences:
        for counter in one.counters:
            if counter.startswith(NPU) and counter != TOTAL.label and (reason := _reason(one, counter)):
                lost[counter] = reason
    return lost


def _reason(one: Inference, counter: str) -> tuple[Missing, str] | None:
    """The reason why what the firmware printed for `counter` is no count, None if it is one."""
    event = _event(counter)
    if counter in one.overflowed:
        return Missing.OVERFLOWED, "the firmware found that its 32 bits wrapped"
    if one.pmu is None:
        wraps = one.counters.get(TOTAL.label, 0) >> COUNTER_BITS
        return (Missing.OVERFLOWED, "32 bits may have wrapped in so many cycles") if wraps else None
    if event in one.pmu.overflowed or (one.pmu.overflowed and event in (None, PmuEvent.NPU_IDLE)):
        return Missing.OVERFLOWED, "a counter of 32 bits wrapped"
    if event in one.pmu.not_modelled or (one.pmu.not_modelled and event is None):
        names = ", ".join(event_name(number) for number in sorted(one.pmu.not_modelled))
        return (
            Missing.NOT_MODELLED,
            f"the firmware counted {names}, which the open FVP's NPU does not model, and read 0",
        )
    return None


def _event(counter: str) -> int | None:
    """The PMU event behind a firmware's name of a counter, None if the name does not tell.

    NPU IDLE is, in Arm's runner, the difference of two others.
    """
    if counter in BY_LABEL:
        return BY_LABEL[counter].event
    bare = counter.removeprefix(NPU)
    return PmuEvent[bare] if bare in PmuEvent.__members__ else None


def _name(counter: str) -> str:
    """The figure's name of a counter that the firmware printed."""
    if counter in BY_LABEL:
        return BY_LABEL[counter].name
    event = _event(counter) if counter.startswith(NPU) else None
    return "_".join(counter.lower().removeprefix(NPU.lower()).split()) if event is None else counter_of(event).name


def _spread(counter: str, values: Sequence[int]) -> str:
    if min(values) == max(values):
        return counter
    return f"{counter}, median of {len(values)} samples, {min(values)} to {max(values)}"
