"""The loads and stores by which a CPU reaches a device: what each reads, writes and changes.

    >>> access = decode(bytes.fromhex("53f8041f"))          # LDR r1, [r3, #4]!
    >>> access.registers, access.address([0x1000 * number for number in range(16)])
    ((1,), 12292)

A debugger's watchpoint stops QEMU *before* an access to the NPU's registers and does not say what the instruction
is.  So it is decoded here, the device is asked, and the result is put into the CPU's registers as the instruction
would have done.  All Armv8-M loads and stores of core registers are known: byte, half word, word, double word and
multiple; immediate, register and PC-relative offsets; pre- and post-indexed; signed; unprivileged, acquire
and release.  Vector and floating-point transfers are in `stepped_access`; exclusive ones are refused, as a device has
no monitor for them.

Inside an IT block the skipped instruction must also be counted in xPSR (`next_xpsr`), or the following one would run
under its condition.  Sources: Armv8-M Architecture Reference Manual (DDI 0553), capstone for the encodings.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from hil.core.errors import FaultError
from hil.fvp.machine.gdb import PC

if TYPE_CHECKING:  # Imported where it is needed: it costs as much as the rest of this program.
    import capstone

SP = 13

_WORD, _HALF, _BYTE = 4, 2, 1
_SINGLE = {
    "": (_WORD, False), "t": (_WORD, False), "d": (_WORD, False), "a": (_WORD, False), "l": (_WORD, False),
    "b": (_BYTE, False), "bt": (_BYTE, False), "ab": (_BYTE, False), "lb": (_BYTE, False),
    "h": (_HALF, False), "ht": (_HALF, False), "ah": (_HALF, False), "lh": (_HALF, False),
    "sb": (_BYTE, True), "sbt": (_BYTE, True), "sh": (_HALF, True), "sht": (_HALF, True),
}  # fmt: skip
"""Width in bytes and signedness by what follows LDR/STR (or LD/ST for acquire and release) in the mnemonic."""

_MULTIPLE = {"ldm": 1, "ldmdb": -1, "stm": 1, "stmdb": -1, "pop": 1, "push": -1}
"""Direction of each multiple transfer: upwards from the base, or below it."""


class LoadStore(NamedTuple):
    """One load or store.

    It moves `registers`, `width` bytes each, one after the other from `base + (offset << shift) + displacement`;
    `writeback` is what is added to the base afterwards (None: nothing).  `size` is the instruction's own, in bytes.
    """

    size: int
    is_load: bool
    registers: tuple[int, ...]
    width: int
    signed: bool
    base: int
    offset: int | None = None
    shift: int = 0
    displacement: int = 0
    writeback: int | None = None

    def address(self, registers: Sequence[int]) -> int:
        """Address of the access, given r0 to r15 as they were before it."""
        base = registers[self.base] if self.base != PC else (registers[PC] + 4) & ~3
        offset = 0 if self.offset is None else registers[self.offset] << self.shift
        return (base + offset + self.displacement) & 0xFFFF_FFFF

    def loaded(self, raw: int) -> int:
        """The register's value for the `width` bytes `raw`: extended by sign or zero to 32 bits."""
        top = 1 << (8 * self.width - 1)
        return raw - 2 * top & 0xFFFF_FFFF if self.signed and raw & top else raw

    def written_base(self, registers: Sequence[int]) -> int | None:
        """The base register's value afterwards; None if it stays."""
        return None if self.writeback is None else (registers[self.base] + self.writeback) & 0xFFFF_FFFF


def next_xpsr(xpsr: int) -> int:
    """xPSR after one instruction of an IT block; unchanged outside one."""
    state = (xpsr >> 10 & 0x3F) << 2 | xpsr >> 25 & 3
    if not state & 0xF:  # Not in an IT block (these bits may hold the progress of a vector instruction).
        return xpsr
    state = 0 if not state & 7 else state & 0xE0 | state << 1 & 0x1F
    return xpsr & ~(0x3F << 10 | 3 << 25) | state >> 2 << 10 | (state & 3) << 25


