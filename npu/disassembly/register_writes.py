"""Register writes of a command stream, one by one (`stream.commands` decodes operations).

for write in register_writes(words, 0, end=64):
    print(write.word_offset, write.register, write.value, write.fields)     # 29 IFM_PRECISION 1 precision S8, ...
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hil.npu.disassembly.register_fields import describe
from hil.npu.stream.commands import REGISTERS_16, REGISTERS_40, REGISTERS_SCALE, SIGNED_16, SIGNED_40, signed
from hil.npu.stream.payload import Words


@dataclass(frozen=True)
class RegisterWrite:
    """A command that sets a register; `shift` is that of a scale, `fields` describes the bit fields."""

    word_offset: int
    register: str
    value: int
    shift: int | None
    fields: str


def register_writes(words: Words, start: int, end: int) -> Iterator[RegisterWrite]:
    """Yields the register writes from word `start` to `end` of a stream that `decode_commands` has accepted."""
    yield from _writes(words[start:end].tolist(), start)


def _writes(words: list[int], start: int) -> Iterator[RegisterWrite]:
    at = 0
    while at < len(words):
        word = words[at]
        code, parameter, kind = word & 0x3FF, word >> 16, word >> 14 & 3
        if kind == 0:
            if code in REGISTERS_16:
                name = REGISTERS_16[code]
                value = signed(parameter, 16) if name in SIGNED_16 else parameter
                yield RegisterWrite(start + at, name, value, None, describe(name, parameter))
            at += 1
            continue
        payload = words[at + 1]
        if code in REGISTERS_SCALE:
            yield RegisterWrite(start + at, REGISTERS_SCALE[code], payload, parameter & 63, "")
        else:
            name, wide = REGISTERS_40[code], payload | (parameter & 0xFF) << 32
            yield RegisterWrite(start + at, name, signed(wide, 40) if name in SIGNED_40 else wide, None, "")
        at += 2
