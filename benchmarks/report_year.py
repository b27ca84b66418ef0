"""A made-up year in the results database: time to read its report, and the size of the page.

    python -m benchmarks.report_year [--nights 365] [--keep FOLDER]

Nothing in it was measured: every run is of the kind `made up`, from a fixed seed.  A night has 20 models by 14 paths on
three targets with 9 figures each; `npu_cycles` and `latency` of `serial` have drawn noise and 9 repetitions.  Models
change by their recipes, Vela twice, the firmware once, one board is replaced, and on some nights it is dead.  In the
newest night two models are slower than the baseline, and one path did not run.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy

from hil.harness.comparison.stored_runs import compare_stored, verdict_records
from hil.harness.report.reader import read_content
from hil.harness.results import open_results, schema
from tests.support import browser

KIND = "made up"
MODELS = tuple(f"made_up_{number:02}" for number in range(20))
PATHS = (
    *("ptq", "qat", "prune", "cluster", "sparse_cluster", "pqat", "cqat", "pcqat", "int16x8", "npu_ptq", "npu_prune"),
    *("npu_cluster", "npu_sparse_cluster", "npu_pcqat"),
)
TARGETS = ("sim", "fvp", "serial")
FIRST = datetime(2025, 11, 1, 2, 30, tzinfo=timezone.utc)
NOISE = 0.004
"""Of a night on the board, as a fraction."""
REPETITIONS = 9


class Year:
    """The made-up figures; `nights` in all."""

    def __init__(self, nights: int) -> None:
        self.nights = nights
        self._drawn = np.random.default_rng(2026)
        self._size = self._drawn.integers(20_000, 4_000_000, len(MODELS))
        self._changes = [sorted(self._drawn.choice(nights, max(1, nights // 90), False)) for _ in MODELS]
        self._steps = self._drawn.normal(0, 0.03, (len(MODELS), nights // 90 + 2))
        self._dead = {*self._drawn.choice(nights - 1, nights // 60, False).tolist()}

    def rows(self, night: int) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
        """A row of each deployment of a night, with those of its figures."""
        run_id = self.run_id(night)
        for model, name in enumerate(MODELS):
            for path, leaf in enumerate(PATHS):
                for target in TARGETS:
                    gone = target == "serial" and (night in self._dead or (night == self.nights - 1 and path == 3))
                    if not gone:
                        yield self._deployment(run_id, night, model, name, path, leaf, target)

    def run_id(self, night: int) -> str:
        return f"{FIRST + timedelta(days=night):%Y%m%d-%H%M%S}-000madeup"

    def _deployment(
        self, run_id: str, night: int, model: int, name: str, path: int, leaf: str, target: str
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        changed = sum(at <= night for at in self._changes[model])
        late = model in (3, 7) and night == self.nights - 1
        cycles = self._size[model] * (1 + 0.1 * path) * float(np.prod(1 + self._steps[model][:changed]))
        cycles *= (0.99 if night > self.nights // 3 else 1.0) * (1.2 if late else 1.0)
        key = hashlib.sha256(f"{run_id} {name} {leaf} {target}".encode()).hexdigest()[:32]
        identity = self._identity(night, f"{name} {leaf}", changed, late, target)
        deployment = {
            "id": key,
            "run_id": run_id,
            "name": f"{name}-{leaf}",
            "model": name,
            "path": leaf,
            "target": target,
            "identity": identity,
            "gates": {},
        }
        return deployment, self._figures(key, run_id, round(cycles), target, changed)

    def _identity(self, night: int, name: str, changed: int, late: bool, target: str) -> dict[str, str]:
        found = {
            "target": target,
            "engine": "open" if target == "fvp" else "",
            "engine_version": "0.1.0",
            "firmware_sha256": _hash("firmware", night > self.nights // 2) if target != "sim" else "",
            "board": ("desk 2" if night > 2 * self.nights // 3 else "desk") if target == "serial" else "",
            "vela": "5.2.0" if night > self.nights // 3 else "5.1.0",
            "accelerator": "ethos-u55-128",
            "npu": "ethos-u55-128",
            "memory_mode": "Shared_Sram",
            "system_config": "Ethos_U55_High_End_Embedded",
            "int8_sha256": _hash(name, changed, late),
            "network": _hash(name.split()[0])[:16],
            "data": _hash("data")[:16],
            "metric": "top1, higher is better",
            "recipe": json.dumps({"prune": {"sparsity": round(0.3 + 0.05 * changed - 0.2 * late, 2)}}),
            "tensorflow": "2.19.1",
            "numpy": "2.1.3",
        }
        return {key: value for key, value in found.items() if value}

    def _figures(self, key: str, run_id: str, cycles: int, target: str, changed: int) -> list[dict[str, Any]]:
        weights = 16 * (cycles // 400)
        measured = target == "serial"
        trust = "measured" if measured else "modelled"
        times = cycles * (1 + NOISE * self._drawn.standard_normal(REPETITIONS)) if measured else np.array([])
        value = float(np.median(times)) if measured else cycles
        figures = [
            ("npu_cycles", value, "cycles", trust, times),
            ("latency", value / 5e5, "ms", trust, times / 5e5),
            ("sram", 16 * (cycles // 300), "bytes", "exact", ()),
            ("flash", weights + 4096, "bytes", "exact", ()),
            ("encoded_weights", weights, "bytes", "exact", ()),
            ("tflite", weights * 2, "bytes", "exact", ()),
            ("accuracy", round(0.93 - 0.001 * (cycles % 7), 4), "fraction", "exact", ()),
            ("mismatches", 0, "elements", "exact", ()),
            ("sim_mismatches", 0, "elements", "exact", ()),
        ]
        return [
            {
                "deployment_id": key,
                "run_id": run_id,
                "name": name,
                "value": float(number),
                "unit": unit,
                "trust": of,
                "note": "",
                "repetitions": " ".join(repr(float(one)) for one in several),
            }
            for name, number, unit, of, several in figures
        ]


def write(url: str, year: Year) -> int:
    """Fills a new database in bulk, a transaction a night; returns the number of figures."""
    open_results(url).close()
    engine, count = sqlalchemy.create_engine(f"sqlite:///{url}"), 0
    for night in range(year.nights):
        started = FIRST + timedelta(days=night)
        run = {"id": year.run_id(night), "kind": KIND, "host": KIND, "identity": {}, "command": [], "started": started}
        run |= {"finished": started + timedelta(hours=3), "exit_code": 0}
        deployments, figures = [], []
        for deployment, its in year.rows(night):
            deployments.append(deployment)
            figures += its
        with engine.begin() as connection:
            for table, rows in (
                (schema.runs, [run]),
                (schema.deployments, deployments),
                (schema.measurements, figures),
            ):
                connection.execute(table.insert(), rows)
        count += len(figures)
    engine.dispose()
    return count


def judge(url: str, year: Year) -> None:
    """Names a baseline, and stores the verdicts of the newest night against it, as pytest does."""
    results = open_results(url)
    baseline, newest = year.run_id(4 * year.nights // 5), year.run_id(year.nights - 1)
    results.set_baseline("main", baseline)
    run = results.join(newest)
    with run.transaction():
        for record in verdict_records(compare_stored(results, newest, baseline), baseline):
            run.verdict(record)
    results.close()


def report(url: str) -> None:
    """Prints how long reading takes, how many points are left, and the size of the page."""
    from hil.harness.report.page import page

    results = open_results(url)
    started, busy = time.perf_counter(), time.process_time()
    content = read_content(results)
    taken, busy = time.perf_counter() - started, time.process_time() - busy
    points = sum(len(trend.points) for trend in content.trends)
    nights = sum(trend.nights for trend in content.trends)
    print(f"  read      {taken:8.1f} s, {busy:.1f} s of them on a processor: {content.sentence}")
    print(f"  points    {points:8,} of {nights:,} in {len(content.trends):,} trends")
    started = time.perf_counter()
    text = page(content)
    print(f"  page      {len(text.encode()) / 1e6:8.2f} MB in {time.perf_counter() - started:.1f} s", flush=True)
    open_page(text)


def open_page(text: str) -> None:
    """Prints how long a headless Chromium takes until the page can be used, three times."""
    if (programs := browser.find_programs()) is None:
        print("  opening   not measured: no Chromium with its driver is installed")
        return
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "report.html"
        file.write_text(text, encoding="utf-8")
        with browser.start(Path(name), programs) as started:
            seconds = sorted(started.open(file) for _ in range(3))
    print(f"  opening   {seconds[1]:8.1f} s in the middle of three, {seconds[0]:.1f} to {seconds[2]:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--nights", type=int, default=365)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where the database stays, and is found again")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        url, year = str((given.keep or Path(name)) / "made-up-year.db"), Year(given.nights)
        if not Path(url).exists():
            started = time.perf_counter()
            count = write(url, year)
            print(f"made-up year: {given.nights} nights, {count:,} figures in {time.perf_counter() - started:.0f} s")
            started = time.perf_counter()
            judge(url, year)
            print(f"  verdicts  {time.perf_counter() - started:8.1f} s, stored as a night of pytest does", flush=True)
        report(url)


def _hash(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


if __name__ == "__main__":
    main()
