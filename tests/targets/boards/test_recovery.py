"""A board that fails in the middle is recovered, or given up in bounded time with the reasons; no result is wrong."""

from __future__ import annotations

import os

import pytest

from hil.core.errors import EXIT_INFRASTRUCTURE
from hil.targets.board_event import EventKind
from hil.targets.boards import BoardLostError, Health, Recovery, StuckError, WrongBoardError, find_board, open_board
from hil.targets.boards.local_port import local_access
from hil.targets.link import Job, Link, Outcome, RefusedError

from .conftest import SILENT_S, MakeBoard, MakePlug

RAM = 0x70000000
DATA = os.urandom(40_000)


def upload(link: Link) -> bytes:
    link.write(RAM, DATA)
    return link.read(RAM, len(DATA))


def test_a_board_opens_identified_and_takes_data(plug: MakePlug, described: MakeBoard) -> None:
    with open_board(find_board(str(described(plug())))) as link:
        assert upload(link) == DATA


def test_a_brown_out_in_the_middle_of_an_upload_costs_a_second_try_not_the_result(
    plug: MakePlug, described: MakeBoard
) -> None:
    cable = plug()
    said: list[str] = []
    with Recovery.of(local_access(find_board(str(described(cable)))), say=said.append) as recovery:
        assert recovery.attempt(upload) == DATA
        cable.brown_out_after = 10_000
        assert recovery.attempt(lambda link: (link.write(RAM, DATA[::-1]), link.read(RAM, len(DATA)))[1]) == DATA[::-1]
        assert cable.starts == 2
        assert recovery.recoveries == 1
    assert "identified again" in said[0]


@pytest.mark.parametrize("fault", ["mute", "garble"])
def test_silence_and_garbage_end_with_a_power_cycle_where_one_helps(
    plug: MakePlug, described: MakeBoard, fault: str
) -> None:
    cable = plug()
    with Recovery.of(
        local_access(find_board(str(described(cable, ways='"power"', boot_s=SILENT_S)))), say=lambda text: heal(text)
    ) as recovery:

        def heal(text: str) -> None:
            setattr(cable, fault, "power" not in text)

        setattr(cable, fault, True)
        assert recovery.attempt(upload) == DATA
        assert cable.starts == 2


def test_a_dead_board_is_given_up_with_what_was_tried_and_is_out_of_order_from_then_on(
    plug: MakePlug, described: MakeBoard
) -> None:
    cable = plug()
    health = Health()
    board = described(cable, boot_s=SILENT_S)
    with Recovery.of(local_access(find_board(str(board))), health=health) as recovery:
        cable.die_after = 20_000
        with pytest.raises(BoardLostError) as caught:
            recovery.attempt(upload)
        error = caught.value
        assert error.exit_code == EXIT_INFRASTRUCTURE
        assert error.tried == ("again", "protocol", "power")
        assert "tried: again, protocol, power" in str(error)
        assert "WRITE" in error.log, "the transcript of the transfer that failed"
        assert "after power: SilentError" in error.log
        starts = cable.starts
        with pytest.raises(BoardLostError, match="out of order for the rest of this session"):
            recovery.attempt(upload)
        assert cable.starts == starts, "nothing is tried again"
    (event,) = health.take_events()
    assert (event.board, event.kind) == ("desk", EventKind.LOST)
    assert event.detail.startswith("SilentError: ")
    assert event.detail.endswith("; tried: again, protocol, power")
    another = Recovery.of(local_access(find_board(str(cable.folder.parent / "desk.toml"))), health=health)
    with another, pytest.raises(BoardLostError):
        another.attempt(upload)


def test_a_port_that_comes_back_under_another_name_is_found_by_its_description(
    plug: MakePlug, described: MakeBoard
) -> None:
    """The USB bus renames a board that is plugged again; here the description's path is a pattern's one match."""
    cable = plug()
    access = local_access(find_board(str(described(cable))))
    moving = type(access)(access.board, lambda: str(cable.path), access.ways)
    with Recovery.of(moving) as recovery:
        assert recovery.attempt(upload) == DATA
        cable.unplug()
        cable.plug("tty7")
        assert recovery.attempt(upload) == DATA
        assert cable.path.name == "tty7"


def test_an_unplugged_cable_ends_in_a_typed_error(plug: MakePlug, described: MakeBoard) -> None:
    cable = plug()
    with Recovery.of(local_access(find_board(str(described(cable, boot_s=SILENT_S))))) as recovery:
        assert recovery.attempt(upload) == DATA
        cable.unplug()
        with pytest.raises(BoardLostError, match="is not there"):
            recovery.attempt(upload)


def test_another_board_behind_the_same_port_is_not_written_to(
    plug: MakePlug, described: MakeBoard, firmware: object
) -> None:
    for identity, why in (({"board": "other"}, "'other' answered"), ({"npu_config": 0x1808}, "ethos-u55-256"),
                          ({"npu_config": 0}, "no NPU")):  # fmt: skip
        cable = plug(**identity)
        with pytest.raises(WrongBoardError, match=why), open_board(find_board(str(described(cable)))):
            pass


def test_a_stuck_npu_is_reset_and_the_work_done_again(plug: MakePlug, described: MakeBoard) -> None:
    cable = plug()
    addresses = iter((RAM + 16, RAM))

    def run(link: Link) -> int:
        result = link.run(Job(stream_address=next(addresses), stream_bytes=16, bases=()))
        if result.outcome is Outcome.NPU_STUCK:
            raise StuckError("the NPU is stuck", log=link.transcript)
        return result.cycles

    with Recovery.of(local_access(find_board(str(described(cable))))) as recovery:
        assert recovery.attempt(run) == 16
        (event,) = recovery.health.take_events()
    assert (event.kind, event.detail) == (EventKind.RECOVERED, "StuckError: the NPU is stuck; by protocol")
    assert cable.starts == 2, "one reset through the protocol"


def test_what_a_reset_cannot_mend_is_not_tried_again(plug: MakePlug, described: MakeBoard) -> None:
    cable = plug()
    with Recovery.of(local_access(find_board(str(described(cable))))) as recovery:
        with pytest.raises(RefusedError):
            recovery.attempt(lambda link: link.read(0x10, 4))
        assert [event.kind for event in recovery.health.take_events()] == [EventKind.FAILED]
        assert cable.starts == 1


def test_a_board_that_is_not_ours_is_not_reset(plug: MakePlug, described: MakeBoard) -> None:
    cable = plug(board="other")
    refused = pytest.raises(WrongBoardError, match="'other' answered")
    with Recovery.of(local_access(find_board(str(described(cable))))) as recovery, refused:
        recovery.attempt(upload)
    assert cable.starts == 1
