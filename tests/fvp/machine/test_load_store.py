"""Loads and stores of the NPU's registers do what the same instructions do to memory.

The oracle is QEMU's own CPU: a firmware runs each instruction twice, once on the NPU's base pointer registers (which
read as they were written, like memory) and once on SRAM, and reports all core registers and the memory after each.
"""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.core.errors import FaultError
from hil.fvp.inference.firmware import Firmware
from hil.fvp.machine import load_store
from hil.fvp.machine.load_store import decode, next_xpsr
from tests.support.corstone300 import UART_OUT, Launch
from tests.support.thumb import Program

SRAM = 0x3100_0000
BASEP = 0x80
STACK = 0x7002_0000
WORDS = 16

# Each: name, halfwords; r0 = base + 32, r5 = base + 32 as well, r6 = 2, r7 = 0; the other registers hold patterns.
CASES: dict[str, tuple[int, ...]] = {
    "ldr r1, [r0, #4]": (0x6841,),
    "str r1, [r0, #8]": (0x6081,),
    "ldrb r1, [r0, #3]": (0x78C1,),
    "strb r1, [r0, #1]": (0x7041,),
    "ldrh r1, [r0, #2]": (0x8841,),
    "strh r1, [r0, #2]": (0x8041,),
    "ldr r1, [r0, r7]": (0x59C1,),
    "str r1, [r0, r7]": (0x51C1,),
    "ldrsb r1, [r0, r6]": (0x5781,),
    "ldrsh r1, [r0, r6]": (0x5F81,),
    "ldrb r1, [r0, r6]": (0x5D81,),
    "ldrh r1, [r0, r6]": (0x5B81,),
    "strb r1, [r0, r6]": (0x5581,),
    "strh r1, [r0, r6]": (0x5381,),
    "ldm r5!, {r1, r2, r3}": (0xCD0E,),
    "ldm r5, {r1, r5}": (0xCD22,),
    "stm r5!, {r1, r2, r3}": (0xC50E,),
    "ldr.w r8, [r0, #12]": (0xF8D0, 0x800C),
    "str.w r8, [r0, #12]": (0xF8C0, 0x800C),
    "ldrb.w r8, [r0, #7]": (0xF890, 0x8007),
    "ldrh.w r8, [r0, #6]": (0xF8B0, 0x8006),
    "ldrsb.w r8, [r0, #7]": (0xF990, 0x8007),
    "ldrsh.w r8, [r0, #6]": (0xF9B0, 0x8006),
    "strb.w r8, [r0, #7]": (0xF880, 0x8007),
    "strh.w r8, [r0, #6]": (0xF8A0, 0x8006),
    "ldr r1, [r5, #-8]": (0xF855, 0x1C08),
    "ldr r1, [r5], #4": (0xF855, 0x1B04),
    "ldr r1, [r5], #-4": (0xF855, 0x1904),
    "ldr r1, [r5, #4]!": (0xF855, 0x1F04),
    "ldr r1, [r5, #-4]!": (0xF855, 0x1D04),
    "str r1, [r5], #4": (0xF845, 0x1B04),
    "str r1, [r5, #-4]!": (0xF845, 0x1D04),
    "strb r1, [r5], #1": (0xF805, 0x1B01),
    "strh r1, [r5, #2]!": (0xF825, 0x1F02),
    "ldrb r1, [r5], #1": (0xF815, 0x1B01),
    "ldrsb r1, [r5, #-1]!": (0xF915, 0x1D01),
    "ldrsh r1, [r5], #2": (0xF935, 0x1B02),
    "ldrt r1, [r0, #4]": (0xF850, 0x1E04),
    "strbt r1, [r0, #4]": (0xF800, 0x1E04),
    "ldr.w r1, [r0, r6, lsl #2]": (0xF850, 0x1026),
    "str.w r1, [r0, r6, lsl #2]": (0xF840, 0x1026),
    "ldrsh.w r1, [r0, r6, lsl #1]": (0xF930, 0x1016),
    "ldrd r2, r3, [r0, #8]": (0xE9D0, 0x2302),
    "ldrd r2, r3, [r5, #-8]": (0xE955, 0x2302),
    "ldrd r2, r3, [r5], #8": (0xE8F5, 0x2302),
    "strd r2, r3, [r0]": (0xE9C0, 0x2300),
    "strd r2, r3, [r5, #-8]!": (0xE965, 0x2302),
    "strd r2, r3, [r5, #8]!": (0xE9E5, 0x2302),
    "ldm.w r5!, {r1, r8, r9}": (0xE8B5, 0x0302),
    "ldmdb r5!, {r1, r8}": (0xE935, 0x0102),
    "ldmdb r5, {r1, r8}": (0xE915, 0x0102),
    "stm.w r5, {r1, r8}": (0xE885, 0x0102),
    "stmdb r5!, {r1, r8, r9}": (0xE925, 0x0302),
    "lda r1, [r0]": (0xE8D0, 0x1FAF),
    "ldab r1, [r0]": (0xE8D0, 0x1F8F),
    "ldah r1, [r0]": (0xE8D0, 0x1F9F),
    "stl r1, [r0]": (0xE8C0, 0x1FAF),
    "stlb r1, [r0]": (0xE8C0, 0x1F8F),
    "stlh r1, [r0]": (0xE8C0, 0x1F9F),
    "ldrsbt r1, [r0, #3]": (0xF910, 0x1E03),
    "ldrsht r1, [r0, #2]": (0xF930, 0x1E02),
    "ldrht r1, [r0, #2]": (0xF830, 0x1E02),
    "strht r1, [r0, #2]": (0xF820, 0x1E02),
    "ldrb.w r1, [r0, r6]": (0xF810, 0x1006),
    "ldrsb.w r1, [r0, r6]": (0xF910, 0x1006),
    "ldrh.w r1, [r0, r6, lsl #1]": (0xF830, 0x1016),
    "strb.w r1, [r0, r6, lsl #1]": (0xF800, 0x1016),
    "strh.w r1, [r0, r6, lsl #1]": (0xF820, 0x1016),
    "strh r1, [r5], #2": (0xF825, 0x1B02),
    "ldrb r1, [r5, #-3]": (0xF815, 0x1C03),
    "strb r1, [r5, #-3]!": (0xF805, 0x1D03),
    "strd r2, r3, [r5], #-8": (0xE865, 0x2302),
    "ldrd r2, r3, [r5, #8]!": (0xE9F5, 0x2302),
    "ldmdb r5!, {r1, r8, lr}": (0xE935, 0x4102),
    "vldr s3, [r0, #4]": (0xEDD0, 0x1A01),
    "vldr d2, [r0, #8]": (0xED90, 0x2B02),
    "vstr s3, [r0, #-4]": (0xED40, 0x1A01),
    "vstr d2, [r0, #8]": (0xED80, 0x2B02),
    "vldmia r5!, {d1, d2}": (0xECB5, 0x1B04),
    "vstmia r5!, {s0, s1, s2}": (0xECA5, 0x0A03),
    "vstmdb r5!, {d0}": (0xED25, 0x0B02),
    "vstr fpscr, [r0, #4]": (0xED80, 0x2F81),
    "vstr p0, [r0, #4]": (0xEDC0, 0xAF81),
    "vldrw.u32 q1, [r0, #16]": (0xED90, 0x3F04),
    "vldrw.u32 q1, [r5], #16": (0xECB5, 0x3F04),
    "vldrw.u32 q1, [r5, #-16]!": (0xED35, 0x3F04),
    "vldrh.u16 q1, [r0, #2]": (0xED90, 0x3E81),
    "vldrb.u8 q1, [r0, #3]": (0xED90, 0x3E03),
    "vldrb.s32 q1, [r0, #3]": (0xED90, 0x2F03),
    "vldrh.u32 q1, [r0, #6]": (0xFD98, 0x2F03),
    "vstrw.32 q0, [r0, #16]": (0xED80, 0x1F04),
    "vstrw.32 q0, [r5], #16": (0xECA5, 0x1F04),
    "vstrh.16 q0, [r0, #-6]": (0xED00, 0x1E83),
    "vstrb.8 q0, [r0, #-7]": (0xED00, 0x1E07),
    "vstrb.16 q0, [r0, #3]": (0xED80, 0x0E83),
    "vstrh.32 q0, [r0, #6]": (0xED88, 0x0F03),
    "vld20.32 {q0, q1}, [r0]": (0xFC90, 0x1F00),
    "vst20.32 {q0, q1}, [r5]": (0xFC85, 0x1F00),
    "vld41.8 {q0, q1, q2, q3}, [r0]": (0xFC90, 0x1E21),
    "vldrw.u32 q1, [r0, q3]": (0xFC90, 0x2F46),
    "vldrh.u32 q1, [r0, q3]": (0xFC90, 0x2F16),
    "vstrw.32 q0, [r0, q3]": (0xEC80, 0x0F46),
    "vstrb.32 q0, [r0, q3]": (0xEC80, 0x0F06),
    "vpst; vstrwt.32 q0, [r0]": (0xFE71, 0x0F4D, 0xED80, 0x1F00),
    "cmp r7, #0; itt eq; vstreq s3, [r0]; vldreq s5": (0x2F00, 0xBF04, 0xEDC0, 0x1A00, 0xEDD0, 0x2A02),
    "cmp r7, #0; itte eq; ldreq r1, [r0]; moveq r2, #5; movne r3, #7": (0x2F00, 0xBF06, 0x6801, 0x2205, 0x2307),
    "cmp r7, #0; iteet eq; streq; ldrne; movne; ldreq": (0x2F00, 0xBF0D, 0x6001, 0x6842, 0x2307, 0x6844),
    "cmp r7, #0; it ne; ldrne r1, [r0]": (0x2F00, 0xBF18, 0x6801),
}


