"""`hil optimize MODEL --technique pcqat`: one path of the deployment tree, as a quantized TFLite file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hil.harness.commands import arguments, unused_options

if TYPE_CHECKING:
    from hil.harness.model import Model


def optimize(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A name from the models folder, or a model file.")],
    technique: Annotated[str, typer.Option(help="Leaf of the deployment tree, such as pcqat.")] = "ptq",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT.tflite",
            help="Where the int8 model goes; .cc or .h: as a C array; .npz: its weights.",
        ),
    ] = None,
    sparsity: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Of zeros, in place of the model file's.")
    ] = None,
    clusters: Annotated[
        int | None, typer.Option(metavar="N", help="Distinct weights a kernel, in place of the model file's.")
    ] = None,
    models: arguments.ModelsFolder = arguments.MODELS,
    store: arguments.StoreFolder = None,
    threads: arguments.Threads = None,
    reproducible: arguments.Reproducible = False,
    as_json: arguments.Json = False,
) -> None:
    """Take a model along one path; trains only what the store does not have yet."""
    from hil.core.errors import BadInputError
    from hil.harness.compute import choose_compute
    from hil.harness.export import FORMATS, export
    from hil.harness.model import find
    from hil.harness.optimize.paths import path_of
    from hil.harness.output_file import check_output, write_output
    from hil.harness.pipeline import Pipeline, surviving
    from hil.harness.pipeline.builders import TFLITE
    from hil.harness.progress import LineProgress
    from hil.harness.tree.candidates import with_settings

    path = path_of(technique)
    compute = choose_compute(threads, reproducible=reproducible)
    unused_options.refuse_models_folder(model, models)
    found = find(model, models)
    if output is not None:
        weights = found.file(found.weights) if found.weights else None
        check_output(output, "-o", FORMATS, [found.path, weights, found.keras_file])
    if found.build is None:
        raise BadInputError(f"{found.name} came as an int8 file: there is nothing to optimize")
    given = {"sparsity": sparsity, "clusters": clusters}
    settings = {name: value for name, value in given.items() if value is not None}
    unused_options.refuse_settings(found, technique, settings)
    found = with_settings(found, settings)
    progress = LineProgress()
    pipeline = Pipeline(arguments.open_store(store), progress, compute=compute)
    try:
        artifact = pipeline.int8(found, technique)
        base = pipeline.base_score(found)
    finally:
        progress.close()
    destination = output or artifact.path(TFLITE)
    if output is not None:
        int8 = artifact.read(TFLITE)
        write_output(output, export(output, int8, int8))
    layers = [asdict(layer) for layer in surviving(artifact)]
    record = {
        "model": found.name,
        "technique": technique,
        "path": list(path),
        "output": str(destination),
        "sha256": artifact.digest(TFLITE),
        "bytes": len(artifact.read(TFLITE)),
        "layers": layers,
        "notes": pipeline.notes(found, technique),
        "base": base.record() if base else None,
    }
    remarks = [base.remark] if base and base.remark else []
    print(json.dumps(record)) if as_json else _show(record, found, remarks)


def _show(record: dict[str, Any], model: Model, remarks: Sequence[str]) -> None:
    from hil.harness.text_table import Column, Row, format_table, wrap

    columns = [Column("layer"), Column("kind")]
    columns += [Column(heading, number=True) for heading in ("weights", "zeros", "unique", "per channel")]
    rows = [
        Row(
            [
                *(layer[key] for key in ("layer", "kind")),
                f"{layer['size']:,}",
                f"{100 * layer['zeros']:.1f} %",
                *(str(layer[key]) for key in ("unique", "unique_per_channel")),
            ]
        )
        for layer in record["layers"]
    ]
    title = f"{model.name}: {' > '.join(record['path'])}, {record['bytes']:,} bytes"
    print(format_table(columns, rows, title=title))
    for note in (*record["notes"], *remarks):
        print("\n".join(wrap(note)))
    print(record["output"])
