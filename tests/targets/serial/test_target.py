"""`serial` on the virtual board has bytes and cycles of `sim`, over a pty and over TCP, also after faults."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from hil.core.arrays import Array
from hil.core.errors import BadInputError, CounterError, JobError, MismatchError, UnavailableError, UntrustedError
from hil.core.measurement import Missing, Trust
from hil.core.npu_config import NpuConfig
from hil.fvp.machine import qemu
from hil.fvp.virtual_board.process import VirtualBoard
from hil.harness.evaluation.cost import latency_of
from hil.harness.vela.compiler import compile_model
from hil.harness.vela.settings import VelaSettings
from hil.npu.program import decode
from hil.npu.stream.payload import parse_payload
from hil.npu.stream.pieces import STOP, cut, separable_groups
from hil.npu.timing.cycles import cycles
from hil.npu.timing.memory_system import MemorySystem
from hil.npu.vela_output import SCRATCH, SCRATCH_FAST
from hil.targets import create
from hil.targets.base import CutRun, CutsStreams, Deployable, Run, Target
from hil.targets.boards import BoardLostError
from hil.targets.boards.virtual import start
from hil.targets.execution.graph import read_graph
from hil.targets.execution.signature import read_signature
from hil.targets.firmware.build import build
from hil.targets.link import JobResult, Link, Outcome, Region, open_channel
from hil.targets.link.wire import RegionKind
from hil.targets.serial.monitor.board_npu import BoardNpu, Counts, status_words
from hil.targets.serial.monitor.figures import EVENTS, Clocks, Series, figures, missing_figures
from hil.targets.serial.monitor.memory_layout import Block, lay_out, npu_steps
from hil.targets.serial.monitor.resumable_run import check_same_outputs

Made = Callable[[str], bytes]
SHARED = ["ad01_int8", "kws_micronet_m", "kws_ref_int8", "resnet8_int8"]


@pytest.fixture(scope="module", autouse=True)
def parts(missing: Callable[[object], NoReturn]) -> None:
    """QEMU, and a compiler for the firmware."""
    try:
        qemu.version()
        build()
    except UnavailableError as error:
        missing(error)


@pytest.fixture(scope="module")
def plugged() -> Iterator[VirtualBoard]:
    """A virtual board on a TCP port, started outside of the target."""
    with start(tcp=0) as board:
        yield board


@pytest.fixture(scope="module")
def on_tcp(plugged: VirtualBoard) -> Iterator[Target]:
    with contextlib.closing(create("serial", board=f"mps3_an547@{plugged.url}", repetitions=3, warmups=1)) as target:
        yield target


@pytest.fixture(scope="module")
def on_pty() -> Iterator[Target]:
    with contextlib.closing(create("serial", board="virtual", repetitions=3, warmups=1)) as target:
        yield target


def _inputs(int8: bytes, samples: int) -> list[Array]:
    generator = np.random.default_rng(0)
    specs = read_signature(int8).inputs
    return [generator.integers(-128, 128, (samples, *spec.sample_shape)).astype(spec.dtype) for spec in specs]


def _compiled(int8: bytes, *options: str, accelerator: str = "ethos-u55-128") -> Deployable:
    return Deployable(
        int8, compile_model(int8, VelaSettings(accelerator, options=options)).model, NpuConfig(accelerator)
    )


def _check_same(got: Run, expected: Run) -> None:
    """Outputs bit by bit, and each counter of the NPU that both have."""
    for left, right in zip(got.outputs, expected.outputs, strict=True):
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)
    counted, modelled = ({m.name: m for m in run.measurements} for run in (got, expected))
    for name in ("npu_cycles", "npu_active_cycles", "npu_idle_cycles", "axi0_read_beats", "axi1_read_beats", "npu_ms"):
        assert counted[name].value == modelled[name].value
        assert counted[name].trust is Trust.MODELLED


@pytest.mark.parametrize("name", SHARED)
@pytest.mark.parametrize("way", ["on_pty", pytest.param("on_tcp", marks=pytest.mark.nightly)])
def test_shared_models_are_exact(request: pytest.FixtureRequest, shared_models: Path, way: str, name: str) -> None:
    int8 = (shared_models / f"{name}.tflite").read_bytes()
    model, inputs = _compiled(int8), _inputs(int8, 3)
    _check_same(request.getfixturevalue(way).run(model, inputs), create("sim").run(model, inputs))


def test_events_are_counted_by_as_many_passes_as_the_counters_need(on_pty: Target, made: Made) -> None:
    """Each event is what `sim` says; those that are not modelled are no zeros."""
    model, inputs = _compiled(made("mixed"), "--ignore-ops LEAKY_RELU"), _inputs(made("mixed"), 2)
    events = (
        "MAC_ACTIVE",
        "AO_ACTIVE",
        "MAC_ACTIVE_8BIT",
        "AXI0_RD_TRANS_ACCEPTED",
        "WD_ACTIVE",
        "0x184",
        "NPU_ACTIVE",
    )
    with contextlib.closing(create("serial", board="virtual", repetitions=2, warmups=0, events=events)) as target:
        got = target.run(model, inputs)
    expected = create("sim", events=events).run(model, inputs)
    _check_same(got, expected)
    counted, modelled = ({m.name: m for m in run.measurements} for run in (got, expected))
    for name in ("mac_active", "ao_active", "mac_active_8bit", "axi0_rd_trans_accepted", "axi1_wr_trans_accepted"):
        assert (counted[name].value, counted[name].unit) == (modelled[name].value, modelled[name].unit)
        assert counted[name].trust is Trust.MODELLED
        assert len(counted[name].repetitions) == 2
    assert counted["mac_active"].note == "PMU event 0x30, pass 1 of 2"
    assert [(found.name, found.reason) for found in got.missing] == [("wd_active", Missing.NOT_MODELLED)]
    assert [found.name for found in expected.missing] == ["wd_active"]


def test_a_counter_that_wrapped_on_the_board_is_no_figure(on_pty: Target, made: Made, glacier: NpuConfig) -> None:
    int8 = made("two")
    model = Deployable(int8, compile_model(int8, VelaSettings(**asdict(glacier))).model, glacier)
    got, expected = on_pty.run(model, _inputs(int8, 1)), create("sim").run(model, _inputs(int8, 1))
    counted, modelled = ({m.name: m for m in run.measurements} for run in (got, expected))
    assert counted["npu_cycles"].value == modelled["npu_cycles"].value > 1 << 32
    assert counted["axi1_read_beats"].value == modelled["axi1_read_beats"].value
    assert "npu_active_cycles" not in counted
    assert [(found.name, found.reason) for found in got.missing] == [("npu_active_cycles", Missing.OVERFLOWED)]


def test_other_outputs_in_a_pass_are_an_error(made: Made) -> None:
    first = (np.array([[1, 2, 3]], np.int8), np.zeros((1, 4), np.int8))
    check_same_outputs(first, first, "desk")
    with pytest.raises(MismatchError, match="desk: 1 of 7 output elements"):
        check_same_outputs((np.array([[1, 2, 4]], np.int8), first[1]), first, "desk")


def test_what_a_counter_of_an_older_firmware_may_have_lost_is_no_figure() -> None:
    job = JobResult(Outcome.DONE, 0, 0, 1 << 32, (5, 6, 7, 8), 1, 0, 0, 0)
    counts = Counts.of([job], EVENTS)
    series = Series([counts], Counts(0, (5, 6), 0), 0)
    found = {m.name for m in figures(series, Clocks(32e6, 32e6, "as the firmware says"), virtual=False)}
    assert {one.name for one in missing_figures(series, virtual=False)} == {
        *("npu_active_cycles", "axi0_read_beats", "axi0_write_beats", "axi1_read_beats")
    }
    assert {"npu_cycles", "npu_idle_cycles"} <= found
    with pytest.raises(CounterError, match="48 bits"):
        Counts.of([dataclasses.replace(job, overflow=1 << 31)], EVENTS)


def _cut_run(target: Target, model: Deployable, inputs: list[Array]) -> tuple[CutRun, list[list[int]]]:
    """A run with an operation a piece, and the timing model's cycles of the same pieces."""
    graph, memory, pieces, expected = read_graph(model.compiled or b""), MemorySystem.of(model.npu), [], []
    for step in npu_steps(graph):
        stream = graph.model.main.tensors[step.operator.command_stream].data
        accelerator, words = parse_payload(b"" if stream is None else stream)
        operations = step.program.operations
        found = [piece.words for piece in cut(words, operations, separable_groups(operations, range(len(operations))))]
        aliases = {} if step.fast_bytes else {SCRATCH_FAST: SCRATCH}
        pieces.append([piece.astype("<u4").tobytes() for piece in found])
        expected.append([cycles(decode(piece, accelerator, {}, aliases), memory).total for piece in found])
    assert isinstance(target, CutsStreams)
    return target.run_cut(model, inputs, pieces), expected


