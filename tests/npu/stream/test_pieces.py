"""Pieces of a stream, run one after another on the same memory, do what the whole stream does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from hil.core.arrays import Bytes
from hil.npu.accelerator import Accelerator
from hil.npu.program import decode
from hil.npu.stream.decoder import decode_operations
from hil.npu.stream.footprint import accesses
from hil.npu.stream.operations import SHRAM_REGION, BlockOperation, Dma, Kind, Operation, Wait
from hil.npu.stream.payload import Words, parse_payload
from hil.npu.stream.pieces import StreamPiece, cut, separable_groups
from hil.npu.vela_output import READ_ONLY, SCRATCH, SCRATCH_FAST, NpuOperator, read_compiled

Vela = Callable[..., bytes]
SETTINGS = (
    ("ethos-u55-128", "Shared_Sram", ()),
    ("ethos-u55-256", "Dedicated", ()),
    ("ethos-u55-32", "Sram_Only", ("--optimise", "Size")),
    ("ethos-u65-512", "Dedicated", ("--arena-cache-size", "20000")),
)
NETWORKS = ("cnn", "misc", "shapes", "wide")


def streams(compiled: bytes) -> Iterator[tuple[Words, Accelerator, Bytes, dict[int, int]]]:
    """Words, accelerator, constants and aliases of each stream."""
    model = read_compiled(compiled)
    for graph in model.subgraphs:
        for operator in graph.operators:
            if isinstance(operator, NpuOperator):
                stream, constants = (graph.tensors[at].data for at in (operator.command_stream, operator.read_only))
                assert stream is not None
                accelerator, words = parse_payload(stream)
                aliases = {} if operator.needs_fast_memory(graph.tensors) else {SCRATCH_FAST: SCRATCH}
                yield words, accelerator, np.zeros(0, np.uint8) if constants is None else constants, aliases


def hazards(operations: Sequence[Operation], dmas: int) -> list[tuple[int, int]]:
    """Pairs of a DMA and a block operation, by place, that may run at the same time and touch the same bytes.

    An NPU has `dmas` DMAs and two block operations in flight (`architecture_features.py`).
    """
    found, running = [], {Kind.DMA_WAIT: [], Kind.KERNEL_WAIT: []}
    for place, one in enumerate(operations):
        if isinstance(one, Wait):
            del running[one.kind][: max(0, len(running[one.kind]) - one.outstanding)]
            continue
        own, other = Kind.KERNEL_WAIT, Kind.DMA_WAIT
        if isinstance(one, Dma):
            own, other = other, own
        for before in running[other]:
            copy, block = (place, before) if isinstance(one, Dma) else (before, place)
            target = [part for part in accesses(operations[copy]) if part[0] == operations[copy].destination_region]
            if any(a[0] == b[0] and a[1] < b[2] and b[1] < a[2] for a in target for b in accesses(operations[block])):
                found.append((before, place))
        running[own].append(place)
        del running[own][: -(dmas if isinstance(one, Dma) else 2)]
    return found


def check_stream(
    words: Words,
    accelerator: Accelerator,
    constants: Bytes,
    aliases: dict[int, int],
    owners: Callable[[int], int] = lambda place: place,
) -> tuple[StreamPiece, ...]:
    """Cuts a stream at all boundaries of `owners` and compares the memory after all pieces with the whole's."""
    operations = decode_operations(words, accelerator, aliases)
    groups = separable_groups(operations, [owners(place) for place in range(len(operations))])
    pieces = cut(words, operations, groups)
    whole = decode(words, accelerator, {}, aliases)  # no constants, so that a DMA of them is no shortcut
    sizes = {r: need.size for r, need in whole.required.items() if r not in (READ_ONLY, SHRAM_REGION)}
    generator = np.random.default_rng(1)
    memory = {region: generator.integers(0, 256, (1, size), np.uint8) for region, size in sizes.items()}
    memory[READ_ONLY] = constants.reshape(1, -1).copy()
    expected = {region: data.copy() for region, data in memory.items()}
    whole.run(expected)
    dmas = 2 if "u65" in accelerator.name else 1
    assert not hazards(operations, dmas)
    blocks = 0
    for piece in pieces:
        program = decode(piece.words, accelerator, {}, aliases)
        program.run({region: memory[region] for region in program.required if region in memory})
        assert not hazards(program.operations, dmas)
        blocks += sum(isinstance(one, BlockOperation) for one in program.operations)
    for region, data in expected.items():
        np.testing.assert_array_equal(memory[region], data)
    assert blocks == sum(isinstance(one, BlockOperation) for one in operations)
    return pieces


def check_pieces(compiled: bytes) -> list[tuple[StreamPiece, ...]]:
    """Checks each stream, an operation a piece."""
    return [check_stream(*stream) for stream in streams(compiled)]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("accelerator", "mode", "options"), SETTINGS, ids=lambda value: str(value))
def test_every_operation_a_piece(
    small_models: Callable[[str], bytes], vela: Vela, name: str, accelerator: str, mode: str, options: tuple[str, ...]
) -> None:
    made = check_pieces(vela(small_models(name), accelerator, mode, *options))
    assert all(len(pieces) > 1 for pieces in made)


def test_tables_are_loaded_again(small_models: Callable[[str], bytes], vela: Vela) -> None:
    """An operation with a table is started twice; the second piece must bring the table, which the stream has still."""
    words, accelerator, constants, aliases = next(streams(vela(small_models("misc"), "ethos-u55-128")))
    looks_up = next(
        one.word_offset
        for one in decode_operations(words, accelerator, aliases)
        if isinstance(one, BlockOperation) and one.activation.lut is not None
    )
    twice = np.insert(words, looks_up, words[looks_up])
    pieces = check_stream(twice, accelerator, constants, aliases, lambda place: place)
    assert [piece.reloads for piece in pieces if piece.reloads] == [1]
    (whole,) = check_stream(twice, accelerator, constants, aliases, lambda place: 0)
    assert whole.reloads == 0


@pytest.mark.parametrize("name", ["kws_micronet_m", "resnet8_int8", "ad01_int8"])
def test_shared_models(shared_models: Path, vela: Vela, name: str) -> None:
    int8 = (shared_models / f"{name}.tflite").read_bytes()
    for accelerator, mode, options in SETTINGS[:2]:
        check_pieces(vela(int8, accelerator, mode, *options))


def test_interleaved_owners_stay_together(shared_models: Path, vela: Vela) -> None:
    (stream,) = streams(vela((shared_models / "kws_ref_int8.tflite").read_bytes(), "ethos-u55-128"))
    words, accelerator, _, aliases = stream
    operations = decode_operations(words, accelerator, aliases)
    blocks = [place for place, one in enumerate(operations) if isinstance(one, BlockOperation)][:6]
    by_block = dict(zip(blocks, "AABCBD", strict=True))
    owners = [next((by_block[at] for at in blocks if at >= place), "D") for place in range(len(operations))]
    groups = separable_groups(operations, owners)
    assert [groups[place] for place in blocks] == [0, 0, 1, 1, 1, 2]
    late = ["E" if isinstance(one, Dma) else owner for one, owner in zip(operations, owners, strict=True)]
    late[blocks[-1]] = "E"  # all copies are its own, which others need before
    assert {separable_groups(operations, late)[place] for place in blocks} == {0}
