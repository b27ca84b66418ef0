"""Memory system of the NPU: clocks, widths and latencies from Vela's configuration files.

    >>> memory = MemorySystem.of(NpuConfig())
    >>> memory.port_of(1).bytes_per_cycle
    8.0

An NPU has two AXI ports, of 64 bits (U55) or 128 (U65).  A *system configuration* defines the memory behind each and
its speed; a *memory mode* maps the constants (region 0), the arena (region 1) and the cache (region 2) to the ports.

Arm's FPGA images and FVPs have no slow memory: a *timing adapter* at each port delays accesses and caps bandwidth as
the firmware sets it.  `TIMING_ADAPTERS` are the settings that Arm's firmware makes for a system configuration;
`without_adapters` is memory behind adapters that are off; the system configuration `WITHOUT_ADAPTERS` has it, and all
else of `Ethos_U55_High_End_Embedded`, for which Vela compiles then.
"""

from __future__ import annotations

import configparser
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from hil.core.errors import BadInputError, UnavailableError
from hil.core.npu_config import NpuConfig

_U55_BEAT_BYTES = 8
"""Bytes per beat on a port of an Ethos-U55."""

WITHOUT_ADAPTERS = "Ethos_U55_No_Adapters"
"""System configuration of our own: an FVP whose timing adapters are off."""

_ALLOWED = (
    ("the constants", ("Dram", "OnChipFlash", "OffChipFlash")),
    ("the arena", ("Sram", "Dram")),
    ("the cache", ("Sram",)),
)
"""Memories of each region that Vela takes (`architecture_features.py`, "check configuration")."""


@dataclass(frozen=True)
class TimingAdapter:
    """Settings of a timing adapter: transactions in flight, latencies in cycles, and a cap of words per period.

    Reads and writes share the cap of `words` (of 8 bytes) in `period` cycles.  The adapter admits a burst as long as
    the cap is not reached, so that the last burst of a period may exceed it.
    """

    reads: int
    writes: int
    read_latency: int
    write_latency: int
    words: int
    period: int


TIMING_ADAPTERS: Mapping[str, Mapping[str, TimingAdapter]] = {
    "Ethos_U55_High_End_Embedded": {
        "Sram": TimingAdapter(reads=8, writes=8, read_latency=32, write_latency=32, words=4000, period=4000),
        "OffChipFlash": TimingAdapter(reads=2, writes=1, read_latency=64, write_latency=64, words=50, period=400),
    }
}
"""Timing adapters by system configuration and memory, as Arm's ml-embedded-evaluation-kit sets them at a start."""

BURST_WORDS = 8
"""Words of the longest burst: 64 bytes, MAX_BEATS of AXI_LIMIT as Arm's driver sets it."""

_DRIVER_READS, _DRIVER_WRITES = 32, 16
"""Transactions in flight that the NPU itself allows: AXI_LIMIT as Arm's driver sets it."""


