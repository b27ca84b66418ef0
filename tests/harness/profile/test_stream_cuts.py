"""Streams are cut between layers, never through one, and interleaved layers stay together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hil.core.measurement import Trust
from hil.harness.profile.compiled_profile import source_of
from hil.harness.profile.measured_layers import (
    MeasuredLayers,
    measured_csv,
    measured_layers,
    measured_lines,
    measured_record,
)
from hil.harness.profile.profiled_model import profile_of_compiled
from hil.harness.profile.stream_cuts import LayerPiece, cut_streams, words_of
from hil.harness.vela.compiler import Compiled, compile_model
from hil.harness.vela.settings import VelaSettings
from hil.npu.accelerator import Accelerator
from hil.npu.stream.decoder import decode_operations
from hil.npu.stream.operations import BlockOperation
from hil.targets.base import CutRun

U55 = VelaSettings("ethos-u55-128")


def cuts(int8: bytes, settings: VelaSettings) -> tuple[tuple[tuple[LayerPiece, ...], ...], Compiled]:
    compiled = compile_model(int8, settings)
    return cut_streams(compiled.model, settings, source_of(compiled, int8)), compiled


def test_each_layer_of_the_profile_is_in_one_piece(resnet: bytes) -> None:
    (pieces,), compiled = cuts(resnet, U55)
    profile = profile_of_compiled(compiled, resnet, U55, "resnet8")
    on_npu = {layer.title: layer.operations for layer in profile.layers if layer.cycles}
    assert [piece.layers for piece in pieces] == [(title,) for title in on_npu]
    assert [piece.operations for piece in pieces] == [*on_npu.values()]
    assert sum(piece.modelled_cycles for piece in pieces) > profile.cycles  # no piece overlaps with another
    assert max(piece.modelled_cycles for piece in pieces) < profile.cycles


@pytest.mark.parametrize(
    "settings",
    [VelaSettings("ethos-u55-32", options=("--optimise Size",)), VelaSettings("ethos-u65-512")],
    ids=lambda settings: settings.accelerator,
)
def test_layers_of_a_cascade_stay_together(resnet: bytes, settings: VelaSettings) -> None:
    """A piece has layers of its own alone: none of them is in two."""
    streams, compiled = cuts(resnet, settings)
    layers = [layer for stream in streams for piece in stream for layer in piece.layers]
    assert len(layers) == len(set(layers))
    if settings.options:
        assert any(len(piece.layers) > 1 for stream in streams for piece in stream)
    profile = profile_of_compiled(compiled, resnet, settings, "resnet8")
    assert {layer.title for layer in profile.layers if layer.cycles} == set(layers)


def test_streams_between_operators_of_the_cpu_are_cut_each(resnet: bytes) -> None:
    streams, _ = cuts(resnet, VelaSettings(options=("--ignore-ops ADD",)))
    assert len(streams) > 1
    titles = [layer for stream in streams for piece in stream for layer in piece.layers]
    assert not any(title.startswith("ADD") for title in titles)
    assert len(words_of(streams)) == len(streams)


def test_without_a_mapping_a_layer_is_an_operation(resnet: bytes) -> None:
    compiled = compile_model(resnet, U55, mapped=False)
    (pieces,) = cut_streams(compiled.model, U55, None)
    assert {piece.operations for piece in pieces} == {1}
    assert len(pieces) > 20
    accelerator = Accelerator.from_name("ethos-u55-128")
    for piece in pieces:
        operations = decode_operations(np.frombuffer(piece.words, "<u4").astype(np.uint32), accelerator)
        assert sum(isinstance(one, BlockOperation) for one in operations) == 1


PIECES = (
    LayerPiece(("CONV_2D 0",), 1, b"1234", 0, 90),
    LayerPiece(("CONV_2D 1", "ADD 2"), 4, b"1234", 1, 100),
    LayerPiece(("SOFTMAX 3",), 30, b"1234", 0, 50),
)
RUN = CutRun((), (((100, 102, 104), (200, 200, 200), (60, 61, 60)),), (320, 330, 325), (7, 8, 7), 1e6, Trust.MEASURED)


def found() -> MeasuredLayers:
    return measured_layers("net.tflite", "serial", [PIECES], RUN, 220)


def test_what_cutting_costs_is_stated() -> None:
    record = measured_record(found())
    assert record["trust"] == "measured"
    assert [piece["cycles"] for piece in record["pieces"]] == [102, 200, 60]
    assert [piece["spread"] for piece in record["pieces"]] == [4, 0, 1]
    assert (record["sum_cycles"], record["whole"]["cycles"]) == (362, 325)
    assert record["cutting"] == {
        "cycles": 37,
        "starts_cycles": 14,
        "extra_starts": 2,
        "start_repetitions": [7, 8, 7],
        "overlap_cycles": 23,
        "tables_loaded_again": 1,
    }
    assert record["pieces"][1]["layers"] == ["CONV_2D 1", "ADD 2"]
    assert record["whole"]["ms"] == pytest.approx(0.325)


def test_the_table_says_it_too_in_80_columns() -> None:
    lines = "\n".join(measured_lines(found(), width=80)).splitlines()
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).split())
    assert "CONV_2D 1 + ADD 2" in text
    assert "cycles are measured, medians of 3 runs" in text
    assert "cutting costs 37 cycles, 11.4 % of the whole run: 14 for 2 more starts, 23 for overlap that is lost" in text
    assert "tables that are loaded again" in text
    assert "nothing is divided among them" in text
    separate = replace(found(), pieces=found().pieces[:1], whole=(102,), start=(7,))
    once = " ".join(measured_lines(separate, width=80))
    assert "divided" not in once
    assert "cycles are measured, of one run;" in once


def test_csv_has_a_line_a_piece() -> None:
    lines = measured_csv(found()).splitlines()
    assert len(lines) == 4
    assert lines[2].startswith("CONV_2D 1 + ADD 2,CONV_2D 1 + ADD 2,4,200")
