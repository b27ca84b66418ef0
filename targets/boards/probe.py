"""Asks what is on a board's port, quickly, and without writing anything to its memory.

    answer = probe(board, "/dev/ttyUSB0")
    answer.board, answer.firmware, answer.accelerator, answer.trouble

Only ports that a description names are asked: what hangs on the others may not like to be.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from hil.core.errors import HilError, WrongBoardError
from hil.targets.boards import identity
from hil.targets.boards.description import Board
from hil.targets.boards.port_lock import PortLock
from hil.targets.boards.ports import PortCandidate, matching, usb_serial
from hil.targets.boards.serial_line import open_line
from hil.targets.link import Link
from hil.targets.mlperf_link import MlperfClient

SILENCE_S = 1.5
"""Time after which a port is called silent."""
_AT_ONCE = 16


@dataclass(frozen=True)
class ProbeResult:
    """The board's own words, empty or 0 where it has none, clocks in Hz, `memory` in bytes.

    `serial_number` is the board's, `usb_serial` that of the USB device on whose port it is.

    `trouble`: why there are none, or why it is not the described board; empty if all is well.
    """

    port: str
    board: str = ""
    firmware: str = ""
    accelerator: str = ""
    cpu_hz: int = 0
    npu_hz: int = 0
    memory: int = 0
    serial_number: str = ""
    firmware_crc32: str = ""
    usb_serial: str = ""
    trouble: str = ""


def probe(board: Board, port: str, silence_s: float = SILENCE_S) -> ProbeResult:
    """Asks the board on `port`; every error becomes `trouble`.  A port that another run holds is left alone."""
    try:
        with PortLock(port):
            return (_ask_mlperf if board.protocol == "mlperf" else _ask_hil)(board, port, silence_s)
    except HilError as error:
        return ProbeResult(port, trouble=str(error))


def probe_all(boards: Sequence[Board], among: Sequence[PortCandidate]) -> dict[str, list[ProbeResult]]:
    """Board's name -> the answers on all ports that match it; ports are asked at the same time, each once a board."""
    by_port: dict[str, list[Board]] = {}
    for board in boards:
        for candidate in matching(board, among):
            by_port.setdefault(candidate.path, []).append(board)
    answers: dict[str, list[ProbeResult]] = {board.name: [] for board in boards}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        asked = pool.map(lambda item: [(board, probe(board, item[0])) for board in item[1]], by_port.items())
        for board, answer in (pair for pairs in asked for pair in pairs):
            answers[board.name].append(answer)
    return answers


def _ask_hil(board: Board, port: str, silence_s: float) -> ProbeResult:
    with Link(open_line(board, lambda: port), silence_s=silence_s, reopen_s=0) as link:
        found = link.identify()
    trouble = ""
    try:
        identity.check(board, found)
    except WrongBoardError as error:
        trouble = str(error.args[0]).removeprefix(f"{board.name}: ")  # Whoever shows it names the board.
    memory = sum(region.size for region in found.regions)
    crc = f"{found.image.crc:08x}" if found.image else ""
    told = (found.board, found.firmware, identity.accelerator(found), found.cpu_hz, found.npu_hz, memory)
    return ProbeResult(port, *told, found.serial, crc, usb_serial(port), trouble)


def _ask_mlperf(board: Board, port: str, silence_s: float) -> ProbeResult:
    with MlperfClient(open_line(board, lambda: port), answer_s=silence_s, sync_s=silence_s) as client:
        name, profile = client.sync(), client.profile()
    wrong = bool(board.reports) and board.reports != name
    trouble = f"{name!r} answered, {board.reports!r} is described" if wrong else ""
    return ProbeResult(port, name, f"{profile.firmware}, model {profile.model}", trouble=trouble)
