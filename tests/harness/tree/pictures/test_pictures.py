"""Pictures of a walk: complete, safe for every name, the same every time."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from hil.core.errors import InfrastructureError
from hil.harness.tree import Leaf, LeafStatus, Walk, pictures
from hil.harness.tree.pictures.figure_table import draw_table
from hil.harness.tree.pictures.kernel_stages import KernelStages
from tests.support.blobs import model_file, write
from tests.support.forked import hil
from tests.support.injected_code import WITHOUT_TENSORFLOW

from .blob_walk import Walked

HOSTILE = "<script>alert(1)</script> \"'&amp; $x_1$ \x1b[31m\x00 \ud800 \u202e ]]> é★"
SHOWN = "<script>alert(1)</script> \"'&amp; $x_1$ \ufffd[31m\ufffd \ufffd \ufffd ]]> é★"
MOST_BYTES = 1_500_000


class Page(HTMLParser):
    """Elements of a page that a browser would find."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    handle_startendtag = handle_starttag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def attributes(self, name: str) -> Iterator[str]:
        return (value for _, found in self.tags if (value := found.get(name)) is not None)


def drawings(page: str) -> list[ET.Element]:
    """The inlined drawings, read as XML."""
    return [ET.fromstring(found) for found in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]


def check_page(page: str) -> Page:
    """Checks that hold for every page."""
    read = Page(page)
    tags = Counter(tag for tag, _ in read.tags)
    assert not tags.keys() & {"script", "iframe", "object", "embed", "link", "foreignobject", "base", "form", "a"}
    assert not any(name.startswith("on") for _, attributes in read.tags for name in attributes)
    assert all(value.startswith(("#", "data:image/png;base64,")) for value in read.attributes("href"))
    assert not list(read.attributes("src"))
    assert "xlink" not in page
    assert not re.search(r"url\((?!#)|@import", page)
    assert not re.search(r"^(tbody )?(th|td)\b[^{}]*\{[^}]*(overflow-wrap: anywhere|word-break)", page, re.MULTILINE)
    policy = next(found for tag, found in read.tags if found.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in str(policy["content"])
    names = list(read.attributes("id"))
    assert len(names) == len(set(names))
    used = [value[1:] for value in read.attributes("href") if value.startswith("#")]
    used += re.findall(r"url\(#([^)]*)\)", page)
    assert used
    assert set(used) <= set(names)
    assert len(page.encode()) < MOST_BYTES
    for drawing in drawings(page):
        assert drawing.get("role") == "img"
        assert len(str(drawing.get("aria-label"))) > 20
        assert drawing.get("viewBox")
    return read


def size_of(png: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        image.load()
        return image.size


def test_the_command_draws_both_without_tensorflow_and_says_where(tmp_path: Path, store: Path, walked: Walked) -> None:
    write(tmp_path, {"models/blobs.py": model_file(), "tree.png": "an old one"})
    (tmp_path / "out").mkdir()
    asked = ("--policy", "all", "--kernel", "logits", "-o", "out/tree.HTML", "-o", "tree.png", "--json")
    done = hil("tree", "blobs", "--store", store, *asked, cwd=tmp_path, code=WITHOUT_TENSORFLOW)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert done.stderr.splitlines()[-2:] == ["drawn: out/tree.HTML", "drawn: tree.png"]
    read = check_page((tmp_path / "out/tree.HTML").read_text(encoding="utf-8"))
    for leaf in record["leaves"]:
        figures = {found["name"]: found["value"] for found in leaf["measurements"]}
        assert f"{figures['npu_cycles']:,.0f}" in read.text
        assert f"{figures['gzip'] / 1024:,.1f}" in read.text
    assert record["verdict"]["run"] in read.text
    assert "The kernel of logits" in read.text
    width, height = size_of((tmp_path / "tree.png").read_bytes())
    assert width > 1400
    assert height > 1400
    assert {path.name for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".pyc"} == {
        *("blobs.py", "tree.HTML", "tree.png"),
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-o", "tree.jpg"), "-o tree.jpg: .jpg is no known format (known are .html, .png)"),
        (("-o", "tree.png", "-o", "tree"), "-o tree: a suffix must name the format (known are .html, .png)"),
        (("-o", "nowhere/tree.png"), "there is no folder nowhere"),
        (("-o", "/proc/tree.png"), "-o /proc/tree.png cannot be written"),
        (("-o", "models.png"), "-o models.png is a folder"),
        (("--kernel", "conv"), "there is no picture to show it in"),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_anything_is_trained(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    write(tmp_path, {"models/blobs.py": model_file(), "models.png/x": ""})
    done = hil("tree", "blobs", "--store", "store", *arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert message in line
    assert done.stdout == ""
    assert not (tmp_path / "store").exists()


def test_the_same_walk_gives_the_same_files(walked: Walked) -> None:
    assert pictures.html(walked.found, walked.kernel) == pictures.html(walked.found, walked.kernel)
    assert pictures.png(walked.found, walked.kernel) == pictures.png(walked.found, walked.kernel)


def test_a_users_matplotlib_settings_reach_no_picture(walked: Walked) -> None:
    import matplotlib

    before = pictures.html(walked.found, walked.kernel)
    theirs = {"font.size": 30, "axes.grid": True, "svg.fonttype": "path", "xtick.direction": "in"}
    with matplotlib.rc_context(theirs):
        assert pictures.html(walked.found, walked.kernel) == before
        assert matplotlib.rcParams["font.size"] == 30


def hostile(walked: Walked) -> tuple[Walk, KernelStages]:
    """A walk in which everything that comes from files would be code, a tag, a formula or no character at all."""
    first, *rest = walked.found.leaves
    broken = Leaf(HOSTILE, first.path, LeafStatus.FAILED, reason=f"layer {HOSTILE}\nsecond line")
    differs = replace(first, status=LeafStatus.MISMATCH, reason=HOSTILE, name=f"{HOSTILE}2")
    named = replace(first, name=f"{HOSTILE}3", path=(HOSTILE, "ptq"))
    verdict = replace(walked.found.verdict, reason=HOSTILE, met=False, optimize=HOSTILE, run=HOSTILE)
    identity = {**walked.found.identity, "target": HOSTILE, "<b>": HOSTILE}
    leaves = (broken, differs, named, *rest)
    found = replace(walked.found, model=HOSTILE, leaves=leaves, verdict=verdict, identity=identity)
    stages = tuple(replace(stage, name=HOSTILE) for stage in walked.kernel.stages)
    return found, replace(walked.kernel, layer=HOSTILE, leaf=HOSTILE, stages=stages)


def test_names_from_files_are_only_text(walked: Walked) -> None:
    found, kernel = hostile(walked)
    page = pictures.html(found, kernel)
    read = check_page(page)
    assert "<script" not in page.lower()
    assert read.text.count(SHOWN) > 10
    in_drawings = [element for drawing in drawings(page) for element in drawing.iter() if element.text]
    assert any(element.tag.endswith("title") and SHOWN in str(element.text) for element in in_drawings)
    written = [str(element.text) for element in in_drawings if element.tag.endswith("text")]
    assert any(words.startswith("layer <script>") and "$x_1$" in words for words in written)
    assert size_of(pictures.png(found, kernel))[0] > 1400


def visible_to_parser(page: Path, folder: Path) -> str:
    return check_page(page.read_text(encoding="utf-8")).text


def visible_to_browser(page: Path, folder: Path) -> str:
    """The text of a page in a real browser, which must report no error: it reports what the page forbids."""
    assert BROWSER is not None
    start = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    start += ["--enable-logging=stderr", "--dump-dom", page.as_uri()]
    done = subprocess.run(start, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "CONSOLE" not in done.stderr, done.stderr
    return Page(done.stdout).text


BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
READERS = [visible_to_parser, *([visible_to_browser] if BROWSER else [])]


@pytest.mark.parametrize("visible", READERS)
def test_a_page_shows_its_words(walked: Walked, tmp_path: Path, visible: Callable[[Path, Path], str]) -> None:
    found, kernel = hostile(walked)
    (tmp_path / "tree.html").write_text(pictures.html(found, kernel), encoding="utf-8")
    text = visible(tmp_path / "tree.html", tmp_path)
    for words in ("The tree", "float base", "Pareto front", "exactly zero", "encoded weights", "pqat", "(modelled)"):
        assert words in text
    assert SHOWN in text


def test_the_tables_mark_the_leaves_on_the_front_that_their_legend_speaks_of(walked: Walked) -> None:
    first, *others = walked.found.leaves
    found = replace(walked.found, front=(first.name,))
    text = check_page(pictures.html(found)).text
    assert f"{first.status.value} ◆" in text
    assert text.count("◆") == 2  # its row and the legend
    assert others
    words = [text.get_text() for text in draw_table(found, 1200).axes.texts]
    assert [word for word in words if word.endswith("◆")] == [f"{first.status.value} ◆"]


def test_a_walk_that_came_to_nothing_can_be_drawn(walked: Walked) -> None:
    verdict = replace(walked.found.verdict, winner=None, met=False, reason="no leaf is within the trainings allowed")
    found = replace(walked.found, leaves=(), trained=(), verdict=verdict)
    assert "no leaf is within the trainings allowed" in check_page(pictures.html(found)).text
    assert size_of(pictures.png(found))[0] > 1000


def test_a_file_is_written_whole_or_not_at_all(walked: Walked, tmp_path: Path) -> None:
    (tmp_path / "tree.png").mkdir()
    with pytest.raises(InfrastructureError, match=r"tree\.png cannot be written"):
        pictures.write(tmp_path / "tree.png", walked.found, None)
    assert [path.name for path in tmp_path.iterdir()] == ["tree.png"]
    (tmp_path / "tree.html").write_text("old")
    pictures.write(tmp_path / "tree.html", walked.found, None)
    assert "there is no kernel to show" in (tmp_path / "tree.html").read_text(encoding="utf-8")
    assert (tmp_path / "tree.html").stat().st_mode & 0o044 == 0o044
    assert len(list(tmp_path.iterdir())) == 2
