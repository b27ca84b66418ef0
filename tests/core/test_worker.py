"""Native code may end its process; its caller gets a typed error and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hil.core.errors import BadInputError, WorkerDiedError, WorkerError
from hil.core.worker import Worker

HERE = str(Path(__file__).parent)


def pid_of(worker: Worker) -> int:
    return int(worker.request({"do": "answer"})[0]["pid"])


def test_bytes_come_back_unchanged_from_one_warm_child(worker: Worker) -> None:
    blobs = [b"", bytes(range(256)) * 40_000]  # far more than a pipe holds
    answer, back = worker.request({"do": "answer", "echo": {"ü": [1, 2.5, None]}}, blobs)
    assert back == blobs
    assert answer["echo"] == {"ü": [1, 2.5, None]}
    assert pid_of(worker) == answer["pid"] != os.getpid()


def test_a_crash_is_an_error_with_the_childs_last_words_and_the_next_request_works(worker: Worker) -> None:
    first = pid_of(worker)
    with pytest.raises(WorkerDiedError, match=f"died of signal {int(signal.SIGSEGV)}") as caught:
        worker.request({"do": "crash"})
    assert "about to crash" in caught.value.log
    assert caught.value.crashed
    with pytest.raises(WorkerDiedError, match="exit code 7") as caught:
        worker.request({"do": "exit"})
    assert "about to crash" not in caught.value.log
    assert pid_of(worker) != first


def test_a_child_that_holds_much_memory_is_not_kept(worker: Worker) -> None:
    frugal = Worker("worker_handlers:act", most_idle_bytes=200e6)
    kept = pid_of(frugal)
    assert frugal.request({"do": "hold", "bytes": 1000})[0]["pid"] == frugal.pid == kept
    assert frugal.request({"do": "hold", "bytes": 250_000_000})[0]["pid"] == kept
    assert frugal.pid is None
    assert pid_of(frugal) != kept
    frugal.close()


def test_a_child_killed_by_somebody_is_replaced(worker: Worker) -> None:
    first = pid_of(worker)
    os.kill(first, signal.SIGKILL)
    assert pid_of(worker) != first
    threading.Timer(0.3, lambda: os.kill(worker.pid or 0, signal.SIGKILL)).start()
    with pytest.raises(WorkerDiedError) as caught:  # the repeated request hangs as well
        worker.request({"do": "hang"}, patience_s=1.0)
    assert caught.value.expired


def test_a_request_without_progress_ends_with_its_patience(worker: Worker) -> None:
    pid_of(worker)
    started = time.monotonic()
    with pytest.raises(WorkerDiedError, match=r"hung, waiting for 0\.3 s without computing") as caught:
        worker.request({"do": "hang"}, patience_s=0.3)
    assert caught.value.expired
    assert not caught.value.crashed
    assert time.monotonic() - started < 30, "the child sleeps for ten minutes"
    assert pid_of(worker)


def test_errors_of_a_handler_keep_their_class_and_the_child(worker: Worker) -> None:
    first = pid_of(worker)
    with pytest.raises(BadInputError, match=r"that is no model \(give a model\)"):
        worker.request({"do": "refuse"})
    with pytest.raises(WorkerError, match="ZeroDivisionError: one by zero") as caught:
        worker.request({"do": "bug"})
    assert "Traceback" in caught.value.log
    worker.request({"do": "print"})
    assert pid_of(worker) == first


def test_what_a_handler_tells_on_the_way_is_heard_before_its_answer(worker: Worker) -> None:
    heard: list[object] = []
    answer, _ = worker.request({"do": "tell", "echo": "end"}, told=heard.append)
    assert heard == [{"done": 0}, {"done": 1}, {"done": 2}]
    assert answer["echo"] == "end"


def test_another_thread_stops_a_request_and_its_child_for_good(worker: Worker) -> None:
    children = []

    def stop(told: dict[str, int]) -> None:
        children.append(told["pid"])
        threading.Timer(0.1, worker.stop).start()

    for _ in range(2):  # the second child is ended as soon as it is there
        with pytest.raises(WorkerDiedError):
            worker.request({"do": "hang"}, told=stop)
    assert not _alive(children[0])


def test_whoever_wants_to_know_of_a_killed_child_is_told(worker: Worker) -> None:
    with pytest.raises(WorkerDiedError, match="signal 9") as caught:
        worker.request({"do": "hang"}, told=lambda told: os.kill(told["pid"], signal.SIGKILL), again=False)
    assert not caught.value.crashed
    assert pid_of(worker)


def test_threads_share_a_worker(worker: Worker) -> None:
    def ask(number: int) -> bool:
        answer, back = worker.request({"do": "answer", "echo": number}, [str(number).encode() * 5_000])
        return answer["echo"] == number and back == [str(number).encode() * 5_000]

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, range(40)))
    assert pid_of(worker)  # the thread that first asked has ended; the child has not


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_gets_a_child_of_its_own(worker: Worker) -> None:
    first = pid_of(worker)
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            os.write(writing, str(pid_of(worker)).encode())
            worker.close()
        finally:
            os._exit(0)
    other = int(os.read(reading, 32))
    os.wait()
    assert other != first
    assert pid_of(worker) == first


def test_what_a_child_started_ends_with_it(worker: Worker) -> None:
    started: list[int] = []
    with pytest.raises(WorkerDiedError, match="exit code 7"):
        worker.request({"do": "start"}, told=lambda told: started.append(told["pid"]))
    assert gone(started[0])


def test_a_parent_that_is_terminated_leaves_no_folder(tmp_path: Path) -> None:
    script = textwrap.dedent("""
        from hil.core.worker import Worker
        Worker("worker_handlers:act").request({"do": "hang"}, told=lambda told: print(told["pid"], flush=True))
    """)
    environment = {**os.environ, "PYTHONPATH": HERE, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert list(tmp_path.iterdir()), "else this shows nothing"
        parent.terminate()
    assert parent.returncode == -signal.SIGTERM
    assert gone(child)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", ["return", "kill"])
def test_no_child_outlives_its_parent(ending: str) -> None:
    script = textwrap.dedent("""
        import sys
        from hil.core.worker import Worker
        worker = Worker("worker_handlers:act")
        print(worker.request({"do": "answer"})[0]["pid"], flush=True)
        if sys.argv[1] == "kill":
            worker.request({"do": "hang"})
    """)
    environment = {**os.environ, "PYTHONPATH": HERE}
    parent = subprocess.Popen(
        [sys.executable, "-c", script, ending], stdout=subprocess.PIPE, env=environment, start_new_session=True
    )
    assert parent.stdout is not None
    with parent:
        child = int(parent.stdout.readline())
        if ending == "kill":
            time.sleep(0.2)
            parent.kill()
    assert gone(child)


def gone(pid: int) -> bool:
    """Waits for the end of a process."""
    for _ in range(100):
        if not _alive(pid):
            return True
        time.sleep(0.05)
    return False


def _alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"
