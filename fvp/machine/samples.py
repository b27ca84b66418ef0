"""Contents of memory at the start of each sample, from the command line.

`open.samples=N` with `open.samples_address=A`: the file of the `--data` at A holds the inputs of N samples, one after
the other, in pieces of the same size.  Every other `--data` is the same for all.  `open.store`, too, needs to know A.
"""

from __future__ import annotations

from hil.core.errors import BadInputError
from hil.fvp.command_line.contract import CommandLine
from hil.fvp.machine import file_transfer


class SampleInputs:
    """The samples of `line`.

    `first`: address and bytes of all that is loaded before the CPU starts, the first sample's inputs among it.
    `watched`: address and size of the inputs if there are more samples than one, or states are kept; else None.
    Raises `BadInputError` for what does not fit together.
    """

    def __init__(self, line: CommandLine) -> None:
        self.samples = int(line.parameter("open.samples"))
        self.watched: tuple[int, int] | None = None
        loads = [(data.address, file_transfer.contents(data.file)) for data in line.data]
        if self.samples < 1:
            raise BadInputError(f"open.samples={self.samples}: there is at least one")
        if self.samples > 1 or line.text("open.store"):
            loads = self._split(line, loads)
        self.first = loads

    def of(self, sample: int) -> tuple[int, bytes]:
        """Address and bytes of a sample's inputs."""
        return self._address, self._pieces[sample]

    def is_hit(self, reason: str) -> bool:
        """True if the CPU stopped because it is about to read the inputs."""
        return self.watched is not None and f"watch:{self.watched[0]:x};" in reason

    def _split(self, line: CommandLine, loads: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
        self._address = int(line.parameter("open.samples_address"))
        self._asked = f"open.samples={self.samples}" if self.samples > 1 else "open.store"
        together = [data for address, data in loads if address == self._address]
        if len(together) != 1 or not together[0] or len(together[0]) % self.samples:
            raise BadInputError(
                f"{self._asked} needs one --data at open.samples_address={self._address:#x}"
                f" with {self.samples} pieces of the same size"
            )
        if line.flag("cpu0.semihosting-enable"):
            raise BadInputError(f"{self._asked}: what firmware does on the host by semihosting cannot be done again")
        size = len(together[0]) // self.samples
        self._pieces = [together[0][at : at + size] for at in range(0, len(together[0]), size)]
        for address, data in loads:
            if address != self._address and address < self._address + size and self._address < address + len(data):
                raise BadInputError(f"{self._asked}: the --data at {address:#x} lies over the inputs")
        self.watched = self._address, size
        return [(address, self._pieces[0] if address == self._address else data) for address, data in loads]
