"""A small fault campaign; `python -m benchmarks.link_campaign` is the whole one."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.support.link.campaign import transfers, uploads


@pytest.mark.parametrize(("rate", "window", "count"), [(0.001, 1, 15), (0.003, 4, 15), (0.01, 1, 6)])
def test_no_transfer_is_wrong_on_a_bad_line(program: Path, rate: float, window: int, count: int) -> None:
    row = transfers(program, rate, window, count, seed=5)
    assert row.hit > 0
    assert row.wrong == 0
    assert row.errors == {}


def test_uploads_go_on_after_cuts_and_send_nothing_twice(program: Path) -> None:
    model = random.Random(6).randbytes(20_000)
    row = uploads(program, 0.001, 4, [model, model], seed=6)
    assert row.cuts > 0
    assert (row.wrong, row.errors, row.twice_bytes) == (0, {}, 0)
