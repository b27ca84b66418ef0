"""The command line that starts the open Corstone-300."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

COMMAND = (sys.executable, "-m", "hil.fvp.corstone300")
UART_OUT = ("-C", "mps3_board.uart0.out_file=-", "-C", "mps3_board.uart0.shutdown_on_eot=1")

Launch = Callable[..., "subprocess.CompletedProcess[bytes]"]
