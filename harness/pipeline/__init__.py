"""The pipeline: Keras model -> path of techniques -> int8 TFLite -> Vela -> outputs, each arrow in the store.

    from hil.harness.store.store import Store, default_root
    from hil.harness.vela.settings import VelaSettings

    pipeline = Pipeline(Store(default_root()))
    int8 = pipeline.int8(model, "pcqat")                 # trains only what is not there yet
    compiled = pipeline.compiled(int8.read("model.tflite"), VelaSettings())

Each method is one arrow: it names everything its result depends on as a recipe, and builds only when the store has no
artifact of that recipe.  Nothing here imports TensorFlow until a step has to be built, so a second run starts at once.
Runs on `fvp` and `serial` are not stored: they always run.
"""

from hil.harness.pipeline.entries import ENTRIES, TRAINING
from hil.harness.pipeline.keras_models import surviving
from hil.harness.pipeline.pipeline import Pipeline, target_module

__all__ = ["ENTRIES", "TRAINING", "Pipeline", "surviving", "target_module"]
