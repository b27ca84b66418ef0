"""Picture of the report's page: the night of the scripted fortnight in which a board became slower.

    python -m benchmarks.report_picture docs/report.png

Nights on `sim` are real; the board's are drawn, and its name says so.  Needs Chromium and its driver.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from hil.harness.report.page import page
from hil.harness.report.reader import read_content
from tests.support import nights
from tests.support.browser import find_programs, start
from tests.support.fortnight import Parts, record

EVENT, BASELINE = "a step that further sessions repeat", "desk"
WIDTH, HEIGHT = 1100, 1400


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", type=Path, help="a PNG file")
    given = parser.parse_args()
    programs = find_programs()
    if programs is None:
        sys.exit("Chromium and its driver are not installed")
    with tempfile.TemporaryDirectory() as name, start(Path(name), programs) as browser:
        folder = Path(name) / "lab"
        folder.mkdir()
        fortnight = record(nights.make(folder), Parts(corstone=False, virtual=False))
        content = read_content(fortnight.nights.results, fortnight.runs[EVENT], BASELINE)
        path = Path(name) / "report.html"
        path.write_text(page(content), encoding="utf-8")
        browser.open(path, width=WIDTH)
        Image.open(io.BytesIO(browser.picture(HEIGHT))).convert("RGB").save(given.file, optimize=True)


if __name__ == "__main__":
    main()
