"""The table of a user's models says what ran where, equal or why not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from benchmarks import model_table
from tests.support.edge_models import with_edges
from tests.support.operators.builder import Op, Tensor, build


def test_a_folder_becomes_a_table(tmp_path: Path) -> None:
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo/edges.tflite").write_bytes(with_edges("float32", "int8"))
    real = [Tensor((1, 4), "float32", name=name) for name in "xy"]
    (tmp_path / "float.tflite").write_bytes(build(Op("ABS", real[:1], real[1:])))
    (tmp_path / "damaged.tflite").write_bytes(np.arange(99, dtype=np.uint8).tobytes())
    table, record = tmp_path / "table.md", tmp_path / "table.json"
    assert model_table.main([str(tmp_path), "--samples", "2", "--write", str(table), "--json", str(record)]) == 0
    rows = {row["model"]: row for row in json.loads(record.read_text())}
    edges = rows["zoo/edges.tflite"]
    assert (edges["outcome"], edges["reason"]) == ("equal", "")
    assert (edges["npu"], edges["cpu"]) == (3, {"QUANTIZE": 1, "DEQUANTIZE": 1})
    assert edges["seconds"] > 0
    assert 50 < edges["megabytes"] < 600
    assert rows["float.tflite"]["outcome"] == "refused"
    assert "is a float model: ABS 0 ('y') computes in float32" in rows["float.tflite"]["reason"]
    assert rows["damaged.tflite"]["reason"] == "damaged.tflite is no TFLite model (give a .tflite file)"
    assert len(table.read_text().splitlines()) == 5
