"""A scripted fortnight of nightly runs in one results database: what happens to them, with its verdict and its cause.

    fortnight = record(nights.make(folder), Parts(other_vela=OtherVela("4.5.0")))
    fortnight.runs["a slower model"]                # id; EVENTS["a slower model"] has the verdicts that it must get
    fortnight.compared["a slower model"]            # against the baseline that the event names

The nights on `sim`, the open Corstone-300 and the virtual board are real: the blobs are trained, compiled and run.
Those of other boards are drawn, a latency of 1 ms with the noise of its board, as the identity's field `board` says.
"""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta, timezone

import numpy as np
from sqlalchemy import create_engine, update

from hil.core.errors import InfrastructureError
from hil.harness.comparison.comparison import Comparison
from hil.harness.comparison.stored_runs import compare_stored, verdict_records
from hil.harness.results import DeploymentRecord, FigureRecord, RunRecord, schema
from hil.harness.results.records import FailureRecord
from hil.harness.vela.other_versions import OtherVela
from hil.harness.vela.settings import VelaSettings
from tests.support.nights import CORSTONE, LEAF, NAME, VIRTUAL, Nights

SIZE = VelaSettings(options=("--optimise Size",))
DENSER = {"sparsity": 0.1}
DESK, NOISY = "desk (drawn)", "noisy desk (drawn)"
NOISE = {DESK: 0.01, NOISY: 0.05}
"""Board -> standard deviation of its sessions, as a fraction of the latency."""
CALIBRATION = 20
"""Nights of each board before the fortnight."""
UNPLUGGED = """
based_on = "mps3_an547"
[port]
path = "/dev/ttyUSB99"
[reset]
boot_s = 0.2
"""
_KILLED = """
import json, sys, time
from hil.harness.results import DeploymentRecord, FigureRecord, RunRecord, open_results
run = open_results(sys.argv[1]).begin(RunRecord("pytest"))
deployment = run.deployment(DeploymentRecord(**json.loads(sys.argv[2])))
run.measurements(deployment, [FigureRecord(**json.loads(sys.argv[3]))])
print(run.id, flush=True)
time.sleep(600)
"""


@dataclass(frozen=True)
class Parts:
    """Parts of the machine that some of the events need; the events of a part that is missing are left out."""

    other_vela: OtherVela | None = None
    corstone: bool = True
    virtual: bool = True


@dataclass
class Fortnight:
    """The nights so far: event -> id of its run, and its comparison as of that night."""

    nights: Nights
    parts: Parts
    runs: dict[str, str] = field(default_factory=dict)
    compared: dict[str, Comparison] = field(default_factory=dict)

    def on_board(self, *latencies: float, board: str = DESK, build: str = "", serial_number: str = "17") -> str:
        """A drawn night: the latency of its session, and of further ones, of the baseline's build or another."""
        (of_sim,) = self.nights.results.figures(self.runs["main"])
        identity = {**of_sim.record.identity, "target": "serial", "engine": "", "board": board}
        identity |= {"serial_number": serial_number}
        identity |= {"int8_sha256": hashlib.sha256(build.encode()).hexdigest()} if build else {}
        run = self.nights.results.begin(RunRecord("pytest"))
        key = run.deployment(DeploymentRecord(NAME, "blobs", LEAF, "serial", identity))
        names = ["latency", *(f"latency#{number}" for number in range(2, len(latencies) + 1))]
        figures = zip(names, latencies, strict=True)
        run.measurements(key, [FigureRecord(name, ms, "ms", "measured", (ms,)) for name, ms in figures])
        run.finish(0)
        return run.id

    def of_other_vela(self) -> str:
        return self.nights.record(by=self.parts.other_vela)

    def lost_cluster(self) -> str:
        return self._failed(FailureRecord("t", NAME, "LostError", False, "layer conv lost its clusters"))

    def on_unplugged_board(self) -> str:
        """A night on a board whose serial port is gone."""
        description = self.nights.folder / "unplugged.toml"
        description.write_text(UNPLUGGED)
        try:
            return self.nights.record(on=("serial", {"board": str(description)}))
        except InfrastructureError as error:
            return self._failed(FailureRecord("t", NAME, type(error).__name__, True, str(error), board="desk"))

    def killed(self) -> str:
        """A process that is killed when it has written its first figure."""
        (of_main,) = self.nights.results.figures(self.runs["main"])
        written = [json.dumps(asdict(one)) for one in (of_main.record, of_main.figures["npu_cycles"])]
        command = [sys.executable, "-c", _KILLED, str(self.nights.folder / "nightly.db"), *written]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            run = process.stdout.readline().strip()
            process.send_signal(signal.SIGKILL)
        return run

    def _failed(self, failure: FailureRecord) -> str:
        run = self.nights.results.begin(RunRecord("pytest"))
        run.failure(failure)
        run.finish(6 if failure.infrastructure else 1)
        return run.id


