"""The link: what the host asks of a board, over a serial port, a pty or TCP, through a bad cable if need be.

from hil.targets.link.channel import open_channel

with Link(open_channel("/dev/ttyUSB0", baud=115200)) as link:
    print(link.identify().board)
    link.write(0x70000000, model)            # what is already there is not sent again
    result = link.run(Job(stream_address=0x70000000, stream_bytes=1024, bases=(0x70000000, 0x31000000)))
"""

from __future__ import annotations

from hil.core.errors import (
    GarbageError,
    LinkError,
    RebootedError,
    RefusedError,
    SilentError,
    SlowError,
    UnpluggedError,
)
from hil.targets.link.channel import Channel, open_channel
from hil.targets.link.link import Link
from hil.targets.link.values import Buffer, Identity, Image, Job, JobResult, Region
from hil.targets.link.wire import Outcome, Status

__all__ = [
    "Buffer",
    "Channel",
    "GarbageError",
    "Identity",
    "Image",
    "Job",
    "JobResult",
    "Link",
    "LinkError",
    "Outcome",
    "RebootedError",
    "RefusedError",
    "Region",
    "SilentError",
    "SlowError",
    "Status",
    "UnpluggedError",
    "open_channel",
]
