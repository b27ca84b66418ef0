"""Contents of reports for tests and benchmarks: one of every kind of value, names that attack, a made-up year.

page(everything()), page(hostile()), page(made_up_year())
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import product

from hil.harness.report.content import (
    BoardEvent,
    BoardHealth,
    ChangePoint,
    Content,
    Failure,
    Finding,
    LayerChange,
    LayerChanges,
    Leaf,
    Leaves,
    Mark,
    Night,
    Point,
    Series,
    Trend,
)

FIRST = datetime(2026, 8, 23, 2, 0, tzinfo=timezone.utc)
HOSTILE = "<script>alert(1)</script>\"onload=alert(1) '</script><!-- \x1b[31m\x00\u202e é★"
"""A name that would be code, a tag, an attribute, a terminal code or a turn of the text's direction."""
SHOWN = "<script>alert(1)</script>\"onload=alert(1) '</script><!-- \ufffd[31m\ufffd\ufffd é★"
MODELS = ("kws", "vww", "anomaly")
PATHS = ("ptq", "qat", "pqat", "cqat", "pcqat")
FIGURES = (
    ("latency", "ms", "measured", True, 1.9),
    ("sram", "bytes", "exact", True, 120_000),
    ("encoded_weights", "bytes", "exact", True, 48_128),
    ("accuracy", "fraction", "exact", False, 0.913),
)


def night(number: int, *, host: str = "lab-pc", state: str = "finished", exit_code: int | None = 0) -> Night:
    """The night `number` days after `FIRST`."""
    identity = f"20260823-{number:04x}"
    return Night(identity, FIRST + timedelta(days=number), "nightly", host, state, exit_code)


def series(model: str, path: str, figure: str = "latency", target: str = "serial", board: str = "desk") -> Series:
    """A series of one of `FIGURES`."""
    unit, trust, lower = next((unit, trust, lower) for name, unit, trust, lower, _ in FIGURES if name == figure)
    board, trust = (board, trust) if target == "serial" else ("", "simulated" if trust == "measured" else trust)
    key = f"{model}/{path}/{target}/{board}/{figure}"
    return Series(key, model, path, target, "ethos-u55-128", "Shared_Sram", board, figure, unit, trust, lower)


