"""Diagnosis of this machine: programs, packages and data that the harness can use, with a remedy for each missing one.

    for finding in examine():
        print(finding.name, finding.version or finding.remedy)

Versions are read without importing anything heavy.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform
from dataclasses import dataclass
from pathlib import Path

from hil.core import child_process
from hil.core.errors import HilError, UnavailableError
from hil.targets import registry
from hil.targets.declaration import Declaration


@dataclass(frozen=True)
class Finding:
    """A target, program, package or data set.

    `version` is empty if it cannot be used; `needed`: the default run needs it.
    """

    name: str
    version: str
    purpose: str
    remedy: str
    needed: bool = True


_ANSWER_S = 20.0

# distribution, what it makes possible, needed
DISTRIBUTIONS = (
    ("tensorflow", "training, conversion, the reference kernels (target host)", True),
    ("tf_keras", "Keras 2 models, which TFMOT needs", True),
    ("tensorflow-model-optimization", "pruning, clustering, quantization-aware training", True),
    ("ethos-u-vela", "compiling for the Ethos-U", True),
    ("numpy", "the executable NPU (target sim)", True),
    ("capstone", "decoding the firmware's accesses to the NPU (engine open)", True),
    ("ziglang", "building the monitor firmware for boards", False),
    ("ai-edge-litert", "LiteRT as a second interpreter on host", False),
    ("tflite-micro", "TFLite Micro's kernels for what TensorFlow does not know", False),
    ("tflite-runtime", "tflite-runtime as a second interpreter on host", False),
)


def examine() -> list[Finding]:
    """All findings: the targets, then programs, packages and data in the order of a model's way to the target."""
    found = [*targets(), Finding("python", platform.python_version(), "everything", "")]
    found += [_distribution(*entry) for entry in DISTRIBUTIONS]
    found += [_compiled_code(), _qemu(), _firmware(), _arm_fvp(), _docker(), _labgrid(), *_data(Path("models"))]
    return found


def targets() -> list[Finding]:
    """All registered targets without any option: the engine of one that is ready, the reason and remedy of another."""
    known = registry.registry()
    found = [_target(name, declared, known.distributions[name]) for name, declared in known.targets.items()]
    return found + [Finding(f"target {name}", "", "", why, needed=False) for name, why in known.broken.items()]


def _target(name: str, declared: Declaration, distribution: str) -> Finding:
    title, identity = f"target {name}", {}
    try:
        with contextlib.closing(registry.make(declared, declared.options())) as target:
            identity = target.identity()
    except Exception as error:  # it may be the code of others: whatever it raises is the reason
        reason = " ".join(str(error).split()) or type(error).__name__
        return Finding(title, "", declared.summary, reason.removeprefix(f"{title}: "), needed=False)
    version = " ".join(identity[key] for key in ("engine", "engine_version") if key in identity)
    others = "" if distribution.startswith(f"{registry.OURS} ") else distribution
    return Finding(title, ", ".join(filter(None, (version, others))) or "ready", declared.summary, "")


def _distribution(name: str, purpose: str, needed: bool) -> Finding:
    from hil.harness.store.source_digest import versions

    version = ", ".join(versions(name).values())
    return Finding(name, version, purpose, f"pip install {name}", needed)


def _compiled_code() -> Finding:
    from hil.npu.native import library

    found = library.loaded()
    version = "" if found is None else ("any CPU", "AVX2", "AVX-512 VNNI")[found.level]
    remedy = "a C compiler (apt-get install gcc libc6-dev), then install this package again"
    return Finding("compiled code", version, "target sim several times as fast as with NumPy", remedy, needed=False)


def _qemu() -> Finding:
    from hil.fvp.machine import qemu

    purpose = "the open Corstone-300 (target fvp, engine open)"
    try:
        return Finding(qemu.PROGRAM, qemu.version(), purpose, "")
    except UnavailableError as error:
        return Finding(qemu.PROGRAM, "", purpose, error.hint)


def _firmware() -> Finding:
    from hil.fvp.inference.firmware import runner

    purpose = "Arm's inference runner on the Corstone-300 (target fvp)"
    try:
        firmware = runner()
        version = f"{importlib.metadata.version('mlia-ethos-u')}, sha256 {firmware.sha256[:12]}"
    except UnavailableError:
        version = ""
    return Finding("mlia-ethos-u", version, purpose, "pip install mlia-ethos-u")


def _arm_fvp() -> Finding:
    from hil.fvp.engines.engine import find

    purpose = "Arm's own FVP (target fvp, engine arm): simulated cycles"
    version, remedy = "", "`hil fvp install` fetches it; or name it in FVP_CORSTONE300"
    try:
        engine = find("arm")  # the open one may stand there under Arm's name
        version = engine.version if engine.name == "arm" else ""
    except UnavailableError as error:
        if "not on this machine" not in str(error):  # one that is there and does not start
            remedy = str(error)
    return Finding("FVP_Corstone_SSE-300", version, purpose, remedy, needed=False)


def _docker() -> Finding:
    from hil.fvp.engines.engine import find

    purpose = "an FVP in a container (target fvp, engine docker)"
    try:
        return Finding("docker", find("docker").version, purpose, "", needed=False)
    except HilError as error:
        return Finding("docker", "", purpose, str(error), needed=False)


def _labgrid() -> Finding:
    from hil.targets.lab.installation import find_python

    purpose = "boards of a lab (--board place:NAME, tag:KEY=VALUE)"
    ask = "import importlib.metadata; print(importlib.metadata.version('labgrid'))"
    try:
        command = [str(find_python()), "-I", "-c", ask]
    except UnavailableError as error:
        return Finding("labgrid", "", purpose, error.hint, needed=False)
    ended = child_process.run(command, _ANSWER_S, by_progress=True)
    if ended.code == 0:
        return Finding("labgrid", ended.last_line, purpose, "", needed=False)
    return Finding("labgrid", "", purpose, f"{command[0]} has none: its -m pip install labgrid", needed=False)


def _data(folder: Path) -> list[Finding]:
    """The data of the models of `folder`; nothing if the folder does not exist."""
    if not folder.is_dir():
        return []
    from hil.harness.model import discover

    try:
        models = discover(folder)
    except HilError as error:
        return [Finding(f"models in {folder}", "", "what is tested", str(error))]
    findings = []
    for model in models:
        version, remedy = "here", ""
        try:
            model.data.present()
        except HilError as error:
            version, remedy = "", error.hint or str(error)
        findings.append(Finding(f"data of {model.name}", version, f"the model {model.name}", remedy))
    return findings
