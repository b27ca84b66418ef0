"""Modelled cycles and AXI beats beside an FVP's published figures and Vela's estimate.

    HIL_TEST_DATA=DIR python -m benchmarks.timing_error --install        # two minutes, and Vela 5.0.0 by pip once
    HIL_TEST_DATA=DIR python -m benchmarks.timing_error --ablation

`DIR/reference/fvp_u55.csv` has NPU cycles (ACTIVE) of networks on Arm's Corstone FVPs with timing adapters on, off and
changed, as another project published them for Vela 5.0.0; networks whose file is not at hand are rebuilt
(`benchmarks.fvp_networks`).  A point is a network, a number of MACs and a state of the adapters.  `--ablation` turns
the effects off, one at a time, and prints the mean and the worst error without each.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from unittest.mock import patch

from benchmarks.fvp_networks import rebuilt
from hil.core.npu_config import NpuConfig
from hil.harness.vela.other_versions import OtherVela
from hil.harness.vela.settings import VelaSettings
from hil.npu.program import Program
from hil.npu.stream.operations import BlockOperation
from hil.npu.timing import block_cycles, operation_cycles, traffic
from hil.npu.timing import cycles as model
from hil.npu.timing.memory_system import MemorySystem
from hil.npu.vela_output import NpuOperator, read_compiled

Memories = Callable[[MemorySystem], MemorySystem]


def _same(memory: MemorySystem) -> MemorySystem:
    return memory


@dataclass(frozen=True)
class Point:
    """A published point: ACTIVE cycles, beats (AXI0 read, write, AXI1 read; () if not published), and the setting."""

    network: str
    macs: int
    adapters: bool
    override: str
    active: int
    beats: tuple[int, ...]


@dataclass(frozen=True)
class Row:
    """A point with our cycles and beats, Vela's estimate, and the errors of both in percent of the FVP's cycles."""

    point: Point
    cycles: int
    beats: tuple[int, ...]
    vela: int

    @property
    def error(self) -> float:
        return 100 * (self.cycles / self.point.active - 1)

    @property
    def vela_error(self) -> float:
        return 100 * (self.vela / self.point.active - 1)

    @property
    def beat_errors(self) -> tuple[float, ...]:
        """Errors of AXI0 (reads and writes) and of AXI1, percent."""
        if not self.point.beats:
            return ()
        (read, write, constants), (own_read, own_write, own_constants) = self.point.beats, self.beats
        return 100 * ((own_read + own_write) / (read + write) - 1), 100 * (own_constants / constants - 1)


def main() -> int:
    """Runs the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--vela", default="5.0.0", help="version that compiles (default: that of the figures)")
    parser.add_argument("--install", action="store_true", help="install that version if it is not there")
    parser.add_argument("--ablation", action="store_true", help="also turn off the effects, one at a time")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    shared, vela = Path(os.environ.get("HIL_TEST_DATA", "")), OtherVela(options.vela)
    if not (shared / "reference" / "fvp_u55.csv").is_file():
        parser.error("HIL_TEST_DATA names no folder with reference/fvp_u55.csv")
    if options.install:
        vela.install(lambda line: print(line, file=sys.stderr))
    published = list(points(shared / "reference" / "fvp_u55.csv"))
    programs = compiled({(point.network, point.macs) for point in published}, shared, vela)
    table = list(rows(published, programs))
    effects = (
        [(name, *_ablated(published, programs, *off)) for name, off in EFFECTS.items()] if options.ablation else []
    )
    if options.json:
        found = [{**asdict(row), "error": row.error, "vela_error": row.vela_error} for row in table]
        print(json.dumps({"vela": options.vela, "points": found, "ablation": effects, "trust": "modelled"}))
    else:
        _print(table, effects)
    return 0


