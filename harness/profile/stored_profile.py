"""JSON of a profile, which `hil profile -o` and `--json` write and `--against` reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from hil.core.errors import BadInputError
from hil.core.measurement import Trust
from hil.harness.profile.layer import Layer, MemoryTraffic, Placement, WeightFigures
from hil.harness.profile.profile import Profile
from hil.npu.timing.causes import Cause
from hil.npu.timing.error_table import error_sentence, points_of

FORMAT = "hil-profile-1"


def profile_record(profile: Profile) -> dict[str, Any]:
    """Converts a profile to JSON values; the timeline is left out (`trace_events` writes it)."""
    record = asdict(replace(profile, spans=(), layers=()))
    del record["spans"]
    return {
        "format": FORMAT,
        **record,
        "ms": profile.ms,
        "layers": [_layer_record(layer) for layer in profile.layers],
        "causes": {cause.value: cycles for cause, cycles in profile.causes.items()},
        "trust": {
            "cycles": Trust.MODELLED.value,
            "traffic": Trust.MODELLED.value,
            "weights_sram_and_macs": Trust.EXACT.value,
            "held_against": error_sentence(profile.accelerator, profile.memory_mode, profile.system_config),
            "points": [
                asdict(point) for point in points_of(profile.accelerator, profile.memory_mode, profile.system_config)
            ],
        },
    }


def profile_from_record(record: Mapping[str, Any]) -> Profile:
    """The inverse of `profile_record`, without the timeline."""
    names = {field.name for field in fields(Profile)} - {"spans", "layers", "vela_options"}
    layers = tuple(_layer(found) for found in record["layers"])
    options = tuple(record["vela_options"])
    return Profile(layers=layers, vela_options=options, **{name: record[name] for name in names})


def read_profile(path: Path) -> Profile:
    """Reads a file of `hil profile`; raises `BadInputError` for another."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record.get("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        return profile_from_record(record)
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInputError(f"{path} is no profile of hil profile -o profile.json: {error}") from error


def _layer_record(layer: Layer) -> dict[str, Any]:
    record = asdict(layer)
    weights = record["weights"]
    return {
        **record,
        "title": layer.title,
        "placement": layer.placement.value,
        "causes": {cause.value: cycles for cause, cycles in layer.causes.items()},
        "bound": layer.bound.value if layer.bound else None,
        "weights": weights and {**weights, "ratio": layer.weights.ratio if layer.weights else None},
    }


def _layer(record: Mapping[str, Any]) -> Layer:
    values = {name: value for name, value in record.items() if name not in ("title", "bound")}
    weights = values.pop("weights")
    figures = WeightFigures(**{name: value for name, value in weights.items() if name != "ratio"}) if weights else None
    causes = {Cause(name): cycles for name, cycles in values.pop("causes").items()}
    traffic = tuple(MemoryTraffic(**part) for part in values.pop("traffic"))
    placement = Placement(values.pop("placement"))
    return Layer(placement=placement, causes=causes, traffic=traffic, weights=figures, **values)