@dataclass(frozen=True)
class Event:
    """An event of a night: `record` writes its run, which is compared with the baseline `against`.

    `verdicts` are figure -> outcome that the comparison must give, `exit_code` that of `hil compare`, and `changes` the
    fields of the identity that it must name as causes.  `part` is the field of `Parts` that it needs; the run `becomes`
    the baseline of that name.
    """

    night: int
    record: Callable[[Fortnight], str]
    against: str = "main"
    verdicts: Mapping[str, str] = field(default_factory=dict)
    exit_code: int = 0
    changes: frozenset[str] = frozenset()
    vary: tuple[str, ...] = ()
    part: str = ""
    becomes: str = ""


def _same(*figures: str) -> dict[str, str]:
    return dict.fromkeys(figures, "same")


_MODEL = frozenset({"recipe", "int8_sha256"})
_OPTION, _BUILD = frozenset({"vela_options"}), frozenset({"int8_sha256"})
_SAME = _same("npu_cycles", "latency", "sram", "encoded_weights", "tflite")
_WORSE = {"npu_cycles": "worse", "latency": "worse", "encoded_weights": "worse"}
_OTHER_VELA = {
    **dict.fromkeys(("npu_cycles", "latency", "sram", "encoded_weights"), "not comparable"),
    "tflite": "same",
}

BASELINES: Mapping[str, Event] = {
    "main": Event(0, lambda lab: lab.nights.record(), becomes="main"),
    "corstone": Event(0, lambda lab: lab.nights.record(on=CORSTONE), part="corstone", becomes="corstone"),
    "virtual": Event(0, lambda lab: lab.nights.record(on=VIRTUAL), part="virtual", becomes="virtual"),
}
"""The nights before, which `EVENTS` are compared with; `desk` and `noisy desk` are the first of their board's."""

