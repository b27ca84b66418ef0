"""A driver may write what it likes: jobs end in STATUS, and only the memory that was named is touched."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hil.npu.accelerator import ALL
from hil.npu.registers import BASEP, CMD, QBASE, QSIZE, WINDOW
from tests.support.fuzzing.drivers import BASE, job, script
from tests.support.fuzzing.seeds import make_seeds
from tests.support.fuzzing.targets import TARGETS

_INTERESTING = st.sampled_from([QBASE, QBASE + 4, QSIZE, CMD, *BASEP[:3], BASEP[1] + 4])
_VALUE = st.one_of(st.integers(0, 0xFFFF_FFFF), st.integers(BASE - 16, BASE + (1 << 18) + 16), st.integers(0, 64))
_ACCESS = st.tuples(
    st.integers(0, 1), st.integers(0, 3), st.one_of(_INTERESTING, st.integers(0, WINDOW - 1)), _VALUE
)  # fmt: skip


@settings(max_examples=200, derandomize=True)
@given(st.integers(0, 1 << 16), st.lists(_ACCESS, max_size=12), st.lists(_ACCESS, max_size=4))
def test_any_accesses_around_a_job(which, before, after):
    streams = make_seeds(4).inputs["stream"]
    stream = streams[which % len(streams)][1:]
    arena = -(-len(stream) // 16) * 16
    accesses = [*before, *job(stream, [arena, arena, arena])[which % 3 :], *after, (1, 0, CMD, 1)]
    TARGETS["registers"](script(ALL[which % len(ALL)], accesses, stream), [])


def test_seeds_run_to_their_end():
    assert {TARGETS["registers"](data, []) for data in make_seeds(4).inputs["registers"]} == {"ok"}


@settings(max_examples=200, derandomize=True)
@given(st.integers(0, 1 << 16), st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=4))
def test_changed_payloads_run_or_are_refused(which, changes):
    payloads = make_seeds(4).inputs["payload"]
    data = bytearray(payloads[which % len(payloads)])
    for place, value in changes:
        data[place % min(len(data), 64 if value & 1 else len(data))] = value
    TARGETS["payload"](bytes(data), [])
