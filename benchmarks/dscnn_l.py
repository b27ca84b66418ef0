"""DS-CNN-L on spoken digits, the whole tree on `sim`: what is left of its weights, cycles and accuracy, over seeds.

    python -m benchmarks.dscnn_l                          # every leaf, seeds 0 to 2, from nothing: hours on two cores
    python -m benchmarks.dscnn_l --seeds 0 --technique ptq --technique npu_pcqat -o figures.json

A seed changes the base's training and every fine-tuning.  What was made is in the store: a run that was killed goes on
behind the last finished step.  Cycles are given for `Shared_Sram` under Vela's two system configurations: in
`Ethos_U55_High_End_Embedded` weights come fast, in `Ethos_U55_Deep_Embedded` from a slow flash.

Each leaf is compared with `ptq` of the same seed on the same 1,000 test utterances, so intervals are paired: for one
seed that of `hil.harness.metrics.accuracy`; over the seeds, of the mean drop, once over utterances (each with its
mean over the seeds, normal) and once over seeds (Student's t; wide, since seeds are few).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from hil.core.arrays import Array
from hil.harness.evaluation.cost import latency_of
from hil.harness.evaluation.evaluator import Deployment, Evaluator
from hil.harness.metrics import accuracy
from hil.harness.metrics.learning_task import LearningTask
from hil.harness.model import Budget, Model, load_model_file
from hil.harness.pipeline import Pipeline
from hil.harness.store.store import Store, default_root
from hil.harness.tree.result import Leaf, LeafStatus
from hil.harness.tree.terminal_view import View, create_view
from hil.harness.tree.walk import leaves_in_order, walk
from hil.harness.vela.settings import VelaSettings
from hil.targets.execution.signature import dequantize

MODEL = Path(__file__).resolve().parent.parent / "models" / "zoo" / "digits_dscnn_l.py"
DEEP = "Ethos_U55_Deep_Embedded"
FIGURES = ("encoded_weights", "npu_cycles", "tflite", "zip", "gzip", "sram", "flash", "zeros", "unique")


@dataclass(frozen=True)
class Row:
    """A leaf of a seed: `right` marks the test utterances that the int8 model recognized, `drop` is ptq's less its
    own with the paired interval `low` to `high` (fractions), `deep_cycles` those from a slow flash.
    """

    seed: int
    leaf: str
    figures: dict[str, float]
    deep_cycles: int
    right: Array
    drop: float
    low: float
    high: float

    @property
    def accuracy(self) -> float:
        return float(self.right.mean())


def rows_of(model: Model, seed: int, leaves: list[str], observer: View, store: Store) -> list[Row]:
    """Walks the tree of one seed; each leaf that was made is a row."""
    seeded = replace(model, recipe=replace(model.recipe, seed=seed))
    pipeline = Pipeline(store, observer)
    bench, deep = (
        Evaluator(pipeline, "sim", VelaSettings(**({"system_config": name} if name else {}))) for name in ("", DEEP)
    )
    observer.say(f"seed {seed}")
    found = walk(seeded, bench, Budget(), policy="all", leaves=leaves, observer=observer)
    (labels,) = pipeline.samples(seeded, "test").y
    made = [leaf for leaf in found.leaves if leaf.status is LeafStatus.MET]
    outputs = {leaf.name: _outputs(bench, bench.deploy(seeded, leaf.name)) for leaf in made}
    return [_row(leaf, seed, deep, seeded, outputs, labels) for leaf in made]


def _outputs(bench: Evaluator, deployment: Deployment) -> Array:
    return np.asarray(dequantize(deployment.signature.outputs[0], bench.outcome(deployment).sim.outputs[0]))


def _row(leaf: Leaf, seed: int, deep: Evaluator, model: Model, outputs: dict[str, Array], labels: Array) -> Row:
    given, first = outputs[leaf.name], outputs["ptq"]
    task = LearningTask("classes", "top1", given.shape[1:])
    paired = accuracy.compare(
        task, labels, reference=first, keras=first, candidate=given, on_target=np.arange(len(labels))
    )
    figures = {name: float(leaf.figure(name) or 0.0) for name in FIGURES}
    right = given.reshape(len(labels), -1).argmax(axis=1) == labels
    return Row(seed, leaf.name, figures, _cycles(deep, model, leaf.name), right, paired.drop, paired.low, paired.high)


def _cycles(bench: Evaluator, model: Model, leaf: str) -> int:
    """Cycles of one inference; they do not depend on the sample."""
    deployment = bench.deploy(model, leaf)
    inputs = np.zeros((1, *deployment.signature.inputs[0].shape[1:]), np.int8)
    run = bench.pipeline.outputs("sim", deployment.deployable, [inputs], deployment.origin)
    return latency_of(run, deployment.compiled.summary, "sim").cycles


def summaries(rows: list[Row]) -> list[dict[str, Any]]:
    """A leaf over its seeds: means, and the mean drop against ptq with both intervals, in points."""
    found = []
    for name in dict.fromkeys(row.leaf for row in rows):
        mine = [row for row in rows if row.leaf == name]
        ptq = {row.seed: row for row in rows if row.leaf == "ptq"}
        lost = 100 * np.array([ptq[row.seed].right.astype(float) - row.right for row in mine])  # (seeds, utterances)
        figures = {key: float(np.mean([row.figures[key] for row in mine])) for key in FIGURES}
        smaller = float(
            np.mean([ptq[row.seed].figures["encoded_weights"] / row.figures["encoded_weights"] for row in mine])
        )
        found.append(
            {
                "leaf": name,
                "seeds": [row.seed for row in mine],
                **figures,
                "deep_cycles": float(np.mean([row.deep_cycles for row in mine])),
                "times_smaller_than_ptq": smaller,
                "accuracy": [100 * row.accuracy for row in mine],
                "drop": float(lost.mean()),
                "over_utterances": _interval(lost.mean(axis=0), stats.norm.ppf(0.975)),
                "over_seeds": _interval(lost.mean(axis=1), stats.t.ppf(0.975, len(mine) - 1))
                if len(mine) > 1
                else None,
                "by_seed": [[100 * row.drop, 100 * row.low, 100 * row.high] for row in mine],
            }
        )
    return found


def _interval(values: Array, quantile: float) -> list[float]:
    half = quantile * float(np.std(values, ddof=1)) / np.sqrt(len(values))
    return [float(values.mean() - half), float(values.mean() + half)]


def table(found: list[dict[str, Any]]) -> str:
    """Markdown, as the documentation has it."""
    head = ("leaf", "encoded KiB", "smaller", "cycles", "cycles Deep", ".tflite", "gzip", "int8 %", "drop in points")
    lines = [" | ".join(head), " | ".join(["---"] + ["--:"] * (len(head) - 1))]
    for row in found:
        over_seeds = row["over_seeds"]
        drop = f"{row['drop']:+.2f} ({row['over_utterances'][0]:+.2f} to {row['over_utterances'][1]:+.2f}"
        drop += f"; seeds {over_seeds[0]:+.2f} to {over_seeds[1]:+.2f})" if over_seeds else ")"
        cells = (
            *(row["leaf"], f"{row['encoded_weights'] / 1024:.1f}", f"{row['times_smaller_than_ptq']:.2f}x"),
            *(f"{row['npu_cycles']:,.0f}", f"{row['deep_cycles']:,.0f}"),
            *(f"{row[name] / 1024:.1f}" for name in ("tflite", "gzip")),
            *(", ".join(f"{value:.1f}" for value in row["accuracy"]), drop),
        )
        lines.append(" | ".join(cells))
    return "\n".join(f"| {line} |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--technique", action="append", metavar="LEAF", help="only this leaf and ptq; may be repeated")
    parser.add_argument("--bases", type=Path, help="folder of trained bases, SEED.npz, that are not trained again")
    parser.add_argument("--store", type=Path, default=default_root())
    parser.add_argument("-o", "--output", type=Path, metavar="FIGURES.json")
    options = parser.parse_args()
    model = load_model_file(MODEL)
    leaves = leaves_in_order(model, ("ptq", *options.technique) if options.technique else ())
    rows: list[Row] = []
    observer = create_view(as_json=False)
    with observer:
        for seed in options.seeds:
            weights = (options.bases / f"{seed}.npz").resolve() if options.bases else None
            rows += rows_of(replace(model, weights=weights), seed, leaves, observer, Store(options.store))
    found = summaries(rows)
    print(table(found))
    if options.output:
        options.output.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
