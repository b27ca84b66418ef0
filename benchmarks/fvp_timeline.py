"""Timeline of one run of the open Corstone-300; `fvp_boot` starts it.

    python -m benchmarks.fvp_timeline STARTED ARGUMENT...

STARTED is `time.monotonic()` when the process was started, ARGUMENTs are the executable's.  The last line on standard
error is JSON: seconds from STARTED to each moment.
"""

from __future__ import annotations

import functools
import json
import sys
import time
from collections.abc import Callable
from typing import Any

STARTED = float(sys.argv[1])
MOMENTS: dict[str, float] = {}


def note(moment: str) -> None:
    """Records the time of the first `moment` of this name."""
    MOMENTS.setdefault(moment, time.monotonic() - STARTED)


def between(owner: Any, name: str, before: str = "", after: str = "") -> None:
    """Records the times of the call of `owner.name` and of its return."""
    function: Callable[..., Any] = getattr(owner, name)

    @functools.wraps(function)
    def timed(*arguments: Any, **options: Any) -> Any:
        if before:
            note(before)
        try:
            return function(*arguments, **options)
        finally:
            if after:
                note(after)

    setattr(owner, name, timed)


def main() -> int:
    """Runs the executable and prints its timeline."""
    from hil.fvp import corstone300
    from hil.fvp.machine import qemu

    between(qemu, "_spawn", before="QEMU starts")
    between(qemu.Gdb, "connect", after="QEMU answers")
    between(qemu.Gdb, "registers", before="first register access")

    def watch_machine() -> None:
        from hil.fvp.machine.kept_states import KeptStates
        from hil.fvp.machine.preparation import Preparation
        from hil.fvp.machine.simulation import Machine
        from hil.fvp.machine.starting_state import StartingState

        between(Machine, "_job", before="NPU starts", after="NPU is done")
        between(Machine, "_loop", after="firmware ends")
        between(Machine, "run", after="outputs are saved")
        between(Preparation, "_prepare", after="NPU's program is ready")
        between(KeptStates, "find", after="the kept state is read")
        between(StartingState, "adopt", after="QEMU has the state")

    entered = qemu.Qemu.__enter__

    def enter(self: qemu.Qemu) -> qemu.Qemu:
        watch_machine()
        return entered(self)

    qemu.Qemu.__enter__ = enter  # type: ignore[method-assign]
    code = corstone300.main(sys.argv[2:])
    print(json.dumps(MOMENTS), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
