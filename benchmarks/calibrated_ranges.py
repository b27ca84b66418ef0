"""TFMOT's leaves with and without the repair `calibrated_ranges`: the int8 file's metric, over seeds.

    python -m benchmarks.calibrated_ranges                                  # the models here, and a regression
    python -m benchmarks.calibrated_ranges --model benchmarks/models/range_regression.py --seeds 0

A seed changes every fine-tuning, not the base where the model has trained weights.  `ptq`, whose ranges are calibrated
too, stands beside them.  The outputs are those of TensorFlow's reference kernels (`host`) on the first test samples.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from hil.harness.metrics.scores import finite_score
from hil.harness.model import REPAIRS, Model, Scale, load_model_file
from hil.harness.pipeline import Pipeline
from hil.harness.pipeline.builders import TFLITE
from hil.harness.progress import LineProgress
from hil.harness.store.store import Origin, Store, default_root
from hil.targets.base import Deployable
from hil.targets.execution.signature import dequantize, quantize, read_signature

HERE = Path(__file__).parent
MODELS = (
    HERE.parent / "models" / "fashion_cnn.py",
    HERE.parent / "models" / "digits_dscnn.py",
    HERE / "models" / "range_regression.py",
)
LEAVES = ("qat", "pqat", "cqat", "pcqat")
OTHERS = tuple(name for name in REPAIRS if name != "calibrated_ranges")


def with_settings(model: Model, seed: int, repairs: tuple[str, ...], samples: int | None) -> Model:
    """Returns the model with a seed, repairs, and at most `samples` for each quantization-aware training."""
    recipe = replace(model.recipe, seed=seed, repairs=repairs)
    tunes = {leaf: recipe.fine_tune(leaf) for leaf in LEAVES}
    short = {leaf: replace(tune, samples=samples or tune.samples) for leaf, tune in tunes.items()}
    return replace(model, recipe=replace(recipe, **short))


def metric_of(pipeline: Pipeline, model: Model, leaf: str, samples: int) -> float:
    """Makes the int8 file of a leaf, and returns its metric on the first test samples."""
    int8 = pipeline.int8(model, leaf).read(TFLITE)
    few = pipeline.samples(model, "test").take(slice(0, samples))
    (x,), (y,) = few.x, few.y
    signature = read_signature(int8)
    run = pipeline.outputs("host", Deployable(int8, None), [quantize(signature.inputs[0], x)], Origin(model.name, leaf))
    task, outputs = pipeline.learning_task(model), dequantize(signature.outputs[0], run.outputs[0])
    return finite_score(task, outputs, task.labels(y), x if task.takes_inputs else None, leaf)


def rows_of(model: Model, seeds: Sequence[int], measured: Callable[[Model, str], float], samples: int | None) -> None:
    """Prints the rows of a model: `ptq`, and each leaf with the repair off and on."""
    shown = (model.metric_scale or Scale("")).number
    for leaf in ("ptq", *LEAVES):
        cells = []
        for repairs in (OTHERS, REPAIRS):
            values = [measured(with_settings(model, seed, repairs, samples), leaf) for seed in seeds]
            cells.append(f"{', '.join(map(shown, values))} | {shown(float(np.mean(values)))}")
        print(f"| {model.name} | {leaf} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, action="append", metavar="FILE", help="only this model; may be repeated")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--samples", type=int, help="at most this many for each quantization-aware training")
    parser.add_argument("--test-samples", type=int, default=2000)
    parser.add_argument("--store", type=Path, default=default_root())
    options = parser.parse_args()
    progress = LineProgress()
    pipeline = Pipeline(Store(options.store), progress)

    print("| model | leaf | repair off | mean | repair on | mean |\n|---|---|---|--:|---|--:|")
    for path in options.model or MODELS:
        model = load_model_file(path)
        rows_of(
            model, options.seeds, lambda m, leaf: metric_of(pipeline, m, leaf, options.test_samples), options.samples
        )
    progress.close()


if __name__ == "__main__":
    main()
