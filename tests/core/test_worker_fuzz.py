"""Native code that ends its process, and a child that sends nonsense, are typed errors in the parent."""

from __future__ import annotations

import contextlib
import io
import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.core.errors import WorkerDiedError, WorkerError
from hil.core.worker import Worker
from hil.core.worker_frames import read_frame


def test_velas_weight_decoder_ends_its_process_and_not_ours(worker: Worker) -> None:
    """`mlw_codec` calls exit() on a malformed stream."""
    generator = np.random.default_rng(0)
    died = 0
    for _ in range(8):
        with contextlib.suppress(WorkerError):
            try:
                worker.request({"do": "decode"}, [generator.integers(0, 256, 60, np.uint8).tobytes()])
            except WorkerDiedError as death:
                died += death.crashed
    assert died > 4
    assert worker.request({"do": "answer"})[0]["pid"] != os.getpid()


_JSON = st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda part: st.lists(part, max_size=3))
_HEADERS = st.one_of(_JSON, st.dictionaries(st.sampled_from(["sizes", "x"]), _JSON | st.lists(st.integers(-2, 40))))


@settings(max_examples=200, derandomize=True)
@given(_HEADERS, st.binary(max_size=80), st.integers(-3, 3))
def test_a_frame_that_is_none_of_ours_is_refused(header: object, tail: bytes, wrong: int) -> None:
    text = json.dumps(header).encode()
    for data in (tail, max(0, len(text) + wrong).to_bytes(4, "little") + text + tail):
        try:
            read, blobs = read_frame(io.BytesIO(data))
        except (EOFError, ValueError):
            continue
        assert isinstance(read, dict)
        assert all(isinstance(blob, bytes) for blob in blobs)


@pytest.mark.parametrize("text", [b"[" * 200_000, b'{"sizes": [-1]}', b'{"sizes": [true]}', b'{"x": 1}', b"[]"])
def test_a_header_that_is_none_of_ours_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="none of ours"):
        read_frame(io.BytesIO(len(text).to_bytes(4, "little") + text))
