"""The mapping from commands of the NPU to operators of the user's model.

It comes from Vela's debug database (`hil.harness.vela.debug_database`); `hil.harness.diff.difference` names with it the
first operator that differs, and a disassembly the tensors (`stream_names`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hil.npu.disassembly.listing import StreamNames


@dataclass(frozen=True)
class MappedCommand:
    """One block operation of a command stream and the operator that it comes from.

    `stream` counts the `ethos-u` operators in order of execution, `word_offset` is the operation's place in that
    stream in 32-bit words.  `operator_index` and `operator` are the TFLite operator (index in the int8 file's graph,
    kind such as CONV_2D; -1 where unknown).

    `tensor` is the tensor the operation writes into: a name of the int8 file, or one that Vela made up for a step
    inside an operator.  `shape` (height, width, depth) is that tensor's, as the compiler saw it.  One of the compiler's
    operators, `step`, writes the `part` of it that begins at `origin`, with one operation or with several: stripes of
    rows, slices of depth.
    """

    stream: int
    word_offset: int
    operator_index: int
    operator: str
    tensor: str
    shape: tuple[int, ...] = ()
    origin: tuple[int, ...] = ()
    part: tuple[int, ...] = ()
    step: int = 0


def stream_names(mapping: Sequence[MappedCommand]) -> tuple[StreamNames, ...]:
    """The names in `mapping` by stream, for `hil.npu.disassembly.listing`."""
    streams = 1 + max((entry.stream for entry in mapping), default=-1)
    writes: list[dict[int, str]] = [{} for _ in range(streams)]
    origins: list[dict[int, str]] = [{} for _ in range(streams)]
    for entry in mapping:
        if entry.tensor:
            writes[entry.stream][entry.word_offset] = entry.tensor
        index = f" {entry.operator_index}" if entry.operator_index >= 0 else ""
        origins[entry.stream][entry.word_offset] = entry.operator + index
    return tuple(StreamNames(*pair) for pair in zip(writes, origins, strict=True))