def _enable_vectors(program: Program) -> None:
    program.set(0, 0xE000_ED88)
    program.set(1, 0xF << 20)
    program.code(0x6001, 0xF3BF, 0x8F6F)  # STR r1, [r0]; ISB: CPACR allows floating point and vectors


def _append(program: Program, base: int, code: tuple[int, ...]) -> None:
    """Fills the words at `base`, runs `code`, and pushes r0 to r12, d0 to d7 and the words on the stack."""
    program.set(0, base)
    for index in range(WORDS):
        program.set(1, 0x8070_6050 + 0x0191_8171 * index & 0xFFFF_FFFF)
        program.code(0x6001 | index << 6)
    for register in range(1, 13):
        program.set(register, 0xF1E2_D3C4 - 0x0102_0304 * register)
    program.code(0xEEED, 0x1A10)  # VMSR p0, r1
    program.code(0xEC12, 0x0F01, 0xEC14, 0x0F13)  # VMOV: q0 = r1, r3, r2, r4
    program.code(0xEC19, 0x2F08, 0xEC1B, 0x2F1A, 0xEF22, 0x4152)  # VMOV: q1 = r8, r10, r9, r11; q2 = q1
    program.set(6, 0)
    program.code(0xEE27, 0x6FEE)  # VIDUP.u32 q3, r6, #4: 0, 4, 8, 12
    program.set(0, base + 32)
    program.set(5, base + 32)
    program.set(6, 2)
    program.set(7, 0)
    program.code(*code)
    program.code(0xE92D, 0x1FFF, 0xED2D, 0x0B10)  # PUSH {r0-r12}; VPUSH {d0-d7}
    program.set(0, base)
    for index in range(WORDS):
        program.code(0x6801 | index << 6, 0xB402)  # LDR r1, [r0, ...]; PUSH {r1}


