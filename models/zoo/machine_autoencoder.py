"""An autoencoder on the sounds of toy cars: 640 -> 640, 270 k weights, 0.26 million MACs; its accuracy is an AUC.

The network of MLPerf Tiny's anomaly detection.  MLPerf Tiny's trained one (`ad01.h5`, Apache-2.0) is the base
where the machine has it; else the same network is trained.  The AUC is that of the windows' reconstruction errors;
MLPerf Tiny takes the mean over the windows of a recording first, and the mean of the AUC over the four machines.
Source: mlcommons/tiny, `benchmark/training/anomaly_detection/keras_model.py`.
"""

from __future__ import annotations

from typing import Any

from hil.harness.model import Dataset, FineTune, Model, Recipe, sibling

loader = sibling(__file__, "../data/machine_sounds.py")
published = sibling(__file__, "../networks/published.py").published
HIDDEN = (128, 128, 128, 128, 8, 128, 128, 128, 128)


def build() -> Any:
    """Builds the untrained network: nine layers with batch normalization and ReLU, and one that gives the window."""
    import tf_keras as keras

    layers = keras.layers
    window = x = layers.Input((640,), name="window")
    for number, units in enumerate(HIDDEN, 1):
        x = layers.BatchNormalization(momentum=0.9, name=f"dense{number}_bn")(
            layers.Dense(units, name=f"dense{number}")(x)
        )
        x = layers.ReLU(name=f"dense{number}_relu")(x)
    return keras.Model(window, layers.Dense(640, name="reconstruction")(x), name="autoencoder")


model = Model(
    name="machine_autoencoder",
    build=published("ad01.h5", build),
    data=Dataset(loader.load, loader.files),
    loss="mse",
    metric="reconstruction_auc",
    recipe=Recipe(
        batch_size=512,
        base=FineTune(epochs=50, learning_rate=1e-3),
        prune=FineTune(epochs=3, learning_rate=5e-4, samples=200_000),
        **dict.fromkeys(
            ("cluster", "sparse_cluster", "qat", "pqat", "cqat", "pcqat"),
            FineTune(epochs=2, learning_rate=2e-4, samples=200_000),
        ),
    ),
)
