"""The options of Arm's FVP, and what the open executable does with each.

    >>> next(option for option in OPTIONS if "-C" in option.names).value
    'NAME=VALUE'

Like a parameter, an option works, is *ignored* with a reason, or, as that would mislead, is *refused* with one.

Source: Arm's "Fast Models Fixed Virtual Platforms Reference Guide".
"""

from __future__ import annotations

from dataclasses import dataclass

CPU_HZ = 32_000_000
"""Clock of the CPU on the MPS3 board, by which --cyclelimit is a time: nobody counts instructions here."""


@dataclass(frozen=True)
class Option:
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
    Option(("-a", "--application"), "[cpu0=]FILE", "the ELF to run (also as the only plain argument)"),
    Option(("-C", "--parameter"), "NAME=VALUE", "set a parameter of the platform"),
    Option(("-f", "--config-file"), "FILE", "set parameters, one NAME=VALUE a line; # starts a comment"),
    Option(("--data",), "[cpu0=]FILE@[Memory:]ADDRESS", "raw bytes that memory holds at the start"),
    Option(("--dump",), "[cpu0=]FILE@[Memory:]ADDRESS,SIZE", "raw bytes that are saved at the end"),
    Option(("-T", "--timelimit"), "SECONDS", "end after that much time on the host, start excluded"),
    Option(("--simlimit",), "SECONDS", "end after that much time of the simulated machine"),
    Option(("--cyclelimit",), "CYCLES", f"the same in cycles of {CPU_HZ // 1_000_000} MHz"),
    Option(("--stat",), "", "print times at the end"),
    Option(("-q", "--quiet"), "", "print less"),
    Option(("-o", "--output"), "FILE", "where the lists go"),
    Option(("-l", "--list-params"), "", "list the parameters, in the form of a configuration file"),
    Option(("--list-instances",), "", "list the components that have parameters"),
    Option(("-h", "--help"), "", "print this"),
    Option(("--version",), "", "print the version"),
    Option(("-Q", "--quantum"), "TICKS", "instructions between synchronisations", ignored="there is one clock"),
    Option(("-M", "--min-sync-latency"), "TICKS", "the same between components", ignored="there is one clock"),
    Option(("-R", "--run"), "", "run at once", ignored="it always does"),
    Option(("-K", "--keep-console"), "", "keep the window open", ignored="there is no window"),
    Option(("-p", "--print-port-number"), "", "print the debugger's port", ignored=_NO_DEBUGGER),
    Option(("-I", "--iris-server"), "", "wait for a debugger", refused=_NO_DEBUGGER),
    Option(("-S", "--cadi-server"), "", "wait for a debugger", refused=_NO_DEBUGGER),
    Option(("-b", "--break"), "[cpu0=]ADDRESS", "stop there", refused=_NO_DEBUGGER),
    Option(("--plugin",), "FILE", "load a library", refused="this program loads none of Arm's plug-ins"),
    Option(("--trace-plugin",), "FILE", "load a library", refused="this program loads none of Arm's plug-ins"),
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
