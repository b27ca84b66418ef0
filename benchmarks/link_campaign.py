"""The link through a proxy that drops, flips, duplicates, delays and cuts out bytes, and hangs up.

    python -m benchmarks.link_campaign [--transfers 10000] [--uploads 100] [--models FOLDER] [--jobs 5] [--seed 1]

The board is its own library, built for this machine; its memory is a file that is looked at by another way than the
link.  A transfer writes 64 to 1,024 random bytes to a random address and reads them back; at the end the whole memory
is compared, so that a write to a wrong place shows.  An upload is a whole model that is cut off up to three times, by
closing the link, and gone on with by a new one; bytes sent twice are those that the board had when the new one began,
and that were sent although none of its own frames was lost.  Ends with 1 if any result is wrong.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.support.link.campaign import Row, transfers, uploads
from tests.support.link.device import build_device

TRANSFER_RATES = (0.0, 0.001, 0.003, 0.006, 0.01)
UPLOAD_RATES = (0.0, 0.0001, 0.0003, 0.001)
WINDOWS = (1, 4)


HEAD = (
    "kind       at most      hit window   done  wrong   errors  hang-ups  cuts   ms each  slowest  sent/payload  twice"
)


def campaign(program: Path, transfer_count: int, models: list[bytes], jobs: int, seed: int) -> list[Row]:
    """All settings, `jobs` at a time; transfers and models are shared out evenly."""
    cells = [(rate, window) for window in WINDOWS for rate in TRANSFER_RATES]
    share = -(-transfer_count // len(cells))
    lots = [(rate, window) for window in WINDOWS for rate in UPLOAD_RATES]
    with ProcessPoolExecutor(jobs) as pool:
        futures = [pool.submit(transfers, program, rate, window, share, seed) for rate, window in reversed(cells)]
        for index, (rate, window) in enumerate(lots):
            futures.append(pool.submit(uploads, program, rate, window, models[index :: len(lots)], seed))
        return sorted((future.result() for future in futures), key=lambda row: (row.kind, row.window, row.rate))


def main() -> int:
    """Prints the table and gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transfers", type=int, default=10_000)
    parser.add_argument("--uploads", type=int, default=100)
    parser.add_argument("--models", type=Path, help="folder of .tflite files; else random ones of 100 KB")
    parser.add_argument("--jobs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    found = [path.read_bytes() for path in sorted(options.models.glob("*.tflite"))] if options.models else []
    found = found or [random.Random(options.seed).randbytes(100_000)]
    models = random.Random(options.seed).choices(found, k=options.uploads)
    with tempfile.TemporaryDirectory() as folder:
        rows = campaign(build_device(Path(folder)), options.transfers, models, options.jobs, options.seed)
    print(HEAD)
    for row in rows:
        print(row.line())
    return 1 if any(row.wrong for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
