"""Command streams, decoded once each, and ahead of time where the model is known.

    programs = Programs(accelerator)
    programs.foresee(model)                 # what Vela compiled: its streams are decoded, its weights unpacked
    programs.find(stream, base_pointers)    # what the driver starts

A stream read from memory is only bytes; whether it is one that was foreseen is seen by comparing them, and the
weights' bytes are compared again when they are used.  So nothing depends on the guess but time: the work is done while
QEMU starts and the firmware boots, not while it waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hil.core.errors import StreamError
from hil.npu.accelerator import Accelerator
from hil.npu.program import Program, decode
from hil.npu.stream.payload import parse_payload
from hil.npu.vela_output import READ_ONLY, SCRATCH, SCRATCH_FAST, NpuOperator, is_compiled, read_compiled

_MOST_STREAMS = 64
"""Most streams in the cache; firmware that makes new ones for ever may not fill the host's memory."""

_VELAS = (READ_ONLY, SCRATCH, SCRATCH_FAST)
"""The regions that Vela gives to a stream."""


@dataclass(frozen=True)
class _Decoded:
    """`program` holds where, of `regions`, those in `aliases` are the same memory as another."""

    regions: frozenset[int]
    aliases: dict[int, int]
    program: Program


class Programs:
    """The streams of one NPU."""

    def __init__(self, accelerator: Accelerator) -> None:
        self._accelerator = accelerator
        self._decoded: dict[bytes, list[_Decoded]] = {}

    def find(self, stream: bytes, base_pointers: Sequence[int]) -> Program:
        """The program of `stream` with regions at `base_pointers`; raises `StreamError`."""
        aliases = {
            region: base_pointers.index(base)
            for region, base in enumerate(base_pointers)
            if base_pointers.index(base) < region
        }
        for known in self._decoded.get(stream, ()):
            if known.aliases == _only(aliases, known.regions):
                return known.program
        return self._decode(stream, range(len(base_pointers)), aliases)

    def foresee(self, model: bytes) -> None:
        """Decodes the streams of `model` if Vela compiled it; an error in it is reported when the NPU runs it."""
        if not is_compiled(model):
            return
        try:
            compiled = read_compiled(model)
            for subgraph in compiled.subgraphs:
                for operator in subgraph.operators:
                    if isinstance(operator, NpuOperator):
                        stream, constants = (
                            subgraph.tensors[index].data for index in (operator.command_stream, operator.read_only)
                        )
                        if stream is not None and constants is not None:
                            needs_fast = operator.needs_fast_memory(subgraph.tensors)
                            same = {} if needs_fast else {SCRATCH_FAST: SCRATCH}
                            words = parse_payload(stream)[1].astype("<u4").tobytes()
                            self._decode(words, _VELAS, same).predecode({READ_ONLY: constants})
        except StreamError:
            return

    def _decode(self, stream: bytes, regions: Iterable[int], aliases: Mapping[int, int]) -> Program:
        """Decodes `stream` for `aliases` among `regions`; of others that it uses, none may be another's memory."""
        program = decode(np.frombuffer(stream, "<u4").astype(np.uint32), self._accelerator, {}, dict(aliases))
        compared = frozenset(regions) | frozenset(program.required)
        if len(self._decoded) >= _MOST_STREAMS:
            del self._decoded[next(iter(self._decoded))]
        self._decoded.setdefault(stream, []).append(_Decoded(compared, dict(aliases), program))
        return program


def _only(aliases: Mapping[int, int], regions: frozenset[int]) -> dict[int, int]:
    """The aliases among `regions`."""
    return {region: other for region, other in aliases.items() if region in regions}
