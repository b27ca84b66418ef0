"""DS-CNN-M on Speech Commands v2: MFCC 49x10 -> 12 classes, 140 k weights, 9.8 million MACs.

The network of `networks/dscnn.py`; features and splits are those of MLPerf Tiny's keyword spotting.
"""

from __future__ import annotations

from functools import partial

from hil.harness.model import Dataset, FineTune, Model, Recipe, sibling

dscnn = sibling(__file__, "../networks/dscnn.py")
loader = sibling(__file__, "../data/speech_commands.py")

model = Model(
    name="kws_dscnn_m",
    build=partial(dscnn.build, "m", classes=12),
    data=Dataset(loader.load, loader.files),
    recipe=Recipe(
        batch_size=100,
        base=FineTune(epochs=20, learning_rate=1e-3),
        prune=FineTune(epochs=3, learning_rate=5e-4, samples=20_000),
        **dict.fromkeys(
            ("cluster", "sparse_cluster", "qat", "pqat", "cqat", "pcqat"),
            FineTune(epochs=2, learning_rate=2e-4, samples=20_000),
        ),
    ),
)
