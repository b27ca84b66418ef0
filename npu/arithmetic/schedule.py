"""Runs steps in order: runs of compiled ones by one call, the others by NumPy; shares a batch among threads.

    schedule = Schedule.of(steps)           # pairs of an operation and what NumPy calls for it
    schedule.run(memory, batch, threads)

Of compiled ones, a stretch runs all its steps on a few samples before the next few, as many as keep what one step
writes in the CPU's cache until the next reads it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from itertools import groupby, pairwise

from hil.npu.arithmetic.blas import one_thread
from hil.npu.arithmetic.dispatch import Step
from hil.npu.arithmetic.native_steps import native_copy
from hil.npu.native import library, records
from hil.npu.native.records import NativeStep
from hil.npu.stream.feature_map import Regions
from hil.npu.stream.operations import BlockOperation, Dma, Operation, Windowed

CHUNK_ELEMENTS = 1 << 16
"""OFM elements that NumPy computes at a time, in whole samples, so that intermediate values stay in the CPU's cache."""

CACHE_BYTES = 1 << 19
"""Bytes of feature maps that one step reads and writes on the samples of a group."""

THREAD_WORK = 1 << 26
"""Multiplications per thread from which on another thread is worth its start: half a millisecond."""

PIECES = 4
"""Pieces of a batch per thread; each thread takes one after the other, so that none waits long for another."""

NUMPY_WORK = 100
"""Cost of an OFM element with NumPy, in multiplications of compiled code."""


@dataclass(frozen=True)
class CopyStep:
    """Copies bytes as a DMA does."""

    operation: Dma

    @cached_property
    def native(self) -> NativeStep:
        """The same for the compiled code."""
        return native_copy(self.operation)

    def __call__(self, memory: Regions) -> None:
        """Copies the bytes of every sample of `memory`."""
        operation = self.operation
        source, destination = memory[operation.source_region], memory[operation.destination_region]
        for start, end in zip(operation.sources, operation.destinations, strict=True):
            destination[:, end : end + operation.length] = source[:, start : start + operation.length]


@dataclass(frozen=True)
class _Compiled:
    """Compiled steps that one call runs."""

    steps: tuple[NativeStep, ...]
    stretches: ctypes.Array[records.Stretch]
    records: ctypes.Array[records.Step]

    @classmethod
    def of(cls, steps: Sequence[NativeStep]) -> _Compiled:
        lengths = [(len([*same]), group) for group, same in groupby(map(_group, steps))]
        stretches = (records.Stretch * len(lengths))(*(records.Stretch(*one) for one in lengths))
        return cls(tuple(steps), stretches, (records.Step * len(steps))(*(step.record for step in steps)))


@dataclass(frozen=True)
class Schedule:
    """Runs of compiled steps and single steps of NumPy in order; `work` is that of one sample."""

    parts: tuple[_Compiled | tuple[Operation, Step], ...]
    work: int
    code: library.Library | None

    @classmethod
    def of(cls, steps: Sequence[tuple[Operation, Step]]) -> Schedule:
        """Prepares `steps` for the compiled code, if there is any."""
        code = library.loaded()
        found = [(operation, step, _native(step, code)) for operation, step in steps]
        parts: list[_Compiled | tuple[Operation, Step]] = []
        for compiled, members in groupby(found, lambda item: item[2] is not None):
            if compiled:
                parts.append(_Compiled.of([native for _, _, native in members if native is not None]))
            else:
                parts += [(operation, step) for operation, step, _ in members]
        work = sum(native.work if native else _numpy_work(operation) for operation, _, native in found)
        return cls(tuple(parts), work, code)

    def run(self, memory: Regions, batch: int, threads: int) -> None:
        """Runs everything on `batch` samples, on at most `threads` threads and no more than the work is worth."""
        threads = max(1, min(threads, batch, self.work * batch // THREAD_WORK))
        if threads == 1:
            self._run(memory)
            return
        count = min(batch, PIECES * threads)
        if len(self.parts) == 1 and isinstance(self.parts[0], _Compiled):
            run = partial(self._run_compiled, self.parts[0], memory, library.Pieces(count))
        else:
            ends = (batch * piece // count for piece in range(count + 1))
            run = partial(self._run_pieces, memory, pairwise([*ends]))
        others = [_pool(threads).submit(run) for _ in range(threads - 1)]
        run()
        for other in others:
            if not other.cancel():  # On a busy machine a thread may not have begun yet.
                other.result()

    def _run_pieces(self, memory: Regions, waiting: Iterator[tuple[int, int]]) -> None:
        """Runs piece after piece of those that no other thread has taken."""
        for begin, end in waiting:
            self._run({region: data[begin:end] for region, data in memory.items()})

    def _run(self, memory: Regions) -> None:
        for part in self.parts:
            if isinstance(part, _Compiled):
                self._run_compiled(part, memory, library.Pieces(1))
            else:
                _run_numpy(*part, memory)

    def _run_compiled(self, part: _Compiled, memory: Regions, pieces: library.Pieces) -> None:
        assert self.code is not None
        self.code.run(part.records, part.stretches, memory, pieces)


def run_step(operation: Operation, step: Step, memory: Regions) -> None:
    """Runs one step on every sample of `memory`."""
    code = library.loaded()
    native = _native(step, code)
    if code is None or native is None:
        _run_numpy(operation, step, memory)
    else:
        compiled = _Compiled.of([native])
        code.run(compiled.records, compiled.stretches, memory, library.Pieces(1))


def _native(step: Step, code: library.Library | None) -> NativeStep | None:
    found: NativeStep | None = None if code is None else getattr(step, "native", None)
    return found


def _group(step: NativeStep) -> int:
    """Samples that fit the cache, rounded down to a power of four so that neighbours often agree."""
    fitting = max(1, CACHE_BYTES // max(1, step.sample_bytes))
    return int(4 ** ((fitting.bit_length() - 1) // 2))


def _numpy_work(operation: Operation) -> int:
    return NUMPY_WORK * operation.ofm.elements if isinstance(operation, BlockOperation) else 0


def _run_numpy(operation: Operation, step: Step, memory: Regions) -> None:
    """Runs `step` on a few samples at a time, so that intermediate values stay in the CPU's cache."""
    batch = samples = len(next(iter(memory.values()), ()))
    if isinstance(operation, BlockOperation):
        padded = operation.padded_elements if isinstance(operation, Windowed) else 0
        samples = max(1, CHUNK_ELEMENTS // max(operation.ofm.elements, operation.ifm.elements, padded))
    with one_thread():
        for first in range(0, batch, max(1, samples)):
            step({region: data[first : first + samples] for region, data in memory.items()})


@lru_cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads beside the caller's, kept: to start them takes as long as a small batch."""
    return ThreadPoolExecutor(threads - 1)
