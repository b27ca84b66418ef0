"""Pictures of a walk as a user opens them: complete, safe whatever a name holds, the same every time."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from hil.harness.bench import Bench
from hil.harness.model import Budget, Model, load_model_file
from hil.harness.pipeline import Pipeline, surviving
from hil.harness.store import Store
from hil.harness.tree import Leaf, Status, Trained, Walk, pictures, walk
from hil.harness.tree.pictures.canvas import ZERO, style
from hil.harness.tree.pictures.kernels import Kernel, Stage, read_kernels
from hil.harness.tree.pictures.plan import Place, plan
from hil.harness.tree.pictures.scatter import LATENCY, WEIGHTS, draw_scatter, points_of
from hil.harness.tree.pictures.svg import inline
from hil.harness.tree.pictures.tree import draw_tree
from hil.harness.tree.pictures.weights import colored, draw_stages
from hil.harness.vela import VelaSettings
from hil.npu.errors import BadInputError, InfrastructureError
from hil.targets.base import Measurement, Trust

from .blobs import model_file, write
from .test_plugin import WITHOUT_TENSORFLOW

HIL = [sys.executable, "-m", "hil.harness.cli"]
HOSTILE = "<script>alert(1)</script> \"'&amp; $x_1$ \x1b[31m\x00 \ud800 ]]> é★"
SHOWN = "<script>alert(1)</script> \"'&amp; $x_1$ \ufffd[31m\ufffd \ufffd ]]> é★"
MOST_BYTES = 1_500_000


@dataclass(frozen=True)
class Walked:
    """A walk of the blobs' tree (ptq and pqat), and what it stands on."""

    model: Model
    bench: Bench
    found: Walk
    kernel: Kernel


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Walked:
    folder = write(tmp_path_factory.mktemp("pictures"), {"models/blobs.py": model_file()})
    model = load_model_file(folder / "models/blobs.py")
    bench = Bench(Pipeline(Store(store)), "sim", VelaSettings())
    found = walk(model, bench, policy="all")
    kernel = pictures.kernel_of(bench, model, found)
    assert kernel is not None
    return Walked(model, bench, found, kernel)


