"""The command that trains the base of a model file and writes its weights.

python -m hil.harness.optimize.base_weights models/fashion_cnn.py    # trains, prints the metric, writes weights
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from hil.core.errors import BadInputError, HilError
from hil.harness.data.loaded import joined
from hil.harness.metrics.base_score import base_score
from hil.harness.metrics.scores import finite_score
from hil.harness.model import Model, load_model_file
from hil.harness.optimize.data_check import check_data
from hil.harness.optimize.network_inputs import predict
from hil.harness.optimize.trained_base import save_weights, train_base
from hil.harness.output_file import check_output


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Trains the base of a model file and writes its weights.")
    parser.add_argument("model", type=Path)
    parser.add_argument("-o", "--output", type=Path, help="default: weights/NAME.npz beside the model file")
    options = parser.parse_args(arguments)
    try:
        _train(options.model, options.output)
    except HilError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _train(path: Path, output: Path | None) -> None:
    model = load_model_file(path, needs_weights=False)
    if model.keras_file is not None:
        raise BadInputError(f"model {model.name} is trained already: {model.keras_file} holds it")
    output = output or _beside(model)
    check_output(output, "-o", (".npz",))
    train, test = (joined(model.data.read(split)) for split in ("train", "test"))
    found = check_data(replace(model, weights=None), train, test)
    task, train, test = found.task, found.interface.arranged(train), found.interface.arranged(test)
    network = train_base(model, train, lambda done, total, text: print(f"\r{text} {done}/{total}", end=""))
    save_weights(network, output)
    print(f"\n{output}: {network.count_params()} parameters")
    outputs, labels = found.interface.metric(predict(network, test)), found.interface.metric(test.y)
    x = found.interface.samples(test.x) if task.takes_inputs else None
    score = finite_score(task, outputs, task.labels(labels), x, "float base")
    print(f"{task.metric} {score:.4f} of {len(test)} test samples")
    if (base := base_score(task, labels, outputs, x)) and base.remark:
        print(base.remark)


def _beside(model: Model) -> Path:
    """The file that the model file names, or one of the model's name, in a folder that exists."""
    path = model.file(model.weights or f"weights/{model.name}.npz")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(f"{path.parent} cannot be made: {error.strerror}") from error
    return path


if __name__ == "__main__":
    sys.exit(main())
