"""The client against boards that run: the benchmark's own code where it is at hand, and one with faults on purpose."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hil.core.errors import LinkError
from hil.targets.link import GarbageError, RebootedError, SilentError, UnpluggedError
from hil.targets.link.channel import open_channel
from hil.targets.mlperf_link import AnswerError, MlperfClient, Profile
from hil.targets.mlperf_link.replies import elapsed_us

from .device import PROGRAMS, on_pty, on_tcp

Built = Callable[[str], Path]
Answers = dict[bytes, list[str]]


_DATA = re.compile(rb"db [0-9a-f]+%")


class Flipping:
    """A channel that changes the character `place` of the `number`th command that fits `commands`."""

    def __init__(self, port: str, commands: re.Pattern[bytes], number: int, place: int) -> None:
        self.channel = open_channel(port)
        self.commands, self.left, self.place = commands, number, place

    def __getattr__(self, name: str) -> Any:
        return getattr(self.channel, name)

    def send(self, data: bytes) -> None:
        """Sends as the channel does, but for that character."""
        if self.commands.fullmatch(data):
            self.left -= 1
            if self.left == 0:
                other = b"1" if data[self.place : self.place + 1] != b"1" else b"2"
                data = data[: self.place] + other + data[self.place + 1 :]
        self.channel.send(data)


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("connect", [on_pty, on_tcp])
def test_every_sample_is_answered_as_the_board_computes_it(
    built: Built, book: Path, answers: Answers, program: str, connect: Callable[..., object]
) -> None:
    with connect(built(program), book) as board, MlperfClient(open_channel(board.port)) as client:
        assert client.sync().startswith("dut-[")
        assert client.profile().model == "kws01"
        for data, printed in answers.items():
            client.load(data)
            found = client.infer(7, 2)
            assert found.results.values == tuple(map(float, printed))
            assert found.results.resolution == 0.001
            assert (found.board_us or 0) >= 7 * 1000
            assert client.results() == found.results
        assert client.is_verified


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_the_board_refuses_is_told_in_its_words_and_leaves_it_usable(
    built: Built, book: Path, answers: Answers, program: str
) -> None:
    first = next(iter(answers))
    with on_pty(built(program), book) as board, MlperfClient(open_channel(board.port)) as client:
        client.sync()
        with pytest.raises(AnswerError, match="iterations must be >0"):
            client.infer(0, 0)
        with pytest.raises(AnswerError, match="99999 exceeds maximum of 27648") as refused:
            client.load(bytes(99999))
        assert "sent  db load 99999%" in refused.value.transcript
        client.load(first[:-1])
        with pytest.raises(AnswerError, match="Input db has 69"):  # else it would compute on what it has
            client.infer(1, 0)
        client.load(first)
        assert client.infer(1, 0).results.values == tuple(map(float, answers[first]))


def test_a_board_that_misses_the_first_commands_is_asked_again(built: Built, book: Path) -> None:
    with on_pty(built("own"), book, BOARD_DEAF=2) as board, MlperfClient(open_channel(board.port)) as client:
        assert client.sync() == "dut-[test]"
        assert client.profile() == Profile("a test's own firmware", "kws01")


def test_a_command_that_was_left_unfinished_does_not_disturb_the_next_session(built: Built, book: Path) -> None:
    with on_pty(built("own"), book) as board:
        with MlperfClient(open_channel(board.port)) as client:
            client.sync()
            client._lines.channel.send(b"timest")
        with MlperfClient(open_channel(board.port)) as client:
            client.sync()
            assert client.profile().model == "kws01"


def test_a_silent_board_and_one_that_talks_otherwise_are_different_errors(built: Built, book: Path) -> None:
    with (
        on_pty(built("own"), book, BOARD_DEAF=100) as board,
        MlperfClient(open_channel(board.port), sync_s=1.2) as client,
    ):
        with pytest.raises((SilentError, GarbageError)):  # its banner may have been heard
            client.sync()
        with pytest.raises(SilentError):
            client.sync()
    with on_pty(Path("/bin/cat"), book) as board, MlperfClient(open_channel(board.port), sync_s=1.2) as client:
        client._lines.channel.send(b"a\n")
        with pytest.raises(LinkError):
            client.sync()


def test_bytes_lost_on_the_way_are_sent_again(built: Built, book: Path, answers: Answers) -> None:
    with on_pty(built("own"), book, BOARD_LOSE=100) as board, MlperfClient(open_channel(board.port)) as client:
        client.sync()
        for data, printed in answers.items():
            client.load(data)
            assert client.infer(1, 0).results.values == tuple(map(float, printed))


def test_a_line_that_always_loses_some_ends_in_an_error(built: Built, book: Path, answers: Answers) -> None:
    with on_pty(built("own"), book, BOARD_LOSE=30) as board, MlperfClient(open_channel(board.port)) as client:
        client.sync()
        with pytest.raises(GarbageError, match="an input of 70 bytes did not arrive whole, 3 times"):
            client.load(next(iter(answers)))


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("place", [1, 3])
def test_a_flipped_digit_never_reaches_the_model(
    built: Built, book: Path, answers: Answers, program: str, place: int
) -> None:
    data, printed = next(iter(answers.items()))
    with on_pty(built(program), book) as board, MlperfClient(Flipping(board.port, _DATA, place, 5)) as client:
        client.sync()
        client.load(data)
        assert "the board's buffer is not what was sent" in client.transcript
        assert client.infer(1, 0).results.values == tuple(map(float, printed))


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_command_that_arrived_as_another_word_is_no_refusal(
    built: Built, book: Path, answers: Answers, program: str
) -> None:
    infer = re.compile(rb"infer .*")
    with on_pty(built(program), book) as board, MlperfClient(Flipping(board.port, infer, 1, 2)) as client:
        client.sync()
        client.load(next(iter(answers)))
        with pytest.raises(GarbageError, match="'infer 1 0' arrived as 'in1er'"):
            client.infer(1, 0)
        with pytest.raises(AnswerError, match="Unknown command: bogus"):
            client._ask("bogus")


def test_a_firmware_that_cannot_print_its_buffer_is_used_and_said(built: Built, book: Path, answers: Answers) -> None:
    with on_pty(built("own"), book, BOARD_PRINT=0) as board, MlperfClient(open_channel(board.port)) as client:
        client.sync()
        client.load(next(iter(answers)))
        assert not client.is_verified


@pytest.mark.parametrize("command", [2, 3, 5, 6])
def test_a_reboot_in_the_middle_is_noticed(built: Built, book: Path, answers: Answers, command: int) -> None:
    with on_pty(built("own"), book, BOARD_REBOOT=command) as board, MlperfClient(open_channel(board.port)) as client:
        client.sync()
        with pytest.raises(RebootedError) as found:  # noqa: PT012 - wherever the board was
            client.load(next(iter(answers)))
            client.infer(1, 0)
        assert "m-init-done" in found.value.transcript or "m-timestamp-mode" in found.value.transcript


def test_a_board_that_does_not_end_or_dies_is_an_error(built: Built, book: Path, answers: Answers) -> None:
    with (
        on_tcp(built("own"), book, BOARD_INFER_US=600_000_000) as board,
        MlperfClient(open_channel(board.port)) as client,
    ):
        client.sync()
        client.load(next(iter(answers)))
        with pytest.raises(SilentError, match="stopped in the middle of its answer"):
            client.infer(1, 0, limit_s=2.0)
        board.kill()
        with pytest.raises(UnpluggedError):
            client.infer(1, 0, limit_s=2.0)


def test_energy_mode_has_results_but_no_timestamps(built: Built, book: Path, answers: Answers) -> None:
    data, printed = next(iter(answers.items()))
    with on_pty(built("own"), book, BOARD_ENERGY=1) as board, MlperfClient(open_channel(board.port)) as client:
        client.sync()
        assert client.timestamp() is None
        client.load(data)
        found = client.infer(2, 0)
        assert (found.board_us, found.results.values) == (None, tuple(map(float, printed)))


def test_a_clock_of_32_bits_may_pass_its_end() -> None:
    assert elapsed_us(4_294_967_000, 704) == 1000
    assert elapsed_us(704, 4_294_967_000) == 4_294_966_296


class Babbling:
    """A channel that always has data."""

    name = "babble"

    def send(self, data: bytes) -> None:
        """Drops the data."""

    def receive(self, timeout: float) -> bytes:
        """Returns data at once."""
        return b"\x1b[31mred\n"


def test_a_board_that_never_stops_to_talk_is_told_and_cannot_colour_a_terminal() -> None:
    client = MlperfClient(Babbling(), sync_s=0.3)  # type: ignore[arg-type]
    with pytest.raises(GarbageError, match="something, but not its name"):
        client.sync()
    assert "?[31mred" in client.transcript
    assert "\x1b" not in client.transcript
