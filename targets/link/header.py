"""The wire's numbers as a C header.

python -m hil.targets.link.header > targets/firmware/protocol/hil_wire.h
"""

from __future__ import annotations

from enum import IntEnum, IntFlag

from hil.targets.link import wire

_NUMBERS = (
    "PROTOCOL",
    "REPLY_BIT",
    "DELIMITER",
    "CRC_BYTES",
    "SMALLEST_FRAME",
    "TEXT_BYTES",
    "WINDOW_MAX",
    "REGIONS_MAX",
    "KEPT_BYTES",
    "BLOCKS_MAX",
    "CRC_RANGE_MAX",
    "JOB_LIMIT_MS_MAX",
    "BASES",
    "AXI_LIMITS",
    "EVENTS",
)
_ENUMS: tuple[tuple[str, type[IntEnum | IntFlag]], ...] = (
    ("COMMAND", wire.Command),
    ("STATUS", wire.Status),
    ("OUTCOME", wire.Outcome),
    ("PART", wire.Part),
    ("FEATURE", wire.Feature),
    ("REGION", wire.RegionKind),
    ("REGION_FLAG", wire.RegionFlag),
    ("DIRECTION", wire.Direction),
    ("ELEMENT", wire.Element),
)


def header() -> str:
    """The text of `hil_wire.h`."""
    lines = [
        "/* Made by `python -m hil.targets.link.header` from targets/link/wire.py: edit that, not this. */",
        "#ifndef HIL_WIRE_H",
        "#define HIL_WIRE_H",
        "",
        *(f"#define HIL_{name} {getattr(wire, name)}u" for name in _NUMBERS),
    ]
    for prefix, members in _ENUMS:
        lines += ["", *(f"#define HIL_{prefix}_{member.name} {int(member)}u" for member in members)]
    for layout in wire.LAYOUTS:
        lines += ["", f"/* {layout.name}: where its fields lie, in bytes */"]
        lines += [f"#define HIL_{layout.name}_AT_{name.upper()} {offset}u" for name, offset in layout.offsets.items()]
        lines += [f"#define HIL_{layout.name}_BYTES {layout.size}u"]
    return "\n".join([*lines, "", "#endif", ""])


if __name__ == "__main__":
    print(header(), end="")
