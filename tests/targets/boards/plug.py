"""A board on a serial cable with faults: a process behind a pty, with a power supply and a plug that can be pulled.

The supply is a path: the board runs `firmware.elf` while `powered` is there, and starts anew when one of both is
replaced, so that `rm`, `mkdir` and `mv` are its power switch and its flasher.  (`touch` sets the time of a new file
after it has made it, which may be two starts.)
"""

from __future__ import annotations

import contextlib
import os
import pty
import select
import subprocess
import threading
import tty
from pathlib import Path


class Plug:
    """`path` is the port's name, a link to a pty, as udev makes them.

    `mute`: what the board says is lost.  `garble`: it arrives as other bytes.  `brown_out_after`: power is lost for a
    moment when so many bytes more have gone to the board; `die_after`: for ever.
    """

    def __init__(self, folder: Path, firmware: Path, name: str = "tty0") -> None:
        self.folder = folder
        self.firmware = folder / "firmware.elf"
        self.powered = folder / "powered"
        self.path = folder / name
        self.mute = self.garble = False
        self.brown_out_after: int | None = None
        self.die_after: int | None = None
        self.starts = 0
        self._dead = False
        self._board: subprocess.Popen[bytes] | None = None
        self._running: tuple[int, int] | None = None
        self._ends: tuple[int, int] | None = None
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self.firmware.write_bytes(firmware.read_bytes())
        self.firmware.chmod(0o755)
        self.powered.touch()
        self.plug()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def plug(self, name: str | None = None) -> None:
        """Puts the cable in, perhaps under another name."""
        with self._lock:
            self._ends = pty.openpty()
            tty.setraw(self._ends[1])
            self.path = self.folder / name if name else self.path
            self.path.symlink_to(os.ttyname(self._ends[1]))

    def unplug(self) -> None:
        """Pulls it."""
        with self._lock:
            ends, self._ends = self._ends, None
            if ends:
                self.path.unlink()
                os.close(ends[1])
                os.close(ends[0])

    def kill(self) -> None:
        """The board's processor dies; power brings it back."""
        assert self._board is not None
        self._board.kill()

    def close(self) -> None:
        self._closed.set()
        self._thread.join()
        self.unplug()
        self._off()

    def _work(self) -> None:
        while not self._closed.is_set():
            self._supply()
            with self._lock:
                self._carry()
            self._closed.wait(0.002)

    def _supply(self) -> None:
        wanted = None
        with contextlib.suppress(OSError):
            wanted = (self.powered.stat().st_mtime_ns, self.firmware.stat().st_ino)
        if wanted != self._running:
            self._off()
            self._running = wanted
            if wanted and not self._dead:
                self._on()
        elif self._board and self._board.poll() == 3:  # It has reset itself.
            self._off()
            self._on()

    def _on(self) -> None:
        self.starts += 1
        self._board = subprocess.Popen([self.firmware], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)

    def _off(self) -> None:
        board, self._board = self._board, None
        if board is not None:
            board.kill()
            board.wait()
            for stream in (board.stdin, board.stdout):
                assert stream is not None
                stream.close()

    def _carry(self) -> None:
        if self._ends is None:
            return
        master = self._ends[0]
        if select.select([master], [], [], 0)[0]:
            self._to_board(os.read(master, 4096))
        said = self._board.stdout if self._board else None
        if said and select.select([said], [], [], 0)[0] and (data := said.read(4096)) and not self.mute:
            os.write(master, bytes(byte ^ 0x55 for byte in data) if self.garble else data)

    def _to_board(self, data: bytes) -> None:
        if self.brown_out_after is not None:
            self.brown_out_after -= len(data)
            if self.brown_out_after < 0:
                self.brown_out_after = None
                self._off()
                self._on()
                return
        if self.die_after is not None:
            self.die_after -= len(data)
            if self.die_after < 0:
                self._dead = True
                self._off()
        if self._board is not None:
            with contextlib.suppress(OSError):
                self._board.stdin.write(data)  # type: ignore[union-attr]
