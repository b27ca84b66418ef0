"""Split of a walk that finds everything in the store: the shares of its time, by what it does.

    python -m benchmarks.second_walk --target fvp                     # all models and techniques
    python -m benchmarks.second_walk --target sim --model fashion_cnn --technique ptq

A first run of `pytest --target` fills the store.  In the second a thread looks every millisecond at what the main
thread does: the innermost function that belongs to a part decides.  The time of the target's own processes is in the
target's share.  A walk that makes an artifact of what is computed here, or imports TensorFlow, is no second walk and
ends the benchmark.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from hil.harness.results.origin import cpu_name
from hil.harness.store.store import Store, default_root

_SOURCES = ("code_version", "module_source", "source_digest", "syntax", "imports", "carried_values")
PARTS = {
    "digests of sources, versions": tuple(f"/harness/store/{name}.py" for name in _SOURCES),
    "digests of data and artifacts": ("/core/file_digest.py", "/harness/store/file_digests.py", "/array_digest.py"),
    "store: recipes, manifests": ("/harness/store/",),
    "reading samples, outputs, models": ("/harness/data/", "/pipeline/stored_run.py", "/core/tflite/", "/execution/"),
    "comparing, accuracy": ("/harness/evaluation/parity.py", "/harness/metrics/"),
    "target": ("/targets/", "/fvp/", "/npu/"),
    "the rest of the harness": ("/harness/", "/core/", "/models/"),
    "pytest": ("/_pytest/", "/pluggy/", "/tests/"),
}
"""Part -> pieces of its files' paths; of two parts the first one counts."""
IMPORTS, OUTSIDE = "imports", "start and end of the process"
_EVERY_S = 0.001


def part_of(frame: FrameType | None) -> str:
    """Returns the part that a stack belongs to: that of its innermost function that has one."""
    while frame is not None:
        code = frame.f_code
        if code.co_name == "<module>" or "importlib._bootstrap" in code.co_filename:
            return IMPORTS
        for part, pieces in PARTS.items():
            if any(piece in code.co_filename for piece in pieces):
                return part
        frame = frame.f_back
    return OUTSIDE


def sampled(words: Sequence[str], record: Path) -> int:
    """Runs pytest in this process and writes the seconds by part; returns its exit code."""
    counts: collections.Counter[str] = collections.Counter()
    main_thread, over = threading.get_ident(), threading.Event()

    def look() -> None:
        while not over.wait(_EVERY_S):
            counts[part_of(sys._current_frames().get(main_thread))] += 1

    looking = threading.Thread(target=look, daemon=True)
    started = time.perf_counter()
    looking.start()
    import pytest

    code = pytest.main(list(words))
    over.set()
    looking.join()
    seconds, used = time.perf_counter() - started, os.times()
    found = {
        "parts": {part: seconds * count / counts.total() for part, count in counts.items()},
        "processor": [used.user + used.system, used.children_user + used.children_system],
        "tensorflow": "tensorflow" in sys.modules,
    }
    record.write_text(json.dumps(found))
    return int(code)


def walk(command: Sequence[str]) -> float:
    """Returns the wall time in seconds of a run of pytest; ends the benchmark where it fails."""
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", *command], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout)
    return time.perf_counter() - started


def made_here(store: Path) -> set[str]:
    """Returns the keys of the artifacts that the pipeline made, but for what a target keeps for itself."""
    return {found.key for found in Store(store).artifacts() if found.origin.model}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--target", default="sim")
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--technique", action="append", default=[])
    parser.add_argument("--store", type=Path, default=default_root())
    parser.add_argument("--record", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.record is not None:
        sys.exit(sampled(arguments.words, arguments.record))
    words = ["-q", "-p", "no:cacheprovider", "-n0", f"--target={arguments.target}", f"--store={arguments.store}"]
    words += [f"--model={name}" for name in arguments.model]
    words += [f"--technique={name}" for name in arguments.technique]
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "record.json"
        walk(["pytest", *words])
        before = made_here(arguments.store)
        seconds = walk(["benchmarks.second_walk", "--record", str(record), "--", *words])
        found = json.loads(record.read_text())
    if made := made_here(arguments.store) - before:
        sys.exit(f"the second walk made {len(made)} artifacts")
    if found["tensorflow"]:
        sys.exit("the second walk imported TensorFlow")
    own, others = found["processor"]
    print(
        f"second walk on {arguments.target}: {seconds:.2f} s; load {os.getloadavg()[0]:.1f} of {os.cpu_count()} cores"
    )
    print(f"processor time: {own:.2f} s in pytest's process, {others:.2f} s in others; {cpu_name()}")
    parts = collections.Counter(found["parts"])
    parts[OUTSIDE] += seconds - sum(found["parts"].values())
    for part, taken in parts.most_common():
        print(f"{part:<36}{taken / seconds:7.1%}")


if __name__ == "__main__":
    main()
