"""The pipeline over one store: its last arrows, from a Keras model to an int8 file, Vela, outputs and accuracy."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hil.core.arrays import Array
from hil.core.artifact_manifest import digest
from hil.core.errors import BadInputError, OptimizeError
from hil.harness.data.array_digest import digest_array
from hil.harness.data.samples import Samples
from hil.harness.leaves import GIVEN
from hil.harness.metrics.accuracy import AbsoluteAccuracy, Accuracy, accuracy_from_record, accuracy_of
from hil.harness.metrics.array_groups import flattened
from hil.harness.model import Model
from hil.harness.optimize import litert
from hil.harness.optimize.fidelity import Fidelity
from hil.harness.optimize.paths import conversion, path_of, training_node
from hil.harness.pipeline.builders import FIDELITY, TFLITE, write_json
from hil.harness.pipeline.entries import ENTRIES, RUNNING, TRAINING
from hil.harness.pipeline.keras_models import KerasModels
from hil.harness.pipeline.recipe_inputs import metric_settings, network_digests, output_argument
from hil.harness.pipeline.run_in_parts import run_in_parts
from hil.harness.pipeline.stored_run import read_run, write_run
from hil.harness.store.code_version import code_version
from hil.harness.store.source_digest import (
    source_versions,
    versions,
)
from hil.harness.store.store import UNKNOWN, Artifact, ArtifactRecipe, Origin
from hil.harness.vela.compiler import Compiled, compile_model
from hil.harness.vela.settings import VelaSettings
from hil.harness.work_titles import run_title
from hil.targets import create, registry
from hil.targets.base import Deployable, Run
from hil.targets.declaration import Role

if TYPE_CHECKING:
    from hil.harness.vela.other_versions import OtherVela


class Pipeline(KerasModels):
    """All arrows over one store: from data and Keras to int8 TFLite, Vela and the outputs of `host` and `sim`."""

    def accuracy(
        self,
        model: Model,
        samples: Samples,
        *,
        candidate: Sequence[Array],
        on_target: Array,
        references: Mapping[str, Sequence[Array]],
        output: str = "",
    ) -> Accuracy | AbsoluteAccuracy:
        """The metric of float outputs (n, ...), by output, for `samples`; mAP and what calls the user's code is stored.

        `references` are the outputs `reference` and `keras` of `metrics.accuracy.compare`; empty for an int8 file.
        `output` is as in `learning_task`.
        """
        task, found = self.learning_task(model, output), self.interface(model, output)
        by_output = {"labels": samples.y, "candidate": candidate, **references}
        groups = {"on_target": on_target, **{name: found.metric(arrays) for name, arrays in by_output.items()}}
        if task.takes_inputs:
            groups["x"] = found.samples(samples.x)
        if task.user_function is None and task.kind != "detection":  # whose interval takes seconds
            return accuracy_of(task, groups)
        arrays = flattened(groups)
        recipe = ArtifactRecipe(
            "accuracy",
            {name: digest_array(array) for name, array in arrays.items()},
            {
                **metric_settings(model, output),
                "scale": asdict(task.scale),
                "shapes": {name: list(array.shape) for name, array in arrays.items()},
            },
            code_version(*ENTRIES["accuracy"]),
            {**versions("numpy"), **source_versions(model)},
        )
        return accuracy_from_record(self.make(recipe, "accuracy", model, arrays, **output_argument(output)).note)

    def size(self, model: Model) -> tuple[int, int]:
        """Parameters and multiply-accumulates of an inference, of the Keras network or of the int8 file."""
        if model.tflite is not None:
            int8 = model.file(model.tflite).read_bytes()
            summary = self.compiled(int8, VelaSettings(), Origin(model.name, GIVEN)).summary
            return summary.weights_original, summary.macs
        code = code_version(*ENTRIES["size"])
        libraries = {**versions(*TRAINING), **source_versions(model)}
        note = self.make(ArtifactRecipe("size", network_digests(model), {}, code, libraries), "size", model).note
        return int(note["params"]), int(note["macs"])

    # -- TFLite and Vela

    def int8(self, model: Model, leaf: str) -> Artifact:
        """The quantized TFLite file of a leaf, with the zeros and clusters that survived, and its fidelity.

        Raises `BadInputError` if it needs a package that is not installed.
        """
        path = path_of(leaf)
        litert.check_installed(path)
        recipe = ArtifactRecipe(
            "tflite",
            {**self._parent(model, training_node(path)), "data": self.data_digest(model)},
            {**model.recipe.settings_of("ptq"), "seed": model.recipe.seed, "conversion": conversion(path)},
            code_version(*ENTRIES["tflite"]),
            versions(*TRAINING, *(litert.PACKAGES if conversion(path) in litert.RECIPES else ())),
        )
        if found := self.store.find(recipe):
            return found
        ptq_db = None if leaf == "ptq" else self._ptq_db(model)
        return self.make(recipe, "tflite", model, leaf=leaf, ptq_db=ptq_db)

    def fidelity(self, model: Model, leaf: str) -> Fidelity:
        """The fidelity of a leaf's int8 file to the Keras model that it was made from."""
        found = json.loads(self.int8(model, leaf).read(FIDELITY))
        return Fidelity(tuple(found["db"]), tuple(found["steps"]), found["samples"])

    def _ptq_db(self, model: Model) -> float | None:
        """The fidelity of `ptq` of a model in dB; None if it cannot be made."""
        try:
            return self.fidelity(model, "ptq").sqnr_db
        except OptimizeError:
            return None

    def compiled(
        self,
        int8: bytes,
        settings: VelaSettings,
        origin: Origin = UNKNOWN,
        vela: OtherVela | None = None,
        *,
        mapped: bool = False,
    ) -> Compiled:
        """Vela's output for a quantized TFLite file of a model and technique; `vela` None: of the installed Vela.

        `mapped`: with the mapping from commands to operators, which takes longer.
        """
        recipe = ArtifactRecipe(
            "vela",
            {"model": digest(int8)},
            {**asdict(settings), "mapped": mapped},
            code_version(*ENTRIES["vela" if vela is None else "other_vela"]),
            versions("ethos-u-vela") if vela is None else {"ethos-u-vela": vela.version},
        )

        def build(folder: Path) -> None:
            compiled = (compile_model if vela is None else vela.compile_model)(
                int8, settings, mapped=mapped, say=self.say
            )
            (folder / TFLITE).write_bytes(compiled.model)
            write_json(folder / "compiled.json", compiled.record())

        artifact = self.store.make(recipe, build, origin=origin)
        return Compiled.from_record(artifact.read(TFLITE), json.loads(artifact.read("compiled.json")))

    # -- outputs

    def outputs(
        self, target: str, model: Deployable, inputs: Sequence[Array], origin: Origin = UNKNOWN, **options: Any
    ) -> Run:
        """A run whose outputs depend on nothing but these arguments: `host` or `sim`.  `origin` is for people."""
        oracle = registry.declaration(target).role is Role.ORACLE  # which knows nothing of accelerators
        what = model.int8 if oracle else model.compiled or model.int8
        if what is None:
            raise BadInputError(f"{target} needs {'an int8 TFLite model' if oracle else 'a model'}")
        recipe = ArtifactRecipe(
            target,
            {"model": digest(what), "inputs": digest(b"".join(digest_array(x).encode() for x in inputs))},
            {
                "shapes": [list(x.shape) for x in inputs],
                "configuration": None if oracle else _configuration(model),
                **options,
            },
            code_version(target_module(target)),
            versions(*RUNNING),
        )

        def build(folder: Path) -> None:
            text = run_title(origin, target)
            write_run(
                folder, run_in_parts(create(target, **options), model, inputs, lambda n, of: self.say(text, n, of))
            )

        return read_run(self.store.make(recipe, build, origin=origin))


def target_module(target: str) -> str:
    """The module that does the work of a target."""
    return registry.declaration(target).implementation.partition(":")[0]


def _configuration(model: Deployable) -> list[str]:
    """The configuration that `sim` takes from a deployment beside the model: it decides clocks and memory speeds."""
    npu = model.npu
    return [npu.accelerator, npu.memory_mode, npu.system_config, digest(npu.config_text.encode())]
