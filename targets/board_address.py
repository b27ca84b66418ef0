"""The address of a board: what a user writes behind `--board`, and what reaches the board that it names.

with reach("virtual") as access: ...                # a virtual board, for as long as it is wanted
with reach("place:corstone1") as access: ...        # a place of a lab, acquired and released
with reach("tag:board=an547") as access: ...        # any free place with these tags
with reach("mine@socket://lab:4001") as access: ... # a described board, or a TOML file, with @PORT or without
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from pathlib import Path

from hil.core.npu_config import DEFAULT_NPU, NpuConfig
from hil.targets.boards.access import BoardAccess
from hil.targets.boards.catalogue import find_board, names
from hil.targets.boards.local_port import local_access

VIRTUAL, PLACE, TAG = "virtual", "place:", "tag:"
BUILT_IN = {VIRTUAL: "the firmware on QEMU with the NPU behind it, started for the run"}
"""Boards that need no description."""


@contextlib.contextmanager
def reach(
    address: str, folder: Path | None = None, *, without: Collection[str] = (), npu: NpuConfig = DEFAULT_NPU
) -> Iterator[BoardAccess]:
    """The board at `address`, reserved until the end of the `with`.

    `folder` has the user's own descriptions; `without` are places of a lab that will not do; `npu` is what a virtual
    board is made of.  Raises `BadInputError` for an address that names no board, and what the way to it raises.
    """
    if address == VIRTUAL:
        from hil.targets.boards import virtual

        with virtual.reach(npu=npu) as access:
            yield access
    elif _is_lab(address):
        from hil.targets import lab

        with lab.reach(*lab.place_and_tags(address), without=without, folder=folder) as access:
            yield access
    else:
        yield local_access(find_board(address, folder))


def check(address: str, folder: Path | None = None) -> str:
    """`address` if it can name a board, as far as this machine knows; starts nothing and opens no port.

    Raises `BadInputError`.
    """
    if _is_lab(address):
        from hil.targets import lab

        lab.place_and_tags(address)
    elif address != VIRTUAL:
        find_board(address, folder, others=BUILT_IN)
    return address


def known(folder: Path | None = None) -> list[str]:
    """The names that are an address by themselves."""
    return [*BUILT_IN, *sorted(names(folder))]


def protocol(address: str, folder: Path | None = None) -> str:
    """The protocol that the board speaks; empty for a place of a lab, which says it only when it is reached."""
    if _is_lab(address):
        return ""
    return "hil" if address == VIRTUAL else find_board(address, folder).protocol


def has_choice(address: str) -> bool:
    """True if several boards may stand behind the address, so that another can take the place of a lost one."""
    return address.startswith(TAG)


def of_board(address: str, board: str) -> str:
    """The address of the one board of the name `board` that was reached by `address`."""
    return f"{PLACE}{board}" if has_choice(address) else address


def _is_lab(address: str) -> bool:
    return address.startswith((PLACE, TAG))
