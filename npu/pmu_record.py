"""Record of a PMU's work on a simulated NPU: what its counters cannot show to the firmware that reads them.

    >>> PmuRecord().with_job({0x23: 90}, selected=[0x23, 0x51], overflowed=[]).warnings()
    ['PMU event 0x51 (WD_STALLED) is not modelled: its counter reads 0']

A firmware sees a number in any case.  Who shows that number leaves it out if it is of one of these events.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from hil.npu.pmu_events import event_title


class PmuRecord(NamedTuple):
    """Events by number: those that a counter was set to and the model does not know, and those that overflowed one.

    `counts` are all modelled events of all jobs while the PMU was enabled, whether a counter was set to them or not.
    """

    not_modelled: frozenset[int] = frozenset()
    overflowed: frozenset[int] = frozenset()
    counts: Mapping[int, int] = MappingProxyType({})

    def with_job(self, counts: Mapping[int, int], selected: Iterable[int], overflowed: Iterable[int]) -> PmuRecord:
        """This record after one more job, whose counters were set to `selected`."""
        return PmuRecord(
            self.not_modelled | (set(selected) - counts.keys()),
            self.overflowed | frozenset(overflowed),
            {event: self.counts.get(event, 0) + count for event, count in counts.items()},
        )

    def warnings(self) -> list[str]:
        """A line for each event whose counter misleads."""
        return [
            *(f"{event_title(event)} is not modelled: its counter reads 0" for event in sorted(self.not_modelled)),
            *(
                f"the counter of {event_title(event)} overflowed: it reads the low bits alone"
                for event in sorted(self.overflowed)
            ),
        ]

    def as_json(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "not_modelled": sorted(self.not_modelled),
            "overflowed": sorted(self.overflowed),
            "counts": {str(int(event)): count for event, count in sorted(self.counts.items())},
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> PmuRecord:
        """Reads what `as_json` gave; raises `ValueError`, `KeyError` or `TypeError` for anything else."""
        counts = {int(event): int(count) for event, count in found["counts"].items()}
        return cls(frozenset(map(int, found["not_modelled"])), frozenset(map(int, found["overflowed"])), counts)
