"""The commands of a board with MLPerf Tiny's firmware, each with a time limit, none trusted blindly.

    from hil.targets.link.channel import open_channel

    with MlperfClient(open_channel("/dev/ttyACM0")) as client:
        client.sync()
        client.load(bytes(490))
        client.infer(1, 0).results

Three traps, all seen on real programs of this protocol: opening a port may lose the banner (so `sync` asks for the
name until it answers); a command that is nothing but `%` ends some firmwares (it is never sent); more data than was
announced is written past the end of the board's buffer (so every byte is counted here, and nothing follows a refusal).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from hil.core.errors import AnswerError, GarbageError, LinkError, RebootedError, SilentError, UnpluggedError
from hil.targets.link.channel import Channel
from hil.targets.link.transcript import Transcript
from hil.targets.mlperf_link import replies
from hil.targets.mlperf_link.replies import Line, Profile, ReplyError, Results, TimedInference
from hil.targets.mlperf_link.text_lines import TextLines

CHUNK = 31
"""Data bytes of a `db` command, as the benchmark's own runner sends them."""
LONGEST_COMMAND = 80
ATTEMPTS = 3
_ASK_AGAIN_S = 1.0
_QUIET_S = 0.2
T = TypeVar("T")


class MlperfClient:
    """A board that speaks the protocol on `channel`, which is the client's from now on.

    `answer_s` limits the wait for the answer to a command that does no inference, `sync_s` that for a sign of life.
    With `verify`, an input is read back (`db print`) where the firmware can; `is_verified` says whether it could.
    """

    def __init__(self, channel: Channel, *, answer_s: float = 5.0, sync_s: float = 10.0, verify: bool = True) -> None:
        self.answer_s = answer_s
        self.sync_s = sync_s
        self.is_verified = verify
        self._transcript = Transcript()
        self._lines = TextLines(channel, self._transcript)

    def __enter__(self) -> MlperfClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the port."""
        self._lines.channel.close()

    @property
    def transcript(self) -> str:
        """The last lines of both sides."""
        return self._transcript.text

    def reopen(self) -> None:
        """Opens the port anew, as after a cable came back; one attempt."""
        self._lines = TextLines(self._lines.channel, self._transcript)
        self._lines.channel.reopen()

    def sync(self) -> str:
        """Asks for the board's name until it answers; afterwards nothing of earlier commands is left on the line.

        Raises `SilentError`, or `GarbageError` where what answers speaks otherwise.
        """
        end, heard = time.monotonic() + self.sync_s, False
        while time.monotonic() < end:
            self._send("name")
            lines = self._collect(min(end, time.monotonic() + _ASK_AGAIN_S))
            heard = heard or bool(lines) or bool(self._lines.begun)
            if (name := replies.bracketed(lines, "name")) is not None:
                self._drain(end, _QUIET_S)  # The answers to names that were asked for in vain.
                return name
        if heard:
            why = "the board says something, but not its name"
            raise self._error(GarbageError, why, "is it this protocol, and this baud?")
        raise self._error(
            SilentError, f"the board is silent: no answer to 'name' in {self.sync_s:g} s", "power, cable?"
        )

    def profile(self) -> Profile:
        """The names of its firmware and of the model it carries; empty if it does not say."""
        lines = self._ask("profile")
        told = [(replies.bracketed(lines, what) or "").strip("[]") for what in ("profile", "model")]
        return Profile(*told)

    def timestamp(self) -> int | None:
        """The board's clock in microseconds; None in energy mode, where it pulses a pin instead."""
        return replies.read_lap(self._ask("timestamp"))

    def load(self, data: bytes) -> None:
        """Puts an input into the board's buffer; starts again, `ATTEMPTS` times in all, when the line lost some of it.

        Raises `AnswerError` when it is more than the board takes, `GarbageError` when it never arrived whole.
        """
        self._again(lambda: self._load(data), f"an input of {len(data)} bytes did not arrive whole")

    def infer(self, iterations: int, warmups: int, limit_s: float = 60.0) -> TimedInference:
        """Runs the model on the buffer, which the board does not clear: call `load` first.

        Raises `AnswerError` when the board refuses, `SilentError` when it takes longer than `limit_s`.
        """
        lines = self._ask(f"infer {iterations} {warmups}", limit_s)
        try:
            return replies.read_inference(lines, iterations, warmups)
        except ReplyError as error:
            raise self._error(GarbageError, f"a damaged answer to 'infer': {error}") from None

    def results(self) -> Results:
        """The outputs of the last inference, once more."""
        return self._again(lambda: replies.read_results(self._ask("results")), "damaged results")

    # -- one attempt each

    def _load(self, data: bytes) -> None:
        lines = self._ask(f"db load {len(data)}")
        if not any(line.text == replies.EXPECTING.format(len(data)) for line in lines):
            raise ReplyError("'db load' was not understood")
        for start in range(0, len(data), CHUNK):
            try:
                lines = self._ask(f"db {data[start : start + CHUNK].hex()}")
            except AnswerError as error:  # a digit was lost or flipped on its way
                raise ReplyError(error.answer) from None
            if any(line.text == replies.LOADED for line in lines) != (start + CHUNK >= len(data)):
                raise ReplyError(f"the board has another count at byte {start}")
        if self.is_verified:
            self._read_back(data)

    def _read_back(self, data: bytes) -> None:
        try:
            lines = self._ask(f"db print {len(data)} 0", self.answer_s + len(data) / 500)
        except AnswerError:  # an older firmware
            self.is_verified = False
            return
        if replies.read_buffer(lines) != data:
            raise ReplyError("the board's buffer is not what was sent")

    def _again(self, attempt: Callable[[], T], otherwise: str) -> T:
        reason: Exception | None = None
        for _ in range(ATTEMPTS):
            try:
                return attempt()
            except ReplyError as error:
                reason = error
                self._transcript.note(f"again: {error}")
        raise self._error(GarbageError, f"{otherwise}, {ATTEMPTS} times: {reason}", "the error rate of the line")

    # -- the line

    def _ask(self, command: str, limit_s: float | None = None) -> list[Line]:
        """The lines of the answer, without the last; raises for a refusal, a reboot, silence."""
        limit = limit_s if limit_s is not None else self.answer_s
        self._drain(time.monotonic() + limit, 0.0, watch=True)  # What came meanwhile: a banner, if anything.
        self._send(command)
        lines = self._collect(time.monotonic() + limit, watch=True)
        if not lines or lines[-1].text != replies.READY:
            heard = "stopped in the middle of its answer" if lines or self._lines.begun else "does not answer"
            raise self._error(SilentError, f"the board {heard} to '{command[:20]}' within {limit:g} s")
        if (answer := replies.refusal(lines)) is not None:
            unknown = replies.unknown_command(answer)
            if unknown is not None and unknown != command.split()[0]:
                raise self._error(GarbageError, f"'{command[:20]}' arrived as '{unknown[:20]}'")
            raise AnswerError(
                f"the board refuses '{command[:20]}': {answer}", answer=answer, transcript=self._transcript.text
            )
        return lines[:-1]

    def _send(self, command: str) -> None:
        if not 0 < len(command) <= LONGEST_COMMAND or "%" in command:
            raise ValueError(f"no command: {command!r}")
        self._guarded(lambda: self._lines.send(command))

    def _collect(self, end: float, *, watch: bool = False) -> list[Line]:
        """Lines until `m-ready` or `end`; with `watch`, a banner among them is a reboot."""

        def collect() -> list[Line]:
            lines = []
            for line in self._lines.until(end):
                lines.append(line)
                if watch and replies.is_banner(line.text):
                    raise self._error(RebootedError, "the board started anew in the middle", "supply, watchdog")
                if line.text == replies.READY:
                    break
            return lines

        return self._guarded(collect)

    def _drain(self, end: float, quiet_s: float, *, watch: bool = False) -> None:
        """Reads until no line comes for `quiet_s`."""
        while time.monotonic() < end and self._collect(min(end, time.monotonic() + quiet_s), watch=watch):
            pass

    def _guarded(self, step: Callable[[], T]) -> T:
        try:
            return step()
        except UnpluggedError as error:
            raise self._error(UnpluggedError, str(error.args[0]), error.hint) from None

    def _error(self, kind: type[LinkError], message: str, hint: str = "") -> LinkError:
        return kind(message, hint=hint, transcript=self._transcript.text)
