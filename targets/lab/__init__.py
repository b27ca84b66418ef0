"""A lab of boards: a place of labgrid as a board within reach.

    with reach("desk1", {}) as access:                             # acquired, and released in any case
        access.find()                                              # "socket://lab:4001"
    with reach("", {"board": "an547", "site": "berlin"}) as access:   # any free place with these tags
        access.board.name                                          # "desk2"

The place's tag `hil_board` names the description of the board that stands there (`hil boards`).  The port
is the place's NetworkSerialPort; power and reset go through labgrid's drivers.  Several processes get a place each.
"""

from __future__ import annotations

from hil.core.errors import LabError
from hil.targets.lab.places import PATIENCE_S, place_and_tags, reach

__all__ = ["PATIENCE_S", "LabError", "place_and_tags", "reach"]