def points(path: Path) -> Iterator[Point]:
    """Yields the points of a published table that have ACTIVE cycles."""
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            beats = tuple(int(row[name] or 0) for name in ("axi0_rd_beats", "axi0_wr_beats", "axi1_rd_beats"))
            if row["npu_active"]:
                adapters, override = row["timing_adapters"] == "ON", row["ta_override"]
                found = beats if all(beats) and not override else ()
                yield Point(row["model"], int(row["macs"]), adapters, override, int(row["npu_active"]), found)


def compiled(
    wanted: Iterable[tuple[str, int]], shared: Path, vela: OtherVela
) -> dict[tuple[str, int], tuple[Program, int]]:
    """Programs and Vela's estimates by network and MACs; leaves out networks that cannot be rebuilt."""
    models: dict[str, bytes | None] = {}
    found = {}
    for network, macs in sorted(wanted):
        if network not in models:
            models[network] = _model(network, shared)
        if int8 := models[network]:
            result = vela.compile_model(int8, VelaSettings(accelerator=f"ethos-u55-{macs}"), mapped=False)
            read = read_compiled(result.model)
            (operator,) = (op for op in read.main.operators if isinstance(op, NpuOperator))
            found[network, macs] = operator.bind(read).program, result.summary.cycles_total
    return found


def _model(network: str, shared: Path) -> bytes | None:
    path = shared / "models" / f"{network}.tflite"
    if path.is_file():
        return path.read_bytes()
    try:
        return rebuilt(network, shared / "reference")
    except KeyError:
        return None


def rows(
    published: Iterable[Point],
    programs: dict[tuple[str, int], tuple[Program, int]],
    memories: Memories = _same,
) -> Iterator[Row]:
    """Yields the points that can be modelled, with `memories` applied to the memory behind timing adapters."""
    for point in published:
        memory = _memory(point, memories)
        if memory and (point.network, point.macs) in programs:
            program, estimate = programs[point.network, point.macs]
            timing = model.cycles(program, memory)
            beats = timing.axi0_read_beats, timing.axi0_write_beats, timing.axi1_read_beats
            yield Row(point, timing.total, beats, estimate)


def _memory(point: Point, memories: Memories) -> MemorySystem | None:
    system = MemorySystem.of(NpuConfig(f"ethos-u55-{point.macs}", "Shared_Sram", "Ethos_U55_High_End_Embedded"))
    if not point.adapters:
        return system.without_adapters()
    if not point.override:
        return memories(system)
    name, _, value = point.override.partition("=")
    if name != "SRAM_BWCAP" or not value.isdigit():
        return None
    cap = int(value) * 8 / 4000
    return memories(replace(system, ports=(replace(system.ports[0], bytes_per_cycle=cap), system.ports[1])))


def _each(**changes: float) -> Memories:
    return lambda memory: replace(memory, ports=tuple(replace(port, **changes) for port in memory.ports))


def _one(index: int, **changes: float) -> Memories:
    def changed(memory: MemorySystem) -> MemorySystem:
        ports = [replace(port, **changes) if at == index else port for at, port in enumerate(memory.ports)]
        return replace(memory, ports=(ports[0], ports[1]))

    return changed


