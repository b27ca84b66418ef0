"""Entries of the arrows: the modules that do the work of each, and the packages on which its result depends."""

_CANONICAL = "hil.harness.optimize.canonical.network"
_HDF5_FILE = "hil.harness.optimize.keras.hdf5_file"
_CLIPPED = "hil.harness.optimize.clipped_outputs"
_SURVIVAL = "hil.harness.optimize.survival"
_SENSITIVITY = "hil.harness.optimize.sensitivity"
ENTRIES = {
    "base": ("hil.harness.optimize.trained_base",),
    "technique": ("hil.harness.optimize.steps", _CLIPPED, _SENSITIVITY, _HDF5_FILE),
    "sensitivity": (_SENSITIVITY, "hil.harness.optimize.selection", _CANONICAL, _HDF5_FILE),
    "learning_task": ("hil.harness.optimize.data_check",),
    "accuracy": ("hil.harness.metrics.accuracy",),
    "size": ("hil.harness.optimize.network_size",),
    "predictions": ("hil.harness.optimize.training", _HDF5_FILE),
    "tflite": (
        *("hil.harness.optimize.conversion", "hil.harness.optimize.layer_fidelity", "hil.harness.optimize.training"),
        *(_SURVIVAL, _HDF5_FILE),
    ),
    "vela": ("hil.harness.vela.compiler",),
    "other_vela": ("hil.harness.vela.other_versions",),
}
"""Arrow -> the modules that do its work; further modules on which its result depends follow from their imports."""
TRAINING = ("tensorflow", "tf_keras", "tensorflow-model-optimization", "numpy")
KERAS_LIBRARIES = ("keras", "h5py")
RUNNING = ("tensorflow", "tflite-micro", "ai-edge-litert", "numpy", "ethos-u-vela")
"""Packages on which outputs of `host` and `sim` depend, where installed: TensorFlow or what stands in for it, and Vela,
whose own configuration file gives `sim` its clocks and memory speeds."""
