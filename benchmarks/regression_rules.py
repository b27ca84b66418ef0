"""False alarms and missed steps of the gate on measured figures, and of what others do, on drawn series of nights.

    python -m benchmarks.regression_rules                                  # minutes on two cores
    python -m benchmarks.regression_rules --series 200 --otava-series 5    # a short look

The series are those of `tests.support.drawn_nights`: six kinds of noise, no step or one of 1 to 10 times the noise,
which is the standard deviation between nights of one build.  Their levels differ by 0.3 to 3 % from night to night, so
that rules in per cent have a chance.  A step is found if a rule gives an alarm in one of its first three nights.  All
rules see the same nights; only the gate measures further sessions.

Apache Otava runs in a virtual environment in the user's cache folder, made by pip at the first run, and on fewer
series, for it runs again each night.  Where pip does not get it, its row is left out.

The rules' constants were chosen with other seeds than those of `--seed`'s default.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import platformdirs

from hil.core.arrays import Array, Floats
from hil.harness.judgement import change_points
from tests.support.drawn_nights import NOISES, DrawnNights
from tests.support.simulated_gate import SimulatedGate

STEPS = (1, 2, 3, 4, 6, 10)
STEP_NIGHTS = (5, 14, 30, 60, 100, 140)
NIGHTS = 150
FIRST = 12
"""Nights before a history decides."""
FOUND_WITHIN = 3
OTAVA = "apache-otava==0.8.0"


@dataclass
class Count:
    """Counts of one rule: alarms and series-nights without a step, in the first nights and later; steps found."""

    early: list[float] = field(default_factory=lambda: [0, 0])
    later: list[float] = field(default_factory=lambda: [0, 0])
    found: dict[float, list[float]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))

    def add_night(self, night: int, alarms: float, series: int) -> None:
        part = self.early if night < FIRST else self.later
        part[0] += alarms
        part[1] += series

    def add_step(self, step: float, found: float, series: int) -> None:
        self.found[step][0] += found
        self.found[step][1] += series

    def plus(self, other: Count) -> Count:
        """Returns the sum of both."""
        total = Count(*([a + b for a, b in zip(*both, strict=True)] for both in self._parts(other)))
        for step in {*self.found, *other.found}:
            total.found[step] = [a + b for a, b in zip(self.found[step], other.found[step], strict=True)]
        return total

    def _parts(self, other: Count) -> list[tuple[list[float], list[float]]]:
        return [(self.early, other.early), (self.later, other.later)]


Rule = Callable[[Floats, Floats, Floats], Array]
"""Alarms (bool) from the history (series, nights), tonight's figures and the baseline run's, as parts of the level."""


def above_night_before(history: Floats, tonight: Floats, baseline: Floats) -> Array:
    """github-action-benchmark's kind: more than 5 % above the night before."""
    return tonight > 1.05 * (history[:, -1] if history.shape[1] else baseline)


def above_saved_run(history: Floats, tonight: Floats, baseline: Floats) -> Array:
    """pytest-benchmark: --benchmark-compare=0001 --benchmark-compare-fail=mean:5%."""
    return tonight > 1.05 * baseline


def beyond_usual_changes(history: Floats, tonight: Floats, baseline: Floats) -> Array:
    """rustc-perf: a change since the night before beyond the third quartile + 3 interquartile ranges of the changes."""
    if history.shape[1] < FIRST:
        return np.zeros(len(tonight), bool)
    sizes = np.abs(np.diff(history, axis=1) / history[:, :-1])
    first, third = np.quantile(sizes, (0.25, 0.75), axis=1)
    return tonight / history[:, -1] - 1 > third + 3 * (third - first)


OTHERS: dict[str, Rule] = {
    "5 % above the night before": above_night_before,
    "pytest-benchmark, `mean:5%` of a saved run": above_saved_run,
    "rustc-perf's": beyond_usual_changes,
}


