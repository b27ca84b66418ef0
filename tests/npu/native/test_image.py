"""An image of a program's compiled steps, run without decoding, does what the program does."""

from __future__ import annotations

import numpy as np

from hil.core.errors import StreamError
from hil.npu.native.code import open_code
from hil.npu.native.image import Image, LoadedImage
from hil.npu.program import decode
from hil.npu.program_image import program_image
from tests.support.fuzzing.geometry import ARENA, U55, draw

SEEDS = 300


def drawn():
    """Programs of one operation whose weights lie in memory, as a driver's do, and those weights."""
    for seed in range(SEEDS):
        try:
            operation = draw(seed)
            program, constants = decode(operation.words, U55, {}), operation.constants.reshape(1, -1).copy()
            program.run({0: constants, 1: np.zeros((1, ARENA), np.uint8)})
        except StreamError:
            continue
        yield seed, program, constants


def test_an_image_writes_the_same_bytes(way, computing):
    made = 0
    with computing(way):
        for seed, program, constants in drawn():
            found = program_image(program)
            if found is None:
                continue
            made += 1
            loaded = LoadedImage.of(Image.from_bytes(found.image.to_bytes()), open_code())
            expected = np.random.default_rng(seed).integers(0, 256, (1, ARENA), np.uint8)
            arena, shram = expected.copy(), np.zeros(U55.shram_bytes, np.uint8)
            program.run({0: constants, 1: expected})
            loaded.run({0: constants.ctypes.data, 1: arena.ctypes.data, 8: shram.ctypes.data})
            assert (arena == expected).all(), f"operation {seed}"
    assert made > SEEDS // 2


def test_numpy_alone_makes_no_image(computing):
    with computing("numpy"):
        assert {program_image(program) for _, program, _ in drawn()} == {None}


def test_instructions_that_the_cpu_has_not_are_not_used(computing):
    images = (program_image(program) for _, program, _ in drawn())
    image = next(found.image for found in images if found is not None)
    assert LoadedImage.of(image._replace(level=open_code().best_level() + 1), open_code()) is None


def test_the_sources_are_the_bytes_that_weights_come_from():
    """All other bytes of that region may change."""
    checked = 0
    for seed, program, constants in drawn():
        found = program_image(program)
        if found is None or not found.sources:
            continue
        checked += 1
        changed = ~constants
        for region, start, end in found.sources:
            assert region == 0
            changed[:, start:end] = constants[:, start:end]
        arenas = [np.random.default_rng(seed).integers(0, 256, (1, ARENA), np.uint8) for _ in range(2)]
        program.run({0: constants, 1: arenas[0]})
        program.run({0: changed, 1: arenas[1]})
        assert (arenas[0] == arenas[1]).all(), f"operation {seed}"
    assert checked > SEEDS // 4
