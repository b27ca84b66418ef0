"""Changes that would move a network's cycles, each compiled and modelled, never guessed.

Considered are the other memory modes that fit, the next larger and smaller accelerator of the family, Vela's other
strategy of `--optimise`, and techniques of the model whose int8 files are there already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from hil.harness.number_format import listed
from hil.harness.profile.layer import Placement
from hil.harness.profile.modelled_cost import ModelledCost, Outcome, Setting, costs
from hil.harness.profile.npu_settings import memory_modes, other_strategy
from hil.harness.profile.profile import Profile
from hil.harness.vela.settings import VelaSettings
from hil.npu.accelerator import ALL

_LEAST_BYTES = 52
"""Smallest change of memory that a tenth of a KiB shows."""
_VISIBLE = 0.0005
"""Smallest relative change that a tenth of a percent shows."""


@dataclass(frozen=True)
class Change:
    """One thing that is done differently: its kind (memory mode, MAC count, Vela option, technique) and its name."""

    kind: str
    name: str
    setting: Setting


@dataclass(frozen=True)
class Effect:
    """A change with its outcome."""

    change: Change
    outcome: Outcome


def possible_changes(
    int8: bytes, settings: VelaSettings, techniques: Mapping[str, bytes] | None = None
) -> tuple[Change, ...]:
    """Changes of one thing each."""
    modes = [mode for mode in memory_modes(settings) if mode != settings.memory_mode]
    found = [("memory mode", mode, replace(settings, memory_mode=mode)) for mode in modes]
    found += [("MAC count", name, replace(settings, accelerator=name)) for name in _neighbours(settings)]
    if strategy := other_strategy(settings.options):
        found.append(("Vela option", strategy, replace(settings, options=(*settings.options, strategy))))
    changes = [Change(kind, name, Setting(int8, changed)) for kind, name, changed in found]
    changes += [Change("technique", name, Setting(data, settings)) for name, data in (techniques or {}).items()]
    return tuple(changes)


def effects(changes: Sequence[Change], name: str, jobs: int = 0) -> tuple[Effect, ...]:
    """Compiles and models each change, in the order given."""
    outcomes = dict(costs([change.setting for change in changes], name, jobs))
    return tuple(Effect(change, outcomes[place]) for place, change in enumerate(changes))


def effect_sentence(profile: Profile, found: Sequence[Effect]) -> str:
    """Sentence on what makes the network faster or slower, the strongest first."""
    outcomes = [(effect, effect.outcome) for effect in found]
    known = [(one, _relative(outcome, profile)) for one, outcome in outcomes if isinstance(outcome, ModelledCost)]
    known.sort(key=lambda pair: pair[1])
    faster = [_phrase(effect, relative, profile) for effect, relative in known if relative <= -_VISIBLE]
    slower = [_phrase(effect, relative, profile) for effect, relative in known if relative >= _VISIBLE]
    same = [_phrase(effect, 0.0, profile) for effect, relative in known if abs(relative) < _VISIBLE]
    parts = [
        *([f"faster with {listed(faster)}"] if faster else []),
        *([f"slower with {listed(slower)}"] if slower else []),
        *([f"no change with {listed(same)}"] if same else []),
        *(f"{one.change.name} cannot be modelled ({why})" for one, why in outcomes if isinstance(why, str)),
    ]
    return "; ".join(parts)


def effect_record(effect: Effect, profile: Profile) -> dict[str, Any]:
    """JSON values of an effect."""
    record: dict[str, Any] = {"kind": effect.change.kind, "name": effect.change.name}
    if isinstance(effect.outcome, str):
        return {**record, "reason": effect.outcome}
    return {**record, **asdict(effect.outcome), "relative": _relative(effect.outcome, profile), "trust": "modelled"}


def _neighbours(settings: VelaSettings) -> list[str]:
    family = [one.name for one in ALL if one.name.startswith(f"{settings.family}-")]
    place = family.index(settings.accelerator)
    return [family[near] for near in (place + 1, place - 1) if 0 <= near < len(family)]


def _relative(cost: ModelledCost, profile: Profile) -> float:
    return cost.ms / profile.ms - 1 if profile.cycles else 0.0


def _phrase(effect: Effect, relative: float, profile: Profile) -> str:
    """`ethos-u55-256 -35.1 %`, with the change of memory beside it."""
    assert isinstance(effect.outcome, ModelledCost)
    cost = effect.outcome
    sizes = (
        ("SRAM", cost.sram_bytes - profile.sram_bytes),
        ("read-only data", cost.read_only_bytes - profile.read_only_bytes),
    )
    notes = [f"{name} {size / 1024:+,.1f} KiB" for name, size in sizes if abs(size) >= _LEAST_BYTES]
    notes += ["more on the CPU"] if cost.cpu_operators > len(profile.of(Placement.CPU)) else []
    beside = f" ({', '.join(notes)})" if notes else ""
    percent = f" {100 * relative:+.1f} %" if relative else ""
    return f"{effect.change.name}{percent}{beside}"
