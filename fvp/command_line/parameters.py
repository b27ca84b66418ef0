"""The `-C` parameters of Arm's Corstone-300 FVP that tools pass, and what the open one does with each.

    >>> PARAMETERS.find("mps3_board.uart0.out_file").default
    ''

A parameter is *honoured*, or *ignored* by name with the reason: there is no window and no cache here that it could
change.  Any other name is an error, as on the FVP: a misspelt parameter must not pass unnoticed.

Those that start with `open.` are this program's own: Arm's NPU model has no use for them.

Names and defaults are from public command lines (MLEK, TFLM, TVM, MLonMCU, ExecuTorch, Zephyr, MLIA, OpenMV) and
`--list-params` listings.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from hil.core.errors import BadInputError

UARTS = range(6)
"""UARTs of the MPS3 board."""

MACS = {"ethos-u55": (128, 32, 64, 256), "ethos-u65": (256, 512)}
"""Sizes of each NPU in MAC units, the default first."""

Value = bool | int | str


class Parameter(NamedTuple):
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

    def format(self, value: Value) -> str:
        """The text from which `parse` makes `value`."""
        if isinstance(value, str):
            return quote(value)
        return str(int(value))

    def listing(self, value: Value) -> str:
        """A line of `--list-params`, in the FVP's form: with it as a configuration file, `value` is what it sets."""
        kind, shown, default = "string", f'"{value}"', f"'{self.default}'"
        if isinstance(self.default, bool):
            kind, shown, default = "bool  ", str(int(value)), f"'{int(self.default)}'"
        elif isinstance(self.default, int):
            kind, shown, default = "int   ", f"{value:#x}", f"'{self.default:#x}'"
        note = f"; ignored here: {self.ignored}" if self.ignored else ""
        return f"{self.name}={shown}".ljust(58) + f" # ({kind}, init-time) default = {default} : {self.text}{note}"


def unquote(text: str) -> str:
    """`text` without the quotes that a shell left round it: `'-'`, `"-"` and `-` are the same file name."""
    text = text.strip()
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return text


def quote(text: str) -> str:
    """The words from which `unquote` makes `text`."""
    return text if unquote(text) == text else f'"{text}"'


class ParameterTable:
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
_FIXED = "the machine has it as it is"


def _honoured() -> list[Parameter]:
    semihosting = "cpu0.semihosting-"
    rows = [
        Parameter("ethosu.num_macs", MACS["ethos-u55"][0], "MAC units: 32, 64, 128, 256 (U55), 256, 512 (U65)"),
        Parameter("open.npu", "ethos-u55", "the NPU: ethos-u55, or ethos-u65 as in Arm's executable of that name"),
        Parameter("open.system_config", "", "Vela's system configuration that cycles assume; empty is the NPU's usual"),
        Parameter("open.memory_mode", "", "memory mode to read with it; ports are as the driver sets them"),
        Parameter("open.samples", 1, "number of samples whose inputs the --data at open.samples_address holds"),
        Parameter("open.samples_address", 0, "where the firmware has its inputs"),
        Parameter("open.store", "", "store of artifacts with states of booted machines; needs open.samples_address"),
        Parameter("open.vela_config", "", "Vela configuration file to look both up in; empty is Vela's own"),
        Parameter(
            "open.pmu_file",
            "",
            "file that gets what the PMU's counters do not show, and restored: true without a boot; JSON, by sample",
        ),
        Parameter(f"{semihosting}enable", False, "serve semihosting"),
        Parameter(f"{semihosting}cmd_line", "", "command line that semihosting gives to the firmware"),
        Parameter(f"{semihosting}cwd", "", "folder whose files semihosting may open; empty is none"),
        Parameter(
            f"{semihosting}heap_base", 0, "heap's start; with one of these four given, SYS_HEAPINFO answers them"
        ),
        Parameter(f"{semihosting}heap_limit", 0, "heap's end"),
        Parameter(f"{semihosting}stack_base", 0, "stack's start, its highest address"),
        Parameter(f"{semihosting}stack_limit", 0, "stack's end, its lowest address"),
    ]
    for uart in UARTS:
        at, terminal = f"mps3_board.uart{uart}", f"mps3_board.telnetterminal{uart}"
        rows += [
            Parameter(f"{at}.out_file", "", "file that gets what the UART sends; '-' is standard output"),
            Parameter(f"{at}.unbuffered_output", False, "write every byte at once, as is always done here"),
            Parameter(f"{at}.shutdown_on_eot", False, "end the simulation when the UART sends EOT (0x04)"),
            Parameter(f"{at}.shutdown_tag", "", "end the simulation when the UART sends this text"),
            Parameter(
                f"{terminal}.start_port", 5000, "first port tried, on loopback; any other than 5000 asks for one"
            ),
            Parameter(f"{terminal}.mode", "telnet", "raw asks for a port, too; telnet is served as raw"),
        ]
    return rows


