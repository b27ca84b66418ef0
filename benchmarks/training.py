"""Each technique beside the plain TFMOT script that a user would write: seconds for the same epochs and threads.

    python -m benchmarks.training                                   # a small convolutional network
    python -m benchmarks.training --model resnet8.h5 --samples 5000 --epochs 2 --threads 8

Both run one after the other in processes of their own, on random samples, with the same optimizer, batches and epochs.
A plain script trains every step of a path for itself; a walk of the tree trains each step once, so the last line
compares the walk's steps with the scripts of all leaves.  Imports, conversion and measurement count for neither.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hil.core.cores import usable_cores
from hil.harness.compute import Compute

PATHS = (
    ("qat",),
    ("prune",),
    ("prune", "pqat"),
    ("cluster",),
    ("cluster", "cqat"),
    ("prune", "sparse_cluster"),
    ("prune", "sparse_cluster", "pcqat"),
)
"""Steps of TFMOT's leaves; those for the NPU have no script to compare with."""
CLUSTERS, SPARSITY, RATE = 16, 0.5, 3e-4
Step = Callable[[str, Any], Any]


def network(file: Path | None) -> Any:
    """Returns the Keras 2 network of a file, or a small one."""
    from hil.harness.optimize.keras.any_format import read_network
    from hil.harness.optimize.keras.keras2 import import_keras

    if file is not None:
        return read_network(file)
    layers = import_keras().layers
    parts = [layers.Input((32, 32, 3))]
    for number, channels in enumerate((16, 32, 64)):
        parts += [
            layers.Conv2D(channels, 3, strides=1 + (number > 0), padding="same", use_bias=False, name=f"conv{number}"),
            layers.BatchNormalization(name=f"norm{number}"),
            layers.ReLU(name=f"relu{number}"),
        ]
    return import_keras().Sequential([*parts, layers.GlobalAveragePooling2D(), layers.Dense(10, name="logits")])


def samples_of(model: Any, count: int) -> tuple[Any, Any]:
    """Returns random samples and classes that fit a network with one input and one output of classes."""
    random = np.random.default_rng(0)
    x = random.normal(size=(count, *model.input_shape[1:])).astype(np.float32)
    return x, random.integers(0, model.output_shape[-1], count)