@pytest.mark.parametrize("memory", ["usual", pytest.param("with_dram", marks=pytest.mark.nightly)])
def test_pieces_of_streams_give_the_outputs_and_the_cycles_of_the_model(
    on_pty: Target, made: Made, with_dram: NpuConfig, memory: str
) -> None:
    int8, npu = made("mixed"), with_dram if memory == "with_dram" else NpuConfig()
    settings = VelaSettings(**asdict(npu), options=("--ignore-ops LEAKY_RELU",))
    model, inputs = Deployable(int8, compile_model(int8, settings).model, npu), _inputs(int8, 1)
    run, expected = _cut_run(on_pty, model, inputs)
    assert [[counts[0] for counts in stream] for stream in run.pieces] == expected
    assert all(len(set(counts)) == 1 and len(counts) == 3 for stream in run.pieces for counts in stream)
    whole = create("sim").run(model, inputs)
    assert set(run.whole) == {whole.measurements[0].value}
    assert sum(map(sum, expected)) > run.whole[0]
    for got, right in zip(run.outputs, whole.outputs, strict=True):
        np.testing.assert_array_equal(got, right)
    assert (run.trust, run.start) == (Trust.MODELLED, (0, 0, 0))
    assert run.identity["hardware"] == "mps3_an547, virtual"