def _ignored() -> list[Parameter]:
    rows = [
        Parameter("ethosu.extra_args", "", "options of Arm's NPU model", "this NPU model has none"),
        Parameter("mps3_board.visualisation.disable-visualisation", False, "no window", _NO_WINDOW),
        Parameter("mps3_board.visualisation.rate_limit-enable", True, "slow down to real time", _NO_WINDOW),
        Parameter("mps3_board.visualisation.trap_key", 0, "key that frees the mouse", _NO_WINDOW),
        Parameter("mps3_board.visualisation.window_title", "", "title of the window", _NO_WINDOW),
        Parameter("mps3_board.DISABLE_GATING", False, "no clock gating", _FIXED),
        Parameter("mps3_board.FPGA_SRAM_SIZE", 2, "code SRAM in MiB", _FIXED),
        Parameter("mps3_board.sse300.NUMVMBANK", 2, "number of internal SRAMs", _FIXED),
        Parameter("mps3_board.sse300.VM_BANK_SIZE", 2048, "size of each internal SRAM in KiB", _FIXED),
        Parameter("mps3_board.smsc_91c111.enabled", False, "Ethernet", "there is no network"),
        Parameter("mps3_board.hostbridge.userNetworking", False, "network through the host", "there is no network"),
        Parameter("mps3_board.hostbridge.userNetPorts", "", "ports of that network", "there is no network"),
        Parameter("cpu0.CFGITCMSZ", 15, "size of the ITCM", "it has 512 KiB"),
        Parameter("cpu0.CFGDTCMSZ", 15, "size of the DTCM", "it has 512 KiB"),
        Parameter("cpu0.FPU", True, "floating point", _FIXED),
        Parameter("cpu0.MVE", 2, "vector extension: 0 none, 1 integer, 2 floating point", _FIXED),
        Parameter("cpu0.semihosting-Thumb_SVC", 0xAB, "number of the semihosting call", _FIXED),
        Parameter("cpu0.min_sync_level", 0, "synchronisation of the simulator's clocks", "there is one clock"),
    ]
    for uart in UARTS:
        terminal = f"mps3_board.telnetterminal{uart}"
        rows += [
            Parameter(f"mps3_board.uart{uart}.rx_overrun_mode", "", "what a lost byte does", "no byte is lost"),
            Parameter(f"mps3_board.uart{uart}.untimed_fifos", False, "no baud rate", "there is no baud rate"),
            Parameter(f"{terminal}.start_telnet", True, "start a terminal", "no program is started"),
            Parameter(f"{terminal}.quiet", False, "say nothing about the port", "the port must be told"),
            Parameter(f"{terminal}.terminal_command", "", "program of the terminal", "no program is started"),
        ]
    return rows


PARAMETERS = ParameterTable(_honoured() + _ignored())
"""All that the open Corstone-300 knows."""