@functools.lru_cache(1024)
def decode(code: bytes) -> LoadStore:
    """The load or store at the start of `code` (4 bytes); raises `FaultError` if there is none."""
    access = _usual(code)
    if access is not None:
        return access
    instruction = next(_disassembler().disasm(code, 0, 1), None)
    access = None if instruction is None else _access(instruction)
    if access is None:
        text = "" if instruction is None else f" ({instruction.mnemonic} {instruction.op_str})"
        raise FaultError(f"the instruction {code.hex()}{text} reaches the NPU in a way that is not modelled")
    return access


def _usual(code: bytes) -> LoadStore | None:
    """The words that Arm's driver moves: LDR and STR with an immediate (T1, T3) or shifted register (T2).

    They need no disassembler, whose import costs a boot as much as a tenth of the NPU's work.
    """
    first, second = int.from_bytes(code[:2], "little"), int.from_bytes(code[2:4], "little")
    if first >> 12 == 0b0110:
        return LoadStore(
            2, bool(first >> 11 & 1), (first & 7,), _WORD, False, first >> 3 & 7, displacement=first >> 4 & 0x7C
        )
    base, target, is_load = first & 15, second >> 12, bool(first >> 4 & 1)
    if PC in (base, target):
        return None
    if first & 0xFFE0 == 0xF8C0:
        return LoadStore(4, is_load, (target,), _WORD, False, base, displacement=second & 0xFFF)
    if first & 0xFFE0 == 0xF840 and not second & 0xFC0 and second & 15 not in (SP, PC):
        return LoadStore(4, is_load, (target,), _WORD, False, base, second & 15, second >> 4 & 3)
    return None


@functools.cache
def _disassembler() -> capstone.Cs:
    import capstone

    mode = capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS | capstone.CS_MODE_V8
    disassembler = capstone.Cs(capstone.CS_ARCH_ARM, mode)
    disassembler.detail = True
    return disassembler


@functools.cache
def _numbers() -> dict[int, int]:
    """capstone's register names to numbers."""
    from capstone import arm

    names = {getattr(arm, f"ARM_REG_R{number}"): number for number in range(13)}
    return names | {arm.ARM_REG_SP: SP, arm.ARM_REG_LR: 14, arm.ARM_REG_PC: PC}


def _access(instruction: capstone.CsInsn) -> LoadStore | None:
    from capstone import arm

    name = instruction.mnemonic.removesuffix(".w")
    core = _numbers()
    operands = instruction.operands
    if any(o.type == arm.ARM_OP_REG and o.reg not in core for o in operands):
        return None
    registers = [core[o.reg] for o in operands if o.type == arm.ARM_OP_REG]
    if name in _MULTIPLE:
        return _multiple(instruction, name, registers)
    known = _single(name)
    if PC in registers:
        return None  # A jump.
    memory = next((o for o in operands if o.type == arm.ARM_OP_MEM), None)
    if known is None or memory is None or memory.mem.base not in core:
        return None
    is_load, (width, signed) = known
    after = sum(o.imm for o in operands if o.type == arm.ARM_OP_IMM)  # The offset of a post-indexed access.
    displacement = memory.mem.disp
    writeback = None
    if instruction.writeback:
        writeback = after if instruction.post_index else displacement
    return LoadStore(
        instruction.size, is_load, tuple(registers), width, signed, core[memory.mem.base],
        core.get(memory.mem.index), memory.shift.value or memory.mem.lshift, displacement, writeback,
    )  # fmt: skip


def _single(name: str) -> tuple[bool, tuple[int, bool]] | None:
    """(is a load, (width, signed)) of a transfer of one or two registers."""
    for start in ("ldr", "str", "ld", "st"):
        known = _SINGLE.get(name.removeprefix(start)) if name.startswith(start) else None
        if known:
            return start.startswith("ld"), known
    return None


def _multiple(instruction: capstone.CsInsn, name: str, registers: list[int]) -> LoadStore:
    writeback = instruction.writeback
    if name in ("pop", "push"):
        registers, writeback = [SP, *registers], True
    base, moved = registers[0], tuple(registers[1:])
    is_load = name in ("ldm", "ldmdb", "pop")
    bytes_moved = _MULTIPLE[name] * _WORD * len(moved)
    if is_load and base in moved:
        writeback = False  # The loaded value stays.
    return LoadStore(
        instruction.size, is_load, moved, _WORD, False, base,
        displacement=min(bytes_moved, 0), writeback=bytes_moved if writeback else None,
    )  # fmt: skip