@pytest.mark.parametrize("window", [0x5810_2000, 0x4810_2000], ids=["secure", "non-secure"])
def test_every_encoding_does_to_the_npu_what_it_does_to_memory(fvp: Launch, tmp_path: Path, window: int) -> None:
    program = Program(STACK)
    _enable_vectors(program)
    for code in CASES.values():
        _append(program, window + BASEP, code)
        _append(program, SRAM, code)
    program.end()
    (tmp_path / "cases.elf").write_bytes(program.elf())
    record = 13 + 16 + WORDS
    size = 4 * record * 2 * len(CASES)
    done = fvp("-a", "cases.elf", *UART_OUT, "--timelimit", 600, "--dump", f"out@{STACK - size:#x},{size}")
    assert done.returncode == 0, done.stderr
    words = struct.unpack(f"<{size // 4}I", (tmp_path / "out").read_bytes())
    records = [words[at : at + record] for at in range(0, len(words), record)][::-1]
    wrong = []
    for index, name in enumerate(CASES):
        device, memory = (
            [value - base if base <= value < base + 4 * WORDS else value for value in part]
            for part, base in ((records[2 * index], window + BASEP), (records[2 * index + 1], SRAM))
        )
        if device != memory:
            wrong.append(name)
    assert not wrong


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ((0xE8D0, 0x1F4F), b"(ldrexb r1, [r0]) reaches the NPU in a way that is not modelled"),
        ((0xFD96, 0x3E01), b"takes its addresses from a vector"),  # VLDRW.u32 q1, [q3, #4]
        ((0xF8D0, 0xF004), b"not modelled"),  # LDR pc, [r0, #4]
    ],
)
def test_an_access_that_is_not_modelled_ends_the_run_and_is_named(
    fvp: Launch, tmp_path: Path, code: tuple[int, ...], said: bytes
) -> None:
    program = Program()
    _enable_vectors(program)
    program.set(0, 0x5810_2000)
    program.code(0xEC40, 0x0B16, 0xEC40, 0x0B17)  # VMOV d6, r0, r0; VMOV d7, r0, r0: all of q3
    program.code(*code)
    program.end()
    (tmp_path / "a.elf").write_bytes(program.elf())
    done = fvp("-a", "a.elf", *UART_OUT, "--timelimit", 600)
    assert done.returncode == 3
    assert said in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_what_is_no_load_or_store_is_refused() -> None:
    exclusive = "50e8001f"  # LDREX r1, [r0]: a device has no monitor, so its store would fail for ever
    for code in ("00bf00bf", "0020fee7", "ffffffff", exclusive):
        with pytest.raises(FaultError, match=code):
            decode(bytes.fromhex(code))