def test_a_piece_that_is_left_out_shows_in_the_outputs(on_pty: Target, made: Made) -> None:
    """Memory is overwritten before, so that the outputs of the uncut run are not there any more."""
    model, inputs = _compiled(made("two")), _inputs(made("two"), 1)
    assert isinstance(on_pty, CutsStreams)
    with pytest.raises(MismatchError, match=r"virtual, piece by piece: \d+ of \d+ output elements"):
        on_pty.run_cut(model, inputs, [[STOP.to_bytes(4, "little")]])


def test_operators_between_run_on_the_host(on_pty: Target, made: Made) -> None:
    model, inputs = _compiled(made("mixed"), "--ignore-ops CONCATENATION,LEAKY_RELU"), _inputs(made("mixed"), 3)
    got, expected = on_pty.run(model, inputs), create("sim").run(model, inputs)
    _check_same(got, expected)
    count = [next(m.value for m in run.measurements if m.name == "cpu_operators") for run in (got, expected)]
    assert count[0] == count[1] > 0
    assert "on the host" in got.identity["cpu_engine"]


def test_two_inputs_and_two_outputs(on_tcp: Target, made: Made) -> None:
    model, inputs = _compiled(made("two")), _inputs(made("two"), 2)
    _check_same(on_tcp.run(model, inputs), create("sim").run(model, inputs))


def test_state_is_fresh_for_each_sample_unless_it_is_kept(plugged: VirtualBoard, on_tcp: Target, made: Made) -> None:
    on_tcp.close()  # The port is held by one at a time.
    int8 = made("variable")
    model, inputs = _compiled(int8), [np.repeat(array, 3, axis=0) for array in _inputs(int8, 1)]
    seen = []
    for kept in (False, True):
        with contextlib.closing(
            create("serial", board=f"mps3_an547@{plugged.url}", repetitions=1, warmups=0, keep_state=kept)
        ) as target:
            got = target.run(model, inputs)
        _check_same(got, create("sim", keep_state=kept).run(model, inputs))
        seen.append(got.outputs[0])
    assert (seen[0] == seen[0][:1]).all()
    assert (seen[1] != seen[0]).any()