class Simulation:
    """Nights of one kind of noise, all rules on the same figures."""

    def __init__(
        self, noise: str, series: int, seed: int, sessions: int, apart: bool, baseline: int, calibration: int
    ) -> None:
        random = np.random.default_rng([seed, NOISES.index(noise), sessions, apart, baseline])
        self.nights = DrawnNights(noise, series, random)
        self.sessions, self.everyone = sessions, np.arange(series)
        self.size = np.exp(random.uniform(np.log(0.003), np.log(0.03), series))
        runs = []
        for _ in range(calibration):
            if apart:
                self.nights.next_night()
            runs.append(self._draw(self.everyone, 0))
        self.gate = SimulatedGate(np.array(runs), baseline)
        self.saved = runs[0]
        self.history = np.zeros((series, 0))
        self.further = self.unknown = self.raised = 0.0
        self.counts: dict[str, Count] = defaultdict(Count)

    def run(self, nights: int, steps: Sequence[float], others: bool) -> None:
        """Counts alarms night by night, and from some nights on what a step would have raised."""
        for night in range(nights):
            self.nights.next_night()
            if night in STEP_NIGHTS:
                for step in steps:
                    self._with_step(step, others)
            alarms, figures = self._night(self.history, 0, others, True)
            for name, alarm in alarms.items():
                self.counts[name].add_night(night, float(alarm.sum()), len(alarm))
            self.history = np.column_stack([self.history, figures])

    def _with_step(self, step: float, others: bool) -> None:
        state = self.nights.state()
        history, found = self.history, dict[str, Array]()
        for later in range(FOUND_WITHIN):
            if later:
                self.nights.next_night()
            alarms, figures = self._night(history, step, others, False)
            found = {name: alarm | found.get(name, False) for name, alarm in alarms.items()}
            history = np.column_stack([history, figures])
        for name, series in found.items():
            self.counts[name].add_step(step, float(series.sum()), len(series))
        self.nights.restore(state)

    def _night(self, history: Floats, step: float, others: bool, counted: bool) -> tuple[dict[str, Array], Floats]:
        first: list[Floats] = []

        def draw(which: Array) -> Floats:
            figures = self._draw(which, step)
            first.append(figures)
            return figures

        night = self.gate.night(history, draw)
        if counted:
            self.further += night.further
            self.unknown += night.unknown.sum()
            self.raised += night.raised.sum()
        alarms = {"gate": night.confirmed}
        if others:
            level = [1 + self.size * part for part in (first[0], self.saved)]
            past = 1 + self.size[:, None] * history
            alarms |= {name: rule(past, *level) for name, rule in OTHERS.items()}
        return alarms, night.figures

    def _draw(self, which: Array, step: float) -> Floats:
        return np.median([self.nights.session(which, step) for _ in range(self.sessions)], axis=0)


def rate(part: Sequence[float]) -> str:
    """Returns false alarms in 1,000 nights of 20 models, or what they are below with 95 % confidence."""
    alarms, nights = part
    if not nights:
        return ""
    return f"{20_000 * alarms / nights:,.2f}" if alarms else f"< {20_000 * 3 / nights:.2f}"


def share(part: Sequence[float]) -> str:
    return f"{100 * part[0] / part[1]:.1f} %" if part[1] else ""


