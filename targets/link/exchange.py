"""Requests out, replies in, until a piece of work is done: windows, timers, repeats, reboots, ports that come back.

    Exchange(channel, silence_s=2.0, reopen_s=5.0).perform(work, limit_s)

`work` is asked for requests while the board takes more, is given the answers in the order in which they come, and is
given the lost requests: it may want one repeated as it is, or take its content back and cut it smaller.  A repeat
has the sequence number of the first, by which the board knows not to execute it twice; an answer that nobody waits for
any more is recognized by its number and dropped.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import Protocol

from hil.core.errors import (
    GarbageError,
    InfrastructureError,
    LinkError,
    RebootedError,
    RefusedError,
    SilentError,
    SlowError,
    UnpluggedError,
)
from hil.targets.link import frames
from hil.targets.link.channel import Channel
from hil.targets.link.pace import Pace
from hil.targets.link.transcript import Transcript
from hil.targets.link.wire import FAULT, REPLY, REPLY_BIT, REQUEST, Command, Status

_ADDRESS_BYTES = 4
_POLL_S = (0.25, 2.0)
_REOPEN_S = 0.1


@dataclass(frozen=True)
class Request:
    """A command with its payload; `answer_bytes` are expected, after at most `work_s` seconds of the board's own work.

    With `job` the board says first that it has begun, and is left alone for a while.
    """

    command: Command
    payload: bytes = b""
    answer_bytes: int = 0
    work_s: float = 0.0
    job: bool = False


class LinkWork(Protocol):
    """A series of requests for `Exchange.perform`."""

    def next(self) -> Request | None:
        """The next request; None if there is none now (one that is under way may still be lost)."""

    def done(self, request: Request, payload: bytes) -> None:
        """The answer to `request`, whose status is OK."""

    def lost(self, request: Request) -> bool:
        """No answer came.  False: send it again; True: its content will come with later requests."""


@dataclass
class Statistics:
    """Statistics of a link: frames, and payload bytes of WRITE, repeats included; those that were lost."""

    frames_sent: int = 0
    frames_received: int = 0
    damaged: int = 0
    late: int = 0
    lost: int = 0
    lost_bytes: int = 0
    reopened: int = 0
    written_bytes: int = 0


@dataclass
class _Pending:
    request: Request
    wire: bytes
    sent: float = 0.0
    expected: float = 0.0  # when the answer is here if nothing has latency
    deadline: float = 0.0
    repeats: int = 0
    polls: int = 0
    accepted: bool = False


@dataclass
class Exchange:
    """The state of a link: `window` unanswered requests, silence and reopening limited in seconds."""

    channel: Channel
    silence_s: float
    reopen_s: float
    session: int = 0
    window: int = 1
    transcript: Transcript = field(default_factory=Transcript)
    statistics: Statistics = field(default_factory=Statistics)

    def __post_init__(self) -> None:
        self.pace = Pace()
        self.reader = frames.FrameReader(frames.encoded_size(4096))
        self._byte_s = 10 / self.channel.baud
        self._sequence = 0
        self._pending: dict[int, _Pending] = {}
        self._requests_out = 0.0  # when, at the baud rate, all bytes of requests and of answers are over
        self._answers_in = 0.0
        self._heard_any = self._heard_frame = 0.0

    def begin_session(self) -> None:
        """Begins a session: a board's answers count from now on only if IDENTIFY gave it this session."""
        self.session = (self.session + secrets.randbelow(0xFFFE)) % 0xFFFF + 1  # not 0, and not the last one
        self.window = 1

    def perform(self, work: LinkWork, limit_s: float) -> None:
        """Does all of `work`; raises a `LinkError`, within about `limit_s`, if that cannot be done."""
        self._heard_any = self._heard_frame = time.monotonic()
        end = self._heard_frame + limit_s
        try:
            while True:
                self._fill(work)
                if not self._pending:
                    return
                self._step(work)
                self._judge(end)
        except UnpluggedError as error:
            raise UnpluggedError(str(error.args[0]), hint=error.hint, transcript=self.transcript.text) from None
        finally:
            self._pending.clear()

    def _fill(self, work: LinkWork) -> None:
        while len(self._pending) < self.window and (request := work.next()) is not None:
            self._sequence = self._sequence % 255 + 1
            head = REQUEST.pack(command=request.command, sequence=self._sequence, session=self.session)
            body = head + request.payload
            self._pending[self._sequence] = pending = _Pending(request, frames.frame(body))
            self.transcript.sent(body)
            self._send(pending)

    def _send(self, pending: _Pending) -> None:
        self._expect(pending)
        self.statistics.frames_sent += 1
        if pending.request.command is Command.WRITE:
            self.statistics.written_bytes += len(pending.request.payload) - _ADDRESS_BYTES
        try:
            self.channel.send(pending.wire)
        except UnpluggedError as error:
            self._reopen(error)

    def _expect(self, pending: _Pending) -> None:
        """Requests queue on the line, and so do their answers."""
        request, now = pending.request, time.monotonic()
        answer_bytes = frames.encoded_size(request.answer_bytes) + frames.REPLY_OVERHEAD
        self._requests_out = max(now, self._requests_out) + len(pending.wire) * self._byte_s
        self._answers_in = max(self._requests_out, self._answers_in) + answer_bytes * self._byte_s
        pending.sent = now
        pending.expected = self._answers_in + (0.0 if request.job else request.work_s)
        line_s = (len(pending.wire) + answer_bytes) * self._byte_s
        pending.deadline = pending.expected + self.pace.limit(line_s)

    def _arrived(self, pending: _Pending) -> None:
        """Learns from an answer; one that is early says that the line is faster than its baud rate."""
        latency = time.monotonic() - pending.expected
        self.pace.answered(latency)
        if latency < 0:
            self._requests_out += latency
            self._answers_in += latency
            for other in self._pending.values():
                other.expected += latency
                other.deadline += latency

    def _step(self, work: LinkWork) -> None:
        """Waits for the first of: bytes, a deadline."""
        wait = min(pending.deadline for pending in self._pending.values()) - time.monotonic()
        try:
            data = self.channel.receive(max(0.0, min(wait, self.silence_s)))
        except UnpluggedError as error:
            self._reopen(error)
            return
        if data:
            self._heard_any = time.monotonic()
            for body in self.reader.take(data):
                if body is None:
                    self._damaged(work)
                else:
                    self._take(work, body)
        now = time.monotonic()
        for sequence, pending in list(self._pending.items()):
            if self._pending.get(sequence) is pending and now >= pending.deadline:
                self._missed(work, sequence, pending)

    def _take(self, work: LinkWork, body: bytes) -> None:
        self.transcript.received(body)
        self.statistics.frames_received += 1
        self._heard_frame = time.monotonic()
        if len(body) < REPLY.size or not body[0] & REPLY_BIT:
            self.transcript.note("that was no reply")
            return
        head, payload = REPLY.unpack(body[: REPLY.size]), body[REPLY.size :]
        if head["sequence"] == 0 and head["command"] == Command.HELLO | REPLY_BIT:
            self._hello()
            return
        pending = self._pending.get(head["sequence"])
        if pending is None or head["session"] != self.session or head["command"] != pending.request.command | REPLY_BIT:
            self.statistics.late += 1
            return
        if head["status"] == Status.ACCEPTED and pending.request.job:
            self._accepted(pending)
            return
        del self._pending[head["sequence"]]
        if pending.repeats == 0 and not pending.request.job:
            self._arrived(pending)
        if head["status"] != Status.OK:
            self._refused(pending.request, head["status"], payload)
        work.done(pending.request, payload)

    def _accepted(self, pending: _Pending) -> None:
        """The board works.  It is asked again now and then, for its answer may be damaged."""
        first, most = _POLL_S
        pending.accepted = True
        pending.deadline = time.monotonic() + min(first * 2**pending.polls, most)
        pending.polls = min(pending.polls + 1, 8)

    def _missed(self, work: LinkWork, sequence: int, pending: _Pending) -> None:
        self.transcript.note(f"no answer to #{sequence} after {time.monotonic() - pending.sent:.3f} s")
        if pending.accepted:
            self._send(pending)
            self._accepted(pending)
        else:
            self.pace.missed()
            self._lose(work, sequence, pending)

    def _damaged(self, work: LinkWork) -> None:
        """Noise.  If one answer is due, it was most likely that: there is nothing to wait for."""
        self.statistics.damaged += 1
        self.transcript.note("a damaged frame")
        if len(self._pending) != 1:
            return
        ((sequence, pending),) = self._pending.items()
        if not pending.accepted and time.monotonic() >= pending.expected + self.pace.latency / 2:
            self._lose(work, sequence, pending)

    def _lose(self, work: LinkWork, sequence: int, pending: _Pending) -> None:
        self._count_lost(pending.request)
        if work.lost(pending.request):
            del self._pending[sequence]
        else:
            pending.repeats += 1
            self._send(pending)

    def _hello(self) -> None:
        """The board says that it has started.  If that is so it now knows no session, and says that when asked."""
        for pending in list(self._pending.values()):
            self._count_lost(pending.request)
            pending.repeats += 1
            self._send(pending)

    def _count_lost(self, request: Request) -> None:
        self.statistics.lost += 1
        if request.command is Command.WRITE:
            self.statistics.lost_bytes += len(request.payload) - _ADDRESS_BYTES

    def _refused(self, request: Request, status: int, payload: bytes) -> None:
        text = self.transcript.text
        if status == Status.NO_SESSION:
            message = f"{self.channel.name}: the board was reset since it was identified, or is another one"
            raise RebootedError(message, hint="its memory is lost: identify it and begin anew", transcript=text)
        if status not in Status.__members__.values():
            raise GarbageError(f"{self.channel.name}: unknown status {status}", transcript=text)
        message = f"{self.channel.name}: the board refuses {request.command.name}: {Status(status).name}"
        if status == Status.FAULT and len(payload) == FAULT.size:
            fault = FAULT.unpack(payload)
            message += f" at {fault['address']:#010x} (status {fault['status']:#x}, pc {fault['pc']:#010x})"
        raise RefusedError(message, status=Status(status), transcript=text)

    def _judge(self, end: float) -> None:
        """Raises if nothing was heard for too long, or the whole work lasts too long."""
        if not self._pending:
            return
        now = time.monotonic()
        works = max((p.request.work_s for p in self._pending.values() if p.accepted or not p.request.job), default=0.0)
        quiet, name = now - self._heard_frame, self.channel.name
        if quiet < self.silence_s + works:
            if now < end:
                return
            message = f"{name}: the board answers, but not enough in the time there is"
            raise SlowError(message, hint="a better cable?", transcript=self.transcript.text)
        if self._heard_any > self._heard_frame:
            hint = "is the baud rate right, and the firmware this project's?"
            message = f"{name}: no frame for {quiet:.1f} s, but other bytes"
            raise GarbageError(message, hint=hint, transcript=self.transcript.text)
        message = f"{name}: no answer for {quiet:.1f} s"
        raise SilentError(message, hint="power, cable, port, firmware?", transcript=self.transcript.text)

    def _reopen(self, error: LinkError) -> None:
        """Waits for the port to come back; the session shows if it is the same board, still running."""
        self.transcript.note(f"the port is gone: {error}")
        end = time.monotonic() + self.reopen_s
        while True:
            try:
                self.channel.reopen()
                break
            except InfrastructureError:  # also of whoever looks for the port
                if time.monotonic() >= end:
                    raise
                time.sleep(_REOPEN_S)
        self.transcript.note("the port is back")
        self.statistics.reopened += 1
        self.reader.clear()
        now = self._heard_any = self._heard_frame = self._requests_out = self._answers_in = time.monotonic()
        for pending in self._pending.values():
            pending.repeats += 1
            pending.deadline = now