def trend(of: Series, nights: int, *, step_at: int | None = None, kept: Sequence[int] | None = None) -> Trend:
    """A trend over the nights, or those `kept` of them, whose values grow by 8 % in the night `step_at`."""
    drawn = random.Random(of.id)
    base = next(value for name, _, _, _, value in FIGURES if name == of.figure) * drawn.uniform(0.6, 1.5) ** 0.2
    noise = 0.012 if of.trust == "measured" else 0.0
    points = []
    for run in range(nights) if kept is None else sorted({*kept, *([] if step_at is None else [step_at])}):
        level = base * (1.08 if step_at is not None and run >= step_at else 1.0)
        value = level * (1 + drawn.gauss(0, noise))
        value = round(value) if of.unit == "bytes" else value
        points.append(Point(run, value, *((value * 0.99, value * 1.012) if noise else (None, None))))
    changes: tuple[ChangePoint, ...] = ()
    marks: tuple[Mark, ...] = ()
    if step_at is not None:
        cause = ("vela 5.1.0 -> 5.2.0 explains 100 %", "firmware is the same")
        changes = (ChangePoint(step_at, base, base * 1.08, cause, is_acknowledged=False),)
        marks = (Mark(step_at, "vela", "vela 5.1.0 -> 5.2.0"), Mark(step_at // 2, "board", "board serial 17 -> 23"))
    band = (points[-1].value * 0.98, points[-1].value * 1.02) if noise else None
    return Trend(of, tuple(points), nights, band, changes, marks, (("main", points[len(points) // 3].run),))


def finding(of: Series, outcome: str, before: float | None, after: float | None, **settings: object) -> Finding:
    relative = (after - before) / before if before and after is not None else None
    given: dict[str, object] = {"reason": "", "cause": (), "since": None, "fails": False, **settings}
    return Finding(of, outcome, before, after, relative, **given)  # type: ignore[arg-type]


def leaves(model: str, target: str, missed: str = "") -> Leaves:
    """All leaves of a model; the technique `missed` is too slow."""
    drawn = random.Random(f"{model} {target}")
    found = []
    for path in PATHS:
        accuracy, low = drawn.uniform(0.88, 0.92), drawn.uniform(0.001, 0.01)
        figures = (
            *(("accuracy", accuracy, "fraction"), ("base_accuracy", 0.92, "fraction")),
            ("accuracy_drop", 0.92 - accuracy, "fraction"),
            *(("accuracy_drop_low", 0.92 - accuracy - low, "fraction"),),
            *(("accuracy_drop_high", 0.92 - accuracy + low, "fraction"), ("sqnr", 31.5, "dB")),
            *(("latency", drawn.uniform(1, 2), "ms"), ("npu_cycles", drawn.randrange(300_000, 900_000), "cycles")),
            *(("sram", 123_456, "bytes"), ("encoded_weights", drawn.randrange(30_000, 60_000), "bytes")),
        )
        found.append(Leaf(path, figures, ("latency 2.1 ms, limit 2.0",) if path == missed else ()))
    return Leaves(model, target, "ethos-u55-128", tuple(found), "Shared_Sram", "desk" if target == "serial" else "")


LAYERS = (
    LayerChange("CONV_2D 0 net/conv/Relu", 21_400, 21_400, "MACs"),
    LayerChange("DEPTHWISE_CONV_2D 1 net/depthwise/Relu", 9_300, 12_900, "weights"),
    LayerChange("FULLY_CONNECTED 2 net/head/BiasAdd", None, 640, "output unit"),
    LayerChange("SOFTMAX 3 Identity", 1_250, None, "issue"),
)


def everything(nights: int = 100) -> Content:
    """One of every kind: outcomes, trends with all marks, leaves, failures, boards."""
    slow, grown = series("kws", "pqat"), series("vww", "ptq", "sram", "fvp")
    trends = [
        trend(slow, nights, step_at=nights - 8),
        trend(grown, nights, step_at=nights - 20),
        *(trend(series(model, path, figure, target), nights) for model, path, figure, target in _others()),
    ]
    newest = {one.series.id: one.points[-1].value for one in trends}
    noisy, gone = series("anomaly", "cqat"), series("anomaly", "pcqat", "accuracy")
    cause = ("vela 5.1.0 -> 5.2.0: explains 100 % (1.9 ms -> 2.05 ms)", "firmware 1.3 -> 1.4: explains 0 %")
    findings = (
        finding(slow, "worse", 1.9, newest[slow.id], cause=cause, since=nights - 8, fails=True),
        finding(grown, "worse", 111_000, newest[grown.id], cause=cause[:1], since=nights - 20, reason="exact: +8 %"),
        finding(noisy, "unknown", 1.9, 1.93, reason="6 of 20 sessions; the interval of the change has 0"),
        finding(series("kws", "cqat"), "not confirmed", 1.9, 1.99, reason="a second session is as before"),
        finding(series("vww", "pcqat", "latency", "fvp"), "better", 1.9, 1.71, since=nights - 1),
        finding(gone, "missing", 0.913, None, reason="the test did not ask for it", fails=True),
        *(
            finding(series("anomaly", "ptq", figure), "not run", None, None, reason="board desk: quarantined")
            for figure, *_ in FIGURES
        ),
        finding(series("kws", "ptq", "sram", "sim"), "new", None, 120_000),
        finding(series("kws", "qat", "sram"), "same", 120_000, 120_400, reason="exact: +400 bytes of 1,024 allowed"),
    )
    log = "\n".join(f"[{line:>6}] boot: line {line} of the firmware's console" for line in range(300))
    failures = (
        Failure(
            *("tests/test_models.py::test_fits[kws-pqat]", "kws-pqat", "desk", "mismatch", False),
            *("12 of 640 elements differ from the reference", "CONV_2D 3 (conv_1/Relu), first at [0, 4, 7]", log),
        ),
        Failure(
            *("tests/test_models.py::test_fits[anomaly-ptq]", "anomaly-ptq", "desk", "boot", True),
            *("no banner from the board within 5 s", "", "\x1b[31mreset\x1b[0m\n"),
        ),
    )
    return Content(
        verdict="worse",
        sentence="2 figures are worse than main and 1 gate fails: kws-pqat latency on serial since 2026-11-23.",
        made=FIRST + timedelta(days=nights, hours=3),
        database="postgresql://lab/hil",
        baseline="main",
        runs=(*(night(number) for number in range(nights - 1)), night(nights - 1, exit_code=1)),
        run=nights - 1,
        findings=findings,
        trends=tuple(trends),
        leaves=(leaves("kws", "serial", missed="pqat"), leaves("vww", "fvp")),
        failures=failures,
        boards=_boards(nights),
        identity=(("vela", "5.2.0"), ("accelerator", "ethos-u55-128"), ("memory mode", "Shared_Sram")),
        thinning="Trends have every night of the last 30 days, then one night a week and every change point.",
        profiles=(
            LayerChanges("vww-ptq", "sim", (LayerChange("CONV_2D 0 net/stem/Relu", None, 4_100, "MACs"),)),
            LayerChanges("kws-pqat", "serial", LAYERS),
        ),
    )


def hostile() -> Content:
    """`everything`, with `HOSTILE` wherever a text comes from outside."""
    content, name = everything(20), HOSTILE
    named = {"model": name, "path": name, "target": name, "accelerator": name, "memory_mode": name, "board": name}
    runs = tuple(replace(run, id=f"{name}{n}", kind=name, host=name) for n, run in enumerate(content.runs))
    bad = [
        replace(one.series, **{**named, "model": f"={name}{n}"}, figure=name, unit=name)
        for n, one in enumerate(content.trends)
    ]
    trends = tuple(
        replace(
            one,
            series=of,
            changes=tuple(replace(change, cause=(name, name)) for change in one.changes),
            marks=tuple(replace(mark, part=name, text=name) for mark in one.marks),
            baselines=((name, 5),),
        )
        for one, of in zip(content.trends, bad, strict=True)
    )
    findings = tuple(
        replace(one, series=replace(one.series, **named, figure=name, unit=name), reason=name, cause=(name,) * 20)
        for one in content.findings
    )
    log = "\n".join(f"\x1b[31m{name} {line}" for line in range(100_000))
    failure = Failure(name, name, name, name, False, name, name, log)
    groups = tuple(
        replace(group, model=name, target=name, leaves=tuple(replace(leaf, path=name) for leaf in group.leaves))
        for group in content.leaves
    )
    event = BoardEvent(FIRST, 0, name, name, name)
    board = BoardHealth(name, name, name, name, ((name, 3),), (event,) * 1000)
    return Content(
        *("worse", name, FIRST, name, name, runs, 3, findings, trends, groups, (failure,) * 3, (board,)),
        identity=((name, name),),
        thinning=name,
        profiles=(LayerChanges(name, name, (LayerChange(name, 1, 2, name),) * 1000),) * 100,
    )


def long_names() -> Content:
    """`everything`, with names of one word of 10,000 characters, and one of 500 accents."""
    content = everything(20)
    findings = [
        replace(one, series=replace(one.series, model="m" * 10_000, board=f"a{500 * chr(0x300)}"))
        for one in content.findings
    ]
    return replace(content, findings=tuple(findings))


def made_up_year(nights: int = 365) -> Content:
    """A year of nightlies of 20 models with 14 techniques on 3 targets, four figures each; all of it is made up."""
    paths = tuple(
        f"{name}{size}" for name in ("ptq", "qat", "pqat", "cqat", "pcqat", "prune", "cluster") for size in "ab"
    )
    targets = ("sim", "fvp", "serial")
    keys = [
        (f"model{model:02}", path, figure, target)
        for model in range(20)
        for path in paths
        for target in targets
        for figure, *_ in FIGURES
    ]
    kept = [n for n in range(nights) if n >= nights - 30 or n % 7 == 0]
    thinned = []
    for number, (model, path, figure, target) in enumerate(keys):
        step = nights - 10 - number % 90 if number % 7 == 0 else None
        thinned.append(trend(series(model, path, figure, target), nights, step_at=step, kept=kept))
    findings = tuple(
        finding(one.series, "worse", one.points[0].value, one.points[-1].value, cause=("vela 5.1.0 -> 5.2.0",))
        for one in thinned[::70]
    )
    groups = tuple(leaves(f"model{model:02}", target) for model in range(20) for target in targets)
    small = everything(nights)
    return replace(small, sentence="A year that is made up.", trends=tuple(thinned), findings=findings, leaves=groups)


def _others() -> Iterator[tuple[str, str, str, str]]:
    stepped = ("kws", "pqat", "latency", "serial"), ("vww", "ptq", "sram", "fvp")
    every = product(MODELS, PATHS, [figure for figure, *_ in FIGURES], ("serial", "fvp"))
    return (one for one in every if one not in stepped)


def _boards(nights: int) -> tuple[BoardHealth, ...]:
    failed = BoardEvent(FIRST + timedelta(days=nights - 1), nights - 1, "failed", "boot", "no banner within 5 s")
    events = (failed, replace(failed, event="quarantined", cause="", detail="3 failures in 3 nights"))
    return (
        BoardHealth("desk", "0483-374b", "quarantined", "3 failures in 3 nights", (("boot", 3), ("hang", 1)), events),
        BoardHealth("rack-1", "0483-374c", "ok", "", (), ()),
    )
