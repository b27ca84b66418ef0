"""MobileNetV1 of width 0.25 on visual wake words: 96x96 colours -> person or not, 222 k weights, 7.5 million MACs.

The network of MLPerf Tiny's visual wake words: that of `networks/mobilenet_v1.py` with biases and plain ReLU, as in
mlcommons/tiny (`vww_model.py`).  Images are from 0 to 1; the outputs are probabilities.
"""

from __future__ import annotations

from functools import partial

from hil.harness.model import Dataset, FineTune, Model, Recipe, sibling

mobilenet_v1 = sibling(__file__, "../networks/mobilenet_v1.py")
loader = sibling(__file__, "../data/visual_wake_words.py")

model = Model(
    name="vww_mobilenet_v1",
    build=partial(mobilenet_v1.build, alpha=0.25, size=96, classes=2, bias=True, limit=None, activation="softmax"),
    data=Dataset(loader.load, loader.files, augment=loader.augment),
    recipe=Recipe(
        batch_size=50,
        base=FineTune(epochs=20, learning_rate=1e-3),
        prune=FineTune(epochs=3, learning_rate=5e-4, samples=20_000),
        **dict.fromkeys(
            ("cluster", "sparse_cluster", "qat", "pqat", "cqat", "pcqat"),
            FineTune(epochs=2, learning_rate=2e-4, samples=20_000),
        ),
    ),
    loss="probabilities",
)
