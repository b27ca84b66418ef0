"""Vela's debug database: tables of CSV inside an XML file, written by `--enable-debug-db`.

Four of them lead from a command of the stream back to the model:

- `queue`: byte offset of an operation in its command stream, and the *optimised* operator it belongs to;
- `optimised`: the operators after Vela's graph optimiser, each with the *source* operator it came from;
- `source`: the operators of the model; `ext_key` is the index in the `.tflite` (Vela 3.9 writes none);
- `perf` (C++ core only): the name of the tensor that a *scheduled* operator writes; `group` says which further
  operators were fused into it, so that the last of them names the output; `perf_debug` has the shape.

The deprecated Python core (`--debug-force-legacy-core`) writes the first three alone, and for a model with several
subgraphs `perf` speaks of the last one only.  Then an operation is given the output tensor of its source operator if
it is the last one that came from it, and if no later operator was fused into it, which shows in all that read the
tensor having operations of their own.
"""

from __future__ import annotations

import csv
import io
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence

from hil.harness.vela.mapping import MappedCommand
from hil.targets.execution.signature import Signature

DatabaseRow = dict[str, str]
Tables = Mapping[str, list[DatabaseRow]]
"""Rows by table."""
_ASSEMBLED = ("CONCATENATION", "PACK", "PAD", "PADV2", "MIRROR_PAD")
"""Operators whose output several operations write in parts, at places that only `perf_debug` knows."""


def read_mapping(tables: Tables, source: Signature) -> tuple[MappedCommand, ...]:
    """The mapping of all command streams, in order; `source` is the signature of the model that was compiled."""
    streams = sorted({int(row["id"]) for row in tables.get("cmdstream", [])})
    origin = operator_indices(tables)
    optimised = {row["id"]: row for row in tables.get("optimised", [])}
    names = _tensor_names(tables)
    details = {row["id"]: row for row in tables.get("perf_debug", [])}
    queue = tables.get("queue", [])
    outputs = _own_outputs(queue, optimised, origin, source)
    mapping = []
    for row in queue:
        operation = optimised[row["optimised_id"]]
        index = origin.get(operation["source_id"], -1)
        scheduled = row.get("scheduled_id", "")
        shape, start, part = _place(details.get(scheduled), operation)
        mapping.append(
            MappedCommand(
                stream=streams.index(int(row["cmdstream_id"])),
                word_offset=int(row["offset"]) // 4,
                operator_index=index,
                operator=source.operators[index] if index >= 0 else operation["operator"],
                tensor=names.get(scheduled) or outputs.get(row["optimised_id"], ""),
                shape=shape,
                origin=start,
                part=part,
                step=int(scheduled or row["optimised_id"]),
            )
        )
    return tuple(mapping)


def _place(
    detail: DatabaseRow | None, operation: DatabaseRow
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Shape of the tensor an operator writes, origin of its part, and shape of that part."""
    if detail is None:
        shape = tuple(int(operation[f"ofm_{axis}"]) for axis in "hwd")
        return shape, (0, 0, 0), shape
    shape, start, part = (
        tuple(int(detail[f"ofm_{what}_{axis}"]) for axis in "hwc") for what in ("shape", "offset", "slice")
    )
    return shape, start, part if any(part) else shape


def _own_outputs(
    queue: Sequence[DatabaseRow], optimised: Mapping[str, DatabaseRow], origin: Mapping[str, int], source: Signature
) -> dict[str, str]:
    """Optimised operator -> the output of the model's operator that it completes."""
    last = {origin.get(optimised[row["optimised_id"]]["source_id"], -1): row["optimised_id"] for row in queue}
    last.pop(-1, None)
    found = {}
    for index, optimised_id in last.items():
        tensor = source.operator_outputs[index]
        readers = [reader for reader, inputs in enumerate(source.operator_inputs) if tensor in inputs]
        if source.operators[index] not in _ASSEMBLED and all(reader in last for reader in readers):
            found[optimised_id] = tensor
    return found


def _tensor_names(tables: Tables) -> dict[str, str]:
    """Scheduled operator -> the tensor it writes, that of the last operator fused into it."""
    own = {row["id"]: row["name"] for row in tables.get("perf", [])}
    names = dict(own)
    for row in tables.get("group", []):
        if row["id"] in own:
            names[row["group_id"]] = own[row["id"]]
    return names


def operator_indices(tables: Tables) -> dict[str, int]:
    """Indices of the int8 file's operators by their id in the database, -1 where unknown."""
    return {row["id"]: int(row.get("ext_key", -1)) for row in tables.get("source", [])}


def read_tables(xml: str) -> Tables:
    """Reads the file's tables, for `read_mapping` and `hil.harness.vela.estimates`."""
    root = ElementTree.fromstring(xml)
    return {
        table.get("name", ""): list(csv.DictReader(io.StringIO((table.text or "").strip())))
        for table in root.iter("table")
    }
