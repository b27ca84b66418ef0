"""The options of Arm's FVP, and what the open executable does with each.

    >>> next(option for option in OPTIONS if "-C" in option.names).value
    'NAME=VALUE'

Like a parameter, an option works, is *ignored* with a reason, or, as that would mislead, is *refused* with one.

Source: Arm's "Fast Models Fixed Virtual Platforms Reference Guide".
"""

from __future__ import annotations

from typing import NamedTuple

CPU_HZ = 32_000_000
"""Clock of the CPU on the MPS3 board, by which --cyclelimit is a time: nobody counts instructions here."""


class FvpOption(NamedTuple):
    """One option: its spellings, the value it takes (empty: none), what it is for.

    `ignored` is why it changes nothing here, `refused` why it cannot be had; both empty for one that works.
    """

    names: tuple[str, ...]
    value: str
    text: str
    ignored: str = ""
    refused: str = ""

    @property
    def key(self) -> str:
        """The long name without its dashes."""
        return self.names[-1].lstrip("-").replace("-", "_")


_NO_DEBUGGER = "no debugger can be connected"
OPTIONS = (
    FvpOption(("-a", "--application"), "[cpu0=]FILE", "the ELF to run (also as the only plain argument)"),
    FvpOption(("-C", "--parameter"), "NAME=VALUE", "set a parameter of the platform"),
    FvpOption(("-f", "--config-file"), "FILE", "set parameters, one NAME=VALUE a line; # starts a comment"),
    FvpOption(("--data",), "[cpu0=]FILE@[Memory:]ADDRESS", "raw bytes that memory holds at the start"),
    FvpOption(("--dump",), "[cpu0=]FILE@[Memory:]ADDRESS,SIZE", "raw bytes that are saved at the end"),
    FvpOption(("-T", "--timelimit"), "SECONDS", "end after that much time on the host, start excluded"),
    FvpOption(("--simlimit",), "SECONDS", "end after that much time of the simulated machine"),
    FvpOption(("--cyclelimit",), "CYCLES", f"the same in cycles of {CPU_HZ // 1_000_000} MHz"),
    FvpOption(("--stat",), "", "print times at the end"),
    FvpOption(("-q", "--quiet"), "", "print less"),
    FvpOption(("-o", "--output"), "FILE", "where the lists go"),
    FvpOption(("-l", "--list-params"), "", "list the parameters, in the form of a configuration file"),
    FvpOption(("--list-instances",), "", "list the components that have parameters"),
    FvpOption(("-h", "--help"), "", "print this"),
    FvpOption(("--version",), "", "print the version"),
    FvpOption(("-Q", "--quantum"), "TICKS", "instructions between synchronisations", ignored="there is one clock"),
    FvpOption(("-M", "--min-sync-latency"), "TICKS", "the same between components", ignored="there is one clock"),
    FvpOption(("-R", "--run"), "", "run at once", ignored="it always does"),
    FvpOption(("-K", "--keep-console"), "", "keep the window open", ignored="there is no window"),
    FvpOption(("-p", "--print-port-number"), "", "print the debugger's port", ignored=_NO_DEBUGGER),
    FvpOption(("-I", "--iris-server"), "", "wait for a debugger", refused=_NO_DEBUGGER),
    FvpOption(("-S", "--cadi-server"), "", "wait for a debugger", refused=_NO_DEBUGGER),
    FvpOption(("-b", "--break"), "[cpu0=]ADDRESS", "stop there", refused=_NO_DEBUGGER),
    FvpOption(("--plugin",), "FILE", "load a library", refused="this program loads none of Arm's plug-ins"),
    FvpOption(("--trace-plugin",), "FILE", "load a library", refused="this program loads none of Arm's plug-ins"),
)
"""All options of the FVP that are known, and what the open executable does with each."""


def usage(name: str) -> str:
    """The help of the program `name`, one option a line."""
    rows = []
    for option in OPTIONS:
        names = ", ".join(option.names) + (f" {option.value}" if option.value else "")
        note = f"ignored: {option.ignored}" if option.ignored else option.refused and f"refused: {option.refused}"
        rows.append(f"  {names:<42}{option.text}{f' ({note})' if note else ''}")
    return "\n".join([f"Usage: {name} [OPTIONS] [-a] FILE", *rows])