def test_a_fast_memory_of_its_own(on_pty: Target, made: Made, with_dram: NpuConfig) -> None:
    """The virtual board is made anew, for another memory system."""
    int8 = made("mixed")
    model = Deployable(int8, compile_model(int8, VelaSettings(**asdict(with_dram))).model, with_dram)
    got = on_pty.run(model, _inputs(int8, 2))
    _check_same(got, create("sim").run(model, _inputs(int8, 2)))
    assert next(m.value for m in got.measurements if m.name == "npu_clock") == 400e6


@pytest.mark.parametrize("mode", ["Sram_Only", "Shared_Sram"])
def test_everything_lies_where_the_memory_mode_says(made: Made, mode: str) -> None:
    compiled = compile_model(made("mixed"), VelaSettings(memory_mode=mode)).model
    graph, memory = read_graph(compiled), MemorySystem.of(NpuConfig(memory_mode=mode))
    layout = lay_out(graph, memory, _regions(1 << 20))
    slow = 0x7000_0000 if mode == "Shared_Sram" else 0x3100_0000
    assert layout.arena & 0xFF00_0000 == 0x3100_0000
    assert all(block.address & 0xFF00_0000 == slow & 0xFF00_0000 for block in layout.blocks)
    ends = sorted([(b.address, b.address + len(b.data)) for b in layout.blocks])
    ends = sorted([*ends, (layout.arena, layout.arena + layout.arena_bytes)])
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(ends))
    assert not any(start % 16 for start, _ in ends)


def test_what_does_not_fit_is_named_with_its_bytes(made: Made) -> None:
    graph = read_graph(_compiled(made("mixed")).compiled or b"")
    memory = MemorySystem.of(NpuConfig())
    with pytest.raises(BadInputError, match=r"the arena of the model, [\d,]+ bytes, .*SRAM: free there are isram 64"):
        lay_out(graph, memory, _regions(64))
    with pytest.raises(BadInputError, match=r"the weights of the model, [\d,]+ bytes, .*DRAM or FLASH: it has none"):
        lay_out(graph, memory, _regions(1 << 20)[:1])


def _regions(sram: int) -> list[Region]:
    return [
        Region("isram", RegionKind.SRAM, 0x3100_0000, sram, writable=True, npu_visible=True),
        Region("hidden", RegionKind.SRAM, 0x3000_0000, 1 << 20, writable=True, npu_visible=False),
        Region("ddr", RegionKind.DRAM, 0x7000_0000, 1 << 20, writable=True, npu_visible=True),
    ]


def test_a_board_with_another_npu_is_refused_before_anything_is_written(made: Made) -> None:
    model = _compiled(made("two"), accelerator="ethos-u55-256")
    with (
        start(tcp=0) as board,
        contextlib.closing(create("serial", board=f"mps3_an547@{board.url}")) as target,
    ):
        with pytest.raises(BadInputError, match="compiled for ethos-u55-256, mps3_an547 has ethos-u55-128"):
            target.run(model, _inputs(made("two"), 1))
        target.close()
        with Link(open_channel(board.url)) as link:
            assert link.read(0x7000_0000, 4096) == link.read(0x3100_0000, 4096) == bytes(4096)


def test_a_board_that_loses_power_is_got_back_and_the_outputs_are_right(made: Made) -> None:
    model, inputs = _compiled(made("two")), _inputs(made("two"), 3)
    with (
        start(tcp=0) as board,
        contextlib.closing(create("serial", board=f"mps3_an547@{board.url}", repetitions=1)) as target,
    ):
        got = target.run(model, inputs, progress=lambda done, of: board.power_cycle() if done == 1 else None)
    _check_same(got, create("sim").run(model, inputs))
    assert next(m.value for m in got.measurements if m.name == "recoveries") == 1


