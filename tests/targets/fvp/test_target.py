"""`fvp` boots Arm's firmware for every sample and returns its outputs and counters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import NoReturn

import numpy as np
import pytest

from hil.core.arrays import Array
from hil.core.errors import BadInputError, BootError, HangError, UnavailableError
from hil.core.measurement import Missing, Trust
from hil.core.npu_config import NpuConfig
from hil.harness.vela.compiler import compile_model
from hil.harness.vela.settings import VelaSettings
from hil.targets import create
from hil.targets.base import Deployable, Target
from hil.targets.execution.signature import read_signature

Made = Callable[[str], bytes]


@pytest.fixture
def fvp(missing: Callable[[object], NoReturn]) -> Target:
    target = create("fvp", engine="open")
    try:
        target.identity()
    except UnavailableError as error:
        missing(error)
    return target


def random_inputs(int8: bytes, samples: int) -> list[Array]:
    generator = np.random.default_rng(0)
    specs = read_signature(int8).inputs
    return [generator.integers(-128, 128, (samples, *spec.sample_shape)).astype(spec.dtype) for spec in specs]


@pytest.mark.parametrize(("name", "options"), [("two", ()), ("mixed", ("--ignore-ops LEAKY_RELU,LOGISTIC",))])
def test_the_firmware_computes_what_sim_and_host_do(
    fvp: Target, made: Made, name: str, options: tuple[str, ...]
) -> None:
    int8 = made(name)
    compiled = compile_model(int8, VelaSettings(options=options))
    model = Deployable(int8, compiled.model)
    inputs = random_inputs(int8, 3)
    told: list[tuple[int, int]] = []
    run = fvp.run(model, inputs, progress=lambda done, of: told.append((done, of)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    sim = create("sim").run(model, inputs)
    host = create("host").run(model, inputs)
    for got, left, right in zip(run.outputs, sim.outputs, host.outputs, strict=True):
        np.testing.assert_array_equal(got, left)
        np.testing.assert_array_equal(got, right)
    measured = {m.name: m for m in run.measurements}
    modelled = {m.name: m for m in sim.measurements}
    for figure in ("npu_cycles", "axi0_read_beats", "axi1_read_beats", "cpu_operators"):
        assert measured[figure].value == modelled[figure].value
        assert measured[figure].unit == modelled[figure].unit
    assert measured["npu_cycles"].trust is Trust.MODELLED
    assert measured["arena_used_bytes"].value >= compiled.summary.sram_bytes
    assert run.log.count("--- sample") == 3
    assert "program terminating" in run.log
    assert run.identity["engine"] == "open"
    assert len(run.identity["firmware"]) == 64


def test_a_model_that_vela_has_not_seen_runs_on_the_cpu(fvp: Target, made: Made) -> None:
    model = Deployable(made("two"), None)
    inputs = random_inputs(made("two"), 2)
    run = fvp.run(model, inputs)
    for got, expected in zip(run.outputs, create("host").run(model, inputs).outputs, strict=True):
        np.testing.assert_array_equal(got, expected)
    assert not any(m.name.startswith("npu") for m in run.measurements)
    assert all(m.trust in (Trust.UNTRUSTED, Trust.EXACT) for m in run.measurements)
    assert run.identity["npu"] == "none: the firmware's CPU kernels"


def test_an_lstm_on_the_npu_equals_the_firmwares_own_kernels(fvp: Target, made: Made) -> None:
    """TFLite's LSTM is not TFLite Micro's, which looks sigmoid and tanh up in tables, as the NPU does.

    Outputs of the two differ by one step here and there, so the firmware's kernels are the reference.
    """
    int8 = made("lstm")
    model = Deployable(int8, compile_model(int8, VelaSettings()).model)
    inputs = random_inputs(int8, 4)
    expected = fvp.run(Deployable(int8, None), inputs).outputs[0]
    np.testing.assert_array_equal(create("sim").run(model, inputs).outputs[0], expected)
    np.testing.assert_array_equal(fvp.run(model, inputs).outputs[0], expected)


def test_bad_input_is_refused_before_anything_boots(fvp: Target, made: Made) -> None:
    compiled = compile_model(made("two"), VelaSettings("ethos-u55-64")).model
    inputs = random_inputs(made("two"), 1)
    with pytest.raises(BadInputError, match="compiled for ethos-u55-64, and ethos-u55-128 is to run it"):
        fvp.run(Deployable(None, compiled), inputs)
    with pytest.raises(BadInputError, match="takes 2 inputs"):
        fvp.run(Deployable(made("two"), None), inputs[:1])
    with pytest.raises(BadInputError, match="is a float model: FULLY_CONNECTED 0"):
        fvp.run(Deployable(made("floats"), None), [np.zeros((1, 4), np.float32)])
    with pytest.raises(BadInputError, match="no engine is called 'fast'"):
        create("fvp", engine="fast").identity()


def test_a_memory_that_the_firmware_does_not_set_up_is_refused(fvp: Target, made: Made, with_dram: NpuConfig) -> None:
    compiled = compile_model(made("two"), VelaSettings(**asdict(with_dram))).model
    with pytest.raises(BadInputError, match="compiled for Dedicated_Sram"):
        fvp.run(Deployable(made("two"), compiled, with_dram), random_inputs(made("two"), 1))


def test_what_the_firmware_cannot_do_is_said_in_its_words(fvp: Target, made: Made) -> None:
    compiled = compile_model(made("variable"), VelaSettings()).model
    with pytest.raises(BadInputError, match="requires resource variables") as caught:
        fvp.run(Deployable(made("variable"), compiled), random_inputs(made("variable"), 2))
    assert "\n" not in str(caught.value)


def test_a_sample_that_does_not_end_is_ended(fvp: Target, made: Made) -> None:
    hasty = create("fvp", engine="open", time_limit_s=0.05)
    # Whether the firmware printed anything in that time is up to the machine.
    with pytest.raises((HangError, BootError), match=r"for 0\.05 s"):
        hasty.run(Deployable(made("mixed"), None), random_inputs(made("mixed"), 1))


def test_a_counter_that_wrapped_is_no_figure(fvp: Target, made: Made, glacier: NpuConfig) -> None:
    """Operations that wait for such a flash take more than the 2^32 cycles that a counter of events holds."""
    model = Deployable(made("two"), compile_model(made("two"), VelaSettings(**asdict(glacier))).model, glacier)
    run = fvp.run(model, random_inputs(made("two"), 2))
    values = {found.name: found.value for found in run.measurements}
    assert values["npu_cycles"] == create("sim").run(model, random_inputs(made("two"), 1)).measurements[0].value > 2**32
    assert "axi1_read_beats" in values
    assert {(found.name, found.reason) for found in run.missing} == {
        ("npu_active_cycles", Missing.OVERFLOWED),
        ("npu_idle_cycles", Missing.OVERFLOWED),
    }
    assert not {"npu_active_cycles", "npu_idle_cycles"} & values.keys()


def test_events_asked_for_are_those_of_sim(made: Made, missing: Callable[[object], NoReturn]) -> None:
    model = Deployable(made("two"), compile_model(made("two"), VelaSettings()).model)
    inputs = random_inputs(made("two"), 2)
    events = ("mac_active", "AO_ACTIVE", "axi1_rd_trans_accepted", "0x187", "WD_STALLED", "0x99", "NPU_ACTIVE")
    found = {}
    for name, options in (("sim", {}), ("fvp", {"engine": "open"})):
        try:
            run = create(name, events=events, **options).run(model, inputs)
        except UnavailableError as error:
            missing(error)
        counts = [m for m in run.measurements if m.trust is Trust.MODELLED and m.unit != "ms"]
        found[name] = {m.name: (m.value, m.unit) for m in counts}, {(one.name, one.reason) for one in run.missing}
    assert found["sim"] == found["fvp"]
    values, without = found["sim"]
    assert {
        "mac_active",
        "ao_active",
        "axi1_rd_trans_accepted",
        "axi1_write_beats",
        "npu_active_cycles",
    } <= values.keys()
    assert values["mac_active"][0] > 0
    assert without == {("wd_stalled", Missing.NOT_MODELLED), ("pmu_event_0x099", Missing.NOT_MODELLED)}
    with pytest.raises(BadInputError, match="no PMU event is called 'WD_STALL'"):
        create("sim", events=("WD_STALL",))
