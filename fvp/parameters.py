"""The `-C` parameters of Arm's Corstone-300 FVP that tools pass, and what the open one does with each.

    >>> PARAMETERS.find("mps3_board.uart0.out_file").default
    ''

A parameter is *honoured*, or *ignored* by name with the reason: there is no window, no telnet terminal and no cache
here that it could change.  Any other name is an error, as on the FVP: a misspelt parameter must not pass unnoticed.

Those that start with `open.` are this program's own: Arm's NPU model has no use for them.

Names and defaults are from public command lines (MLEK, TFLM, TVM, MLonMCU, ExecuTorch, Zephyr, MLIA) and
`--list-params` listings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hil.npu.errors import BadInputError

UARTS = range(6)
"""UARTs of the MPS3 board."""

MACS = (32, 64, 128, 256)
"""Sizes of the Ethos-U55 in MAC units."""

Value = bool | int | str


@dataclass(frozen=True)
class Parameter:
    """One parameter: its type is that of `default`; `ignored` is why it has no effect here, empty if it has one."""

    name: str
    default: Value
    text: str
    ignored: str = ""

    def parse(self, text: str) -> Value:
        """The value that `text` stands for; raises `BadInputError` if it is none of this parameter's type."""
        bare = unquote(text)
        if isinstance(self.default, bool):
            if bare.lower() in ("1", "true"):
                return True
            if bare.lower() in ("0", "false"):
                return False
            raise BadInputError(f"parameter {self.name} takes 0 or 1, not {text!r}")
        if isinstance(self.default, int):
            try:
                return int(bare, 0)
            except ValueError:
                raise BadInputError(f"parameter {self.name} takes a whole number, not {text!r}") from None
        return bare


def unquote(text: str) -> str:
    """`text` without the quotes that a shell left round it: `'-'`, `"-"` and `-` are the same file name."""
    text = text.strip()
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return text


class Table:
    """Parameters by name."""

    def __init__(self, parameters: list[Parameter]) -> None:
        self._by_name = {parameter.name: parameter for parameter in parameters}

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self._by_name.values())

    def find(self, name: str) -> Parameter:
        """The parameter called `name`; raises `BadInputError` if there is none."""
        parameter = self._by_name.get(name)
        if parameter is None:
            raise BadInputError(f"parameter {name!r} does not exist", hint="--list-params names all of them")
        return parameter


_NO_WINDOW = "there is no window"
_NO_TELNET = "there is no telnet terminal"
_FIXED = "the machine has it as it is"
_NO_FILES = "firmware is given no files"
_NO_HEAP = "the firmware's own library decides"


def _honoured() -> list[Parameter]:
    rows = [
        Parameter("ethosu.num_macs", 128, "MAC units of the Ethos-U55: 32, 64, 128 or 256"),
        Parameter(
            "open.system_config", "Ethos_U55_High_End_Embedded", "Vela's system configuration that cycles assume"
        ),
        Parameter("open.memory_mode", "Shared_Sram", "memory mode to read with it; ports are as the driver sets them"),
        Parameter("open.vela_config", "", "Vela configuration file to look both up in; empty is Vela's own"),
        Parameter("cpu0.semihosting-enable", False, "serve semihosting: console, exit, time, command line; no files"),
        Parameter("cpu0.semihosting-cmd_line", "", "command line that semihosting gives to the firmware"),
    ]
    for uart in UARTS:
        at = f"mps3_board.uart{uart}"
        rows += [
            Parameter(f"{at}.out_file", "", "file that gets what the UART sends; '-' is standard output"),
            Parameter(f"{at}.unbuffered_output", False, "write every byte at once"),
            Parameter(f"{at}.shutdown_on_eot", False, "end the simulation when the UART sends EOT (0x04)"),
            Parameter(f"{at}.shutdown_tag", "", "end the simulation when the UART sends this text"),
        ]
    return rows


def _ignored() -> list[Parameter]:
    rows = [
        Parameter("ethosu.extra_args", "", "options of Arm's NPU model", "this NPU model has none"),
        Parameter("mps3_board.visualisation.disable-visualisation", False, "no window", _NO_WINDOW),
        Parameter("mps3_board.visualisation.rate_limit-enable", True, "slow down to real time", _NO_WINDOW),
        Parameter("mps3_board.visualisation.trap_key", 0, "key that frees the mouse", _NO_WINDOW),
        Parameter("mps3_board.DISABLE_GATING", False, "no clock gating", _FIXED),
        Parameter("mps3_board.FPGA_SRAM_SIZE", 2, "code SRAM in MiB", _FIXED),
        Parameter("mps3_board.smsc_91c111.enabled", False, "Ethernet", "there is no network"),
        Parameter("mps3_board.hostbridge.userNetworking", False, "network through the host", "there is no network"),
        Parameter("cpu0.CFGITCMSZ", 15, "size of the ITCM", _FIXED),
        Parameter("cpu0.CFGDTCMSZ", 15, "size of the DTCM", _FIXED),
        Parameter("cpu0.FPU", True, "floating point", _FIXED),
        Parameter("cpu0.MVE", 2, "vector extension: 0 none, 1 integer, 2 floating point", _FIXED),
        Parameter("cpu0.semihosting-Thumb_SVC", 0xAB, "number of the semihosting call", _FIXED),
        Parameter("cpu0.semihosting-cwd", "", "folder that semihosting opens files in", _NO_FILES),
        Parameter("cpu0.semihosting-heap_base", 0, "heap's start", _NO_HEAP),
        Parameter("cpu0.semihosting-heap_limit", 0, "heap's end", _NO_HEAP),
        Parameter("cpu0.semihosting-stack_base", 0, "stack's start", _NO_HEAP),
        Parameter("cpu0.semihosting-stack_limit", 0, "stack's end", _NO_HEAP),
        Parameter("cpu0.min_sync_level", 0, "synchronisation of the simulator's clocks", "there is one clock"),
    ]
    for uart in UARTS:
        rows += [
            Parameter(f"mps3_board.uart{uart}.rx_overrun_mode", "", "what a lost byte does", "nothing is received"),
            Parameter(f"mps3_board.uart{uart}.untimed_fifos", False, "no baud rate", "there is no baud rate"),
            Parameter(f"mps3_board.telnetterminal{uart}.start_telnet", True, "open a terminal", _NO_TELNET),
            Parameter(f"mps3_board.telnetterminal{uart}.quiet", False, "say nothing about the port", _NO_TELNET),
            Parameter(f"mps3_board.telnetterminal{uart}.mode", "telnet", "telnet or raw", _NO_TELNET),
            Parameter(f"mps3_board.telnetterminal{uart}.start_port", 5000, "first port tried", _NO_TELNET),
            Parameter(f"mps3_board.telnetterminal{uart}.terminal_command", "", "program of the terminal", _NO_TELNET),
        ]
    return rows


PARAMETERS = Table(_honoured() + _ignored())
"""All that the open Corstone-300 knows."""
