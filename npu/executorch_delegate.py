"""The Ethos-U delegate of an ExecuTorch program: what Vela compiled, in the container of ExecuTorch's Arm backend.

    delegate = read_delegate(data)
    delegate.accelerator.name, delegate.scratch_bytes

The container is a row of *blocks*: a name of 16 bytes, the length of the data as a 32-bit word, a byte that is 1 if the
data stand in another file, 11 bytes reserved, the data, padding to 16 bytes.  `vela_bin_stream` is the first block,
`vela_end_stream` the last.  `cmd_data` is the driver payload, `weight_data` the read-only region, `scratch_size` one
word.

Source: `arm_vela.py` of ExecuTorch's Arm backend.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from hil.core.errors import BadInputError, StreamError
from hil.core.executorch_program import Program
from hil.npu.accelerator import Accelerator
from hil.npu.program import decode
from hil.npu.stream.payload import parse_payload
from hil.npu.vela_output import READ_ONLY

BACKEND = "EthosUBackend"
"""ExecuTorch's name of the backend."""

_EXPORT = 'export it with EthosUPartitioner of ExecuTorch\'s Arm backend, EthosUCompileSpec("ethos-u55-128")'
_FIRST, _LAST = "vela_bin_stream", "vela_end_stream"
_BLOCK = struct.Struct("<16sIB11s")
_ALIGNMENT = 16


@dataclass(frozen=True)
class EthosUDelegate:
    """`scratch_bytes`: the memory for feature maps; `regions`: memory regions that its command stream addresses."""

    accelerator: Accelerator
    scratch_bytes: int
    regions: frozenset[int]


def check_delegates(program: Program, name: str = "the program") -> None:
    """Raises `BadInputError` unless Vela compiled all delegates, of which there is one at least."""
    others = sorted({found.name for found in program.delegates} - {BACKEND})
    if others:
        raise BadInputError(f"{name} has delegates for {', '.join(others)}, which no runner here has", hint=_EXPORT)
    if not program.delegates:
        raise BadInputError(f"{name} has no Ethos-U delegate: nothing of it would run on the NPU", hint=_EXPORT)


def read_delegates(program: Program) -> tuple[EthosUDelegate, ...]:
    """The Ethos-U delegates of a program.  Raises `StreamError` as `read_delegate`."""
    try:
        return tuple(read_delegate(found.data) for found in program.delegates if found.name == BACKEND)
    except StreamError as error:
        raise StreamError(f"the program's Ethos-U delegate: {error.args[0]}", hint=_EXPORT) from error


def read_delegate(data: bytes) -> EthosUDelegate:
    """Reads a delegate's data.

    Raises `StreamError` if they are damaged, or for a product other than Ethos-U55 and U65.
    """
    blocks = _blocks(data)
    for name in ("cmd_data", "weight_data", "scratch_size"):
        if name not in blocks:
            raise StreamError(f"the Ethos-U delegate has no block {name}")
    accelerator, words = parse_payload(blocks["cmd_data"])
    if len(blocks["scratch_size"]) != 4:
        raise StreamError(f"the Ethos-U delegate's scratch_size has {len(blocks['scratch_size'])} bytes")
    program = decode(words, accelerator, {READ_ONLY: np.frombuffer(blocks["weight_data"], np.uint8)})
    return EthosUDelegate(accelerator, int.from_bytes(blocks["scratch_size"], "little"), frozenset(program.required))


def _blocks(data: bytes) -> dict[str, bytes]:
    blocks: dict[str, bytes] = {}
    at = 0
    while _LAST not in blocks:
        if at + _BLOCK.size > len(data):
            raise StreamError(f"the Ethos-U delegate of {len(data)} bytes is cut short")
        raw, length, is_external, _ = _BLOCK.unpack_from(data, at)
        name = raw.rstrip(b"\0").decode(errors="replace")
        at += _BLOCK.size
        if not blocks and name != _FIRST:
            raise StreamError(f"the Ethos-U delegate starts with {name!r}, not {_FIRST!r}")
        if is_external:
            raise StreamError(f"the Ethos-U delegate has its {name} in another file, which the runner does not load")
        if at + length > len(data):
            raise StreamError(f"the Ethos-U delegate's block {name!r} of {length} bytes is cut short")
        blocks[name] = data[at : at + length]
        at += -(-length // _ALIGNMENT) * _ALIGNMENT
    return blocks
