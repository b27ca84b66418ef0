"""Dependencies of figures: the parts of a deployment's identity that must be equal before two figures are compared.

    differences("sram", before, after)              # {"vela": ("5.1.0", "5.2.0")}
    differences("sram", before, after, {"vela"})    # {}: that is what is being tested

A figure depends on no more than what makes it: the size of an int8 file is the same under every Vela, SRAM is the same
on every board, and the accuracy of equal outputs is the same on every target.  The model itself, its network, weights
and recipe, is what runs are compared for, so it may always differ.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from hil.core.errors import BadInputError
from hil.harness.comparison.direction import is_of_output

GROUPS: dict[str, tuple[str, ...]] = {
    "model": ("int8_sha256", "model_sha256", "network", "weights", "recipe", "train", "threads", "gpu"),
    "data": ("data", "metric"),
    "vela": ("vela", "vela_options", "vela_config_sha256"),
    "accelerator": ("accelerator", "npu", "macs"),
    "memory_mode": ("memory_mode",),
    "clock": ("system_config", "npu_clock", "cpu_clock"),
    "engine": ("target", "engine", "engine_version", "target_code", "harness", "fvp_parameters", "cpu_engine", "state"),
    "firmware": ("firmware", "firmware_crc32", "firmware_sha256", "protocol"),
    "board": ("board", "hardware", "serial_number"),
    "launcher": ("launcher",),
}
"""Part of an identity, as `--vary` names it -> its fields.  Fields of no part are `libraries`."""
LIBRARIES = "libraries"
PARTS = (*GROUPS, LIBRARIES)
ALWAYS_VARIED = frozenset({"model"})

_REMARKS = frozenset(
    {"engine_choice", "parity", "timestamps", "inputs", "lost_boards", "port", "usb_serial", "cycles", "model"}
)
"""Fields that say something about a run on which no figure depends."""
_OF_FILE = frozenset({"data", LIBRARIES})
_OF_VELA = _OF_FILE | {"vela", "accelerator", "memory_mode", "clock"}
_OF_RUN = frozenset(PARTS)
_PARITY = frozenset({"mismatches", "sim_mismatches"})
_DEPENDENCIES = {
    **dict.fromkeys(("tflite", "zip", "gzip", "zeros", "unique", "sqnr"), _OF_FILE),
    **dict.fromkeys(("accuracy", "accuracy_drop", "keras_accuracy", "base_accuracy"), _OF_FILE),
    **dict.fromkeys(("encoded_weights", "sram", "flash", "cpu_operators"), _OF_VELA),
    **dict.fromkeys(_PARITY, frozenset[str]()),
}
"""Figure -> the parts that it depends on; all others, such as cycles, depend on every part.

An element that differs from the reference is wrong whatever else has changed, so mismatches depend on nothing.
"""


def differences(
    figure: str, before: Mapping[str, str], after: Mapping[str, str], vary: Collection[str] = ()
) -> dict[str, tuple[str, str]]:
    """Returns the fields on which `figure` depends and that differ: field -> (before, after), empty text for none.

    `vary` names the parts that may differ, beside `ALWAYS_VARIED`.
    """
    parts = _dependencies(figure) - ALWAYS_VARIED - set(vary)
    return {field: values for field, values in changes(before, after).items() if part_of(field) in parts}


def influences(figure: str) -> frozenset[str]:
    """Returns the parts that may have changed `figure`: those on which it depends, and the model.

    Mismatches are compared whatever differs, and anything may have made them.
    """
    parts = _dependencies(figure)
    return parts | ALWAYS_VARIED if parts else _OF_RUN


def _dependencies(figure: str) -> frozenset[str]:
    return _OF_FILE if is_of_output(figure) else _DEPENDENCIES.get(figure, _OF_RUN)


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Returns every field that differs, of the model too: field -> (before, after)."""
    fields = [field for field in {**before, **after} if field not in _REMARKS]
    values = {field: (before.get(field, ""), after.get(field, "")) for field in fields}
    return {field: (old, new) for field, (old, new) in values.items() if old != new}


def part_of(field: str) -> str:
    """Returns the part of an identity that a field belongs to."""
    return next((part for part, fields in GROUPS.items() if field in fields), LIBRARIES)


def check_parts(names: Collection[str]) -> frozenset[str]:
    """Returns the names of parts as a set; raises `BadInputError` for one that is none."""
    for name in names:
        if name not in PARTS:
            raise BadInputError(f"--vary {name}: no part of an identity", hint=f"there are: {', '.join(PARTS)}")
    return frozenset(names)
