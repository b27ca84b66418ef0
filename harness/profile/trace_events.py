"""Trace of an inference in the Trace Event Format, which Perfetto and Chrome (chrome://tracing) show.

A track for each unit: NPU (block operations), DMA, and the waits of the NPU.  Times are microseconds at its clock.
Source: "Trace Event Format" of the Chromium project.
"""

from __future__ import annotations

import json
from typing import Any

from hil.harness.profile.profile import Profile
from hil.harness.profile.timeline import DMA, NPU, WAIT

_PROCESS = 1
_THREADS = {NPU: 1, DMA: 2, WAIT: 3}


def trace_json(profile: Profile) -> str:
    """Renders the trace; operations are complete events ("X") with their layer and cycles as arguments."""
    events = [_metadata("process_name", 0, f"{profile.name}, {profile.title}")]
    events += [_metadata("thread_name", thread, name) for name, thread in _THREADS.items()]
    microseconds = 1e6 / profile.clock_hz
    for span in profile.spans:
        events.append(
            {
                "name": span.layer if span.track != WAIT else span.name,
                "cat": span.track,
                "ph": "X",
                "ts": span.start * microseconds,
                "dur": (span.end - span.start) * microseconds,
                "pid": _PROCESS,
                "tid": _THREADS[span.track],
                "args": {
                    "operation": span.name,
                    "layer": span.layer,
                    "start": span.start,
                    "cycles": span.end - span.start,
                },
            }
        )
    return json.dumps({"traceEvents": events, "displayTimeUnit": "ns"})


def _metadata(name: str, thread: int, text: str) -> dict[str, Any]:
    return {"name": name, "ph": "M", "ts": 0, "pid": _PROCESS, "tid": thread, "args": {"name": text}}
