"""A number that a firmware printed is a figure only where its counter counted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hil.core.measurement import Missing, Trust
from hil.fvp.inference.inference import Inference
from hil.npu.pmu_events import PmuEvent
from hil.npu.pmu_record import PmuRecord
from hil.targets.fvp.figures import figures, missing_figures

COUNTERS = {"NPU TOTAL": 100, "NPU ACTIVE": 90, "NPU MAC_ACTIVE": 40, "NPU WD_STALLED": 0, "NPU own": 0, "CPU TOTAL": 7}
OPEN = Inference(
    (b"",), COUNTERS, None, "", "open", "1", "0" * 64, used_npu=True, modelled=True,
    pmu=PmuRecord(frozenset({PmuEvent.WD_STALLED}), frozenset(), {PmuEvent.MAC_ACTIVE: 40, PmuEvent.AO_ACTIVE: 5}),
)  # fmt: skip
ARM = replace(OPEN, engine="arm", modelled=False, pmu=None)


def values(inference: Inference, *events: int) -> dict[str, float]:
    return {found.name: found.value for found in figures([inference], 0, 0.0, events)}


def reasons(inference: Inference, *events: int) -> dict[str, Missing]:
    return {found.name: found.reason for found in missing_figures([inference], events)}


def test_a_counter_of_an_event_that_is_not_modelled_is_none() -> None:
    """The firmware's name `own` does not tell which of the events it is, so that it may be the one."""
    assert "wd_stalled" not in values(OPEN)
    assert "own" not in values(OPEN)
    assert values(OPEN)["mac_active"] == 40
    assert reasons(OPEN) == {"wd_stalled": Missing.NOT_MODELLED, "own": Missing.NOT_MODELLED}


def test_an_event_that_the_firmware_counted_without_printing_it_is_named() -> None:
    silent = replace(OPEN, counters={"NPU TOTAL": 100})
    assert reasons(silent) == {"wd_stalled": Missing.NOT_MODELLED}


def test_events_asked_for() -> None:
    assert values(OPEN, PmuEvent.AO_ACTIVE, PmuEvent.MAC_ACTIVE)["ao_active"] == 5
    assert reasons(OPEN, PmuEvent.AO_STALLED_BY_IB)["ao_stalled_by_ib"] is Missing.NOT_MODELLED
    assert reasons(ARM, PmuEvent.AO_ACTIVE, PmuEvent.MAC_ACTIVE) == {"ao_active": Missing.NOT_COUNTED}
    on_cpu = replace(OPEN, counters={"CPU TOTAL": 7}, used_npu=False)
    assert reasons(on_cpu, PmuEvent.AO_ACTIVE)["ao_active"] is Missing.NOT_COUNTED
    assert "ao_active" not in values(on_cpu, PmuEvent.AO_ACTIVE)


@pytest.mark.parametrize("total", [(1 << 32) - 1, 1 << 32])
def test_on_arms_fvp_a_counter_may_have_wrapped_from_so_many_cycles_on(total: int) -> None:
    long = replace(ARM, counters={"NPU TOTAL": total, "NPU ACTIVE": 90})
    assert reasons(long) == ({} if total < 1 << 32 else {"npu_active_cycles": Missing.OVERFLOWED})
    assert values(long)["npu_cycles"] == total
    assert {found.trust for found in figures([long], 0, 0.0) if found.name == "npu_cycles"} == {Trust.SIMULATED}


def test_what_the_firmware_found_wrapped_is_believed() -> None:
    told = replace(ARM, overflowed=("NPU ACTIVE",))
    assert reasons(told) == {"npu_active_cycles": Missing.OVERFLOWED}
    assert "npu_active_cycles" not in values(told)