@dataclass(frozen=True)
class AxiPort:
    """The memory behind an AXI port: bandwidth in bytes per core cycle, latencies in core cycles, burst in bytes.

    Each direction has at most one beat per cycle; both share `bytes_per_cycle`, infinite for memory without a cap.
    `outstanding_reads` and `outstanding_writes` are the largest numbers of bursts in flight.
    """

    memory: str
    bytes_per_cycle: float
    read_latency: int
    write_latency: int
    burst_bytes: int
    outstanding_reads: int = _DRIVER_READS
    outstanding_writes: int = _DRIVER_WRITES

    def behind(self, adapter: TimingAdapter) -> AxiPort:
        """Returns the memory as `adapter` delays and caps it."""
        words = -(-adapter.words // BURST_WORDS) * BURST_WORDS
        return replace(
            self,
            bytes_per_cycle=words * _U55_BEAT_BYTES / adapter.period,
            read_latency=adapter.read_latency,
            write_latency=adapter.write_latency,
            outstanding_reads=adapter.reads,
            outstanding_writes=adapter.writes,
        )

    def busy(self, beats: tuple[float, float], bursts: tuple[float, float], beat_bytes: int) -> float:
        """Returns the cycles of reads and writes, each as beats and bursts.

        A burst occupies its direction for its beats, at least for its part of the latency of the bursts in flight.
        """
        (read, written), (reads, writes) = beats, bursts
        return max(
            (read + written) * beat_bytes / self.bytes_per_cycle,
            read,
            (reads * self.read_latency + read) / self.outstanding_reads,
            written,
            (writes * self.write_latency + written) / self.outstanding_writes,
        )


@dataclass(frozen=True)
class MemorySystem:
    """Two ports, the core's clock in Hz, the port (0 or 1) of each region, and the bytes per beat."""

    clock_hz: float
    ports: tuple[AxiPort, AxiPort]
    region_ports: Mapping[int, int]
    beat_bytes: int = _U55_BEAT_BYTES

    @classmethod
    def of(cls, npu: NpuConfig) -> MemorySystem:
        """Reads the memories of `npu` from its Vela configuration, for the ports of a U55.

        Raises `BadInputError` if it has no such system configuration or memory mode, or lacks a value.
        """
        system_config, memory_mode = npu.system_config, npu.memory_mode
        config = _parse(npu.config_text or _vela_ini())
        system = _section(config, f"System_Config.{system_config}", _known_systems(config, npu))
        mode = _section(config, f"Memory_Mode.{memory_mode}", _names(config, "Memory_Mode"))
        areas = ("const_mem_area", "arena_mem_area", "cache_mem_area")
        found = cls(
            float(_value(system, "core_clock", system_config)),
            (_port(system, "axi0_port", system_config), _port(system, "axi1_port", system_config)),
            {i: int(_value(mode, area, memory_mode).lower() == "axi1") for i, area in enumerate(areas)},
        )
        return found.without_adapters() if system_config == WITHOUT_ADAPTERS else found

    def without_adapters(self) -> MemorySystem:
        """Returns memory of one beat per cycle and direction without latency: the timing adapters are off."""
        first, second = (
            replace(port, bytes_per_cycle=math.inf, read_latency=0, write_latency=0) for port in self.ports
        )
        return replace(self, ports=(first, second))

    def with_region_ports(self, region_ports: Mapping[int, int]) -> MemorySystem:
        """Returns the same memories with another map of regions to ports, such as a driver's REGIONCFG."""
        return replace(self, region_ports=dict(region_ports))

    def with_beat_bytes(self, beat_bytes: int) -> MemorySystem:
        """Returns the same memories behind ports of `beat_bytes` per beat, one beat per cycle of their clock."""
        factor = beat_bytes / self.beat_bytes
        first, second = (replace(port, bytes_per_cycle=port.bytes_per_cycle * factor) for port in self.ports)
        return replace(self, ports=(first, second), beat_bytes=beat_bytes)

    def port_number(self, region: int) -> int:
        """Returns the AXI port (0 or 1) of `region`."""
        return self.region_ports.get(region, 0)

    def port_of(self, region: int) -> AxiPort:
        """Returns the memory behind the port of `region`."""
        return self.ports[self.port_number(region)]


def own_configuration(system_config: str) -> str:
    """Returns the text of Vela's configuration with a system configuration of our own; empty for any other name."""
    if system_config != WITHOUT_ADAPTERS:
        return ""
    return f"{_vela_ini()}\n[System_Config.{WITHOUT_ADAPTERS}]\ninherit=System_Config.Ethos_U55_High_End_Embedded\n"


def section_names(npu: NpuConfig, kind: str) -> tuple[str, ...]:
    """Names of the sections of a kind, `System_Config` or `Memory_Mode`, in the Vela configuration of `npu`."""
    return tuple(_names(_parse(npu.config_text or _vela_ini()), kind))


def check_memories(npu: NpuConfig) -> None:
    """Raises `BadInputError` if Vela would refuse the memories of `npu`, before there is a model to compile."""
    memory = MemorySystem.of(npu)
    shared = len(set(memory.region_ports.values())) == 1  # SRAM for all: Vela takes part of it for the constants
    for region, (what, allowed) in enumerate(_ALLOWED):
        found = memory.port_of(region).memory
        if found not in allowed and not (region == 0 and shared):
            raise BadInputError(
                f"memory mode {npu.memory_mode} puts {what} into {found} in system configuration {npu.system_config}",
                hint=f"Vela wants {what} in {' or '.join(allowed)}",
            )


@lru_cache(maxsize=1)
def _vela_ini() -> str:
    spec = find_spec("ethosu")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "config_files" / "Arm" / "vela.ini"
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise UnavailableError("Vela's own vela.ini is not installed", hint="pip install ethos-u-vela")


def _parse(text: str) -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    try:
        config.read_string(text)
    except configparser.Error as error:
        raise BadInputError(f"the Vela configuration cannot be read: {str(error).splitlines()[0]}") from error
    return config


def _names(config: configparser.ConfigParser, kind: str) -> list[str]:
    return [name.partition(".")[2] for name in config.sections() if name.startswith(f"{kind}.")]


def _known_systems(config: configparser.ConfigParser, npu: NpuConfig) -> list[str]:
    """Names of the system configurations that an accelerator takes: those of no other family, and our own."""
    family = f"{npu.family.replace('ethos-u', 'Ethos_U')}_"
    names = [name for name in _names(config, "System_Config") if re.match(rf"{family}|(?!Ethos_U\d+_)", name)]
    return [*names, WITHOUT_ADAPTERS] if WITHOUT_ADAPTERS.startswith(family) and not npu.config_text else names


def _section(config: configparser.ConfigParser, name: str, known: Sequence[str]) -> dict[str, str]:
    """Returns a section with the values it inherits; `known` are the names that an error lists."""
    values: dict[str, str] = {}
    seen: set[str] = set()
    current: str | None = name
    while current:
        if not config.has_section(current) or current in seen:
            line = f"the Vela configuration has no usable section {current}"
            raise BadInputError(line, hint=f"known are {', '.join(known)}" if known else "")
        seen.add(current)
        own = dict(config.items(current))
        values = {**own, **values}
        current = own.get("inherit")
    return values


def _value(section: Mapping[str, str], key: str, where: str) -> str:
    if key.lower() not in section:
        raise BadInputError(f"the Vela configuration lacks {key} in {where}")
    return section[key.lower()]


def _port(system: Mapping[str, str], key: str, where: str) -> AxiPort:
    memory = _value(system, key, where)
    scale = float(_value(system, f"{memory}_clock_scale", where))
    port = AxiPort(
        memory,
        _U55_BEAT_BYTES * scale,
        int(system.get(f"{memory}_read_latency".lower(), "0")),
        int(system.get(f"{memory}_write_latency".lower(), "0")),
        int(system.get(f"{memory}_burst_length".lower(), "1")),
    )
    adapter = TIMING_ADAPTERS.get(where, {}).get(memory)
    return port if adapter is None else port.behind(adapter)
