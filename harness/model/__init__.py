"""Model files: network, data, recipe and budget of a model under test, as a user writes them.

    # models/my_net.py
    from hil.harness.model import Budget, Dataset, Model, Recipe, sibling

    loader = sibling(__file__, "data/my_data.py")

    def build():
        import tf_keras as keras
        return keras.Sequential([...])

    model = Model("my_net", build=build, data=Dataset(loader.load, loader.files), weights="weights/my_net.npz")

A model file is loaded by its path and never imported by name, so a repository may have a `models` package of its own.
TensorFlow is only imported inside the functions: listing the models of a folder takes milliseconds.
"""

from hil.core.arrays import Array
from hil.harness.model.budget import Budget
from hil.harness.model.dataset import Dataset
from hil.harness.model.definition import LOSSES, Model
from hil.harness.model.files import discover, discover_loadable, find, load_model_file, sibling
from hil.harness.model.folders import image_folder, wav_folder
from hil.harness.model.metric import METRICS, Metric, MetricFunction, NamedMetric, Scale
from hil.harness.model.recipe import PALETTE, REPAIRS, SCHEDULES, SPARSITY_BY, FineTune, Recipe

__all__ = [
    "LOSSES",
    "METRICS",
    "PALETTE",
    "REPAIRS",
    "SCHEDULES",
    "SPARSITY_BY",
    "Array",
    "Budget",
    "Dataset",
    "FineTune",
    "Metric",
    "MetricFunction",
    "Model",
    "NamedMetric",
    "Recipe",
    "Scale",
    "discover",
    "discover_loadable",
    "find",
    "image_folder",
    "load_model_file",
    "sibling",
    "wav_folder",
]
