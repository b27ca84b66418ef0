"""Vela's debug database: tables of CSV inside an XML file, written by `--enable-debug-db`.

Four of them lead from a command of the stream back to the model:

- `queue`: byte offset of an operation in its command stream, and the *optimised* operator it belongs to;
- `optimised`: the operators after Vela's graph optimiser, each with the *source* operator it came from;
- `source`: the operators of the model; `ext_key` is the index in the `.tflite`;
- `perf` (C++ core only): the name of the tensor that a *scheduled* operator writes; `group` says which further
  operators were fused into it, so that the last of them names what comes out; `perf_debug` has the shape.

The deprecated Python core (`--debug-force-legacy-core`) writes the first three alone, in which case an operation is
given the output tensor of its source operator if it is the last one that came from it.
"""

from __future__ import annotations

import csv
import io
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping

from hil.targets.mapping import MappedCommand
from hil.targets.tensors import Signature

Row = dict[str, str]


def read_mapping(xml: str, source: Signature) -> tuple[MappedCommand, ...]:
    """The mapping of all command streams, in order; `source` is the signature of the model that was compiled."""
    tables = _tables(xml)
    streams = sorted({int(row["id"]) for row in tables.get("cmdstream", [])})
    origin = {row["id"]: int(row["ext_key"]) for row in tables.get("source", [])}
    optimised = {row["id"]: row for row in tables.get("optimised", [])}
    names = _tensor_names(tables)
    shapes = {row["id"]: tuple(int(row[f"ofm_shape_{axis}"]) for axis in "hwc") for row in tables.get("perf_debug", [])}
    queue = tables.get("queue", [])
    last = {optimised[row["optimised_id"]]["source_id"]: row["optimised_id"] for row in queue}
    mapping = []
    for row in queue:
        operation = optimised[row["optimised_id"]]
        index = origin.get(operation["source_id"], -1)
        scheduled = row.get("scheduled_id")
        if scheduled is not None:
            tensor = names.get(scheduled, "")
        else:
            whole = last[operation["source_id"]] == row["optimised_id"] and index >= 0
            tensor = source.operator_outputs[index] if whole else ""
        mapping.append(
            MappedCommand(
                stream=streams.index(int(row["cmdstream_id"])),
                word_offset=int(row["offset"]) // 4,
                operator_index=index,
                operator=source.operators[index] if index >= 0 else operation["operator"],
                tensor=tensor,
                shape=shapes.get(scheduled or "", tuple(int(operation[f"ofm_{axis}"]) for axis in "hwd")),
            )
        )
    return tuple(mapping)


def _tensor_names(tables: Mapping[str, list[Row]]) -> dict[str, str]:
    """Scheduled operator -> the tensor it writes, that of the last operator fused into it."""
    own = {row["id"]: row["name"] for row in tables.get("perf", [])}
    names = dict(own)
    for row in tables.get("group", []):
        if row["id"] in own:
            names[row["group_id"]] = own[row["id"]]
    return names


def _tables(xml: str) -> dict[str, list[Row]]:
    root = ElementTree.fromstring(xml)
    return {
        table.get("name", ""): list(csv.DictReader(io.StringIO((table.text or "").strip())))
        for table in root.iter("table")
    }
