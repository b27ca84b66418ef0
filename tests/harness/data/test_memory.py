"""Memory that data of any size takes: that of a part, from the loader to a training batch."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hil.core.arrays import Array
from hil.harness.data.array_digest import digest_array
from hil.harness.data.loaded import batches
from hil.harness.data.samples_files import read_samples, write_samples
from hil.harness.data.stratified import stratified

COUNT, SIZE = 4000, 64 * 1024
"""Samples, and bytes of each: 256 MB."""


def anonymous_bytes() -> int:
    """Memory of this process that is no file's."""
    found = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return 1024 * int(found[1])


def images() -> Iterator[tuple[Array, Array]]:
    for start in range(0, COUNT, 100):
        labels = np.arange(start, start + 100) % 10
        yield np.full((100, SIZE), start // 100, np.uint8) + labels[:, None].astype(np.uint8), labels


def largest_growth(folder: Path) -> int:
    """Bytes that reading, hashing and drawing the images adds to this process at most."""
    before, most = anonymous_bytes(), 0
    write_samples(batches(images(), "train"), folder)
    samples = read_samples(folder)
    most = max(most, anonymous_bytes())
    digest_array(samples.inputs.arrays[0])
    for number, part in enumerate(samples.chunks()):
        if number % 8 == 0:
            most = max(most, anonymous_bytes() + part.x[0].nbytes)
    few = stratified(samples, 200, 0)
    assert np.bincount(few.y[0]).tolist() == [20] * 10
    assert len(samples) * SIZE > 250e6
    return max(most, anonymous_bytes()) - before


def test_a_quarter_of_a_gigabyte_takes_a_tenth_of_it(tmp_path: Path) -> None:
    """In a process of its own, whose memory nothing else changes."""
    done = subprocess.run([sys.executable, __file__, str(tmp_path)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 26e6


if __name__ == "__main__":
    print(largest_growth(Path(sys.argv[1])))
