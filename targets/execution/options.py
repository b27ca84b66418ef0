"""Options that several targets have with the same meaning."""

from __future__ import annotations

from typing import Any

from hil.core.options import option


def keep_state() -> Any:
    """Makes the samples one sequence: each starts from what the one before left in the model's variables."""
    text = "Samples are one sequence: variables keep their values (host, sim, serial)."
    return option(False, help=text, commands=("run",))


def jobs() -> Any:
    """Samples that run at a time."""
    text = "Cores: threads of sim, boots of fvp at a time; at most as many as pay (as many as there are)."
    return option(None, help=text, minimum=1, commands=("run",))


def events() -> Any:
    """Events of the NPU's PMU, by name or number, beside those that are always counted."""
    text = "Also count this event of the NPU's PMU, by name or number; may be repeated (sim, fvp, serial)."
    return option((), name="event", metavar="NAME", help=text, commands=("run",))
