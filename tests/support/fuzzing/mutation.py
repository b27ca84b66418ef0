"""Mutations that know the command stream: registers get other values, operations change places, commands go.

Bytes changed at random seldom leave a stream that decodes far; the fuzzer's own mutations take every other turn.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

from hil.npu.stream.commands import REGISTERS_16, REGISTERS_40, REGISTERS_SCALE, Op

Command = tuple[int, ...]
_PAYLOAD = 1 << 14
_OPERATIONS = [int(op) for op in Op if op is not Op.STOP]
_WITH_PAYLOAD = [*REGISTERS_40, *REGISTERS_SCALE]
_EDGES = (0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 23, 64, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF)


def mutate_stream(data: bytes, most: int, seed: int, other: Callable[[bytes, int], bytes]) -> bytes:
    """Another input of target `stream`; `other` is the fuzzer's own mutation."""
    chance = random.Random(seed)
    if len(data) < 5 or chance.random() < 0.3:
        return other(data, most)
    commands = commands_of(data[1:])
    for _ in range(chance.choice((1, 1, 2, 4))):
        _change(commands, chance)
    first = data[:1] if chance.random() < 0.95 else bytes([chance.randrange(256)])
    return (first + b"".join(struct.pack(f"<{len(c)}I", *c) for c in commands))[:most]


def commands_of(data: bytes) -> list[Command]:
    """The commands of a stream, one or two words each."""
    words = struct.unpack(f"<{len(data) // 4}I", data[: len(data) // 4 * 4])
    commands: list[Command] = []
    at = 0
    while at < len(words):
        size = 2 if words[at] & 0xC000 == _PAYLOAD else 1
        commands.append(words[at : at + size])
        at += size
    return commands


def _change(commands: list[Command], chance: random.Random) -> None:
    kind = chance.randrange(7)
    at = chance.randrange(len(commands)) if commands else 0
    if not commands or kind == 0:
        commands.insert(at, _new(chance))
    elif kind == 1:
        commands[at] = _new(chance)
    elif kind == 2 and len(commands) > 1:
        del commands[at]
    elif kind == 3:
        commands.insert(chance.randrange(len(commands)), commands[at])
    elif kind == 4:
        del commands[at + 1 :]
        commands.append((0xFFFF_0000,))
    else:
        commands[at] = _other_value(commands[at], chance)


def _new(chance: random.Random) -> Command:
    kind = chance.randrange(3)
    if kind == 0:
        return (chance.choice(_OPERATIONS) | chance.choice((0, 1, 2, 5, 9, 15)) << 16,)
    if kind == 1:
        return (chance.choice(list(REGISTERS_16)) | _short(chance) << 16,)
    return chance.choice(_WITH_PAYLOAD) | _PAYLOAD | chance.choice((0, 0, 0, 255, 31)) << 16, _long(chance)


def _other_value(command: Command, chance: random.Random) -> Command:
    if len(command) == 2 and chance.random() < 0.8:
        step = chance.choice((1, 2, 8, 16, 256, 4096)) * chance.choice((1, -1))
        return command[0], (command[1] + step) & 0xFFFF_FFFF if chance.random() < 0.5 else _long(chance)
    if chance.random() < 0.5:
        return (command[0] ^ 1 << chance.randrange(16, 32), *command[1:])
    return (command[0] & 0xFFFF | _short(chance) << 16, *command[1:])


def _short(chance: random.Random) -> int:
    return chance.choice(_EDGES) if chance.random() < 0.6 else chance.randrange(1 << chance.randrange(1, 17))


def _long(chance: random.Random) -> int:
    return chance.choice(_EDGES) if chance.random() < 0.3 else chance.randrange(1 << chance.randrange(1, 33))