def _bytes_alone(*arguments: object) -> traffic.Access:
    """`traffic._access` for a memory whose rows have no ends: bytes in whole beats."""
    feature_map, rows_, columns, channels, beat_bytes, brick = arguments
    plane = math.prod(sum(part.length * part.count for part in axis) for axis in (rows_, columns))
    depth = sum(
        part.count * (-(-part.length // 16) * brick if feature_map.bricks else part.length) for part in channels
    )
    count = plane * depth * feature_map.dtype.itemsize
    return traffic.linear(feature_map.region, count, beat_bytes)


def _never_whole(operation: BlockOperation) -> int:
    """`ifm_block_depth` at which no IFM is one block, as far as that can be."""
    return min(block_cycles.ifm_block_depth(operation), max(1, operation.ifm.shape[2] - 1))


EFFECTS: dict[str, tuple[Memories, Callable[[], AbstractContextManager[object]]]] = {
    "latency of the memories": (_each(read_latency=0, write_latency=0), nullcontext),
    "bursts in flight": (_each(outstanding_reads=1024, outstanding_writes=1024), nullcontext),
    "shared cap of SRAM": (_one(0, bytes_per_cycle=math.inf), nullcontext),
    "cap of the flash": (_one(1, bytes_per_cycle=math.inf), nullcontext),
    "last burst beyond the flash's cap": (_one(1, bytes_per_cycle=1.0), nullcontext),
    "rows of their own": (_same, lambda: patch.object(traffic, "_access", _bytes_alone)),
    "IFM block that stays": (_same, lambda: patch.object(traffic, "ifm_block_depth", _never_whole)),
    "half bricks": (_same, lambda: patch.object(traffic, "_HALF_BRICK_MACS", 0)),
    "output unit's groups of 8": (_same, lambda: patch.object(block_cycles, "OUTPUT_GROUP", 1)),
    "overlap of independent operations": (_same, lambda: patch.object(model, "_reads_output", lambda *_: True)),
    "first read while the one before computes": (_same, lambda: patch.object(model, "_idle", lambda *_: 0)),
    "DMAs through the same ports": (_same, lambda: patch.object(model, "beside", lambda timing, *_: timing)),
    "wait for the last block": (_same, lambda: patch.object(operation_cycles, "_drain", lambda *_: 0)),
    "first read of the IFM": (_same, lambda: patch.object(operation_cycles, "_fill", lambda *_: 0)),
}
"""Effects by name: how to turn one off in the memories, or in the model.

An effect is a rule inside the model, which has no switch for it: the ablation replaces the rule while it runs.
"""


def _ablated(
    published: list[Point],
    programs: dict[tuple[str, int], tuple[Program, int]],
    memories: Memories,
    patched: Callable[[], AbstractContextManager[object]],
) -> tuple[float, float]:
    with patched():
        return _summary([row.error for row in rows(published, programs, memories)])


def _summary(errors: Iterable[float]) -> tuple[float, float]:
    """Mean and largest of the absolute errors."""
    sizes = [abs(error) for error in errors]
    return sum(sizes) / len(sizes), max(sizes)


def _print(table: list[Row], effects: list[tuple[str, float, float]]) -> None:
    print("| network | MACs | adapters | FVP | modelled | error, % | Vela, % | AXI0, AXI1 beats, % |")
    print("|---|--:|---|--:|--:|--:|--:|--:|")
    for row in table:
        point, beats = row.point, ", ".join(f"{error:+.1f}" for error in row.beat_errors)
        state = point.override or ("on" if point.adapters else "off")
        print(f"| {point.network} | {point.macs} | {state} | {point.active:,} | {row.cycles:,} ", end="")
        print(f"| {row.error:+.1f} | {row.vela_error:+.1f} | {beats} |")
    print("\n| | points | modelled: mean, worst % | Vela: mean, worst % |\n|---|--:|--:|--:|")
    states = {"on": [r for r in table if r.point.adapters], "off": [r for r in table if not r.point.adapters]}
    for name, part in (*((f"adapters {state}", rows) for state, rows in states.items()), ("all", table)):
        own, velas = _summary(row.error for row in part), _summary(row.vela_error for row in part)
        print(f"| {name} | {len(part)} | {own[0]:.2f}, {own[1]:.1f} | {velas[0]:.1f}, {velas[1]:.0f} |")
    beats = [error for row in table for error in row.beat_errors]
    print(f"\nbeats: mean {_summary(beats)[0]:.2f} %, worst {_summary(beats)[1]:.1f} %")
    if effects:
        print("\n| without | mean, % | worst, % |\n|---|--:|--:|")
        for name, mean, worst in effects:
            print(f"| {name} | {mean:.2f} | {worst:.1f} |")


if __name__ == "__main__":
    sys.exit(main())
