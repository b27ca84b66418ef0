"""Settings, changes, comparison and trace: what fits is compiled, and every claim is a modelled figure."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hil.harness.profile.changes import effect_sentence, effects, possible_changes
from hil.harness.profile.comparison import compare, comparison_lines
from hil.harness.profile.modelled_cost import ModelledCost, Setting, costs, modelled_cost
from hil.harness.profile.npu_settings import all_settings, memory_modes
from hil.harness.profile.profile import Profile
from hil.harness.profile.sweep import SweepRow, front, sweep
from hil.harness.profile.sweep_table import progress_line, remarks, sweep_csv, sweep_lines
from hil.harness.profile.trace_events import trace_json
from hil.harness.vela.settings import VelaSettings

U55 = VelaSettings("ethos-u55-128", options=("--ignore-ops AVERAGE_POOL_2D",))


def test_all_settings_are_those_that_vela_takes() -> None:
    found = list(all_settings())
    names = {(one.accelerator, one.memory_mode, one.system_config) for one in found}
    assert len(found) == 2 * len(names)  # each with both strategies
    assert {one.accelerator for one in found} == {
        *(f"ethos-u55-{macs}" for macs in (32, 64, 128, 256)),
        *(f"ethos-u65-{macs}" for macs in (256, 512)),
    }
    assert not any("u55" in accelerator and "Dedicated" in mode for accelerator, mode, _ in names)
    assert ("ethos-u65-512", "Dedicated_Sram", "Ethos_U65_High_End") in names
    assert memory_modes(U55) == ("Sram_Only", "Shared_Sram")
    own = [one.options for one in all_settings(options=("--optimise Size",))]
    assert set(own) == {("--optimise Size",)}


def test_every_claim_is_modelled(resnet: bytes, profile: Profile) -> None:
    changes = possible_changes(resnet, U55, {"same": resnet})
    assert [(change.kind, change.name) for change in changes] == [
        ("memory mode", "Sram_Only"),
        ("MAC count", "ethos-u55-256"),
        ("MAC count", "ethos-u55-64"),
        ("Vela option", "--optimise Size"),
        ("technique", "same"),
    ]
    found = effects(changes, "resnet8", jobs=2)
    for change, effect in zip(changes, found, strict=True):
        assert effect.change is change
    larger = modelled_cost(resnet, replace(U55, accelerator="ethos-u55-256"), "resnet8")
    assert found[1].outcome == larger
    sentence = effect_sentence(profile, found)
    assert f"faster with ethos-u55-256 {100 * (larger.cycles / profile.cycles - 1):+.1f} %" in sentence
    assert sentence.endswith("no change with same")
    only = found[0].outcome
    assert isinstance(only, ModelledCost)
    assert only.sram_bytes >= only.read_only_bytes  # Sram_Only has the weights in SRAM too
    assert only.flash_bytes == 0


def test_a_setting_that_cannot_be_compiled_has_its_reason(resnet: bytes) -> None:
    wanted = [Setting(resnet, VelaSettings(options=("--arena-cache-size=x",))), Setting(resnet, VelaSettings())]
    found = dict(costs(wanted, "resnet8", jobs=1))
    assert "does not take these settings" in str(found[0])
    assert isinstance(found[1], ModelledCost)
    rows = [SweepRow(place, one.settings, found[place]) for place, one in enumerate(wanted)]
    assert front(rows) == {1}
    assert any("not compiled" in line for line in sweep_lines("resnet8", rows, 80))


def test_a_sweep_has_a_row_for_each_setting(resnet: bytes) -> None:
    chosen = [one for one in all_settings() if one.accelerator == "ethos-u55-256" and "Deep" in one.system_config]
    rows = list(sweep(resnet, chosen, "resnet8", jobs=2))
    assert sorted(row.place for row in rows) == list(range(4))
    assert all(row.settings is chosen[row.place] for row in rows)
    costs_of = {(row.settings.memory_mode, row.options): row.cost for row in rows}
    size, speed = (costs_of["Shared_Sram", f"--optimise {one}"] for one in ("Size", "Performance"))
    assert size is not None
    assert speed is not None
    assert size.sram_bytes < speed.sram_bytes
    assert size.cycles > speed.cycles
    lines = "\n".join(sweep_lines("resnet8", rows, 80)).splitlines()
    assert max(map(len, lines)) <= 80
    assert sum("*" in line and "u55-256" in line for line in lines) == len(front(rows))
    legend = " ".join(lines)
    assert "in Shared_Sram with Ethos_U55_High_End_Embedded" in " ".join(legend.split())  # where the error was found
    assert "CPU:" not in legend  # there is no such column
    assert sweep_csv(rows).count("\n") == 5


def test_a_sweep_says_in_which_memories_its_error_was_found() -> None:
    npus = [VelaSettings("ethos-u55-128"), VelaSettings("ethos-u55-128", system_config="Ethos_U55_No_Adapters")]
    rows = [SweepRow(place, npu, "failed") for place, npu in enumerate((*npus, VelaSettings("ethos-u65-256")))]
    assert remarks(rows)[1:4] == [
        "cycles of ethos-u55-128: modelled: -3.0 % to -0.3 % against Arm's FVP, on 4 networks in Shared_Sram with "
        "Ethos_U55_High_End_Embedded",
        "cycles of ethos-u55-128: modelled: -2.0 % to +0.2 % against Arm's FVP, on 4 networks in Shared_Sram with "
        "Ethos_U55_No_Adapters",
        "cycles of ethos-u65-256: modelled, never compared with the FVP",
    ]


def test_a_line_for_each_row_that_is_done_fits_80_columns() -> None:
    npu = VelaSettings("ethos-u65-512", "Dedicated_Sram_512KB", options=("--optimise Performance",))
    row = SweepRow(0, npu, ModelledCost(12_345_678, 1e9, 0, 0, 0, 0, 0))
    line = progress_line(row, 100, 192)
    assert line == "[100/192] u65-512, Dedicated_512KB, High_End, Perf: 12,345,678 cycles, 12.346 ms"
    assert len(line) <= 80


def test_a_comparison_explains_its_own_columns_alone(profile: Profile) -> None:
    text = " ".join("\n".join(comparison_lines(profile, profile, 80)).split())
    assert "bound by: what most" in text
    assert "Vela" not in text
    assert "left out at 80 columns: encoded weights, weights in other;" in text


def test_layers_are_matched_by_output_then_by_place(profile: Profile) -> None:
    assert all(pair.change == 0 and pair.this == pair.other for pair in compare(profile, profile))
    renamed = replace(profile, layers=tuple(replace(layer, name=f"new/{layer.name}") for layer in profile.layers))
    assert [pair.title for pair in compare(profile, renamed)] == [pair.title for pair in compare(profile, profile)]
    shorter = replace(profile, layers=profile.layers[1:])
    pairs = compare(shorter, profile)
    assert [pair.title for pair in pairs if pair.this is None] == ["CONV_2D 0"]


def test_a_trace_has_tracks_of_complete_events(profile: Profile) -> None:
    events = json.loads(trace_json(profile))["traceEvents"]
    names = {event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"}
    assert set(names.values()) == {"NPU", "DMA", "wait"}
    timed = [event for event in events if event["ph"] == "X"]
    assert {event["ph"] for event in events} == {"M", "X"}
    assert all(event["dur"] >= 0 and event["ts"] >= 0 and event["pid"] == 1 for event in timed)
    assert max(event["ts"] + event["dur"] for event in timed) == pytest.approx(1e3 * profile.ms)
    for track in names:  # one after another on a track, as viewers need it
        ends = 0.0
        for event in sorted((event for event in timed if event["tid"] == track), key=lambda event: event["ts"]):
            assert event["ts"] >= ends - 1e-9
            ends = event["ts"] + event["dur"]
