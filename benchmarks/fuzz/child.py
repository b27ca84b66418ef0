"""The fuzzer's process: `python -m benchmarks.fuzz.child TARGET FOLDER LIBFUZZER-OPTION...`

Runs one target under atheris (libFuzzer), with coverage of the packages under test.  A finding does not end it: the
input is saved in FOLDER/findings under the place of its error, the first of each place.  Counts go to
FOLDER/counts.json twice a second, because libFuzzer ends the process itself.  The input that runs is in FOLDER/current
(see `last_input`), for the case that native code crashes; then standard error has Python's stack.
"""

from __future__ import annotations

import faulthandler
import json
import resource
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import atheris

MEMORY = 4 << 30
"""Limit of the address space in bytes; an allocation beyond it is a MemoryError, which is a finding."""

RESIDENT = 1 << 30
"""Bytes of memory; an input that lets the process grow by more is a finding."""

HANG_S = 10.0
"""CPU seconds after which an input is a hang."""

with atheris.instrument_imports(include=["hil.npu", "hil.targets", "hil.fvp", "hil.harness"]):
    from benchmarks.fuzz.last_input import Current
    from tests.support.fuzzing.mutation import mutate_stream
    from tests.support.fuzzing.seeds import LONGEST, read_contexts
    from tests.support.fuzzing.targets import TARGETS


@dataclass
class Counts:
    """Counts of the fuzzing so far; `slowest_s` in CPU seconds, `peak_bytes` the process' largest resident memory."""

    executions: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    crashes: Counter[str] = field(default_factory=Counter)
    hangs: int = 0
    slowest_s: float = 0.0
    peak_bytes: int = 0


class Session:
    """Calls the target with the fuzzer's inputs and records answers and findings."""

    def __init__(self, name: str, folder: Path) -> None:
        self._target = TARGETS[name]
        self._folder = folder
        self._contexts = read_contexts(folder / "contexts")
        self._counts = Counts()
        self._written = 0.0
        (folder / "findings").mkdir(exist_ok=True)
        self._current = Current(folder)
        self.write()

    def warm(self, seeds: Path) -> None:
        """Runs the seeds: what the first calls prepare is prepared then."""
        for path in sorted(seeds.iterdir()):
            self(path.read_bytes())

    def __call__(self, data: bytes) -> None:
        counts = self._counts
        self._current.keep(data)
        before = _peak()
        seconds = self._timed(data)
        if seconds > counts.slowest_s:
            # Once more, without the crash or the answer being counted: the first time may have prepared something.
            seconds = min(seconds, self._timed(data, again=True))
        counts.executions += 1
        counts.peak_bytes = _peak()
        if counts.peak_bytes - before > RESIDENT:
            self._found("memory", data, f"{counts.peak_bytes - before} bytes")
        if seconds > counts.slowest_s:
            counts.slowest_s = seconds
            (self._folder / "slowest").write_bytes(data)
        if seconds > HANG_S:
            counts.hangs += 1
            self._found("hang", data, f"{seconds:.1f} s")
        if time.monotonic() - self._written > 0.5:
            self.write()

    def _timed(self, data: bytes, again: bool = False) -> float:
        """CPU seconds that the target takes."""
        started = time.process_time()
        try:
            answer = self._target(data, self._contexts)
        except Exception as error:
            if not again:
                self._found(_place(error), data, traceback.format_exc())
        else:
            self._counts.answers[answer] += not again
        return time.process_time() - started

    def write(self) -> None:
        """Writes the counts to the file."""
        self._written = time.monotonic()
        new = self._folder / "counts.new"
        new.write_text(json.dumps(vars(self._counts)))
        new.replace(self._folder / "counts.json")

    def _found(self, place: str, data: bytes, text: str) -> None:
        if place != "hang":
            self._counts.crashes[place] += 1
        name = self._folder / "findings" / place.replace("/", "-").replace(":", "-")
        if not name.exists():
            name.write_bytes(data)
            name.with_suffix(name.suffix + ".txt").write_text(text)
        self.write()


def _place(error: Exception) -> str:
    """Class, file and line of an error in the code under test, or the promise that was broken."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "site-packages" not in frame.filename]
    frame = frames[-1]
    where = Path(frame.filename)
    return f"{type(error).__name__}-{where.parent.name}-{where.name}-{frame.lineno}"


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Fuzzes until libFuzzer's time is up."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    faulthandler.enable()
    session = Session(name, folder)
    session.warm(folder / "seeds")
    own_handlers = [f"-handle_{signal}=0" for signal in ("segv", "bus", "abrt", "ill", "fpe")]
    options = [sys.argv[0], *own_handlers, f"-max_len={LONGEST}", *sys.argv[3:]]
    if name == "stream":

        def mutate(data: bytes, most: int, seed: int) -> bytes:
            return mutate_stream(data, most, seed, atheris.Mutate)

        atheris.Setup(options, session, custom_mutator=mutate)
    else:
        atheris.Setup(options, session)
    session.write()
    atheris.Fuzz()


if __name__ == "__main__":
    main()
