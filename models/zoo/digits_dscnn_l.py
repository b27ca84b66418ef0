"""DS-CNN-L on spoken digits: MFCC 49x10 -> 10 classes, 419 k weights, 28 million MACs.

The network of `networks/dscnn.py`; nine tenths of its weights are in the pointwise kernels, and each of those is used
65 times: where weights come from a slow flash the NPU waits for them.  Two of the six speakers are only in the test
set.
"""

from __future__ import annotations

from functools import partial

from hil.harness.model import Dataset, FineTune, Model, Recipe, sibling

dscnn = sibling(__file__, "../networks/dscnn.py")
loader = sibling(__file__, "../data/spoken_digits.py")

model = Model(
    name="digits_dscnn_l",
    build=partial(dscnn.build, "l", classes=10),
    data=Dataset(loader.load, loader.files),
    recipe=Recipe(
        batch_size=64,
        base=FineTune(epochs=12, learning_rate=2e-3),
        prune=FineTune(epochs=3, learning_rate=1e-3, samples=4000),
        **dict.fromkeys(
            ("cluster", "sparse_cluster", "qat", "pqat", "cqat", "pcqat"),
            FineTune(epochs=2, learning_rate=3e-4, samples=4000),
        ),
        sparsity=0.8,
        clusters=16,
    ),
)
