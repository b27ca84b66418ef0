"""`hil tree --scheduler`: a real dask scheduler and two real workers, one of which is killed while it trains."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client

from hil.harness.evaluation.evaluator import Evaluator
from hil.harness.model import load_model_file
from hil.harness.pipeline import Pipeline
from hil.harness.store.store import Store
from hil.harness.tree import LeafStatus, Walk, WalkObserver, walk
from hil.harness.tree.candidates import Candidate, SettledNode
from hil.harness.vela.settings import VelaSettings

from .blob_tree import repository, tree, weights
from .processes import descendants, gone

START_S = 120.0
"""Seconds for dask's processes to start: on a busy machine longer than a walk waits for a scheduler."""


class Farm:
    """A scheduler on loopback and its workers, as processes."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        self._folder = folder
        host, port = "--host=127.0.0.1", f"--port={self.address.rpartition(':')[2]}"
        self.scheduler = self._start("scheduler", host, port, "--no-dashboard", "--no-show")
        self.workers: list[subprocess.Popen[bytes]] = []

    def add_worker(self) -> None:
        options = ("--nthreads=1", "--no-nanny", "--no-dashboard", "--host=127.0.0.1")
        self.workers.append(self._start("worker", self.address, *options))

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        with (self._folder / "dask.log").open("ab") as log:
            command = [sys.executable, "-m", "dask", *words]
            environment = {**os.environ, "DASK_TEMPORARY_DIRECTORY": str(self._folder)}
            return subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=log, env=environment)

    def end(self) -> list[int]:
        """Ends everything; gives the processes that there were."""
        started = [*self.workers, self.scheduler]
        there = [pid for process in started for pid in (process.pid, *descendants(process.pid))]
        for process in started:
            process.kill()
            process.wait(600)
        return there


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    made = Farm(tmp_path_factory.mktemp("farm"))
    try:
        for _ in range(2):
            made.add_worker()
        with Client(made.address, timeout=START_S, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=START_S)
        yield made
    finally:
        there = made.end()
    assert gone(there), "a worker's child outlived it"


HELD = """
def train(job):
    import time
    import tf_keras as keras

    def hold(epoch, logs):
        while job.technique == "prune" and not Path(__file__).with_name("killed").exists():
            time.sleep(0.05)

    job.fit(callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=hold)])


quick = """
"""A training of the model file's own that prunes for one epoch and then waits until a worker was killed."""


class Killer(WalkObserver):
    """Kills the dask worker that prunes, once, and lets the training go on."""

    def __init__(self, farm: Farm, folder: Path) -> None:
        self.farm = farm
        self.killed = folder / "models/killed"
        self.children: list[int] = []

    def progress(self, what: SettledNode | Candidate, text: str, done: int, total: int) -> None:
        if self.children or not isinstance(what, SettledNode) or what.node != ("prune",):
            return
        with Client(self.farm.address, set_as_default=False) as client:
            pids = client.run(os.getpid)
            at_it = [pids[at] for at, keys in client.processing().items() if any("hil prune" in key for key in keys)]
        for busy in at_it:
            self.children = descendants(busy)
            os.kill(busy, signal.SIGKILL)
            self.killed.touch()


def spread(folder: Path, store: Path, farm: Farm, observer: WalkObserver | None = None) -> Walk:
    bench = Evaluator(Pipeline(Store(store)), "sim", VelaSettings())
    model = load_model_file(folder / "models/blobs.py")
    scheduler = farm.address
    return walk(model, bench, policy="all", leaves=("ptq", "prune"), scheduler=scheduler, observer=observer)


@pytest.mark.nightly
def test_a_node_of_a_killed_worker_is_trained_by_the_other(farm: Farm, tmp_path: Path, store: Path) -> None:
    folder = repository(tmp_path, ("\nquick = ", HELD), ("Recipe(clusters=5", "Recipe(train=train, clusters=5"))
    killer = Killer(farm, folder)
    found = spread(folder, tmp_path / "shared", farm, killer)
    assert killer.children, "else this shows nothing"
    assert gone(killer.children), "its child ended with it"
    assert [leaf.status for leaf in found.leaves] == [LeafStatus.MET, LeafStatus.MET]
    assert [(node.node, node.anew) for node in found.trained] == [((), True), (("prune",), True)]
    alone = tree(folder, store, "--policy", "all", "--technique", "ptq", "--technique", "prune", "--json")
    leaves = json.loads(alone.stdout)["leaves"]
    assert json.loads(json.dumps(found.record()["leaves"])) == leaves, "what this process makes alone"
    made = weights(tmp_path / "shared")
    assert len(made) == 2
    assert made.items() <= weights(store).items()


def cpu_ticks(farm: Farm) -> dict[int, int]:
    """CPU time of the processes below the workers, by pid."""
    children = [pid for worker in farm.workers if worker.poll() is None for pid in descendants(worker.pid)]
    return {
        pid: sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13])) for pid in children
    }


def test_what_nobody_waits_for_any_more_ends_on_the_workers(farm: Farm, tmp_path: Path) -> None:
    folder = repository(tmp_path, ("FineTune(4, 1e-2)", "FineTune(2000, 1e-3)"))
    before = cpu_ticks(farm)  # a child may still be there from another walk
    busy: list[int] = []

    class Impatient(WalkObserver):
        def progress(self, what: SettledNode | Candidate, text: str, done: int, total: int) -> None:
            if total and not busy:
                busy.extend(pid for pid, ticks in cpu_ticks(farm).items() if ticks > before.get(pid, 0))
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        spread(folder, tmp_path / "shared", farm, Impatient())
    assert busy
    assert gone(busy)
    assert {artifact.step for artifact in Store(tmp_path / "shared").artifacts()} == {"data", "learning_task"}


def test_without_a_scheduler_nothing_is_trained(tmp_path: Path) -> None:
    done = tree(repository(tmp_path), tmp_path / "store", "--scheduler", "tcp://127.0.0.1:9")
    assert done.returncode == 3, done.stderr
    assert "no dask scheduler at tcp://127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "store").exists()
