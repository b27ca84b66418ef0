"""Figures that others published for the networks of the zoo, from `published.json` beside this file.

    published_rows("digits_dscnn_l")[0].int8_top1     # 94.48, in percent

The file names the source of each row; an empty field is not published.  What differs from a model here (data, training,
seeds) stands beside the figures, so that nobody takes one for the other.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files


@dataclass(frozen=True)
class PublishedRow:
    """A published figure: top-1 in percent of the float, fake-quantized and int8 model, and bytes.

    `compressed` is the size of the file in a zip archive or gzipped, as `source` has it; None is not published.
    """

    network: str
    data: str
    leaf: str
    setting: str
    source: str
    url: str
    float_top1: float | None = None
    fake_quantized_top1: float | None = None
    int8_top1: float | None = None
    tflite: int | None = None
    compressed: int | None = None


@lru_cache
def published_rows(model: str) -> tuple[PublishedRow, ...]:
    """Returns the published rows beside a model's own, in the order of the file."""
    content = json.loads(files("hil.harness.tables").joinpath("published.json").read_text(encoding="utf-8"))
    found = []
    for group in content["groups"]:
        if model in group["models"]:
            source = content["sources"][group["source"]]
            common = {
                "network": group["network"],
                "data": group["data"],
                "source": source["title"],
                "url": source["url"],
            }
            found += [PublishedRow(**common, **{"setting": group["setting"], **row}) for row in group["rows"]]
    return tuple(found)
