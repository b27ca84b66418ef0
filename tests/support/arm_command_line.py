"""The command line that Arm's Corstone-300 FVP takes, written down without a look at `hil.fvp`.

    complaints(["-a", "app.axf", "-C", "ethosu.num_macs=129"])    # -> ["ethosu.num_macs=129: ..."]

Arm's program is not at hand, so this stands in for its parser where our command lines are tested.  It is stricter than
that: quotes that no shell would leave, a parameter given twice, or a file that is not there, are complaints too.
Sources: "Fast Models Fixed Virtual Platforms Reference Guide" (options), public command lines and parameter listings of
`FVP_Corstone_SSE-300_Ethos-U55` and `-U65` (parameters).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

_BOOL, _INT, _TEXT, _PLAIN = r"[01]|true|false", r"0[xX][0-9a-fA-F]+|[0-9]+", r".*", r"[^'\"\s]*"

PARAMETERS = {
    r"ethosu\.num_macs": r"32|64|128|256|512",
    r"ethosu\.extra_args": _TEXT,
    r"cpu0\.semihosting-enable": _BOOL,
    r"cpu0\.semihosting-(cmd_line|cwd)": _TEXT,
    r"cpu0\.semihosting-(heap|stack)_(base|limit)": _INT,
    r"cpu0\.(CFGITCMSZ|CFGDTCMSZ|MVE|min_sync_level)": _INT,
    r"cpu0\.FPU": _BOOL,
    r"mps3_board\.visualisation\.disable-visualisation": _BOOL,
    r"mps3_board\.telnetterminal[0125]\.(start_telnet|quiet)": _BOOL,
    r"mps3_board\.telnetterminal[0125]\.start_port": _INT,
    r"mps3_board\.telnetterminal[0125]\.mode": "telnet|raw",
    r"mps3_board\.uart[0-5]\.(unbuffered_output|shutdown_on_eot)": _BOOL,
    r"mps3_board\.uart[0-5]\.(out_file|shutdown_tag)": _PLAIN,
}
"""Names and the values that each takes, as patterns."""

_NUMBER = r"[0-9]+(\.[0-9]+)?"
_ADDRESS = r"(?:Memory:)?(?:0x[0-9a-fA-F]{1,8})"
OPTIONS = {
    "-a": r"(?:cpu0=)?(?P<file>[^@=]+)",
    "-C": r"(?P<parameter>[\w.-]+)=(?P<value>.*)",
    "--data": rf"(?:cpu0=)?(?P<file>[^@=]+)@{_ADDRESS}",
    "--dump": rf"(?:cpu0=)?(?P<made>[^@=]+)@{_ADDRESS},[0-9]+",
    "--timelimit": _NUMBER,
    "--simlimit": _NUMBER,
    "--cyclelimit": "[0-9]+",
    "-f": r"(?P<file>.+)",
    "--stat": "",
    "-q": "",
    "--quiet": "",
    "--list-params": "",
    "--version": "",
}
"""Options and the form of the value that each takes; empty for none."""


def complaints(argv: Sequence[str]) -> list[str]:
    """Complaints of Arm's program about `argv` (without its own name), one line each."""
    found: list[str] = []
    seen: set[str] = set()
    words = iter(argv)
    for word in words:
        if word not in OPTIONS:
            found.append(f"{word}: no option")
            continue
        value = next(words, None) if OPTIONS[word] else ""
        match = re.fullmatch(OPTIONS[word], value or "", re.DOTALL)
        if value is None or match is None:
            found.append(f"{word} {value}: not of the form {OPTIONS[word]}")
            continue
        parts = match.groupdict()
        if "file" in parts and not Path(parts["file"]).exists():
            found.append(f"{word} {value}: no such file")
        if "parameter" in parts:
            found += _parameter(parts["parameter"], parts["value"], seen)
        elif word != "--data" and word != "--dump" and word in seen:
            found.append(f"{word}: given twice")
        seen.add(word)
    return found if "-a" in seen or {"--version", "--list-params"} & seen else [*found, "no application"]


def _parameter(name: str, value: str, seen: set[str]) -> list[str]:
    pattern = next((PARAMETERS[known] for known in PARAMETERS if re.fullmatch(known, name)), None)
    if pattern is None:
        return [f"{name}: no parameter"]
    twice = [f"{name}: given twice"] if name in seen else []
    seen.add(name)
    return twice if re.fullmatch(pattern, value, re.DOTALL) else [*twice, f"{name}={value}: not of the form {pattern}"]
