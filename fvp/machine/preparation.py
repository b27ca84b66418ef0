"""Preparation of the NPU's work in a thread while QEMU starts and the firmware boots.

    preparation = Preparation(accelerator, [model])
    preparation.programs()      # when the driver starts the NPU

That is the import of NumPy and of `hil.npu`, and the decoding of the models that were loaded into memory.  Meanwhile
the main thread serves the NPU's registers; it must not wait long for the interpreter.
"""

from __future__ import annotations

import contextlib
import gc
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hil.fvp.machine.decoded_streams import Programs
    from hil.npu.accelerator import Accelerator

_SWITCH_SECONDS = 0.0002
"""Longest time for which the thread may delay an access to the registers."""


class Preparation:
    """For an NPU and what memory holds at the start, models among it."""

    def __init__(self, accelerator: Accelerator, loaded: Sequence[bytes]) -> None:
        self._accelerator = accelerator
        self._loaded = loaded
        self._programs: Programs | None = None
        self._thread = threading.Thread(target=self._prepare, daemon=True)
        self._thread.start()

    def programs(self) -> Programs:
        """The programs, when they are ready."""
        from hil.fvp.machine.decoded_streams import Programs

        self._thread.join()
        return self._programs or Programs(self._accelerator)

    def _prepare(self) -> None:
        switch = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_SECONDS)
        with contextlib.suppress(Exception):  # Whatever it is, the job will meet it too, and then it can be told.
            gc.disable()  # An import makes much and throws nothing away.
            import hil.fvp.machine.npu_jobs  # noqa: F401
            from hil.fvp.machine.decoded_streams import Programs

            gc.enable()
            programs = Programs(self._accelerator)
            for data in self._loaded:
                programs.foresee(data)
            self._programs = programs
        gc.enable()
        sys.setswitchinterval(switch)
