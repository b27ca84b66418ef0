"""Walks of drawn networks, judged: right figures, one line, or a fault.

python -m tests.support.drawn_walk FOLDER COUNT SEED      # a JSON object a network
"""

from __future__ import annotations

import json
import sys
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings

from hil.core.arrays import Array
from hil.core.errors import HilError, InfrastructureError
from hil.harness.evaluation.evaluator import Evaluator
from hil.harness.model import Model, load_model_file
from hil.harness.pipeline import Pipeline
from hil.harness.store.store import Store
from hil.harness.tree.result import Leaf, LeafStatus
from hil.harness.tree.walk import walk
from hil.harness.vela.settings import VelaSettings
from tests.support.drawn_networks import DrawnModel, drawn_models

WORK = "tests.support.drawn_walk"
_CLOSE = 1e-6


@dataclass(frozen=True)
class Judged:
    """End of a drawn model: "refused" or the status of its leaves; its line; the `fault`, empty if there is none."""

    end: str
    line: str
    fault: str


def judge(drawn: DrawnModel, folder: Path) -> Judged:
    """Walks a drawn model in an empty folder."""
    path = folder / "net.py"
    path.write_text(drawn.text)
    try:
        model = load_model_file(path)
        evaluator = Evaluator(Pipeline(Store(folder / "store")), "sim", VelaSettings())
        found = walk(model, evaluator, policy="all", leaves=drawn.leaves)
    except InfrastructureError as error:
        return Judged("broke down", str(error), f"{type(error).__name__}: {error}\n{error.log[-2000:]}")
    except HilError as error:
        return Judged("refused", str(error), _fault_of(str(error)))
    except Exception:
        return Judged("traceback", "", traceback.format_exc())
    reasons = [leaf.reason for leaf in found.leaves if leaf.status is LeafStatus.FAILED]
    faults = [*map(_fault_of, reasons), *(_wrong_figure(evaluator, model, leaf) for leaf in found.leaves)]
    ends = "/".join(sorted({leaf.status.value for leaf in found.leaves}))
    return Judged(ends, "; ".join(reasons), "; ".join(filter(None, faults)))


def _fault_of(line: str) -> str:
    wrong = "\n" in line or "defect of hil" in line or "Traceback" in line or " raised " in line or len(line) > 600
    return f"not one clear line: {line}" if wrong else ""


def _wrong_figure(evaluator: Evaluator, model: Model, leaf: Leaf) -> str:
    """Says how the base's accuracy differs from what NumPy computes of outputs and labels; empty if it does not."""
    told, note = leaf.figure("base_accuracy"), next((m.note for m in leaf.measurements if m.name == "accuracy"), "")
    if told is None:
        return ""
    outputs = evaluator.pipeline.predictions(model, ())
    _, labels = evaluator.pipeline.samples(model, "test")
    wanted = _computed(note.split(" of ")[0], np.asarray(outputs, float), np.asarray(labels), model)
    if wanted is None or abs(wanted - told) <= _CLOSE * max(1.0, abs(wanted)):
        return ""
    return f"base accuracy {told}, NumPy computes {wanted} ({note})"


def _computed(metric: str, outputs: Array, labels: Array, model: Model) -> float | None:
    if metric == "top1":
        classes = labels.argmax(-1) if labels.shape == outputs.shape and outputs.shape[-1] > 1 else labels
        return float(np.mean(outputs.argmax(-1).ravel() == classes.ravel()))
    if metric == "binary":
        logits = callable(model.loss) and getattr(model.loss(), "get_config", dict)().get("from_logits")
        return float(np.mean((outputs.ravel() > (0.0 if logits else 0.5)) == (labels.ravel() > 0)))
    if metric == "r2":
        real = labels.astype(float).reshape(outputs.shape)
        return 1 - float(((outputs - real) ** 2).sum() / ((real - real.mean(axis=0)) ** 2).sum())
    return None


def main(folder: Path, count: int, number: int) -> None:
    """Judges `count` models drawn from a seed; prints each as it is done."""
    done = iter(range(count))

    @seed(number)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(drawn_models())
    def one(drawn: DrawnModel) -> None:
        place = folder / str(next(done, "more"))
        place.mkdir(exist_ok=True)
        found = judge(drawn, place)
        record = {**asdict(found), "text": drawn.text if found.fault else "", "leaves": " ".join(drawn.leaves)}
        print(json.dumps(record), flush=True)

    one()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
