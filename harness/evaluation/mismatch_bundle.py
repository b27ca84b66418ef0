"""The bundle of a mismatch: a folder that reproduces it without the test, the training or the data.

    hil-failures/fashion_cnn-pcqat-fvp-ethos-u55-128-Shared_Sram/
        int8.tflite  vela.tflite      the model before and after Vela
        inputs.npz                    the samples that differ, quantized, by tensor name
        target.npz  oracle.npz        what came out, and what should have
        identity.json                 everything the numbers depend on
        README.txt                    where it differs first, and the commands that show it again

`explain_mismatch` writes it and describes the mismatch.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np

from hil.core.arrays import Integers, unequal
from hil.core.errors import HilError
from hil.harness.diff.difference import first_difference
from hil.harness.evaluation.evaluator import Deployment, Evaluator, MismatchReport, TargetOutcome
from hil.targets import registry
from hil.targets.declaration import File

FOLDER = "hil-failures"
MOST_SAMPLES = 8
_NONE = "every operator"


def explain_mismatch(evaluator: Evaluator, deployment: Deployment, root: Path) -> str:
    """Writes the bundle below `root`; returns a few lines on the first difference and how to reproduce it."""
    results = evaluator.results(deployment)
    if results.mismatch is None:
        results.mismatch = _explain(evaluator, deployment, root)
    return results.mismatch.text


def _explain(evaluator: Evaluator, deployment: Deployment, root: Path) -> MismatchReport:
    outcome = evaluator.outcome(deployment)
    parity = evaluator.parity(deployment)
    if not parity.mismatches:
        return MismatchReport(
            f"sim differs from the reference in {parity.sim_mismatches} elements of {parity.sim_samples} samples, more "
            f"than ran on {deployment.target}; run the same with --target sim for the bundle"
        )
    different = _different_samples(outcome)
    vela = deployment.vela
    name = f"{deployment.name}-{deployment.target}-{vela.accelerator}-{vela.memory_mode}"
    folder = root / FOLDER / re.sub(r"[^\w.-]", "_", name)
    operator = _first_operator(evaluator, deployment, outcome, int(different[0]))
    lines = [
        f"{parity.mismatches} of {parity.elements} output elements differ on {deployment.target}, "
        f"by at most {parity.largest}, in {len(different)} of {parity.samples} samples",
        f"first: {parity.first}",
        operator if operator.startswith(_NONE) else f"first operator that differs: {operator}",
    ]
    options = _options(evaluator)
    if File.COMPILED in evaluator.declaration.takes:
        ran = ["vela.tflite", "--accelerator", vela.accelerator, *options]
        side = ["vela.tflite", "--memory-mode", vela.memory_mode, "--system-config", vela.system_config]
        side += [word for option in vela.options for word in ("--vela-option", option)]
    else:
        ran, side = ["int8.tflite", *options], [deployment.target, *options]
    shown = [f"bundle: {folder}", f"again: {_again(folder, ran, deployment.target)}"]
    shown.append(f"explain: {_explaining(folder, side)}")
    try:
        _write(folder, deployment, outcome, different[:MOST_SAMPLES])
        (folder / "README.txt").write_text("\n".join([*lines, *shown]) + "\n")
    except OSError as error:  # the mismatch is the failure, not the disk
        shown = [f"no bundle: {folder} cannot be written: {error.strerror}"]
    return MismatchReport("\n".join([*lines, *shown]), operator)


def _different_samples(outcome: TargetOutcome) -> Integers:
    differs = np.zeros(len(outcome.picked), bool)
    for got, want in zip(outcome.run.outputs, outcome.oracle, strict=True):
        differs |= unequal(got, want).reshape(len(got), -1).any(axis=1)
    return np.flatnonzero(differs)


def _first_operator(evaluator: Evaluator, deployment: Deployment, outcome: TargetOutcome, sample: int) -> str:
    """Describes the first operator whose output differs on `sim`, or says why there is none."""
    inputs, vela = [array[sample : sample + 1] for array in outcome.inputs], deployment.vela
    try:
        mapping = evaluator.pipeline.compiled(deployment.int8, vela, deployment.origin, mapped=True).mapping
        found = first_difference(deployment.deployable, mapping, inputs)
    except HilError as error:
        return f"not found: {error}"
    if found is None:
        return f"{_NONE} computes the same on sim as on the reference: the fault is in {deployment.target}"
    return str(found)


def _write(folder: Path, deployment: Deployment, outcome: TargetOutcome, samples: Integers) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "int8.tflite").write_bytes(deployment.int8)
    (folder / "vela.tflite").write_bytes(deployment.compiled.model)
    names = [tensor.name for tensor in deployment.signature.inputs]
    outputs = [tensor.name for tensor in deployment.signature.outputs]
    np.savez(folder / "inputs.npz", **{n: array[samples] for n, array in zip(names, outcome.inputs, strict=True)})
    for file, arrays in (("target", outcome.run.outputs), ("oracle", outcome.oracle)):
        np.savez(folder / f"{file}.npz", **{n: a[samples] for n, a in zip(outputs, arrays, strict=True)})
    identity = {"deployment": deployment.name, "vela": asdict(deployment.vela), "run": outcome.run.identity}
    (folder / "identity.json").write_text(json.dumps(identity, indent=1))


def _again(folder: Path, words: list[str], target: str) -> str:
    """The command that runs the bundle's model on its inputs; `words` are the file and the options."""
    file, *options = words
    arguments = ["hil", "run", file, "--target", target, "--inputs", "inputs.npz", "--outputs", "again.npz", *options]
    return f"cd {shlex.quote(str(folder))} && {shlex.join(arguments)}"


def _options(evaluator: Evaluator) -> list[str]:
    """The target's options, as the command that runs in the bundle's folder takes them."""
    return registry.words(evaluator.declaration, evaluator.options, path=lambda path: str(path.resolve()))


def _explaining(folder: Path, side: list[str]) -> str:
    """The command that names the operator again: of this Vela's stream, or on a target that runs int8 files alone."""
    arguments = ["hil", "diff", "int8.tflite", "--target", *side, "--inputs", "inputs.npz"]
    return f"cd {shlex.quote(str(folder))} && {shlex.join(arguments)}"
