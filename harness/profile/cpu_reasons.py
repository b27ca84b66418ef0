"""Reasons for which Vela leaves operators to the CPU.

Vela's C++ core names none.  Its Python core checks much the same rules and prints the one that an operator breaks, so
the model is compiled once more by that, only if operators are on the CPU.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from hil.core.errors import BadInputError, CompileError
from hil.harness.profile.cpu_operators import cpu_indices
from hil.harness.say import Say
from hil.harness.vela.compiler import Compiled, compile_model
from hil.harness.vela.settings import VelaSettings
from hil.targets.execution.signature import Signature, read_signature

_PYTHON_CORE = "--debug-force-legacy-core"
_IGNORED = "--ignore-ops"
_PLACED = re.compile(r"^(?:Info|Warning): .*?'(?P<name>.+)'(?: is not supported on the NPU)?\. Placing on CPU instead$")
_CPU_ONLY = re.compile(r"^Info: .*?'(?P<name>.+)' is a CPU only op$")
UNKNOWN = "Vela names no reason; its rules: vela --supported-ops-report"


def cpu_reasons(int8: bytes, compiled: Compiled, settings: VelaSettings, say: Say | None = None) -> dict[int, str]:
    """Reasons by index of the operator in the int8 model; empty if all of them are on the NPU.

    `say` is called while Vela takes long.
    """
    if not compiled.summary.cpu_operators:
        return {}
    source, placed = read_signature(int8), read_signature(compiled.model)
    ignored = _ignored(settings.options)
    found = [index for index in cpu_indices(placed, source) if index >= 0]
    printed = {}
    if any(source.operators[index] not in ignored for index in found):
        printed = printed_reasons(_python_log(int8, settings, say))
    return {index: _reason(source, index, ignored, printed) for index in found}


def printed_reasons(log: str) -> dict[str, str]:
    """Reads the text of Vela's Python core: reasons by output tensor, the first of several graphs'."""
    found: dict[str, str] = {}
    name = ""
    for line in log.splitlines():
        if match := _CPU_ONLY.match(line):
            found[match["name"]], name = "Vela has no such operator for the NPU", ""
        elif match := _PLACED.match(line):
            name = "" if match["name"] in found else match["name"]
        elif name and line.startswith(" - "):
            found[name] = line[3:].strip()
        elif name and line.startswith("   "):
            found[name] += f" ({line.strip()})"
        else:
            name = ""
    return found


def _reason(source: Signature, index: int, ignored: Sequence[str], printed: dict[str, str]) -> str:
    if source.operators[index] in ignored:
        return f"the Vela option {_IGNORED} leaves it there"
    names = source.all_outputs[index] or (_name_without_outputs(source.operators[index], index),)
    return next((printed[name] for name in names if printed.get(name)), UNKNOWN)


def _name_without_outputs(kind: str, index: int) -> str:
    """Vela's name of an operator without outputs, such as `AssignVariable_9`."""
    return "".join(word.capitalize() for word in kind.split("_")) + f"_{index}"


def _ignored(options: Sequence[str]) -> list[str]:
    words = [word for option in options for word in shlex.split(option)]
    names = [word.partition("=")[2] for word in words if word.startswith(f"{_IGNORED}=")]
    names += [after for word, after in pairwise(words) if word == _IGNORED]
    return [name.strip().upper() for listed in names for name in listed.split(",")]


def _python_log(int8: bytes, settings: VelaSettings, say: Say | None) -> str:
    """Vela's text; empty if its Python core takes neither the options nor the model."""
    if _PYTHON_CORE not in settings.options:
        settings = replace(settings, options=(_PYTHON_CORE,))
    try:
        return compile_model(int8, settings, mapped=False, say=say).log
    except (BadInputError, CompileError):
        return ""