def plain_step(x: Any, y: Any, batch: int, epochs: int) -> Step:
    """Returns a technique as TFMOT's guides write it."""
    from hil.harness.optimize.keras.keras2 import import_keras

    keras = import_keras()
    import tensorflow_model_optimization as tfmot  # not through the harness, which speeds it up
    from tensorflow_model_optimization.python.core.clustering.keras.experimental.cluster import cluster_weights

    sparsity, clustering, quantization = tfmot.sparsity.keras, tfmot.clustering.keras, tfmot.quantization.keras
    combine = tfmot.experimental.combine
    total = epochs * (len(x) // batch)
    start = clustering.CentroidInitialization.KMEANS_PLUS_PLUS
    schemes = {
        "qat": None,
        "pqat": combine.Default8BitPrunePreserveQuantizeScheme(),
        "cqat": combine.Default8BitClusterPreserveQuantizeScheme(preserve_sparsity=False),
        "pcqat": combine.Default8BitClusterPreserveQuantizeScheme(preserve_sparsity=True),
    }

    def fit(model: Any, callbacks: Any = ()) -> Any:
        rate = keras.optimizers.schedules.CosineDecay(RATE, total)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
        model.fit(x, y, batch_size=batch, epochs=epochs, verbose=0, callbacks=list(callbacks))
        return model

    def clustered(layer: Any, preserve: bool) -> Any:
        if type(layer).__name__ not in ("Conv2D", "Dense"):
            return layer
        return cluster_weights(
            layer, number_of_clusters=CLUSTERS, cluster_centroids_init=start, preserve_sparsity=preserve
        )

    def step(technique: str, before: Any) -> Any:
        model = keras.models.clone_model(before)
        model.set_weights(before.get_weights())
        if technique == "prune":
            schedule = sparsity.PolynomialDecay(0.0, SPARSITY, 0, max(1, int(total * 0.6)), frequency=1)
            wrapped = sparsity.prune_low_magnitude(model, pruning_schedule=schedule)
            return sparsity.strip_pruning(fit(wrapped, [sparsity.UpdatePruningStep()]))
        if technique in ("cluster", "sparse_cluster"):
            preserve = technique == "sparse_cluster"
            wrapped = keras.models.clone_model(model, clone_function=lambda layer: clustered(layer, preserve))
            return clustering.strip_clustering(fit(wrapped))
        annotated, scheme = quantization.quantize_annotate_model(model), schemes[technique]
        return fit(quantization.quantize_apply(*((annotated,) if scheme is None else (annotated, scheme))))

    return step


def harness_step(x: Any, y: Any, batch: int, epochs: int) -> Step:
    """Returns a technique of the harness."""
    from hil.harness.data.samples import Samples
    from hil.harness.model import FineTune, Recipe
    from hil.harness.optimize.keras.keras2 import import_tfmot
    from hil.harness.optimize.steps import apply

    import_tfmot()
    tune = FineTune(epochs, RATE)
    names = ("prune", "cluster", "sparse_cluster", "qat", "pqat", "cqat", "pcqat")
    recipe = Recipe(batch_size=batch, clusters=CLUSTERS, sparsity=SPARSITY, **dict.fromkeys(names, tune))
    data = Samples(x, y)
    return lambda technique, before: apply(technique, before, data, recipe)


def measure(options: argparse.Namespace) -> dict[str, list[float]]:
    """Takes every step once; returns seconds of the wall clock and of the processor by path."""
    base = network(options.model)
    makers = {"plain": plain_step, "harness": harness_step}
    step = makers[options.side](*samples_of(base, options.samples), options.batch, options.epochs)
    models, found = {(): base}, {}
    for path in PATHS:
        wall, cpu = time.perf_counter(), time.process_time()
        models[path] = step(path[-1], models[path[:-1]])
        found["/".join(path)] = [time.perf_counter() - wall, time.process_time() - cpu]
    return found


def run(side: str, options: argparse.Namespace) -> dict[str, list[float]]:
    """Measures one side in a process of its own."""
    shared = [f"--{name}={getattr(options, name)}" for name in ("samples", "epochs", "batch", "threads")]
    of_model = [f"--model={options.model}"] if options.model else []
    command = [sys.executable, "-m", "benchmarks.training", f"--side={side}", *shared, *of_model]
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", **Compute(options.threads).environment()}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def cpu_name() -> str:
    """Returns the processor's name as Linux gives it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, metavar="FILE", help="a Keras network of classes")
    parser.add_argument("--samples", type=int, default=512)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--side", choices=("plain", "harness"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        print(json.dumps(measure(options)))
        return
    plain, ours = run("plain", options), run("harness", options)
    print(f"{cpu_name()}, {options.threads} threads, {options.samples} samples, {options.epochs} epochs")
    print("| step | script | harness | ratio | processor time |\n|---|--:|--:|--:|--:|")
    for path, (wall, cpu) in plain.items():
        mine = ours[path]
        print(f"| {path} | {wall:.1f} s | {mine[0]:.1f} s | {mine[0] / wall:.2f} | {mine[1] / cpu:.2f} |")
    scripts = [
        sum(plain["/".join(path[: length + 1])][kind] for path in PATHS for length in range(len(path)))
        for kind in (0, 1)
    ]
    walk = [sum(figures[kind] for figures in ours.values()) for kind in (0, 1)]
    ratios = f"{walk[0] / scripts[0]:.2f} | {walk[1] / scripts[1]:.2f}"
    print(f"| all leaves: scripts, walk | {scripts[0]:.1f} s | {walk[0]:.1f} s | {ratios} |")


if __name__ == "__main__":
    main()
