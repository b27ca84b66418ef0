"""The NPU's jobs of an earlier run, ready to run again: decoded, their weights unpacked, their cycles modelled.

    kept = KeptJobs(jobs, memory)   # of a kept state
    timing = kept.run(job)          # None: no job like this one was kept

A job is like one that was kept if stream, regions and ports are the same, and memory holds the bytes that its weights,
scales and tables were unpacked from.  Then the same compiled code computes on the same memory as for `npu_jobs`, which
is only imported, with NumPy, for a job that was not kept.
"""

from __future__ import annotations

import contextlib
import ctypes
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from hil.core.artifact_manifest import digest
from hil.fvp.machine.memory import GuestMemory
from hil.npu.native.code import open_code
from hil.npu.native.image import Image, LoadedImage
from hil.npu.registers import NpuJob

SHRAM_REGION, SHRAM_BYTES = 8, 48 << 10
"""The number under which steps know SHRAM; its size in the largest U55 and U65."""

Span = tuple[int, int]
"""Addresses of a first byte and of that behind the last."""


class KeptTiming(NamedTuple):
    """Cycles and counts of a job (see `hil.npu.registers.Events`)."""

    total: int
    counts: Mapping[int, int]

    def events(self) -> Mapping[int, int]:
        """Returns counts by PMU event number."""
        return self.counts


class KeptJob(NamedTuple):
    """A job that ran.

    `regions` are the addresses of each region, `touched` those of all that it reads or writes, `sources` those of the
    bytes from which its `image` was made, whose hash is `digest`.
    """

    stream: bytes
    base_pointers: tuple[int, ...]
    region_config: int
    regions: Mapping[int, Span]
    touched: tuple[Span, ...]
    sources: tuple[Span, ...]
    digest: str
    timing: KeptTiming
    image: bytes

    def as_json(self) -> dict[str, Any]:
        """All but the stream and the image, as plain values."""
        return {
            "base_pointers": self.base_pointers,
            "region_config": self.region_config,
            "regions": [[region, *span] for region, span in self.regions.items()],
            "touched": self.touched,
            "sources": self.sources,
            "digest": self.digest,
            "total": self.timing.total,
            "counts": [[int(event), count] for event, count in self.timing.counts.items()],
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any], stream: bytes, image: bytes) -> KeptJob:
        """Reads what `as_json` gave."""
        return cls(
            stream,
            tuple(found["base_pointers"]),
            int(found["region_config"]),
            {region: (start, end) for region, start, end in found["regions"]},
            tuple((start, end) for start, end in found["touched"]),
            tuple((start, end) for start, end in found["sources"]),
            str(found["digest"]),
            KeptTiming(int(found["total"]), dict(found["counts"])),
            image,
        )


def sources_digest(memory: GuestMemory, sources: Sequence[Span]) -> str:
    """The hash of the bytes at `sources`."""
    return digest(b"".join(struct.pack("<Q", end - start) + memory.read(start, end - start) for start, end in sources))


class KeptJobs:
    """The jobs of one kept state, on `memory`."""

    def __init__(self, jobs: Sequence[KeptJob], memory: GuestMemory) -> None:
        self._jobs = {(job.stream, job.base_pointers, job.region_config): job for job in jobs}
        self._memory = memory
        self._loaded: dict[int, LoadedImage | None] = {}

    def run(self, job: NpuJob) -> KeptTiming | None:
        """Does `job` if it is like one that was kept and this machine can; else does nothing and returns None."""
        if all(len(stream) != job.queue_bytes for stream, *_ in self._jobs):
            return None
        stream = self._memory.read(job.queue_address, job.queue_bytes)
        found = self._jobs.get((stream, job.base_pointers, job.region_config))
        if found is None or sources_digest(self._memory, found.sources) != found.digest:
            return None
        image = self._image(found)
        if image is None:
            return None
        shram = ctypes.create_string_buffer(SHRAM_BYTES)
        with borrowed_regions(self._memory, found.regions, found.touched) as views:
            addresses = {
                region: ctypes.addressof((ctypes.c_char * len(v)).from_buffer(v)) for region, v in views.items()
            }
            image.run({**addresses, SHRAM_REGION: ctypes.addressof(shram)})
        return found.timing

    def _image(self, job: KeptJob) -> LoadedImage | None:
        if id(job) not in self._loaded:
            code = open_code()
            self._loaded[id(job)] = None if code is None else LoadedImage.of(Image.from_bytes(job.image), code)
        return self._loaded[id(job)]


@contextlib.contextmanager
def borrowed_regions(
    memory: GuestMemory, regions: Mapping[int, Span], touched: Sequence[Span]
) -> Iterator[dict[int, memoryview]]:
    """The bytes of each region, by number, as `GuestMemory.borrowed`; regions that overlap share their bytes."""
    with contextlib.ExitStack() as stack:
        spans = []
        for low, high in merged(regions.values()):
            pieces = [piece for piece in touched if low <= piece[0] < high]
            spans.append((low, high, stack.enter_context(memory.borrowed(low, high - low, pieces))))
        views = {}
        for region, (start, end) in regions.items():
            low, data = next((low, data) for low, high, data in spans if low <= start and end <= high)
            views[region] = data[start - low : end - low]
        yield views


def merged(ranges: Iterable[Span]) -> list[Span]:
    """`ranges` (start, end) with those that overlap made one."""
    found: list[Span] = []
    for start, end in sorted(ranges):
        if found and start < found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found