def table(rows: dict[str, Count], title: str, steps: Sequence[float] = STEPS) -> str:
    """Returns a Markdown table of false alarms and found steps."""
    head = [title, f"false alarms, first {FIRST} nights", "later", *(f"step of {step}" for step in steps)]
    lines = ["| " + " | ".join(head) + " |", "|---|" + "--:|" * (len(head) - 1)]
    for name, count in rows.items():
        cells = [name, rate(count.early), rate(count.later), *(share(count.found[step]) for step in steps)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def total(counts: Sequence[Count]) -> Count:
    summed = Count()
    for count in counts:
        summed = summed.plus(count)
    return summed


def simulate(
    series: int,
    seed: int,
    steps: Sequence[float],
    *,
    sessions: int = 1,
    apart: bool = False,
    baseline: int = 10,
    calibration: int = 10,
    others: bool = False,
) -> dict[str, Simulation]:
    """Runs all noises; `sessions` a night, calibration in one night or each session in a night `apart`."""
    made = {}
    for noise in NOISES:
        made[noise] = Simulation(noise, series, seed, sessions, apart, baseline, calibration)
        made[noise].run(NIGHTS, steps, others)
    return made


def retrospect(series: int, seed: int, steps: Sequence[float], after: Sequence[int]) -> str:
    """Returns a table of the steps that change points show, by nights since the step."""
    rows = ["| change points, nights since the step | " + " | ".join(f"step of {step}" for step in steps) + " |"]
    rows.append("|---|" + "--:|" * len(steps))
    drawn = [_drawn(noise, series, seed, 60 + max(after)) for noise in NOISES]
    for nights in after:
        cells = []
        for step in steps:
            found = 0
            for values in np.concatenate(drawn):
                values = 1000 + values[: 60 + nights] + step * (np.arange(60 + nights) >= 60)
                found += any(abs(point.position - 60) <= 5 and point.change > 0 for point in change_points(values))
            cells.append(share([found, series * len(NOISES)]))
        rows.append(f"| {nights} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def false_points(series: int, seed: int) -> tuple[str, float]:
    """Returns a table of the change points in series of a year without a step, and the seconds for one series."""
    rows, seconds = ["| noise | false change points in a year of one series |", "|---|--:|"], 0.0
    for noise in NOISES:
        drawn = _drawn(noise, series, seed + 1, 365)
        started = time.process_time()
        found = sum(len(change_points(1000 + values)) for values in drawn)
        seconds += time.process_time() - started
        rows.append(f"| {noise} | {found / series:.3f} |")
    return "\n".join(rows), seconds / (series * len(NOISES))


def _drawn(noise: str, series: int, seed: int, nights: int) -> Floats:
    made = DrawnNights(noise, series, np.random.default_rng([seed, NOISES.index(noise)]))
    values = []
    for _ in range(nights):
        made.next_night()
        values.append(made.session(np.arange(series)))
    return np.array(values).T


class Otava:
    """A process that finds change points with Apache Otava."""

    def __init__(self, python: Path) -> None:
        script = str(Path(__file__).with_name("otava_points.py"))
        self._process = subprocess.Popen(
            [python, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def regressions(self, values: Floats) -> list[int]:
        """Returns the positions of the changes for the worse."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([float(value) for value in values]) + "\n")
        return [at for at, before, after in json.loads(self._process.stdout.readline()) if after > before]

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(timeout=10)


def otava_python() -> Path | None:
    """Makes the environment of Apache Otava, or finds it; returns its Python, None if pip does not get it."""
    folder = platformdirs.user_cache_path("ethosu-hil") / OTAVA
    python = folder / "bin" / "python"
    check = [python, "-c", "import otava.analysis"]
    if python.exists() and subprocess.run(check, capture_output=True).returncode == 0:
        return python
    for command in ([sys.executable, "-m", "venv", folder], [python, "-m", "pip", "install", "-q", OTAVA]):
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        if done.returncode:
            print(f"Apache Otava is left out: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
            return None
    return python


def judge_by_otava(simulations: Iterable[Simulation], series: int) -> Count:
    """Counts Otava's alarms: a change for the worse that it had not reported, within two nights, on a night before."""
    count, python = Count(), otava_python()
    if python is None:
        return count
    otava = Otava(python)
    for made in simulations:
        for index in range(series):
            values = 1 + made.size[index] * made.history[index]
            known: list[int] = []
            for night in range(2, len(values)):
                found = otava.regressions(values[: night + 1])
                new = [at for at in found if all(abs(at - other) > 2 for other in known)]
                count.add_night(night, bool(new), 1)
                known += new
            for start in STEP_NIGHTS:
                for step in STEPS:
                    found_step = False
                    for later in range(FOUND_WITHIN):
                        stepped = values[: start + later + 1].copy()
                        stepped[start:] += step * made.size[index]
                        found_step |= any(abs(at - start) <= 2 for at in otava.regressions(stepped))
                    count.add_step(step, found_step, 1)
    otava.close()
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=4000, help="of each kind of noise")
    parser.add_argument("--otava-series", type=int, default=20, help="of each kind of noise; 0 leaves Otava out")
    parser.add_argument("--seed", type=int, default=20270101)
    options = parser.parse_args()
    started = time.monotonic()
    seed, few = options.seed, max(options.series // 4, 20)

    gate = simulate(options.series, seed, STEPS, others=True)
    rows = {"this gate": total([made.counts["gate"] for made in gate.values()])}
    for name in OTHERS:
        rows[name] = total([made.counts[name] for made in gate.values()])
    if options.otava_series:
        rows["Apache Otava's, each night"] = judge_by_otava(gate.values(), options.otava_series)
    print(table({name: count for name, count in rows.items() if count.later[1]}, "rule"), end="\n\n")
    print(table({noise: made.counts["gate"] for noise, made in gate.items()}, "this gate, by noise"), end="\n\n")
    drawn = options.series * NIGHTS * len(NOISES)
    for name in ("further", "unknown", "raised"):
        print(f"{name}: {100 * sum(getattr(made, name) for made in gate.values()) / drawn:.2f} in 100 series-nights")

    variants = {
        "calibrated in ten nights": simulate(few, seed, (6,), apart=True),
        "calibrated by 5 sessions": simulate(few, seed, (6,), baseline=5, calibration=5),
        "calibrated by 20 sessions": simulate(few, seed, (6,), calibration=20),
        "a baseline of one session": simulate(few, seed, (6,), baseline=1),
    }
    variant_rows = {name: total([made.counts["gate"] for made in found.values()]) for name, found in variants.items()}
    print("\n" + table(variant_rows, "this gate", (6,)), end="\n\n")

    small = {}
    for sessions in (1, 3, 5, 9):
        found = simulate(few, seed + 1, (1, 2, 3, 4), sessions=sessions, apart=True)
        small[str(sessions)] = total([made.counts["gate"] for made in found.values()])
    print(table(small, "sessions every night", (1, 2, 3, 4)), end="\n\n")

    print(retrospect(max(few // 10, 20), seed, (1, 2, 3, 4), (10, 15, 20, 30)), end="\n\n")
    points, seconds = false_points(max(few // 10, 20), seed)
    print(points)
    print(f"\n{seconds * 1000:.1f} ms of CPU for change points of a year; {time.monotonic() - started:.0f} s in all")


if __name__ == "__main__":
    main()