def test_a_board_that_is_killed_is_out_of_order_for_good(tmp_path: Path, made: Made) -> None:
    model, inputs, desk = _compiled(made("two")), _inputs(made("two"), 3), tmp_path / "desk.toml"
    with start(tcp=0) as board:
        desk.write_text(f'based_on = "mps3_an547"\n[port]\nurl = "{board.url}"\n[reset]\nboot_s = 0.5\n')
        with contextlib.closing(create("serial", board=str(desk), repetitions=1)) as target:
            with pytest.raises(BoardLostError, match="desk is lost"):
                target.run(model, inputs, progress=lambda done, of: os.kill(board.pid, signal.SIGKILL))
            with pytest.raises(BoardLostError, match="out of order"):
                target.run(model, inputs)


def test_a_job_that_fails_says_what_the_npu_said(plugged: VirtualBoard, on_tcp: Target, made: Made) -> None:
    on_tcp.close()  # The port is held by one at a time.
    graph = read_graph(_compiled(made("two")).compiled or b"")
    memory = MemorySystem.of(NpuConfig())
    layout = lay_out(graph, memory, _regions(1 << 20))
    broken = dataclasses.replace(layout, streams=tuple(Block(s.address, b"\xff" * 64) for s in layout.streams))
    with Link(open_channel(plugged.url)) as link:
        npu = BoardNpu(link, broken, npu_steps(graph), 1000)
        npu.upload()
        with pytest.raises(JobError, match=r"cannot parse in command stream 0.*the stream cannot be parsed"):
            npu.measure(())
    assert "bus error" in status_words(0x4)


def test_percentiles_are_values_that_were_measured_and_only_hardware_measures() -> None:
    runs = [Counts(cycles, (1, 2, 3, 4), 64 * cycles) for cycles in range(100, 0, -1)]
    series = Series(runs, Counts(0, (5, 6), 0), 2)
    found = {m.name: m for m in figures(series, Clocks(32e6, 32e6, "as the firmware says"), virtual=False)}
    assert [found[f"npu_cycles{end}"].value for end in ("", "_p95", "_p99", "_spread")] == [50, 95, 99, 99]
    assert found["wall_ms_p95"].value == pytest.approx(95 * 64 / 32e3)
    assert {m.trust for m in found.values()} == {Trust.MEASURED}
    assert "at 32 MHz" in found["npu_cycles"].note
    virtual = {m.name: m.trust for m in figures(series, Clocks(5e8, 32e6, "of Vela"), virtual=True)}
    assert virtual.pop("wall_ms") is virtual.pop("wall_ms_p99") is Trust.UNTRUSTED
    assert virtual["npu_cycles"] is Trust.MODELLED


def test_a_latency_is_at_the_clock_of_the_board_and_leaves_no_operator_out(made: Made) -> None:
    series = Series([Counts(32_000, (1, 2, 3, 4), 1)], Counts(0, (5, 6), 0), 0)
    run = Run((), figures(series, Clocks(32e6, 32e6, "as the firmware says"), virtual=False))
    whole, part = (
        compile_model(made("two"), VelaSettings(options=options)).summary for options in ((), ("--ignore-ops ADD",))
    )
    assert latency_of(run, whole, "serial").ms == pytest.approx(1.0)
    latency = latency_of(run, part, "serial")
    assert latency.npu_ms == pytest.approx(1.0)
    with pytest.raises(UntrustedError, match="1 operators run on the CPU"):
        print(latency.ms)


def test_a_virtual_board_is_told_by_whatever_name_it_is_reached(on_tcp: Target) -> None:
    assert on_tcp.identity()["hardware"] == "mps3_an547, virtual"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "no board is named"),
        ({"board": "nobody"}, "no board is called 'nobody'"),
        ({"board": "virtual", "repetitions": 0}, "0 repetitions"),
    ],
)
def test_wrong_use_starts_nothing(monkeypatch: pytest.MonkeyPatch, options: dict[str, object], message: str) -> None:
    monkeypatch.delenv("HIL_BOARD", raising=False)
    with pytest.raises(BadInputError, match=message):
        create("serial", **options)
