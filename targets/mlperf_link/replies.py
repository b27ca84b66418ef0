"""The board's lines as values.

    read_inference(lines, 10, 2)    # TimedInference(results=Results((0.0, 0.996), 0.001), laps=(1000, 21000), ...)

=================================== ===============================================================
line                                what it says
=================================== ===============================================================
`m-ready`                           the answer is complete
`m-name-dut-[...]`                  answer to `name`
`m-profile-[...]`, `m-model-[...]`  answer to `profile`: the firmware, the model it carries
`m-lap-us-N`                        its clock in microseconds, 32 bits of it on most boards
`m-results-[a,b,...]`               the outputs of the last inference
`e-[...]`                           refused; two refusals have no prefix, see `REFUSALS`
`m-timestamp-mode-...`, `m-init-done`   it has just started
=================================== ===============================================================
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

READY = "m-ready"
EXPECTING = "m-[Expecting {} bytes]"
LOADED = "m-load-done"
BANNER = ("m-timestamp-mode-", "m-init-done")
REFUSALS = (re.compile(r"^e-\["), re.compile(r"exceeds maximum of"), re.compile(r"^Input db has "))
"""The last one is not fatal to the board, which goes on with whatever input it has; to us it is."""

_UNKNOWN = re.compile(r"e-\[Unknown command: (.*)\]")
_LAP = re.compile(r"m-lap-us-(\d{1,20})")
_RESULTS = re.compile(r"m-results-\[([^\]]*)\]")
_BUFFER = "m-buffer-"
_MOST_VALUES = 65536


@dataclass(frozen=True)
class Line:
    """A line of the board, and the host's monotonic clock (seconds) when it was complete."""

    text: str
    at: float


@dataclass(frozen=True)
class Profile:
    """The board's reported `firmware` and the `model` in it, such as kws01."""

    firmware: str
    model: str


@dataclass(frozen=True)
class Results:
    """The outputs as they were printed; `resolution` is the step of the coarsest of them, such as 0.001."""

    values: tuple[float, ...]
    resolution: float


@dataclass(frozen=True)
class TimedInference:
    """`iterations` inferences after `warmups`: the outputs of the last, and the board's clock before and after them.

    `laps` are microseconds, empty in energy mode, where the board pulses a pin instead; `host_s` is how long that took
    by the host's clock, line included.
    """

    results: Results
    laps: tuple[int, ...]
    host_s: float
    iterations: int
    warmups: int

    @property
    def board_us(self) -> int | None:
        """Microseconds by the board's clock, of all iterations together; None in energy mode."""
        return elapsed_us(*self.laps) if self.laps else None


class ReplyError(ValueError):
    """Lines are missing or damaged."""


def elapsed_us(before: int, after: int) -> int:
    """From one lap to the next; a clock of 32 bits may have passed its end once."""
    return after - before if after >= before else after + (1 << 32) - before


def refusal(lines: Sequence[Line]) -> str | None:
    """The line with which the board refused a command."""
    return next((line.text for line in lines if any(sign.search(line.text) for sign in REFUSALS)), None)


def unknown_command(answer: str) -> str | None:
    """The word that the board did not know, where that is why it refused."""
    found = _UNKNOWN.fullmatch(answer)
    return found[1] if found else None


def is_banner(text: str) -> bool:
    """True if a board sends this when it starts, and at no other time."""
    return text.startswith(BANNER)


def bracketed(lines: Sequence[Line], name: str) -> str | None:
    """The content of `m-NAME-...[...]`, with the part before the bracket."""
    start = f"m-{name}-"
    return next((line.text.removeprefix(start) for line in lines if line.text.startswith(start)), None)


def read_lap(lines: Sequence[Line]) -> int | None:
    """The board's clock in microseconds; None where it prints none."""
    found = [match for line in lines if (match := _LAP.fullmatch(line.text))]
    return int(found[0][1]) if found else None


def read_results(lines: Sequence[Line]) -> Results:
    """The outputs; raises `ReplyError` where they are missing or no numbers."""
    found = [match[1] for line in lines if (match := _RESULTS.fullmatch(line.text))]
    if len(found) != 1:
        raise ReplyError(f"{len(found)} lines of results")
    words = [word for word in found[0].split(",") if word.strip()]
    if not 0 < len(words) <= _MOST_VALUES:
        raise ReplyError(f"{len(words)} results")
    try:
        values = [Decimal(word.strip()) for word in words]
    except InvalidOperation:
        raise ReplyError(f"results that are no numbers: {found[0][:60]}") from None
    if not all(value.is_finite() for value in values):
        return Results(tuple(map(float, values)), float("inf"))
    coarsest = max(int(value.as_tuple().exponent) for value in values)
    return Results(tuple(map(float, values)), float(f"1e{coarsest}"))


def read_inference(lines: Sequence[Line], iterations: int, warmups: int) -> TimedInference:
    """The answer to `infer`; raises `ReplyError` unless it is whole and of as many iterations."""
    texts = [line.text for line in lines]
    for wanted in (f"m-warmup-start-{warmups}", "m-warmup-done", f"m-infer-start-{iterations}", "m-infer-done"):
        if texts.count(wanted) != 1:
            raise ReplyError(f"no {wanted}")
    first, last = (texts.index(wanted) for wanted in (f"m-infer-start-{iterations}", "m-infer-done"))
    laps = [(int(match[1]), line.at) for line in lines[first:last] if (match := _LAP.fullmatch(line.text))]
    if len(laps) not in (0, 2) or len(laps) != sum("lap-us" in text for text in texts):
        raise ReplyError(f"{len(laps)} timestamps")
    begun, ended = (laps[0][1], laps[1][1]) if laps else (lines[first].at, lines[last].at)
    return TimedInference(read_results(lines), tuple(lap for lap, _ in laps), ended - begun, iterations, warmups)


def read_buffer(lines: Sequence[Line]) -> bytes:
    """The bytes that `db print` shows; raises `ReplyError` for what is no hexadecimal."""
    texts = [line.text.removeprefix(_BUFFER) for line in lines if line.text.startswith(_BUFFER)]
    try:
        return bytes.fromhex("".join(texts).replace("-", ""))
    except ValueError:
        raise ReplyError("a buffer that is no hexadecimal") from None
