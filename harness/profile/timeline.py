"""Timeline of a command stream: block operations, DMAs, and the waits of block operations, as spans of cycles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hil.harness.profile.charges import Charge
from hil.harness.profile.ownership import Owner
from hil.harness.profile.profile import Span
from hil.npu.stream.operations import BlockOperation
from hil.npu.timing.timing import Timing

NPU, DMA, WAIT = "NPU", "DMA", "wait"


def timeline(
    timing: Timing, charged: Sequence[Charge], owned: Sequence[Owner], numbers: Sequence[int], offset: int
) -> Iterator[Span]:
    """Yields the spans of a stream that starts at `offset`.

    `owned` and `numbers` are the owner and the number in the stream of each operation of `timing`.
    """
    for owner, number, one in zip(owned, numbers, timing.per_operation, strict=True):
        track = NPU if isinstance(one.operation, BlockOperation) else DMA
        name = f"{one.operation.kind.value} {number}"
        yield Span(track, name, owner.title, offset + one.start, offset + one.end)
    for charge in charged:
        if charge.waited:
            one = timing.per_operation[charge.number]
            at_the_end = charge.waited == charge.cycles
            end = timing.total if at_the_end else one.start
            cause = max(charge.waits, key=lambda each: charge.waits[each])
            start = offset + end - charge.waited
            yield Span(WAIT, f"waits for {cause.value}", owned[charge.number].title, start, offset + end)
