"""The page as a text: complete, escaped, bounded, the same every time, under a policy that its hashes fulfil."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import warnings
import zlib
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from hil.harness.report.content import Content, Night
from hil.harness.report.page import page
from hil.harness.report.page.finding_sections import MOST_ROWS
from tests.support.report_content import FIRST, SHOWN, everything, finding, hostile, made_up_year, series

MOST_BYTES = 5_000_000


class Parsed(HTMLParser):
    """Elements and texts of a page; `style` and `script` are the texts of these elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.sources: dict[str, str] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        tag, attributes = self.tags[-1] if self.tags else ("", {})
        if tag in ("style", "script") and self.lasttag == tag and self.cdata_elem == tag:
            name = attributes.get("id") or tag
            self.sources[name] = self.sources.get(name, "") + data
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def data_of(read: Parsed) -> dict[str, Any]:
    """The data of the plots."""
    return dict(json.loads(zlib.decompress(base64.b64decode(read.sources["data"]))))


@pytest.mark.parametrize("content", [everything(), hostile()], ids=["everything", "hostile"])
def test_its_policy_allows_its_own_script_and_style_alone(content: Content) -> None:
    read = Parsed(page(content))
    policy = next(tag["content"] for _, tag in read.tags if tag.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    for kind in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(read.sources[kind].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}';" in policy
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'; ")
    names = [name for _, attributes in read.tags for name in attributes]
    assert not [name for name in names if name.startswith("on") or name in ("style", "src", "srcdoc", "action")]
    assert {tag["href"][0] for _, tag in read.tags if tag.get("href")} == {"#"}  # type: ignore[index]
    assert [tag for tag, _ in read.tags if tag == "script"] == ["script", "script"]
    assert "<svg" not in page(content)


def test_what_is_worse_comes_first_with_its_cause() -> None:
    text = Parsed(page(everything())).text
    order = ["2 figures are worse than main", "kws-pqat serial, ethos-u55-128, desk", "6 of 20 sessions", "-10.0 %"]
    places = [text.index(words) for words in [*order, "board desk: quarantined", "CONV_2D 3", "Trends 120 The plots"]]
    assert places == sorted(places)
    assert "vela 5.1.0 -> 5.2.0: explains 100 % (1.9 ms -> 2.05 ms)" in text
    assert "latency, sram, encoded_weights, accuracy" in re.sub(" ,", ",", text)  # one row for what did not run
    assert "Changed within the gate 1" in text
    assert "Figures that are not listed are the same as in main." in text
    assert "no banner from the board within 5 s" in text


def test_a_finding_links_to_its_trend_and_the_worst_trend_is_first() -> None:
    read = Parsed(page(everything()))
    data = data_of(read)
    words = data["words"]
    first = [words[number] for number in data["trends"][0][0]]
    assert first[:2] == ["kws", "pqat"]
    assert first[-1] == "worse"
    assert read.tags[[tag for tag, _ in read.tags].index("table") :]
    links = [attributes["href"] for tag, attributes in read.tags if tag == "a"]
    assert "#trend-0" in links


def test_layers_stand_beside_those_of_the_baseline_those_that_changed_first() -> None:
    text = Parsed(page(everything())).text
    table = text[text.index("kws-pqat on serial: 3 layers changed") :]
    assert "layer before now change bound by" in table
    assert "CONV_2D 0 net/conv/Relu 21,400 21,400 MACs" in table
    assert "DEPTHWISE_CONV_2D 1 net/depthwise/Relu 9,300 12,900 +3,600 weights" in table
    assert "FULLY_CONNECTED 2 net/head/BiasAdd 640 +640 output unit" in table
    assert "SOFTMAX 3 Identity 1,250 -1,250 issue total 31,950 34,940 +2,990" in table
    assert "vww-ptq on sim: the baseline has no layers layer now bound by CONV_2D 0 net/stem/Relu 4,100 MACs" in table


def test_names_from_outside_are_escaped_everywhere() -> None:
    text = page(hostile())
    assert "<script>alert" not in text
    assert "\x1b" not in text
    assert "\x00" not in text
    assert "\u202e" not in text
    read = Parsed(text)
    assert read.text.count(SHOWN) > 100
    assert any(SHOWN in str(word) for word in data_of(read)["words"])
    assert any("&lt;script&gt;" in picture for group in data_of(read)["pictures"] for picture in group)


def test_a_name_in_letters_that_matplotlib_lacks_is_no_warning() -> None:
    named = [
        replace(group, leaves=tuple(replace(leaf, path="量\t化") for leaf in group.leaves))
        for group in everything(20).leaves
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "量" in page(replace(everything(20), leaves=tuple(named)))


def test_however_much_failed_the_page_is_bounded() -> None:
    models = (f"model{n}" for n in range(5 * MOST_ROWS))
    many = tuple(finding(series(model, "ptq"), "worse", 1.0, 2.0, cause=("x",) * 50) for model in models)
    content = replace(hostile(), findings=many, failures=100 * hostile().failures)
    text = page(content)
    assert len(text.encode()) < MOST_BYTES
    assert f"{4 * MOST_ROWS:,} more rows are left out here" in text
    assert "and 42 more" in text
    assert "100 more failures are left out here" in text
    assert "50 of 1000" in text


def test_the_same_content_gives_the_same_page() -> None:
    assert page(everything()) == page(everything())


def test_an_empty_report_says_so() -> None:
    text = Parsed(page(Content("empty", "There is no run yet.", FIRST, "results.db", ""))).text
    assert "There is no run yet." in text
    assert "No figure changed its level." in text


def test_a_run_alone_has_no_baseline_and_no_history() -> None:
    alone = everything(20)
    first = [replace(one, points=one.points[:1], changes=(), marks=(), baselines=()) for one in alone.trends]
    night = Night("r1", FIRST + timedelta(hours=1), "ci", "laptop", "unfinished", None)
    alone = replace(alone, findings=(), trends=tuple(first), boards=(), failures=())
    content = replace(alone, baseline="", runs=(night,), run=0, verdict="good", sentence="All is well.")
    assert "Run r1 of 2026-08-23 03:00 UTC on laptop, unfinished" in Parsed(page(content)).text


@pytest.mark.nightly
def test_a_year_of_nightlies_is_small() -> None:
    text = page(made_up_year())
    assert len(text.encode()) < MOST_BYTES
    assert len(data_of(Parsed(text))["trends"]) == 20 * 14 * 3 * 4
