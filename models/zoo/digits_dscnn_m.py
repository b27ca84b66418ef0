"""DS-CNN-M on spoken digits: MFCC 49x10 -> 10 classes, 139 k weights, 9.8 million MACs.

The network of `networks/dscnn.py`; data and budget of training as for `models/digits_dscnn.py`, which is DS-CNN-S.
"""

from __future__ import annotations

from functools import partial

from hil.harness.model import Dataset, FineTune, Model, Recipe, sibling

dscnn = sibling(__file__, "../networks/dscnn.py")
loader = sibling(__file__, "../data/spoken_digits.py")

model = Model(
    name="digits_dscnn_m",
    build=partial(dscnn.build, "m", classes=10),
    data=Dataset(loader.load, loader.files),
    recipe=Recipe(
        batch_size=64,
        base=FineTune(epochs=16, learning_rate=2e-3),
        prune=FineTune(epochs=3, learning_rate=1e-3, samples=4000),
        **dict.fromkeys(
            ("cluster", "sparse_cluster", "qat", "pqat", "cqat", "pcqat"),
            FineTune(epochs=2, learning_rate=3e-4, samples=4000),
        ),
    ),
)