def test_what_is_decoded_without_the_disassembler_is_what_it_says() -> None:
    """All 16-bit forms; each 32-bit form with all registers and shifts, and a few immediates."""
    codes = [struct.pack("<2H", first, 0xBF00) for first in range(0x6000, 0x7000)]
    for opcode in (0xF8C0, 0xF8D0):
        codes += [
            struct.pack("<2H", opcode | base, target << 12 | offset)
            for base in range(16)
            for target in range(16)
            for offset in (0, 4, 0xFFF)
        ]
    for opcode in (0xF840, 0xF850):
        codes += [struct.pack("<2H", opcode | base, second) for base in (0, 13, 15) for second in range(0, 0x10000, 7)]
    known = 0
    for code in codes:
        usual = load_store._usual(code)
        if usual is not None:
            known += 1
            instruction = next(load_store._disassembler().disasm(code, 0, 1))
            assert usual == load_store._access(instruction), f"{code.hex()} {instruction.mnemonic} {instruction.op_str}"
    assert known > 5000


def test_arms_driver_needs_no_disassembler(runner: Firmware, compiled: Callable[..., tuple[bytes, bytes]]) -> None:
    """Its import costs a boot dearly; a firmware that needs it only runs slower."""
    _, model = compiled("kws_ref_int8")
    code = (
        "import sys; from hil.fvp.corstone300 import main; code = main(); "
        "sys.exit(code or 4 * ('capstone' in sys.modules) or 5 * ('hil.npu.program' not in sys.modules))"
    )
    words = [*UART_OUT, "-a", str(runner.path), "--timelimit", "600", "--data", "/dev/stdin@0x90000000"]
    done = subprocess.run([sys.executable, "-c", code, *words], input=model, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert b"Inference completed" in done.stdout


@given(st.integers(0, 14), st.sampled_from([r for r in range(15) if r != 13]), st.integers(0, 0xFFF), st.randoms())
def test_immediate_offsets_of_any_registers(base: int, target: int, offset: int, random: object) -> None:
    registers = [0x5810_0000 + 0x40 * number for number in range(16)]
    for opcode, is_load, width in ((0xF8D0, True, 4), (0xF8C0, False, 4), (0xF890, True, 1), (0xF8A0, False, 2)):
        access = decode(struct.pack("<2H", opcode | base, target << 12 | offset))
        assert (access.is_load, access.width, access.registers) == (is_load, width, (target,))
        assert access.address(registers) == registers[base] + offset
        assert access.written_base(registers) is None


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 0xFF), st.booleans(), st.booleans())
def test_writeback_of_any_registers(base: int, target: int, offset: int, before: bool, up: bool) -> None:
    if base == target:
        return
    registers = [0x5810_0000 + 0x400 * number for number in range(16)]
    access = decode(struct.pack("<2H", 0xF850 | base, target << 12 | 0x900 | before << 10 | up << 9 | offset))
    moved = registers[base] + (offset if up else -offset)
    assert access.address(registers) == (moved if before else registers[base])
    assert access.written_base(registers) == moved


@given(st.integers(0, 0xFFFF_FFFF))
def test_sign_extension(raw: int) -> None:
    byte = decode(bytes.fromhex("90f90010"))  # LDRSB.W r1, [r0]
    half = decode(bytes.fromhex("b0f90010"))  # LDRSH.W r1, [r0]
    assert (
        byte.loaded(raw & 0xFF) == struct.unpack("<i", struct.pack("<i", (raw & 0x7F) - (raw & 0x80)))[0] & 0xFFFF_FFFF
    )
    assert half.loaded(raw & 0xFFFF) == ((raw & 0x7FFF) - (raw & 0x8000)) & 0xFFFF_FFFF


@given(st.integers(0, 0xFFFF_FFFF))
def test_nothing_but_the_it_state_changes_and_a_block_ends_after_four(xpsr: int) -> None:
    mask = 0x0600_FC00
    assert next_xpsr(xpsr) & ~mask == xpsr & ~mask
    for _ in range(4):
        xpsr = next_xpsr(xpsr)
    assert not xpsr >> 10 & 3 or not (xpsr >> 25 & 3 | xpsr >> 8 & 0xC)