class Page(HTMLParser):
    """What a browser would find in a page."""

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
    """What holds for every page."""
    read = Page(page)
    tags = Counter(tag for tag, _ in read.tags)
    assert not tags.keys() & {"script", "iframe", "object", "embed", "link", "foreignobject", "base", "form", "a"}
    assert not any(name.startswith("on") for _, attributes in read.tags for name in attributes)
    assert all(value.startswith(("#", "data:image/png;base64,")) for value in read.attributes("href"))
    assert not list(read.attributes("src"))
    assert "xlink" not in page
    assert not re.search(r"url\((?!#)|@import", page)
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
    start = [sys.executable, "-c", f"{WITHOUT_TENSORFLOW}\nfrom hil.harness.cli import main\nmain()\n"]
    asked = ("--policy", "all", "--kernel", "logits", "-o", "out/tree.HTML", "-o", "tree.png", "--json")
    command = [*start, "tree", "blobs", "--store", str(store), *asked]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
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
        (("-o", "tree.jpg"), "-o tree.jpg: no such kind of picture (there are: .html, .png)"),
        (("-o", "tree.png", "-o", "tree"), "-o tree: no such kind of picture"),
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
    command = [*HIL, "tree", "blobs", "--store", "store", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert message in line
    assert done.stdout == ""
    assert not (tmp_path / "store").exists()


def test_an_unknown_kernel_is_known_with_the_base(walked: Walked) -> None:
    with pytest.raises(BadInputError, match=r"no kernel magic \(there are: conv, logits, pointwise\)"):
        pictures.check_kernel(walked.bench, walked.model, "magic")
    with pytest.raises(BadInputError, match="no kernel magic"):
        pictures.kernel_of(walked.bench, walked.model, walked.found, "magic")


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


def hostile(walked: Walked) -> tuple[Walk, Kernel]:
    """A walk in which everything that comes from files would be code, a tag, a formula or no character at all."""
    first, *rest = walked.found.leaves
    broken = Leaf(HOSTILE, first.path, Status.FAILED, reason=f"layer {HOSTILE}\nsecond line")
    differs = replace(first, status=Status.MISMATCH, reason=HOSTILE, name=f"{HOSTILE}2")
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
    """The text of a page in a real browser, which must have nothing to complain of: what the page forbids is told."""
    assert BROWSER is not None
    start = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    start += ["--enable-logging=stderr", "--dump-dom", page.as_uri()]
    done = subprocess.run(start, capture_output=True, text=True, timeout=100)
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


def test_a_kernel_is_what_the_steps_measured(walked: Walked) -> None:
    pqat = next(leaf for leaf in walked.found.leaves if leaf.name == "pqat")
    found = replace(walked.found, verdict=replace(walked.found.verdict, winner="pqat"))
    pipeline = walked.bench.pipeline
    for layer in ("conv", "pointwise", "logits"):
        kernel = pictures.kernel_of(walked.bench, walked.model, found, layer)
        assert kernel is not None
        assert [stage.name for stage in kernel.stages] == ["base", "prune", "pqat", "int8 file"]
        artifacts = [pipeline.keras(walked.model, pqat.path[:length]) for length in (1, 2)]
        artifacts.append(pipeline.int8(walked.model, "pqat"))
        for stage, artifact in zip(kernel.stages[1:], artifacts, strict=True):
            row = next(row for row in surviving(artifact) if row.layer == layer)
            assert (stage.zeros, stage.unique, stage.values.size) == (row.zeros, row.unique, row.size)
        base, prune, trained, int8 = (stage.values for stage in kernel.stages)
        assert base.shape == int8.shape
        assert int8.dtype == np.int8
        assert np.count_nonzero(base[prune != 0]) == np.count_nonzero(prune)
        assert not int8[prune == 0].any(), "each weight stands at the same place in every stage"
        assert np.corrcoef(trained.ravel(), int8.ravel())[0, 1] > 0.5


def test_a_transposed_convolution_has_its_channels_elsewhere(tmp_path: Path, walked: Walked) -> None:
    layer = 'layers.Conv2DTranspose(16, 2, strides=2, name="pointwise")'
    text = model_file("up").replace('layers.Conv2D(16, 1, activation="relu", name="pointwise")', layer)
    model = load_model_file(write(tmp_path, {"models/up.py": text}) / "models/up.py")
    verdict = replace(walked.found.verdict, winner="ptq")
    kernel = pictures.kernel_of(walked.bench, model, replace(walked.found, verdict=verdict), "pointwise")
    assert kernel is not None
    base, int8 = (stage.values for stage in kernel.stages)
    assert kernel.shape == (2, 2, 16, 8)
    assert base.shape == int8.shape == (16, 32)
    assert np.corrcoef(base.ravel(), int8.ravel())[0, 1] > 0.9


def test_the_kernel_shown_is_the_largest_that_techniques_touch(walked: Walked) -> None:
    assert walked.kernel.layer == "logits"
    kept = replace(walked.model, recipe=replace(walked.model.recipe, keep=("logits",)))
    first = read_kernels(walked.bench.pipeline.keras(walked.model, ()).path("model.h5"))
    assert {name: values.size for name, values in first.items()} == {"conv": 72, "pointwise": 128, "logits": 768}
    ptq = replace(walked.found, verdict=replace(walked.found.verdict, winner="ptq"))
    chosen = pictures.kernel_of(walked.bench, replace(kept, techniques=("ptq",)), ptq, None)
    assert chosen is not None
    assert chosen.layer == "pointwise"
    nothing = replace(walked.found, leaves=(), verdict=replace(walked.found.verdict, winner=None))
    assert pictures.kernel_of(walked.bench, walked.model, nothing) is None


def test_a_keras_file_that_points_elsewhere_is_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside.bin"
    outside.write_bytes(np.ones(16, np.float32).tobytes())
    with h5py.File(tmp_path / "external.h5", "w") as file:
        file.create_dataset("model_weights/conv/conv/kernel:0", (4, 4), "f4", external=[(str(outside), 0, 64)])
    with h5py.File(tmp_path / "huge.h5", "w") as file:
        file.create_dataset("model_weights/conv/conv/kernel:0", (1 << 20, 1 << 20), "f4", chunks=(1, 1024))
    for name in ("external", "huge"):
        with pytest.raises(BadInputError, match="the kernel of conv is not in the file"):
            read_kernels(tmp_path / f"{name}.h5")
    with h5py.File(tmp_path / "linked.h5", "w") as file:
        file["model_weights"] = h5py.ExternalLink("huge.h5", "/model_weights")
    assert read_kernels(tmp_path / "linked.h5") == {}
    with pytest.raises(BadInputError, match=r"is no Keras HDF5 model"):
        read_kernels(outside)


def test_only_zero_has_the_colour_of_zero() -> None:
    zero = tuple(bytes.fromhex(ZERO[1:]))
    values = np.concatenate([np.linspace(-1, 1, 2000), [1e-30, -1e-30]]).astype(np.float32)
    values = values[values != 0]
    assert not (colored(values[None], 1.0) == zero).all(axis=-1).any()
    assert (colored(np.zeros((2, 3), np.int8), 127.0) == zero).all()
    assert not (colored(np.delete(np.arange(-128, 128, dtype=np.int16), 128)[None], 127.0) == zero).all(axis=-1).any()


def test_each_stage_says_its_zeros_and_how_many_values_are_left() -> None:
    values = np.zeros((4, 10), np.float32)
    values[0, :5] = (1, 2, 3, 3, 3)
    kernel = Kernel("conv", "prune", (1, 1, 10, 4), (Stage("base", values), Stage("int8 file", values.astype(np.int8))))
    with style():
        alts = [drawing.alt for drawing in draw_stages(kernel)]
    assert alts == [
        "Kernel conv, base: 87.5 % zeros, 4 unique values",
        "Kernel conv, int8 file: 87.5 % zeros, 4 unique int8 values",
    ]


def leaf(name: str, status: Status = Status.MET, **figures: float) -> Leaf:
    """A leaf with some figures, and the accuracy of 0.9 with an interval of 0.01 up and down."""
    known = {"accuracy": 0.9, "base_accuracy": 0.92, "accuracy_drop": 0.02, **figures}
    known |= {"accuracy_drop_low": 0.92 - known["accuracy"] - 0.01, "accuracy_drop_high": 0.93 - known["accuracy"]}
    measurements = tuple(Measurement(key, value, "", Trust.MODELLED) for key, value in known.items())
    return Leaf(name, (name, "ptq"), status, measurements=measurements)


def test_points_bars_front_and_limits(walked: Walked) -> None:
    leaves = (
        leaf("slow", latency=2.0, encoded_weights=2048, accuracy=0.91),
        leaf("fast", latency=1.0, encoded_weights=1024),
        leaf("beaten", Status.MISSED, latency=1.5, encoded_weights=4096, accuracy=0.89),
        Leaf("broken", ("broken", "ptq"), Status.FAILED, reason="it broke"),
        leaf("wrong", Status.MISMATCH, latency=0.1, encoded_weights=1),
    )
    found = replace(walked.found, leaves=leaves, limits=Budget(max_accuracy_drop=0.03, max_latency_ms=1.7))
    name, points = points_of(found, LATENCY)
    assert name == "latency"
    assert [point.leaf.name for point in points] == ["slow", "fast", "beaten"]
    assert (points[0].low, points[0].high) == (pytest.approx(90), pytest.approx(92))
    with style():
        drawing, sizes = draw_scatter(found, LATENCY), draw_scatter(found, WEIGHTS)
        written = inline(drawing)
    assert "On the Pareto front: slow, fast." in drawing.alt
    assert "fast 90.0 % at 1 KiB" in sizes.alt
    words = {text.get_text() for text in drawing.axes.texts}
    assert {"slow", "fast", "beaten", "float base 92.00 %"} <= words
    assert {"limit: latency at most 1.7 ms", "limit: accuracy at least 89.00 %"} <= words
    assert drawing.axes.get_xlabel() == "latency, ms (modelled)"
    low, high = drawing.axes.get_xlim()
    assert low < 1.0 < 1.7 < 2.0 < high
    assert "slow: 91.00 % (90.00 to 92.00 %), 2 ms, met" in "".join(ET.fromstring(written).itertext())


def test_a_limit_far_from_all_points_does_not_squeeze_them(walked: Walked) -> None:
    leaves = (leaf("a", latency=1.0), leaf("b", latency=1.1))
    found = replace(walked.found, leaves=leaves, limits=Budget(max_latency_ms=50.0))
    with style():
        drawing = draw_scatter(found, LATENCY)
    assert drawing.axes.get_xlim()[1] < 1.2
    assert "limit: latency at most 50 ms, beyond this range" in {text.get_text() for text in drawing.axes.texts}


def test_names_of_points_cover_neither_each_other_nor_a_point(walked: Walked) -> None:
    near = [leaf(f"leaf_{n}", latency=1 + n / 1000, accuracy=0.9 + n / 1000) for n in range(4)]
    found = replace(walked.found, leaves=(*near, leaf("far", latency=2.0, accuracy=0.95)), limits=Budget())
    with style():
        axes = draw_scatter(found, LATENCY).axes
        names = [text.get_window_extent() for text in axes.texts if re.match("leaf_|far", text.get_text())]
        dots = [axes.transData.transform((point.cost, point.accuracy)) for point in points_of(found, LATENCY)[1]]
    assert len(names) == 5
    assert not any(one.overlaps(other) for n, one in enumerate(names) for other in names[:n])
    assert not any(name.contains(*dot) for name in names for dot in dots)


def test_the_share_of_the_npu_is_never_set_beside_a_whole_latency(walked: Walked) -> None:
    share, whole = leaf("share", npu_latency=0.5), leaf("whole", latency=2.0)
    name, points = points_of(replace(walked.found, leaves=(share, whole)), LATENCY)
    assert (name, [point.leaf.name for point in points]) == ("latency", ["whole"])
    with style():
        drawing = draw_scatter(replace(walked.found, leaves=(share,)), LATENCY)
        nothing = draw_scatter(replace(walked.found, leaves=(leaf("untimed"),)), LATENCY)
    assert drawing.axes.get_xlabel() == "latency, the NPU's share, ms (modelled)"
    assert nothing.alt == "no leaf has a figure for latency on sim"


def test_every_node_and_leaf_has_its_place(walked: Walked) -> None:
    pqat = next(leaf for leaf in walked.found.leaves if leaf.name == "pqat")
    found = replace(walked.found, leaves=(pqat,), not_walked=("prune", "pcqat", "ptq"))
    items = {(item.name, item.is_leaf): item for item in plan(found)}
    nodes = {name for name, is_leaf in items if not is_leaf}
    assert nodes == {"base", "prune", "sparse_cluster"}
    leaves = [item for item in items.values() if item.is_leaf]
    assert sorted(item.row for item in leaves) == [0, 1, 2, 3]
    assert items["prune", False].row == 1, "in the middle of pqat, prune and what is behind sparse_cluster"
    assert items["pcqat", True].parent == Place(("prune", "sparse_cluster"))
    assert items["ptq", True].parent == Place(())
    assert items["prune", False].trained is not None
    assert items["sparse_cluster", False].trained is None
    indented = plan(found, 0.5)
    rows = [item.row for item in indented]
    assert rows == sorted(set(rows)), "no two share a row"
    assert [item.name for item in indented] == ["base", "prune", "pqat", "prune", "sparse_cluster", "pcqat", "ptq"]


def test_a_node_under_other_settings_is_another_node(walked: Walked) -> None:
    half, more = (), (("sparsity", 0.75),)
    leaves = [replace(leaf(name), path=("prune", last)) for name, last in (("prune", "ptq"), ("pqat", "pqat"))]
    said, settings = "sparsity=0.75 clusters=8", (*more, ("clusters", 8))
    leaves += [replace(one, name=f"{one.name} {said}", settings=settings) for one in leaves]
    trained = (Trained((), 1.0, True), *(Trained(("prune",), 1.0, True, settings) for settings in (half, more)))
    found = replace(walked.found, leaves=tuple(leaves), trained=trained, not_walked=())
    items = plan(found)
    nodes = [item for item in items if item.name == "prune" and not item.is_leaf]
    assert [item.settings for item in nodes] == [half, more], "clusters do not matter to pruning"
    assert all(item.trained for item in nodes)
    parents = [item.parent for item in items if item.is_leaf]
    assert parents == [Place(("prune",), half)] * 2 + [Place(("prune",), more)] * 2
    with style():
        words = [text.get_text() for text in draw_tree(found).axes.texts]
    assert "sparsity=0.75 1.0 s" in words
    assert words.count(f"met {said}") == 2


def test_a_walk_that_came_to_nothing_can_be_drawn(walked: Walked) -> None:
    verdict = replace(walked.found.verdict, winner=None, met=False, reason="no leaf is within the trainings allowed")
    found = replace(walked.found, leaves=(), trained=(), verdict=verdict)
    assert "no leaf is within the trainings allowed" in check_page(pictures.html(found)).text
    assert size_of(pictures.png(found))[0] > 1000


def test_the_tree_tells_status_in_words_and_what_was_missed(walked: Walked) -> None:
    with style():
        found = walk(walked.model, walked.bench, Budget(max_latency_ms=1e-6), policy="all")
        found = replace(found, not_walked=("pcqat",))
        for narrow in (False, True):
            drawing = draw_tree(found, narrow=narrow)
            words = [text.get_text() for text in drawing.axes.texts]
            assert Counter(words)["missed"] == 2
            assert sum(text.endswith("ms too much") for text in words) == 2
            assert {"✗", "○", "not walked to", "not made"} <= set(words)
            assert (
                drawing.alt.endswith("no leaf meets every limit; pqat comes closest.") or "comes closest" in drawing.alt
            )
        winner = draw_tree(walked.found)
    assert "★ winner" in [text.get_text() for text in winner.axes.texts]


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