EVENTS: Mapping[str, Event] = {
    "a night like any other": Event(1, lambda lab: lab.nights.record(), verdicts=_SAME),
    "a slower model": Event(2, lambda lab: lab.nights.record(**DENSER), "main", _WORSE, 1, _MODEL),
    "a slower model on the virtual board": Event(
        2, lambda lab: lab.nights.record(on=VIRTUAL, **DENSER), "virtual", _WORSE, 1, _MODEL, part="virtual"
    ),
    "noise": Event(2, lambda lab: lab.on_board(1.0), "desk", _same("latency")),
    "a lost cluster": Event(3, Fortnight.lost_cluster, "main", dict.fromkeys(_SAME, "missing"), 1),
    "a step inside the noise": Event(
        3, lambda lab: lab.on_board(1.01, build="a bit slower"), "desk", _same("latency"), changes=_BUILD
    ),
    "another option of Vela": Event(4, lambda lab: lab.nights.record(SIZE), "main", _OTHER_VELA, changes=_OPTION),
    "a faster build": Event(
        4, lambda lab: lab.on_board(0.94, build="faster"), "desk", {"latency": "better"}, changes=_BUILD
    ),
    "another Vela": Event(
        5, Fortnight.of_other_vela, "main", _OTHER_VELA, changes=frozenset({"vela"}), part="other_vela"
    ),
    "a model and an option": Event(
        6, lambda lab: lab.nights.record(SIZE, **DENSER), "main", _OTHER_VELA, changes=_MODEL | _OPTION
    ),
    "a model and an option on the Corstone-300": Event(
        7,
        lambda lab: lab.nights.record(SIZE, on=CORSTONE, **DENSER),
        "corstone",
        {"npu_cycles": "worse", "encoded_weights": "worse"},
        1,
        _MODEL | _OPTION,
        vary=("vela",),
        part="corstone",
    ),
    "a step on a noisy board": Event(
        8,
        lambda lab: lab.on_board(1.08, board=NOISY, build="slower"),
        "noisy desk",
        {"latency": "unknown"},
        changes=_BUILD,
    ),
    "a killed run": Event(9, Fortnight.killed, "main", {"npu_cycles": "same", "sram": "not run"}, 3),
    "a step that further sessions repeat": Event(
        10, lambda lab: lab.on_board(1.08, 1.08, 1.085, build="slower"), "desk", {"latency": "worse"}, 1, _BUILD
    ),
    "a step that no further session repeats": Event(
        11, lambda lab: lab.on_board(1.08, 1.0, build="odd"), "desk", {"latency": "not confirmed"}, changes=_BUILD
    ),
    "a dead board": Event(12, Fortnight.on_unplugged_board, "desk", {"latency": "not run"}, 3),
    "a replaced board": Event(
        13,
        lambda lab: lab.on_board(1.3, serial_number="18"),
        "desk",
        {"latency": "not comparable"},
        changes=frozenset({"serial_number"}),
        becomes="spare desk",
    ),
    "a board of unknown noise": Event(
        14, lambda lab: lab.on_board(1.36, serial_number="18"), "spare desk", {"latency": "unknown"}
    ),
}


def record(nights: Nights, parts: Parts) -> Fortnight:
    """Records all nights of which the machine has the parts, each on its date; the last one was yesterday."""
    lab = Fortnight(nights, parts)
    for name in BASELINES:
        _record(lab, name, BASELINES[name])
    for board, seed in ((DESK, 1), (NOISY, 2)):
        latencies = np.random.default_rng(seed).normal(1.0, NOISE[board], CALIBRATION)
        runs = [lab.on_board(float(ms), board=board) for ms in latencies]
        for number, run in enumerate(runs):
            _date(nights, run, number - CALIBRATION)
        nights.results.set_baseline(board.removesuffix(" (drawn)"), runs[0])
    for name in EVENTS:
        if _record(lab, name, EVENTS[name]):
            lab.compared[name] = _compared(lab, name)
    return lab


def _record(lab: Fortnight, name: str, event: Event) -> bool:
    """Records the run of an event; False where the machine lacks what it needs."""
    if event.part and not getattr(lab.parts, event.part):
        return False
    run = lab.runs[name] = event.record(lab)
    _date(lab.nights, run, event.night)
    if event.becomes:
        lab.nights.results.set_baseline(event.becomes, run)
    return True


def _compared(lab: Fortnight, name: str) -> Comparison:
    """Compares the run of an event with its baseline, and stores the verdicts as the pytest plugin does."""
    event, results = EVENTS[name], lab.nights.results
    run, baseline = results.run(lab.runs[name]), results.run(event.against)
    found = compare_stored(results, run.id, baseline.id, vary=event.vary, finished=run.finished is not None)
    for verdict in verdict_records(found, baseline.id):
        results.join(run.id).verdict(verdict)
    return found


def _date(nights: Nights, run: str, night: int) -> None:
    """Moves a run to two o'clock of its night."""
    stored = nights.results.run(run)
    midnight = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    begun = midnight + timedelta(days=night - max(one.night for one in EVENTS.values()) - 1, hours=2)
    ended = stored.finished and begun + (stored.finished - stored.started)
    engine = create_engine(f"sqlite:///{nights.folder / 'nightly.db'}")
    with engine.begin() as connection:
        of_run = update(schema.runs).where(schema.runs.c.id == run)
        connection.execute(of_run.values(started=begun, finished=ended))
    engine.dispose()
