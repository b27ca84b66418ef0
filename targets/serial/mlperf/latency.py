"""Latency by the board's own timestamps, in windows long enough for its clock, checked against the host's.

    timing = measure(client, windows=5, window_s=0.5)
    timing.median_us, timing.lowest_us, timing.highest_us
    timing.step_us            # its clock counts in steps of so many microseconds

The benchmark prescribes five windows of at least ten seconds, of which the median counts; here a window's length is a
parameter, and said with the figure.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from hil.core.measurement import Measurement, Trust
from hil.targets.mlperf_link.commands import MlperfClient
from hil.targets.mlperf_link.replies import TimedInference, elapsed_us

NAME = "inference_ms"
FIRST_LIMIT_S = 120.0
_GROWTH = 16
_MOST_ITERATIONS = 1_000_000
_STAMPS = 8
_DISAGREEMENT = 0.1
_LATE_S = 0.25
"""Delay that a busy host or an USB adapter may add to the arrival of a line."""


@dataclass(frozen=True)
class TimedWindows:
    """Microseconds an inference, one figure a window of `iterations`; `clock_ratio` is board time over host time."""

    per_inference_us: tuple[float, ...]
    iterations: int
    warmups: int
    step_us: int
    clock_ratio: float
    is_plausible: bool

    @property
    def median_us(self) -> float:
        return statistics.median(self.per_inference_us)

    @property
    def lowest_us(self) -> float:
        return min(self.per_inference_us)

    @property
    def highest_us(self) -> float:
        return max(self.per_inference_us)


def measure(
    client: MlperfClient,
    *,
    windows: int,
    window_s: float,
    warmups: int = 5,
    progress: Callable[[int], None] = lambda done: None,
) -> TimedWindows | None:
    """The latency of the input that the board holds; None in energy mode.  Raises what `MlperfClient.infer` raises."""
    stamps = [client.timestamp() for _ in range(_STAMPS)]
    if None in stamps:
        return None
    laps = [stamp for stamp in stamps if stamp is not None]
    iterations, each_s = _iterations(client, window_s, laps)
    limit = 10.0 + 3 * each_s * (iterations + warmups)
    runs: list[TimedInference] = []
    for number in range(windows):
        runs.append(client.infer(iterations, warmups, limit))
        laps += runs[-1].laps
        progress(number + 1)
    taken = [run.board_us or 0 for run in runs]
    board_s, host_s = sum(taken) / 1e6, sum(run.host_s for run in runs)
    return TimedWindows(
        tuple(us / iterations for us in taken),
        iterations,
        warmups,
        math.gcd(*(elapsed_us(before, after) for before, after in pairwise(laps))) or 1,
        board_s / host_s if host_s else math.inf,
        abs(board_s - host_s) <= _DISAGREEMENT * host_s + _LATE_S * windows,
    )


def measurements(timing: TimedWindows) -> tuple[Measurement, ...]:
    """The median with its spread; `untrusted` where the board's clock and the host's do not agree."""
    trust = Trust.MEASURED if timing.is_plausible else Trust.UNTRUSTED
    note = (
        f"median of {len(timing.per_inference_us)} windows of {timing.iterations} inferences, "
        f"by the board's timestamps in steps of {timing.step_us} us: "
        f"within {timing.step_us / timing.iterations / 1e3:.2g} ms"
    )
    if not timing.is_plausible:
        note += f"; the board counts {timing.clock_ratio:.3g} s in a second of the host"
    return (
        Measurement(NAME, timing.median_us / 1e3, "ms", trust, note, tuple(us / 1e3 for us in timing.per_inference_us)),
        Measurement("inference_ms_lowest", timing.lowest_us / 1e3, "ms", trust, "fastest window"),
        Measurement("inference_ms_highest", timing.highest_us / 1e3, "ms", trust, "slowest window"),
    )


def _iterations(client: MlperfClient, window_s: float, laps: list[int]) -> tuple[int, float]:
    """Number of inferences that fill a window, found by trying more and more; and about the seconds that one takes."""
    iterations, limit = 1, FIRST_LIMIT_S
    while True:
        tried = client.infer(iterations, 0, limit)
        laps += tried.laps
        # By the slower clock: a coarse one of the board may still say 0, and a wrong one must not end in a time limit.
        taken_s = max((tried.board_us or 0) / 1e6, tried.host_s, 1e-6)
        wanted = max(1, min(math.ceil(iterations * window_s / taken_s), _MOST_ITERATIONS))
        if taken_s >= window_s / 4 or iterations >= _MOST_ITERATIONS:
            return wanted, taken_s / iterations
        iterations = min(wanted, iterations * _GROWTH)
        limit = 10.0 + 3 * taken_s * _GROWTH + window_s
