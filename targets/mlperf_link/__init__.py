"""Boards that carry the firmware of MLPerf Tiny: measured as they are, over its text protocol.

    from hil.targets.link.channel import open_channel

    client = MlperfClient(open_channel("/dev/ttyACM0", baud=115200))
    client.sync()                              # "dut-[unspecified]"
    client.load(sample)                        # bytes, as the firmware wants them
    client.infer(10, 2).results.values         # (0.0, 0.996, ...)

The host sends a command that ends with `%`; the board answers in lines, the last of which is `m-ready`.  There is no
checksum and no number on anything, so what matters is asked for twice: the input is read back, the results are printed
again.  The facts come from mlcommons/tiny, `benchmark/api` (Apache-2.0); nothing of it is in here.
"""

from __future__ import annotations

from hil.core.errors import AnswerError
from hil.targets.mlperf_link.commands import MlperfClient
from hil.targets.mlperf_link.replies import Profile, Results, TimedInference

__all__ = ["AnswerError", "MlperfClient", "Profile", "Results", "TimedInference"]
