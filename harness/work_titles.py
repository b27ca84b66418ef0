"""Titles of work in lines for people: what trains, what runs, and, before a reason, what fails.

step_title("technique", model, {"node": ["prune", "pqat"]})    # "fashion_cnn: prune > pqat"
run_title("fashion_cnn-pqat", "fvp")                           # "fashion_cnn-pqat on fvp"
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hil.harness.model import Model


def step_title(arrow: str, model: Model, arguments: Mapping[str, Any]) -> str:
    """Names a step of the pipeline, in its progress and before the reason of its failure."""
    node = " > ".join(arguments.get("node", ()))
    what = {
        "data": f"reading the {arguments.get('split')} data",
        "technique": node,
        "learning_task": "checking data, loss and metric",
        "sensitivity": "what each layer bears",
        "accuracy": "the metric",
        "predictions": f"Keras outputs of {node or 'base'}",
        "tflite": f"converting {arguments.get('leaf')}",
    }
    return f"{model.name}: {what.get(arrow, arrow)}"


def run_title(name: object, target: str) -> str:
    """Names the run of a model or deployment on a target."""
    return f"{name} on {target}"
