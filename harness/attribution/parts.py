"""Parts in which two deployments differ: those that can be exchanged on `sim`, and the rest by name.

found = differing(before, after)
found.parts             # (Part("vela_options", "", "--optimise Size"),)
found.of_model          # {"recipe": (..., ...), "tensorflow": ("2.19.0", "2.19.1")}: how the int8 file was made
found.others            # {"engine_version": ("0.1.0", "0.2.0")}: what no exchange covers
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hil.harness.comparison.dependencies import LIBRARIES, changes, part_of

MODEL, VELA, VELA_CONFIG = "model", "vela", "vela_config"
FIELDS = {
    MODEL: "int8_sha256",
    VELA: "vela",
    "vela_options": "vela_options",
    VELA_CONFIG: "vela_config_sha256",
    "accelerator": "accelerator",
    "memory_mode": "memory_mode",
    "system_config": "system_config",
}
"""Part that can be exchanged -> its field of the identity."""
_NPU = (VELA_CONFIG, "accelerator", "memory_mode", "system_config")
_DERIVED = frozenset({"npu", "macs", "npu_clock"})
"""Fields that follow from the accelerator and the system configuration."""
_MAKING = frozenset({"model", "data", LIBRARIES})
_HEXADECIMAL = frozenset("0123456789abcdef")
_DIGITS = 8

Values = tuple[str, str]
"""A field's text in the baseline and in the run; empty where an identity does not have it."""


@dataclass(frozen=True)
class Part:
    """A part that differs, with its text in the baseline and in the run."""

    name: str
    before: str
    after: str

    @property
    def change(self) -> str:
        """Both texts, hashes cut short."""
        return " -> ".join(short(text) or "none" for text in (self.before, self.after))


@dataclass(frozen=True)
class Differences:
    """`parts` that can be exchanged, fields `of_model` that can have changed the int8 file, and all `others`."""

    parts: tuple[Part, ...]
    of_model: Mapping[str, Values]
    others: Mapping[str, Values]


def differing(before: Mapping[str, str], after: Mapping[str, str]) -> Differences:
    """Sorts the fields in which two identities differ."""
    found = changes(before, after)
    parts = tuple(Part(name, *found.pop(field)) for name, field in FIELDS.items() if field in found)
    made = {field: values for field, values in found.items() if part_of(field) in _MAKING}
    if not any(part.name == MODEL for part in parts):
        made = {}
    rest = {field: values for field, values in found.items() if field not in {*made, *_DERIVED}}
    return Differences(parts, made, rest)


def mixed(before: Mapping[str, str], after: Mapping[str, str], chosen: Iterable[str]) -> dict[str, str]:
    """Returns part -> text, of the run for the parts in `chosen`, else of the baseline."""
    taken = frozenset(chosen)
    return {name: (after if name in taken else before).get(field, "") for name, field in FIELDS.items()}


def groupings(names: Iterable[str]) -> list[tuple[frozenset[str], ...]]:
    """Returns ways to put the parts together, the finest first, for parts that do not work one by one.

    The parts of the NPU's configuration name each other's sections; options belong to a version of Vela.
    """
    known = tuple(names)
    npu = frozenset(known) & frozenset(_NPU)
    of_vela = frozenset(known) & frozenset(FIELDS) - {MODEL}
    tried = (frozenset[str](), npu, of_vela, frozenset(known))
    return list(dict.fromkeys(_grouped(known, together) for together in tried))


def _grouped(names: tuple[str, ...], together: frozenset[str]) -> tuple[frozenset[str], ...]:
    return tuple(dict.fromkeys(together if name in together else frozenset({name}) for name in names))


def short(text: str) -> str:
    """Returns a text of the identity for people: a hash by its first digits."""
    return text[:_DIGITS] if len(text) >= 2 * _DIGITS and set(text) <= _HEXADECIMAL else text
