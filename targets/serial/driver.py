"""The drivers of boards: one for each protocol that a board may speak, peers behind one small protocol of ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from hil.core.arrays import Array
from hil.core.npu_config import NpuConfig
from hil.targets.base import CutRun, Deployable, Progress, Run
from hil.targets.boards import BoardAccess, Health
from hil.targets.serial import SerialOptions


class Driver(Protocol):
    """Runs models on one board; holds its port until `close`."""

    @classmethod
    def of(cls, access: BoardAccess, npu: NpuConfig, options: SerialOptions, health: Health) -> Driver:
        """The driver of the board behind `access`; a virtual board gets `npu`.  Opens nothing yet."""
        ...

    @staticmethod
    def check(model: Deployable, inputs: Sequence[Array]) -> None:
        """Raises `BadInputError` for a model that no board of this protocol runs, and for inputs that do not fit."""
        ...

    def identity(self) -> dict[str, str]:
        """Board, port, firmware, NPU and clocks, as far as the board reports them."""
        ...

    def run(self, model: Deployable, inputs: Sequence[Array], *, progress: Progress | None = None) -> Run:
        """See `hil.targets.base.Target.run`."""
        ...

    def run_cut(self, model: Deployable, inputs: Sequence[Array], pieces: Sequence[Sequence[bytes]]) -> CutRun:
        """See `hil.targets.base.CutsStreams`; raises `BadInputError` if the protocol cannot."""
        ...

    def close(self) -> None:
        """Closes the board's port."""
        ...
