"""Totals of a profile: all its layers as one row."""

from __future__ import annotations

from hil.harness.profile.layer import Layer, MemoryTraffic, Placement, WeightFigures
from hil.harness.profile.profile import Profile


def total_layer(profile: Profile) -> Layer:
    """Sums the layers on the NPU; SRAM is the largest part that is live, distinct weights are not summed."""
    layers = profile.of(Placement.NPU)
    macs = profile.macs
    return Layer(
        index=-1,
        kind="total",
        name="",
        operations=sum(layer.operations for layer in layers),
        cycles=sum(layer.cycles for layer in layers),
        causes=profile.causes,
        macs=macs,
        utilization=macs / (profile.cycles * profile.macs_per_cycle) if macs and profile.cycles else None,
        traffic=_traffic(layers),
        weights=_weights(layers),
        live_bytes=max((layer.live_bytes for layer in layers), default=0),
        vela_cycles=profile.vela_cycles,
    )


def _traffic(layers: tuple[Layer, ...]) -> tuple[MemoryTraffic, ...]:
    parts = [part for layer in layers for part in layer.traffic]
    return tuple(
        MemoryTraffic(
            memory,
            sum(part.read for part in parts if part.memory == memory),
            sum(part.written for part in parts if part.memory == memory),
        )
        for memory in dict.fromkeys(part.memory for part in parts)
    )


def _weights(layers: tuple[Layer, ...]) -> WeightFigures | None:
    found = [layer.weights for layer in layers if layer.weights]
    if not found:
        return None
    zeros = [one.zeros for one in found]
    known = [zero for zero in zeros if zero is not None]
    return WeightFigures(
        sum(one.elements for one in found),
        sum(one.encoded for one in found),
        sum(known) if len(known) == len(zeros) else None,
        None,
    )
