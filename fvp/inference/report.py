"""Reader of the output of Arm's inference runner on its UART.

    report = read(uart)
    report.counters["NPU TOTAL"], report.failure

Counters come from its record for programs, `<metrics>` base64 of JSON `</metrics>`: profiling groups, each with
samples of a name and values.  What the record lacks (the arena, the number of output bytes, why it gave up) comes from
its lines:

    INFO - Activation buffer (a.k.a tensor arena) size used: 106916
    ERROR - Failed to initialise model
    WARN - Counter overflow detected for NPU ACTIVE.

Error lines start with `ERROR - ` (the runner), `E: ` (the NPU's driver), `TFLM - ` (TFLite Micro) or `E [ExecuTorch:
memory_allocator.h:105 allocate()] ` (`F` before it aborts).  What the driver finds is not always the whole story, so
the first two that say anything are quoted.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass

from hil.core.errors import ProtocolError

FAULT = re.compile(r"^.*(?:caught by function|[Hh]ard ?[Ff]ault|[Aa]ssertion).*$", re.MULTILINE)
"""A line of a fault handler, behind which the firmware stands still."""

MAC_MISMATCH = re.compile(r"npu\.macs_per_cc=(\d{1,2}), optimizer\.macs_per_cc=(\d{1,2})\b")

_MOST_QUOTED = 300
"""Characters of a complaint."""

_METRICS = re.compile(r"<metrics>([^<]*)</metrics>")
_ARENA = re.compile(r"tensor arena\) size used: (\d{1,19})\b")
_EXECUTORCH_MEMORY = re.compile(r"(?:Method|Temp) memory: Used: \d{1,19}; Peak: (\d{1,19});")
_OVERFLOW = re.compile(r"[Oo]verflow detected for ([A-Z0-9_ ]{1,60})")
_OUTPUT = re.compile(r"output tensor/s worth (\d{1,19}) bytes")
_ERROR = re.compile(
    r"(?:ERROR - |(?<![A-Z])E: |TFLM - |(?<![A-Z])[EF] \[ExecuTorch: [^\]\r\n]{1,99}\] )+"
    r"([^\r\n]+?)(?=ERROR - |\r|\n|$)"
)
_STEP = re.compile(r"INFO - (?!program terminating)([A-Z][^\r\n]+)")
_ALLOCATES = re.compile(r"Allocating tensors|Creating allocator|Setting up .{0,40}buffer|Preparing (?:in|out)puts")
_SHORTAGE = re.compile(
    r"[Ff]ailed to (?:allocate|resize)|[Uu]nable to allocate|[Mm]emory allocation failed|[Cc]ould not allocate|"
    r"buffer size insufficient|memory area too small"
)
_UNUSABLE = re.compile(
    r"Didn't find op|allocation failed|[Ff]ailed to (?:allocate|resize|get registration|initialise model)|"
    r"[Mm]issing|schema version|not supported|unsupported|config mismatch|arch mismatch|insufficient|malformed"
)


@dataclass(frozen=True)
class Report:
    """One inference as the firmware reports it.

    `counters` by the firmware's names, of which those in `overflowed` wrapped; `arena_used` and `output_bytes` None if
    not printed; `failure` its complaint, empty if there is none; `unusable`: the complaint is about the model, not
    about the machine; `shortage`: it is that the model needs more memory than the firmware has; `step` is the last
    thing that the firmware said it does.
    """

    counters: dict[str, int]
    arena_used: int | None
    output_bytes: int | None
    completed: bool
    failure: str
    unusable: bool
    shortage: bool
    step: str
    overflowed: tuple[str, ...] = ()

    @property
    def ended_allocating(self) -> bool:
        """True if the firmware ended without a complaint while it allocated memory."""
        return not (self.completed or self.failure) and bool(_ALLOCATES.match(self.step))


def read(uart: str, completed: str = "Inference completed.") -> Report:
    """Reads a UART log, in which `completed` stands if all went well.

    Raises `ProtocolError` if the record for programs is damaged.
    """
    output = _OUTPUT.search(uart)
    errors = list(dict.fromkeys(match.strip() for match in _ERROR.findall(uart)))
    failure = "; ".join(error[:_MOST_QUOTED] for error in errors[:2])
    complaint = "\n".join(errors)
    shortage = bool(_SHORTAGE.search(complaint))
    return Report(
        _counters(uart),
        _arena_used(uart),
        int(output[1]) if output else None,
        completed in uart,
        failure,
        shortage or bool(_UNUSABLE.search(complaint)),
        shortage,
        (_STEP.findall(uart) or [""])[-1].strip()[:_MOST_QUOTED],
        tuple(dict.fromkeys(name.strip() for name in _OVERFLOW.findall(uart))),
    )


def _arena_used(uart: str) -> int | None:
    """Bytes of TFLM's arena; or the sum of ExecuTorch's two peaks, of which the last pair is that of the inference."""
    if arena := _ARENA.search(uart):
        return int(arena[1])
    peaks = [int(peak) for peak in _EXECUTORCH_MEMORY.findall(uart)]
    return sum(peaks[-2:]) if peaks else None


def _counters(uart: str) -> dict[str, int]:
    counters: dict[str, int] = {}
    for record in _METRICS.findall(uart):
        try:
            groups = json.loads(base64.b64decode(record, validate=True))
            for group in groups:
                for sample in group["samples"]:
                    counters[str(sample["name"])] = _count(sample["value"][0])
        except (binascii.Error, ValueError, KeyError, IndexError, TypeError, OverflowError, RecursionError) as error:
            raise ProtocolError(f"the firmware's <metrics> record cannot be read: {error!r}", log=uart) from None
    return counters


def _count(value: float) -> int:
    """A counter's value; raises `ValueError` for what no counter of 64 bits holds."""
    count = int(value)
    if not 0 <= count < 1 << 64:
        raise ValueError(f"{count:e} is no count")
    return count
